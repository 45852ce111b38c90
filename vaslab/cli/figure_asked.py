"""What was asked in a run, read again: questions and answers, pictures, and where the tokens of an answer look."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from vaslab.cli.console import note, quiet_libraries
from vaslab.cli.finished import Finished
from vaslab.errors import MissingError, VaslabError

if TYPE_CHECKING:
    import xarray as xr
    from PIL import Image

    from vaslab.plots import ItemWords


def item_words(first: Finished, second: Finished) -> dict[str, ItemWords]:
    """Question, reference and both responses of each item."""
    from vaslab.plots import ItemWords

    words = {}
    for name, row in first.rows.items():
        other = second.rows.get(name, {})
        said = (row.get("question"), row.get("answer"), row.get("response"), other.get("response"))
        words[name] = ItemWords(*(str(text) if text is not None else "" for text in said))
    return words


def pictures_of(run: Path, items: Collection[str]) -> dict[str, Image.Image]:
    """The first picture of each of these items, as the run's data gives it; what cannot be read is left out, with a
    note."""
    from vaslab.explorer.runs import open_run
    from vaslab.prompts.images import open_image

    found, lost = {}, ""
    for entry in open_run(run).entries:
        if entry.id not in items:
            continue
        try:
            pictures = entry.prompt().images
        except (VaslabError, OSError) as error:
            lost = lost or f"picture of {entry.id}: {error}"
            continue
        if pictures:
            found[entry.id] = open_image(pictures[0])
    if lost:
        note(f"{len(items) - len(found)} of {len(items)} pictures are not shown; {lost}")
    return found


def answer_capture(run: Path, item: str | None) -> tuple[xr.Dataset, str, list[str]]:
    """Measure the answer of one item of a run again, row by row.

    Returns:
        A Capture of that item with rows, its id, and the text of each token of the answer.

    Raises:
        MissingError: the run holds no such item, or none with an answer.
        VaslabError: the model or the picture cannot be had.
    """
    from vaslab.explorer.runs import open_run

    source = open_run(run)
    entries = {entry.id: entry for entry in source.entries}
    name = item or next((each.id for each in source.entries if each.response), None)
    if name is None:
        raise MissingError(f"{run} holds no answer; measure a model that answers")
    if name not in entries:
        raise MissingError(
            f"{run} holds no item {name!r}; its first items are {', '.join(list(entries)[:3])}"
        )
    quiet_libraries()
    from vaslab.capture.capture import capture

    vlm = source.vlm()
    ids, said = entries[name].told(vlm)
    if said:
        note(said)
    measured = capture(
        vlm, [entries[name].prompt()], ("response",), rows=True, responses=[ids], item_ids=[name]
    )
    return measured, name, [vlm.processor.tokenizer.decode([token]) for token in ids]

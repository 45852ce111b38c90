"""Runs keep no rows and no maps: some of their items measured again, token by token and patch by patch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaslab.cli.console import note, quiet_libraries
from vaslab.errors import MissingError, VaslabError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from vaslab.plots import Answers

OVERLAP = 0.25
"""Least share of a patch that must lie in a box to belong to its region."""
AT_ONCE = 8


def answers_of(run: Path, limit: int) -> Answers:
    """Answers of up to `limit` items of a run, spread over its items, measured row by row; loads the run's model.

    Raises:
        MissingError: the run holds no answer.
        VaslabError: the model or a picture cannot be had.
    """
    from vaslab.plots import Answers

    source, vlm = _opened(run)
    chosen = _spread([entry for entry in source.entries if entry.response], limit)
    if not chosen:
        raise MissingError(f"{run} holds no answer; measure a model that answers")
    from vaslab.capture.capture import capture

    told: list[list[int]] = []
    differ = 0
    for entry in chosen:
        ids, said = entry.told(vlm)
        differ += bool(said)
        told.append(list(ids))
    if differ:
        note(f"{run}: {differ} of {len(chosen)} stored answers cut again have another number of tokens")
    measured = capture(
        vlm,
        [entry.prompt() for entry in chosen],
        ("response",),
        rows=True,
        responses=told,
        item_ids=[entry.id for entry in chosen],
        batch_size=AT_ONCE,
    )
    tokenizer = vlm.processor.tokenizer
    texts = {
        entry.id: [tokenizer.decode([token]) for token in ids]
        for entry, ids in zip(chosen, told, strict=True)
    }
    return Answers(measured, texts)


def pointed_of(run: Path, limit: int) -> xr.Dataset | None:
    """Where all heads point in up to `limit` items of a run whose region is known; None where none is.

    Returns:
        As `vaslab.metrics.pointing`; loads the run's model.

    Raises:
        VaslabError: the model or a picture cannot be had.
    """
    source, vlm = _opened(run, lazily=True)
    chosen = _spread([entry for entry in source.entries if entry.boxes()], limit)
    if not chosen:
        return None
    import xarray as xr

    from vaslab.capture.capture import capture
    from vaslab.metrics import pointing

    vlm = source.vlm()
    layers, heads = source.capture.sizes["layer"], source.capture.sizes["head"]
    every = [(layer, head) for layer in range(layers) for head in range(heads)]
    found = []
    for entry in chosen:
        prompt = entry.prompt()
        # one item at a time: maps of all heads of a large model fill the memory
        maps = capture(vlm, [prompt], ("user",), patches=every, item_ids=[entry.id])
        found.append(pointing(maps, {entry.id: _region(vlm, prompt, entry.boxes())}))
    return xr.concat(found, dim="item", coords="minimal", compat="override", join="outer")


def _region(vlm: Any, prompt: Any, boxes: Any) -> np.ndarray:
    """Patches of the first picture that boxes hold, (row, column)."""
    import numpy as np

    from vaslab.prompts.encode import encode

    grid = encode(vlm.processor, [prompt]).grids[0][0]
    inside = np.zeros(len(grid), dtype=bool)
    for box in boxes:
        # a box smaller than a quarter of a patch still lies somewhere
        inside[list(grid.patches_in(box, OVERLAP) or grid.patches_in(box))] = True
    return inside.reshape(grid.rows, grid.cols)


def _opened(run: Path, lazily: bool = False) -> tuple[Any, Any]:
    from vaslab.explorer.runs import open_run

    quiet_libraries()
    source = open_run(run)
    return source, None if lazily else source.vlm()


def _spread(entries: list[Any], limit: int) -> list[Any]:
    """At most `limit` of them, evenly from first to last, so that runs of the same items give the same ones."""
    if len(entries) <= limit:
        return entries
    return [entries[round(at * (len(entries) - 1) / max(limit - 1, 1))] for at in range(limit)]


def both_of(run: Path, limit: int) -> tuple[Answers | None, xr.Dataset | None]:
    """Answers and places of a run, as far as they can be had; what cannot is said on stderr."""
    found: list[Any] = []
    for measured in (answers_of, pointed_of):
        try:
            found.append(measured(run, limit))
        except VaslabError as error:
            note(f"{run}: {error}")
            found.append(None)
    return found[0], found[1]

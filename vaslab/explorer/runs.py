"""Open a run folder: its numbers at once, its pictures and its model when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from vaslab.errors import MissingError, UsageError, one_line
from vaslab.explorer.entries import Entry, NotThereError, Source, Told, shape_of, short_name
from vaslab.models.located import ORGANISM
from vaslab.prompts.patches import Box
from vaslab.prompts.prompt import Prompt
from vaslab.studies.config import MeasureConfig
from vaslab.studies.finished import read_finished, read_resolved, read_told
from vaslab.studies.run import MEASURED_IN

if TYPE_CHECKING:
    from vaslab.benchmarks import Item


def open_run(folder: Path | str, vlm: Any = None) -> Source:
    """Open a finished run.

    Nothing but its own files is read: pictures, when an item is looked at; the model, at the first head.

    Args:
        folder: the run.
        vlm: a model in memory, used where it is the one that the run was made with.

    Raises:
        MissingError: there is no run, or it is not finished.
        VaslabError: a file of it is damaged.
    """
    folder = Path(folder)
    summary, capture, rows = read_finished(folder)
    made = _Made(folder)
    entries = [_entry(rows[str(name)], capture, at, made) for at, name in enumerate(capture["item"].values)]
    pictures = [entry.picture for entry in entries]
    mine = vlm is not None and vlm.revision == made.resolved.get("model_revision")
    left = len(rows) - len(entries)
    return Source(
        name=short_name(str(summary["model"])),
        label=folder.name,
        model=str(summary["model"]),
        data=str(summary["data"]),
        decoding=str(summary["decoding"]),
        run_id=str(folder),
        capture=capture,
        entries=entries,
        load=made.load,
        shape=shape_of(capture),
        note=f"{left} of {len(rows)} items could not be measured and are not shown." if left else "",
        clustered=all(pictures) and len(set(pictures)) < len(pictures),
        max_new_tokens=made.max_new_tokens,
        _vlm=vlm if mine else None,
    )


def _entry(row: dict[str, Any], capture: xr.Dataset, at: int, made: _Made) -> Entry:
    def told(vlm: Any) -> Told:
        return answer_ids(vlm, str(row["response"] or ""), bool(row["finished"]), row["n_tokens"])

    return Entry(
        id=str(row["id"]),
        question=str(row.get("question") or ""),
        capture=capture,
        at=at,
        prompt=lambda: made.prompt(row),
        told=told,
        boxes=lambda: made.boxes(row),
        reference=_text(row.get("answer")),
        category=_text(row.get("kind")),
        response=_text(row.get("response")),
        correct=row.get("right"),
        why=_text(row.get("reason")),
        picture=_text(row.get("picture")),
    )


def _leads_nowhere(name: str) -> bool:
    path = Path(name.partition(":")[2] or name)
    return not name.startswith(ORGANISM) and not path.expanduser().is_absolute() and not path.exists()


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def answer_ids(vlm: Any, text: str, finished: bool, n_tokens: int | None) -> Told:
    """Cut a stored answer into tokens again, end token included.

    Runs keep the text of an answer. Cut again it can differ from what was generated; where the number of tokens
    does, that is said.
    """
    tokenizer = vlm.processor.tokenizer
    # the answer's special tokens were taken out of its text: what looks like one is text
    ids = list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
    ends = vlm.model.generation_config.eos_token_id
    if finished and ends is not None:
        ids.append(int(ends if isinstance(ends, int) else ends[0]))
    if not ids:
        raise NotThereError("the answer is empty, so it has no rows")
    if n_tokens is not None and n_tokens != len(ids):
        return ids, f"the stored answer cut again has {len(ids)} tokens, {n_tokens} were generated"
    return ids, ""


class _Made:
    """By what a run was made, read when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def config(self) -> MeasureConfig:
        """The run's config, offline whatever it was then."""
        return replace(read_told(self.folder), offline=True)

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """What followed from it."""
        return read_resolved(self.folder)

    @property
    def measured_in(self) -> str | None:
        """The folder that its relative paths start from; None for a run of before this was noted."""
        return self.resolved.get(MEASURED_IN)

    @contextmanager
    def _looked_for(self, names: Sequence[str | None]) -> Iterator[None]:
        """Let the error of a file that is named relative to a folder say which folders were searched."""
        try:
            yield
        except (MissingError, UsageError) as error:
            if not any(name and _leads_nowhere(name) for name in names):
                raise
            here = f"{one_line(error).partition(';')[0]}; it was looked for in {Path.cwd()}"
            if self.measured_in is None:
                raise NotThereError(f"{here}; start where the run was measured") from error
            raise NotThereError(
                f"{here} and in {self.measured_in}, where the run was measured; put it back there"
            ) from error

    @property
    def max_new_tokens(self) -> int:
        """Longest answer."""
        return self.config.max_new_tokens

    @cached_property
    def _items(self) -> dict[str, Item]:
        with self._looked_for([self.config.data, *self.config.image]):
            chosen = self.config.selection(self.config.benchmark())
        return {item.id: item for item in chosen.items}

    def boxes(self, row: dict[str, Any]) -> tuple[Box, ...]:
        """Where the answer of a row is seen. Raises VaslabError as `prompt`."""
        return self._item(row).boxes

    def prompt(self, row: dict[str, Any]) -> Prompt:
        """The prompt of a row. Raises VaslabError where the data are gone or are not the run's any more."""
        return self._item(row).prompt()

    def _item(self, row: dict[str, Any]) -> Item:
        item = self._items.get(str(row["id"]))
        asked = (row["question"], row["system"], row["picture"])
        if item is None or (item.question, item.system, item.picture_id) != asked:
            raise NotThereError(
                f"{self.config.data or 'the data'} on this disk holds no item {row['id']} with this question and "
                "picture; restore the data that the run was made of"
            )
        return item

    def load(self) -> Any:
        """The run's model, proved; what differs from the run's is an error only where nothing can be shown."""
        from vaslab.studies.measure import load_for

        with self._looked_for([self.config.model]):
            vlm = load_for(self.config)
        was = self.resolved.get("model_revision")
        if was not in (None, vlm.revision):
            raise NotThereError(
                f"{vlm.name} on this disk is {vlm.revision}, the run was made with {was}; restore that model"
            )
        return vlm

"""Open a Capture with or without its prompts, or a model that is to be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import xarray as xr

from vaslab.errors import UsageError
from vaslab.explorer.entries import Entry, NotThereError, Source, Told, shape_of, short_name
from vaslab.prompts.prompt import Prompt

if TYPE_CHECKING:
    from vaslab.benchmarks import Item


def open_capture(
    capture: xr.Dataset,
    prompts: Sequence[Prompt] | None = None,
    vlm: Any = None,
    answers: Sequence[Any] | None = None,
    items: Sequence[Item] | None = None,
) -> Source:
    """Open a Capture.

    Args:
        capture: what `vaslab.capture` or `vaslab.load_capture` returned.
        prompts: what was asked, one an item, in order: gives questions and pictures.
        vlm: the model, to compute the map of any head; without it the maps that the capture kept are shown.
        answers: what `vaslab.answer` returned, one an item.
        items: of a benchmark, in place of prompts: gives references, and where the answer is seen, too.

    Raises:
        UsageError: no capture; prompts, answers or items of another number.
    """
    names = [str(name) for name in capture["item"].values] if "item" in capture.coords else []
    if "mass" not in capture or not names:
        raise UsageError("this dataset is no capture; give what vaslab.capture or load_capture returned")
    for given, word in ((prompts, "prompts"), (answers, "answers"), (items, "items")):
        if given is not None and len(given) != len(names):
            raise UsageError(f"{len(given)} {word} for {len(names)} items of the capture; give one an item")
    if prompts is not None and items is not None:
        raise UsageError("items know their prompts; give prompts or items, not both")
    if vlm is not None and prompts is None and items is None:
        raise UsageError(
            "a model without prompts has nothing to look at; give prompts=[...] or items=[...] too"
        )
    entries = []
    for at, name in enumerate(names):
        told = None if answers is None else answers[at]
        prompt = None if prompts is None else prompts[at]
        entry = Entry(
            id=name,
            question="" if prompt is None else question_of(prompt),
            capture=capture,
            at=at,
            prompt=_given(prompt),
            told=_answered(told),
            response="" if told is None else told.text,
        )
        entries.append(entry if items is None else _of_item(entry, items[at]))
    said = capture.attrs
    model = str(said.get("model", "a capture"))
    return Source(
        name=short_name(model),
        label=model,
        model=model,
        data=str(said.get("data", "")),
        decoding=str(said.get("decoding", "")),
        run_id="",
        capture=capture,
        entries=entries,
        load=None if vlm is None else (lambda: vlm),
        shape=shape_of(capture),
        _vlm=vlm,
    )


def open_model(vlm: Any) -> Source:
    """Open a model that has not been asked anything."""
    return Source(
        name=short_name(vlm.name),
        label=vlm.name,
        model=vlm.name,
        data="asked here",
        decoding="greedy",
        run_id="",
        capture=None,
        entries=[],
        load=lambda: vlm,
        shape=(vlm.n_layers, vlm.n_heads, vlm.n_kv_heads),
    )


def question_of(prompt: Prompt) -> str:
    """The texts of the user's turns."""
    pieces = (piece for turn in prompt.turns if turn.role == "user" for piece in turn.pieces)
    return " ".join(piece for piece in pieces if isinstance(piece, str))


def _of_item(entry: Entry, item: Item) -> Entry:
    """What a benchmark's item says of itself."""
    return replace(
        entry,
        question=item.question,
        reference=item.answer or "",
        category=item.kind,
        picture=item.picture_id,
        prompt=item.prompt,
        boxes=lambda: item.boxes,
    )


def _given(prompt: Prompt | None) -> Callable[[], Prompt]:
    def give() -> Prompt:
        if prompt is None:
            raise NotThereError("the capture holds no pictures; give explore(capture, prompts=[...])")
        return prompt

    return give


def _answered(told: Any) -> Callable[[Any], Told]:
    def give(_: Any) -> Told:
        if told is None:
            raise NotThereError("the answer is not known; give explore(capture, prompts=..., answers=...)")
        return list(told.ids), ""

    return give

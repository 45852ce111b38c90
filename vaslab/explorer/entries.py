"""What an explorer shows: items with their questions and answers, and where their numbers and pictures come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from vaslab.errors import VaslabError
from vaslab.metrics import Definition, floored, vas_per_item
from vaslab.prompts.patches import Box
from vaslab.prompts.prompt import Prompt

Told: TypeAlias = tuple[list[int], str]
"""Token ids of an answer, and what is to be said of them."""


class NotThereError(VaslabError):
    """A model, picture or answer cannot be had here; the message says why."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One item of one run.

    Args:
        id, question, reference, category, response, correct, why: as shown.
        picture: names the picture, for the page and to tell clusters.
        capture: where its numbers are; `at`: its index there.
        prompt: reads the pictures and builds the prompt; raises VaslabError or OSError.
        told: cuts the stored answer into tokens, given the model; raises VaslabError.
        edited: inside it the model is edited as it was for this item; `edit` says how, "" where it is left alone.
        system: the system prompt that a visitor gave it.
        boxes: where the answer is seen, in pixels of its one picture; () where that is not known.
    """

    id: str
    question: str
    capture: xr.Dataset
    at: int
    prompt: Callable[[], Prompt]
    told: Callable[[Any], Told]
    reference: str = ""
    category: str = ""
    response: str = ""
    correct: bool | None = None
    why: str = ""
    picture: str = ""
    edited: Callable[[Any], AbstractContextManager[Any]] = field(default=lambda _: nullcontext())
    edit: str = ""
    system: str = ""
    boxes: Callable[[], tuple[Box, ...]] = tuple

    @property
    def part(self) -> xr.Dataset:
        """The numbers of this item alone."""
        return self.capture.isel(item=[self.at])

    def measured(self, queries: str) -> bool:
        """Whether its numbers hold a query role."""
        return queries in self.capture["query_role"].values


@dataclass(eq=False)
class Source:
    """One run, or one capture, or a model that is asked.

    Args:
        name: short, for the page; `label`: in full.
        model, data, decoding: words.
        run_id: where the run is; "" for what is no run.
        capture: of all items that were measured; None where only a model is there.
        entries: its items, those of the capture first.
        load: returns the model; None where there is none to load. Raises VaslabError.
        note: what is to be said of it all; "".
        shape: (layers, heads, key-value heads).
        clustered: whether several items share a picture.
    """

    name: str
    label: str
    model: str
    data: str
    decoding: str
    run_id: str
    capture: xr.Dataset | None
    entries: list[Entry]
    load: Callable[[], Any] | None
    shape: tuple[int, int, int | None]
    note: str = ""
    clustered: bool = False
    max_new_tokens: int = 256
    _vlm: Any = field(default=None, repr=False)

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._vlm is not None

    def vlm(self) -> Any:
        """The model, loaded once. Raises VaslabError where it cannot be had."""
        if self._vlm is None:
            if self.load is None:
                raise NotThereError("there is no model to ask: give explore(capture, prompts=..., vlm=...)")
            self._vlm = self.load()
        return self._vlm

    @property
    def queries(self) -> list[str]:
        """Query roles of the stored numbers."""
        return [] if self.capture is None else [str(role) for role in self.capture["query_role"].values]

    def vas_of_items(self) -> dict[str, list[float | None]]:
        """Mean VAS over layers and heads of each stored item, by query role."""
        found: dict[str, list[float | None]] = {}
        for queries in self.queries:
            assert self.capture is not None
            found[queries] = vas_of(self.capture, queries)
        return found

    def floored_of_items(self) -> dict[str, list[float]]:
        """As `floored_of`, by query role."""
        return {
            queries: floored_of(self.capture, queries) for queries in self.queries if self.capture is not None
        }


def vas_of(capture: xr.Dataset, queries: str) -> list[float | None]:
    """Mean VAS of each item; None where it has none."""
    try:
        values: Sequence[float] = vas_per_item(capture, Definition(queries)).values.tolist()
    except VaslabError:
        # undefined for every item: no picture, or no system turn
        return [None] * capture.sizes["item"]
    return [None if np.isnan(value) else float(value) for value in values]


def floored_of(capture: xr.Dataset, queries: str) -> list[float]:
    """Share of each item's rows, over all heads, whose system mass is below 1e-6 and taken as that; 0 without a VAS."""
    shares = floored(capture, Definition(queries), over=("layer", "head")).fillna(0.0).values
    return [round(float(share), 4) for share in shares]


def shape_of(capture: xr.Dataset) -> tuple[int, int, int | None]:
    """(layers, heads, key-value heads) of a capture; None where it does not say or they do not divide."""
    layers, heads = capture.sizes["layer"], capture.sizes["head"]
    kv = int(capture.attrs.get("n_kv_heads") or 0)
    return layers, heads, kv if kv > 0 and heads % kv == 0 else None


def short_name(model: str) -> str:
    """A folder by its last part; a hub id and an organism as they are."""
    return Path(model).name if model.startswith((".", "/", "~")) or model.count("/") > 1 else model

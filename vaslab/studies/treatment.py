"""What is done to a model, or to what it sees, while a run is asked; and how the run says it of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from PIL import Image

from vaslab.benchmarks import Item, Selection
from vaslab.benchmarks.item import Source
from vaslab.prompts.images import open_image

Around: TypeAlias = Callable[[Sequence[str]], AbstractContextManager[Any]]
"""Ids of the items of a batch -> the context in which they are answered."""

EMPTY = (242, 242, 242)
"""Colour of a blank picture: a light grey, as the organism's report of itself has it."""


def _plainly(_: Sequence[str]) -> AbstractContextManager[Any]:
    return nullcontext()


def _as_it_is(item: Item) -> Item:
    return item


@dataclass(frozen=True)
class Treatment:
    """One treatment.

    Args:
        told: what the run's config.yaml, summary and capture say of it, as YAML writes it: a run goes on under the
            same one only. None is no treatment.
        around: given the ids of a batch, the context in which it is answered, such as `vaslab.intervene`.
        item: what becomes of each item before it is asked.
    """

    told: Mapping[str, Any] | None
    around: Around = _plainly
    item: Callable[[Item], Item] = _as_it_is

    def selection(self, chosen: Selection) -> Selection:
        """The items as they are asked."""
        return Selection(tuple(map(self.item, chosen.items)), chosen.total, chosen.words)


PLAIN = Treatment(None)


def blanked(item: Item) -> Item:
    """The item with an even grey in place of each picture, of the same size."""
    return replace(item, pictures=tuple(partial(_blank, picture) for picture in item.pictures))


def _blank(picture: Source) -> Image.Image:
    shown = open_image(picture() if callable(picture) else picture)
    return Image.new("RGB", shown.size, EMPTY)


BLANK = Treatment({"name": "blank picture"}, item=blanked)
"""The level that needs no picture: what the question, the prior and the size of the picture give away."""

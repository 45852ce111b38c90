"""Where a sweep steers each item: to the box that answers its question, or to that of another object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image

from vaslab.benchmarks import Item
from vaslab.errors import UsageError
from vaslab.interventions import Region
from vaslab.organism import glyphs

PLACES = ("answer", "other")
"""`answer`: the box in which the item's answer is seen. `other`: that of another object, whose answer differs."""

_TOLD = {"identify": "name", "locate": "place", "two-step": "color"}
"""Kinds of glyph questions that are about one object -> what of it is the answer."""


@dataclass(frozen=True)
class Place:
    """A box to look at, and what the answer is if what lies there is taken for what was asked about."""

    region: Region
    answer: str


def item_places(data: str, items: Sequence[Item], where: str) -> dict[str, Place]:
    """The place of each item that has one, by id: a question about one object, whose box is known.

    Args:
        data: the benchmark's name.
        items: what is asked.
        where: of `PLACES`.

    Raises:
        UsageError: no item has such a place.
    """
    found = {}
    for item in items:
        place = _other(item) if where == "other" and data == "glyph" else None
        if where == "answer" and len(item.boxes) == 1 and item.answer is not None:
            picture = item.prompt().images[0]
            assert isinstance(picture, Image)
            place = Place(Region(item.boxes[0], picture.size), item.answer)
        if place is not None:
            found[item.id] = place
    if not found:
        raise UsageError(
            f"regions: {where} needs questions about one object whose box is known, and none of the {len(items)} "
            f"items of {data} is one; measure glyph"
        )
    return found


def _other(item: Item) -> Place | None:
    """The next object in raster order that would be another answer; None where there is none."""
    told = _TOLD.get(item.kind)
    if told is None:
        return None
    objects = glyphs.scene(int(item.picture_id)).glyphs
    asked = next(place for place, glyph in enumerate(objects) if glyph.box == item.boxes[0])
    for glyph in (*objects[asked + 1 :], *objects[:asked]):
        answer = str(getattr(glyph, told))
        if answer != item.answer:
            return Place(Region(glyph.box, (glyphs.SIDE, glyphs.SIDE)), answer)
    return None

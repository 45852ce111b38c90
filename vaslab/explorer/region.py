"""Which heads look most at what is asked about: attention on a region of a picture, of every head at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from vaslab.errors import UsageError
from vaslab.explorer.head_map import HeadMap
from vaslab.prompts.patches import Box, PatchGrid

OVERLAP = 0.25
"""Least share of a patch that must lie in the region, as in the notebooks and in head localisation."""
SHOWN = 8
"""Heads that are named."""


@dataclass(frozen=True)
class Region:
    """Boxes on one picture of an item.

    Args:
        picture: index of the picture.
        boxes: in its pixels; together they are the region.
    """

    picture: int
    boxes: tuple[Box, ...]

    def cells(self, grids: Sequence[PatchGrid]) -> Bool[np.ndarray, " cell"]:
        """Which patches of all pictures lie in the region. Raises UsageError for a box outside the picture."""
        inside = [np.zeros(len(grid), dtype=bool) for grid in grids]
        if not 0 <= self.picture < len(grids):
            raise UsageError(f"there is no picture {self.picture + 1}; the item has {len(grids)}")
        grid = grids[self.picture]
        for box in self.boxes:
            # a box smaller than a quarter of a patch still lies somewhere
            inside[self.picture][list(grid.patches_in(box, OVERLAP) or grid.patches_in(box))] = True
        return np.concatenate(inside)


def told_region(told: Any, known: Sequence[Box]) -> Region:
    """The region that a page asks for: its own box, or where the answer is seen.

    Args:
        told: {} or {"picture": index, "box": [x0, y0, x1, y1]}.
        known: boxes of the item.

    Raises:
        UsageError: something else, or nothing is known.
    """
    if isinstance(told, Mapping) and told:
        box, picture = told.get("box"), told.get("picture", 0)
        whole = isinstance(picture, int) and not isinstance(picture, bool)
        if not whole or not isinstance(box, list | tuple) or len(box) != 4 or not all(map(_is_number, box)):
            raise UsageError(f"the region is {str(told)[:80]}; expected a picture and a box of four numbers")
        return Region(picture, (tuple(box),))
    if not known:
        raise UsageError(
            "what is asked about is not marked in this item; drag a box around it on the picture"
        )
    return Region(0, tuple(known))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def shares_of(
    found: Mapping[tuple[int, int], HeadMap], inside: Bool[np.ndarray, " cell"], shape: tuple[int, int]
) -> Float[np.ndarray, "layer head 2"]:
    """Attention outside and inside a region, from maps that are at hand; NaN for heads that have none."""
    out = np.full((*shape, 2), np.nan)
    for (layer, head), each in found.items():
        mean = each.packed.values.mean(axis=0)
        out[layer, head] = mean[~inside].sum(), mean[inside].sum()
    return out


def ranked(shares: Float[np.ndarray, "layer head 2"], count: int = SHOWN) -> list[list[int | float]]:
    """The heads with most attention on the region, most first.

    Args:
        shares: attention on the pictures outside and inside the region, in parts of the row's attention.
        count: how many.

    Returns:
        [layer, head, attention on the region, its part of the attention on all pictures] of each.
    """
    inside = shares[..., 1]
    order = np.argsort(-np.where(np.isfinite(inside), inside, -1.0), axis=None, kind="stable")
    found = []
    for at in order[:count].tolist():
        layer, head = divmod(at, inside.shape[1])
        outside, share = shares[layer, head].tolist()
        if np.isfinite(share):
            found.append([layer, head, share, share / (share + outside) if share + outside > 0 else 0.0])
    return found

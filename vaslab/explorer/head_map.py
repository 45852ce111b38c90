"""What a page is told of one head in one item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from vaslab.explorer.packing import NOTHING, Packed, pack

Grid: TypeAlias = tuple[int, int]
"""Rows and columns of patches."""


@dataclass(frozen=True, eq=False)
class HeadMap:
    """One head in one item.

    Args:
        state: `full` (every row), `mean` (over rows), or `none`.
        note: how it was had, or why not.
        packed: the rows.
        rows: what each row is, for the page.
        grids: (rows, columns) of each picture; () while not known.
        sinks: cells that are sinks; `sinks_words`: what that means.
        agreement: how far the recomputed masses are from the stored ones, in words; `differs`: too far.
        seconds: what the recomputation took; 0 where it was at hand.
    """

    state: str
    note: str
    packed: Packed = NOTHING
    rows: tuple[dict[str, Any], ...] = ()
    grids: tuple[Grid, ...] = ()
    sinks: tuple[int, ...] = ()
    sinks_words: str = ""
    agreement: str = ""
    differs: bool = False
    seconds: float = 0.0

    def trait(self, of: Sequence[Any]) -> dict[str, Any]:
        """As the page reads it; `of` names item, queries, layer and head."""
        return {
            "state": self.state,
            "note": self.note,
            "seconds": round(self.seconds, 3),
            "n_rows": self.packed.cells.shape[0],
            "n_cells": self.packed.cells.shape[1],
            "sinks": list(self.sinks),
            "sinks_words": self.sinks_words,
            "agreement": self.agreement,
            "differs": self.differs,
            "of": list(of),
        }


def without_rows(found: HeadMap) -> HeadMap:
    """The mean over rows alone, for a page that cannot hold all rows."""
    mean = pack(found.packed.values.mean(axis=0, keepdims=True))
    return replace(found, state="mean", packed=Packed(found.packed.share, mean.scale, mean.cells))

"""Steer heads to a region of the picture (gaze heads, arXiv 2606.14703).

In the chosen heads, scores of visual keys in the region + bias, of other visual keys - bias. The released bias of
1e4 saturates: all weight of those heads lies on the region. Its other mode only removes the rest of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from vaslab.attention import AnyEdit, fits
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import Intervention, number_in
from vaslab.interventions.settings import choice
from vaslab.interventions.target import region_mask, regions_of

MODES = ("boost_suppress", "suppress_image")
# exp(2 * 80) is beyond float32: the keys that are left out weigh nothing.
_SATURATED = 80.0


@dataclass(frozen=True, kw_only=True)
class Steer(Intervention):
    """Settings of the steering, of every head unless `heads` or `layers` choose.

    Args:
        regions: where to look: one for all items, or one an item, None for an item that is left alone.
        bias: what is added and taken away; from 80 on it saturates.
        mode: `boost_suppress` (paper) or `suppress_image`, which takes the bias away outside the region and adds
            none inside.
        queries: `response` is the released code's choice: rows of the answer's tokens, not the prompt's last one.
    """

    queries: Any = "response"
    regions: Any = None
    bias: Any = 1e4
    mode: Any = "boost_suppress"

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("bias", self.bias, 0)
        choice("mode", self.mode, MODES)
        self._set(regions=regions_of(self.regions))
        if self.regions is None:
            raise UsageError("steer needs regions: Region(box, size), one an item or one for all")

    def items(self, batch: Batch) -> Bool[Tensor, " batch"]:
        """Those with a region."""
        return region_mask(self.regions, batch).any(1)

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """One table of factors on weights: a bias is the logarithm of a factor. A second one where rows that stand
        before the region are edited too: they lose the rest of the picture, and keep their text."""
        inside = region_mask(self.regions, batch)
        groups = {
            "inside": inside,
            "outside": batch.visual & ~inside,
            "other": batch.real & ~batch.visual,
        }
        boosts = self.mode == "boost_suppress"
        if self.bias < _SATURATED:
            factors = {"inside": exp(self.bias) if boosts else 1.0, "outside": exp(-self.bias), "other": 1.0}
        else:
            factors = {"inside": 1.0, "outside": 0.0, "other": 0.0 if boosts else 1.0}
        edit = self.table(batch, groups, factors, "prob", new="other")
        blind = fits(inside.cumsum(1) == 0, edit.queries.shape[1]) & edit.queries
        if factors["other"] == 1 or not bool(blind.any()):
            return [edit]
        left = self.table(batch, groups, {**factors, "other": 1.0}, "prob", new="other")
        return [
            replace(edit, queries=edit.queries & ~blind),
            replace(left, queries=blind, new_queries=False),
        ]

"""The edit behind the explorer's sliders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vaslab.attention import AnyEdit
from vaslab.interventions import Intervention
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import number_in


@dataclass(frozen=True, kw_only=True)
class Factors(Intervention):
    """Attention weights on visual and on system keys, each times a factor, renormalised; in rows after the picture.

    Unlike the interventions of papers it goes both ways: below 1 takes attention away, 0 all of it.
    """

    visual: int | float = 1.0
    system: int | float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("visual", self.visual, 0)
        number_in("system", self.system, 0)

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """One table of factors on weights."""
        groups = {"visual": batch.visual, "system": batch.system}
        return [self.table(batch, groups, {"visual": self.visual, "system": self.system}, "prob")]

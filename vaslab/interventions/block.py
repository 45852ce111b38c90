"""Take attention away from roles of keys: knockout (arXiv 2304.14767) of the edges between queries and keys.

weights on those keys <- (1 - strength) * weights, renormalised; strength 1 cuts the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vaslab.attention import AnyEdit
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import OnKeys, number_in


@dataclass(frozen=True, kw_only=True)
class Block(OnKeys):
    """Settings of the knockout.

    Args:
        keys: names of the roles whose keys are blocked.
        regions: block only visual tokens in these boxes instead.
        strength: share of the weights that is taken away, 0 to 1.
    """

    queries: Any = "text"
    strength: Any = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("strength", self.strength, 0, 1)

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """One table of factors on weights."""
        keys, later = self.chosen_keys(batch)
        new = "blocked" if later else None
        return [self.table(batch, {"blocked": keys}, {"blocked": 1 - self.strength}, "prob", new)]

"""Take attention away from roles of keys: knockout (arXiv 2304.14767) of the edges between queries and keys.

weights on those keys <- (1 - strength) * weights, renormalised; strength 1 cuts the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vaslab.attention import AnyEdit
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import Intervention, number_in
from vaslab.interventions.target import Regions, region_mask
from vaslab.prompts.roles import KEY_ROLES, Role


@dataclass(frozen=True, kw_only=True)
class Block(Intervention):
    """Settings of the knockout.

    Args:
        keys: names of the roles whose keys are blocked.
        regions: block only visual tokens in these boxes instead: one for all items, or one an item, None for an item
            that is left alone.
        strength: share of the weights that is taken away, 0 to 1.
    """

    queries: Any = "text"
    keys: Any = ("image", "video")
    regions: Regions | None = None
    strength: int | float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("strength", self.strength, 0, 1)
        known = [role.name for role in KEY_ROLES]
        unknown = [name for name in self._names() if name not in known]
        if unknown:
            raise UsageError(f"keys holds {unknown[0]!r}; expected {', '.join(known)}")

    def _names(self) -> tuple[str, ...]:
        return (self.keys,) if isinstance(self.keys, str) else tuple(self.keys)

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """One table of factors on weights."""
        if self.regions is not None:
            keys = region_mask(self.regions, batch)
        else:
            wanted = [int(Role[name]) for name in self._names()]
            keys = torch.isin(batch.roles, torch.tensor(wanted, device=batch.roles.device))
        new = "blocked" if self.regions is None and "response" in self._names() else None
        return [self.table(batch, {"blocked": keys}, {"blocked": 1 - self.strength}, "prob", new)]

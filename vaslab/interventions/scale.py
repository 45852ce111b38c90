"""Enhance visual attention, suppress system attention: the paper's form, ClearSight's VAF, and monotone forms.

Scores Z, visual keys V, system keys S, a = alpha, b = beta:

    scaled     Z_V <- (1 + a) Z_V,         Z_S <- (1 - b) Z_S         arXiv 2603.03825, 2503.13107
    additive   Z_V <- Z_V + log(1 + a),    Z_S <- Z_S + log(1 - b)    weights times (1 + a), (1 - b), renormalised

Where a score is negative, `scaled` lowers what it should enhance and raises what it should suppress. `additive`
never does. Alpha 0 and beta 0 together change nothing: alpha 0 alone leaves what beta does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vaslab.attention import AnyEdit
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import OnKeys, keys_named, number_in
from vaslab.interventions.settings import choice, keys_of

_KINDS = {"scaled": "logit", "additive": "prob"}


@dataclass(frozen=True, kw_only=True)
class Scale(OnKeys):
    """Settings of the family.

    Args:
        alpha: strength on V, the visual keys or those that `keys` or `regions` name; at least 0.
        beta: strength against S, 0 to 1.
        against: names of the roles whose keys are S.
        form: `scaled` or `additive`.
    """

    alpha: Any = 0.15
    beta: Any = 0.05
    against: Any = ("system_sink", "system")
    form: Any = "scaled"

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("alpha", self.alpha, 0)
        number_in("beta", self.beta, 0, 1)
        choice("form", self.form, _KINDS)
        self._set(against=keys_of("against", self.against))
        both = sorted({*self.keys} & {*self.against})
        if both:
            raise UsageError(f"keys and against both name {both[0]}; a key is enhanced or suppressed")

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """One table of factors: exact as scaled keys or an additive bias."""
        keys, later = self.chosen_keys(batch)
        groups = {"enhanced": keys, "suppressed": keys_named(batch, self.against)}
        factors = {"enhanced": 1 + self.alpha, "suppressed": 1 - self.beta}
        new = "enhanced" if later else "suppressed" if "response" in self.against else None
        return [self.table(batch, groups, factors, _KINDS[self.form], new)]

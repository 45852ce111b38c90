"""Enhance visual attention, suppress system attention: the paper's form, ClearSight's VAF, and monotone forms.

Scores Z, visual keys V, system keys S, a = alpha, b = beta:

    scaled     Z_V <- (1 + a) Z_V,         Z_S <- (1 - b) Z_S         arXiv 2603.03825, 2503.13107
    additive   Z_V <- Z_V + log(1 + a),    Z_S <- Z_S + log(1 - b)    weights times (1 + a), (1 - b), renormalised

Where a score is negative, `scaled` lowers what it should enhance and raises what it should suppress. `additive`
never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vaslab.attention import AnyEdit
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import Intervention, number_in

_KINDS = {"scaled": "logit", "additive": "prob"}


@dataclass(frozen=True, kw_only=True)
class Scale(Intervention):
    """Settings of the family.

    Args:
        alpha: strength on visual keys, at least 0.
        beta: strength against system keys, 0 to 1.
        form: `scaled` or `additive`.
    """

    alpha: int | float = 0.15
    beta: int | float = 0.05
    form: str = "scaled"

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("alpha", self.alpha, 0)
        number_in("beta", self.beta, 0, 1)
        if self.form not in _KINDS:
            raise UsageError(f"form is {self.form!r}; expected {', '.join(_KINDS)}")

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """One table of factors: exact as scaled keys or an additive bias."""
        groups = {"visual": batch.visual, "system": batch.system}
        factors = {"visual": 1 + self.alpha, "system": 1 - self.beta}
        return [self.table(batch, groups, factors, _KINDS[self.form])]

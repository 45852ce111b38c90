"""Correlation with named confounders held still: response length, image tokens, parameters, ..."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike

from vaslab.errors import UsageError, VaslabError
from vaslab.statistics.correlation import FEWEST, checked, coefficient, fisher_interval


@dataclass(frozen=True)
class Partial:
    """Partial correlation: `estimate` with Fisher's interval and Student's p, and what was held still."""

    estimate: float
    low: float
    high: float
    level: float
    p: float
    n: int
    confounders: tuple[str, ...]


def partial_correlation(
    x: ArrayLike, y: ArrayLike, confounders: Mapping[str, ArrayLike], level: float = 0.95
) -> Partial:
    """Correlate what is left of `x` and `y` after a linear fit on the confounders (Fisher 1924).

    With k confounders, n - k takes the place of n: se = 1 / sqrt(n - k - 3), and t has n - k - 2 degrees of
    freedom.

    Args:
        x, y: one number a checkpoint.
        confounders: name -> one number a checkpoint.
        level: of the interval.

    Raises:
        UsageError: no confounder, one of another length, not finite, or the same for all checkpoints.
        VaslabError: fewer than 4 + k checkpoints, confounders that determine each other, or that leave nothing of
            `x` or `y`.
    """
    left, right = checked(x, y)
    n, k = len(left), len(confounders)
    if not k:
        raise UsageError("no confounder named; use correlate, or give {name: numbers}")
    columns = [np.ones(n)]
    for name, values in confounders.items():
        column = np.asarray(values, dtype=np.float64)
        if column.shape != left.shape or not np.isfinite(column).all():
            raise UsageError(f"confounder {name!r} needs one finite number for each of {n} checkpoints")
        if np.ptp(column) == 0:
            raise UsageError(
                f"confounder {name!r} is the same for all checkpoints; it explains nothing, leave it out"
            )
        columns.append((column - column.mean()) / column.std())
    if n - k < FEWEST:
        raise VaslabError(
            f"{n} checkpoints and {k} confounder{'' if k == 1 else 's'}: expected at least {FEWEST + k} checkpoints; "
            f"{'name fewer confounders' if k > 1 else 'measure more'}"
        )
    design = np.stack(columns, axis=1)
    if np.linalg.matrix_rank(design) < k + 1:
        raise VaslabError(f"the confounders {', '.join(confounders)} determine each other; leave one out")
    rest = [each - design @ np.linalg.lstsq(design, each, rcond=None)[0] for each in (left, right)]
    for name, each, before in (("x", rest[0], left), ("y", rest[1], right)):
        if each.std() <= 1e-9 * before.std():
            raise VaslabError(
                f"the confounders {', '.join(confounders)} explain {name} wholly: nothing is left"
            )
    r = float(coefficient(rest[0], rest[1]))
    low, high = fisher_interval(r, n - k, level=level)
    free = n - k - 2
    t = r * np.sqrt(free / (1 - r * r)) if abs(r) < 1 else np.inf
    return Partial(r, low, high, level, float(2 * scipy.stats.t.sf(abs(t), free)), n, tuple(confounders))

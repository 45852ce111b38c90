"""Accuracy and its interval."""

import numpy as np
import xarray as xr
from scipy.stats import binomtest

from vaslab.errors import UsageError


def accuracy_interval(right: int, n: int, level: float = 0.95) -> xr.Dataset:
    """Accuracy with Wilson's score interval (Wilson 1927, by scipy.stats.binomtest).

    Args:
        right: items answered correctly.
        n: items graded.
        level: confidence level.

    Returns:
        Dataset of scalars estimate, low, high, n in 0 .. 1; NaN with the reason in the attributes when n is
        0.

    Raises:
        UsageError: `right` is not in 0 .. n.
    """
    if not 0 <= right <= n:
        raise UsageError(f"{right} right of {n} items; expected 0 <= right <= n")
    if n == 0:
        low = high = estimate = np.nan
    else:
        found = binomtest(int(right), int(n)).proportion_ci(level, method="wilson")
        low, high, estimate = found.low, found.high, right / n
    return xr.Dataset(
        {"estimate": estimate, "low": low, "high": high, "n": n},
        attrs={"level": level, "method": "Wilson score", "reason": "" if n else "no item was graded"},
    )

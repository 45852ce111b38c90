"""Many tests at once: which of them stand when 5 % of the findings may be false."""

import numpy as np
import scipy.stats
import xarray as xr
from scipy.special import ndtri

from vaslab.errors import UsageError, VaslabError
from vaslab.statistics.correlation import FEWEST, too_few
from vaslab.statistics.permutation import permutation_ps


def fdr(p: xr.DataArray) -> xr.DataArray:
    """Benjamini and Hochberg (1995), by scipy: the smallest false discovery rate at which each test stands.

    Args:
        p: p values of any shape; NaN where there was no test, and it counts for none.

    Returns:
        Adjusted p of the same shape: <= 0.05 is a finding at a false discovery rate of 5 %. NaN stays NaN.

    Raises:
        UsageError: a p outside 0 .. 1.
    """
    values = p.values.astype(np.float64)
    there = np.isfinite(values)
    if there.any() and not ((values[there] >= 0) & (values[there] <= 1)).all():
        raise UsageError("a p value lies outside 0 .. 1")
    out = np.full(values.shape, np.nan)
    if there.any():
        out[there] = scipy.stats.false_discovery_control(values[there], method="bh")
    return p.copy(data=out).rename("p_adjusted")


def correlation_map(
    values: xr.DataArray, accuracy: xr.DataArray, dim: str = "checkpoint", level: float = 0.95
) -> xr.Dataset:
    """Pearson's r of every layer or head with accuracy, over checkpoints, with Fisher's interval and FDR.

    Args:
        values: e.g. log2 VAS; dims (checkpoint, ...).
        accuracy: dims (checkpoint), under the same names.
        dim: the axis of checkpoints.
        level: of the interval, as `vaslab.statistics.correlate` prints it.

    Returns:
        Dataset over the other axes: r, low, high, p (by permutation, as `permutation_p`), p_adjusted (see `fdr`), n.
        NaN where fewer than 4 checkpoints have a value, or all have the same. `is_clear` with p_adjusted for p is
        the rule of a finding.

    Raises:
        UsageError: the two do not name the same checkpoints.
        VaslabError: fewer than 4 checkpoints.
    """
    if list(values[dim].values) != list(accuracy[dim].values):
        raise UsageError(f"values and accuracy name other {dim}s, or in another order; name both alike")
    if accuracy.sizes[dim] < FEWEST:
        raise VaslabError(too_few(accuracy.sizes[dim]))
    there = values.notnull() & accuracy.notnull()
    n = there.sum(dim)
    x = (values - values.where(there).mean(dim)).where(there)
    y = accuracy.where(there) - accuracy.where(there).mean(dim)
    spread_x, spread_y = (x**2).sum(dim), (y**2).sum(dim)
    size = (values.where(there) ** 2).sum(dim)
    fit = (n >= FEWEST) & (spread_x > 1e-20 * size) & (spread_y > 0)
    r = ((x * y).sum(dim) / np.sqrt(spread_x * spread_y)).where(fit).clip(-1, 1)
    p = _by_permutation(values.where(there), accuracy, fit, dim)
    half = float(ndtri((1 + level) / 2)) / np.sqrt(np.maximum(n.values - 3, 1))
    with np.errstate(divide="ignore"):
        z = np.arctanh(r.values)
    ends = {name: r.copy(data=np.tanh(z + sign * half)) for name, sign in (("low", -1), ("high", 1))}
    return xr.Dataset({"r": r, **ends, "p": p, "p_adjusted": fdr(p), "n": n})


def _by_permutation(
    values: xr.DataArray, accuracy: xr.DataArray, fit: xr.DataArray, dim: str
) -> xr.DataArray:
    """p of each r where it is `fit`; those that stand on the same checkpoints are tested together."""
    rows = values.transpose(dim, *fit.dims).values.reshape(values.sizes[dim], -1).astype(np.float64)
    right = accuracy.values.astype(np.float64)
    p = np.full(fit.size, np.nan)
    held, which = np.unique(np.isfinite(rows), axis=1, return_inverse=True)
    for at, used in enumerate(held.T):
        own = (which.ravel() == at) & fit.values.ravel()
        if own.any():
            p[own] = permutation_ps(rows[np.ix_(used, own)], right[used])
    return fit.copy(data=p.reshape(fit.shape)).rename("p")

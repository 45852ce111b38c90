"""Two checkpoints on the same items: who answers better, and by how much."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
import xarray as xr

from vaslab.errors import UsageError
from vaslab.statistics.align import aligned
from vaslab.statistics.bootstrap import degrees, grouped, labels_of
from vaslab.statistics.paired_shares import share_change


@dataclass(frozen=True)
class PairedAccuracy:
    """Accuracy of a second checkpoint against a first, on the items both were graded on.

    `fixed` and `broken`: items that only the second, only the first has right. `difference` (second less first, in
    parts of one) with `low`, `high` and `p_score`: score interval and test of `share_change`, which agree and count
    items of a picture as fewer. `p`: McNemar's exact test, which takes items as independent.
    """

    first: float
    second: float
    fixed: int
    broken: int
    difference: float
    low: float
    high: float
    p: float
    p_score: float
    n: int
    n_clusters: int
    level: float


def mcnemar_p(fixed: int, broken: int) -> float:
    """Exact two-sided p of McNemar (1947): are items fixed and broken equally often? (scipy.stats.binomtest)

    Raises:
        UsageError: a negative count.
    """
    if fixed < 0 or broken < 0:
        raise UsageError(f"{fixed} fixed and {broken} broken items; expected counts")
    if fixed + broken == 0:
        return 1.0
    return float(scipy.stats.binomtest(fixed, fixed + broken, 0.5).pvalue)


def paired_accuracy(
    first: xr.DataArray,
    second: xr.DataArray,
    cluster: xr.DataArray | None = None,
    level: float = 0.95,
) -> PairedAccuracy:
    """Compare two checkpoints item by item.

    Args:
        first, second: 1 right, 0 wrong, NaN not graded; dims (item), the same items by name.
        cluster: picture of each item, dims (item); None takes items as independent.
        level: of the interval.

    Raises:
        UsageError: the items do not align, a grade is neither 0, 1 nor NaN, or no item was graded for both.
    """
    one, two = aligned(first, second)
    both = (one.notnull() & two.notnull()).values
    if not both.any():
        raise UsageError("no item was graded for both checkpoints; compare runs that have reference answers")
    one, two = one.astype(float).isel(item=both), two.astype(float).isel(item=both)
    change = share_change(one, two, cluster, level)
    return PairedAccuracy(
        first=float(one.mean()),
        second=float(two.mean()),
        fixed=change.fixed,
        broken=change.broken,
        difference=change.estimate,
        low=change.low,
        high=change.high,
        p=mcnemar_p(change.fixed, change.broken),
        p_score=change.p,
        n=change.n,
        n_clusters=change.n_clusters,
        level=level,
    )


def mean_t(
    values: xr.DataArray, cluster: xr.DataArray | None = None, dim: str = "item", level: float = 0.95
) -> xr.Dataset:
    """Mean over `dim` with Student's t interval and the two-sided p of "the mean is 0", for every other axis at once.

    The error is that of the jackknife which leaves out one cluster at a time; for clusters of equal size that is the
    sandwich of Liang and Zeger (1986) with the factor c / (c - 1), and unequal ones count as fewer (`degrees`). Without
    clusters, it is the one-sample t test.

    Args:
        values: differences, dims (`dim`, ...). cluster: what entries share, dims (`dim`). level: of the interval.

    Returns:
        Dataset over the other axes: estimate, low, high, p, n. NaN is left out; no interval and no p for fewer than 2
        clusters; p is 1 where all values are 0.
    """
    own = values.transpose(dim, ...)
    flat = own.values.reshape(own.sizes[dim], -1).astype(np.float64)
    there = np.isfinite(flat)
    labels = labels_of(own, dim, cluster)
    n = there.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, flat, 0.0).sum(0) / n
        sums = grouped(np.where(there, flat - mean, 0.0), labels)
        held = grouped(there.astype(float), labels)
        groups, free = (held > 0).sum(0), degrees(held)
        # what the mean would be without each cluster, less what it is
        off = np.where(held > 0, -sums / (n - held), 0.0)
        off = np.where(held > 0, off - off.sum(0) / groups, 0.0)
        se = np.sqrt((off**2).sum(0) * (groups - 1) / groups)
        t = np.abs(mean) / se
        half = scipy.stats.t.ppf((1 + level) / 2, free) * se
    t = np.where((se <= 1e-12 * np.abs(mean)) & (mean != 0), np.inf, t)
    p = np.where(np.isnan(t) & (mean == 0), 1.0, 2 * scipy.stats.t.sf(t, free))
    rest = own.isel({dim: 0}, drop=True).astype(float)
    found = {
        "estimate": mean,
        "low": np.where(groups > 1, mean - half, np.nan),
        "high": np.where(groups > 1, mean + half, np.nan),
        "p": np.where(groups > 1, p, np.nan),
    }
    out = xr.Dataset({name: rest.copy(data=each.reshape(rest.shape)) for name, each in found.items()})
    return out.assign(n=rest.copy(data=n.reshape(rest.shape)).astype(int))


def mean_p(values: xr.DataArray, cluster: xr.DataArray | None = None, dim: str = "item") -> xr.DataArray:
    """Two-sided p of "the mean over `dim` is 0": that of `mean_t`."""
    return mean_t(values, cluster, dim)["p"].rename("p")

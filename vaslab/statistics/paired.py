"""Two checkpoints on the same items: who answers better, and by how much."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
import xarray as xr

from vaslab.errors import UsageError
from vaslab.statistics.align import aligned
from vaslab.statistics.bootstrap import grouped, labels_of
from vaslab.statistics.proportion import open_share


@dataclass(frozen=True)
class PairedAccuracy:
    """Accuracy of a second checkpoint against a first, on the items both were graded on.

    `fixed` and `broken`: items that only the second, only the first has right. `difference` (second less first, in
    parts of one) with `low`, `high`: Student's t, paired, clustered by picture. `p`: McNemar's exact test, which
    takes items as independent; `p_clustered`: that of the t interval where there are clusters, NaN without.
    """

    first: float
    second: float
    fixed: int
    broken: int
    difference: float
    low: float
    high: float
    p: float
    p_clustered: float
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
        level: of the interval: `mean_t` of the differences, within -1 .. 1; where all items, or pictures, changed alike
            (most often: none did), the exact bound on the share of others, see `open_share`. NaN for fewer than 2.

    Raises:
        UsageError: the items do not align, a grade is neither 0, 1 nor NaN, or no item was graded for both.
    """
    one, two = aligned(first, second)
    both = (one.notnull() & two.notnull()).values
    if not both.any():
        raise UsageError("no item was graded for both checkpoints; compare runs that have reference answers")
    one, two = one.astype(float).isel(item=both), two.astype(float).isel(item=both)
    if not (np.isin(one.values, (0, 1)).all() and np.isin(two.values, (0, 1)).all()):
        raise UsageError("a grade is neither right (1) nor wrong (0)")
    groups = None if cluster is None else cluster.sel(item=one["item"])
    change = two - one
    n_clusters = len(change) if groups is None else len(np.unique(groups.values))
    low, high = _ends(change, groups, n_clusters, level)
    fixed = int(((one == 0) & (two == 1)).sum())
    broken = int(((one == 1) & (two == 0)).sum())
    p_clustered = float("nan")
    if groups is not None:
        p_clustered = float(mean_p(change, groups))
    return PairedAccuracy(
        first=float(one.mean()),
        second=float(two.mean()),
        fixed=fixed,
        broken=broken,
        difference=float(change.mean()),
        low=low,
        high=high,
        p=mcnemar_p(fixed, broken),
        p_clustered=p_clustered,
        n=int(both.sum()),
        n_clusters=n_clusters,
        level=level,
    )


def _ends(
    change: xr.DataArray, cluster: xr.DataArray | None, n_clusters: int, level: float
) -> tuple[float, float]:
    """Student's t interval of a mean change in -1 .. 1; the exact bound where it has no width."""
    found = mean_t(change, cluster, level=level)
    middle, low, high = (float(found[name]) for name in ("estimate", "low", "high"))
    if high - low <= 1e-12:
        # none of n differs: those that would are at most this share, and lie at most 1 + |mean| away
        reach = open_share(n_clusters, level) * (1 + abs(middle))
        low, high = middle - reach, middle + reach
    return float(np.clip(low, -1, 1)), float(np.clip(high, -1, 1))


def mean_t(
    values: xr.DataArray, cluster: xr.DataArray | None = None, dim: str = "item", level: float = 0.95
) -> xr.Dataset:
    """Mean over `dim` with Student's t interval and the two-sided p of "the mean is 0", for every other axis at once.

    The error comes from sums over clusters (Liang and Zeger 1986; factor c / (c - 1) for c clusters), with c - 1
    degrees of freedom; without clusters, it is the one-sample t test.

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
        groups = (grouped(there.astype(float), labels) > 0).sum(0)
        free = np.maximum(groups - 1, 1)
        se = np.sqrt((sums**2).sum(0) * groups / (groups - 1)) / n
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

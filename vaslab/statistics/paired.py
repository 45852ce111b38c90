"""Two checkpoints on the same items: who answers better, and by how much."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
import xarray as xr

from vaslab.errors import UsageError
from vaslab.statistics.align import aligned
from vaslab.statistics.bootstrap import difference_interval

ROUNDING = 1e-12


@dataclass(frozen=True)
class PairedAccuracy:
    """Accuracy of a second checkpoint against a first, on the items both were graded on.

    `fixed` and `broken`: items that only the second, only the first has right. `difference` (second less first, in
    parts of one) with `low`, `high`: paired bootstrap over clusters. `p`: McNemar's exact test, which takes items
    as independent; `p_clustered`: t test of the difference with errors clustered by picture, NaN without clusters.
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
    resamples: int = 4000,
    seed: int = 0,
) -> PairedAccuracy:
    """Compare two checkpoints item by item.

    Args:
        first, second: 1 right, 0 wrong, NaN not graded; dims (item), the same items by name.
        cluster: picture of each item, dims (item); None takes items as independent.
        level, resamples, seed: of the interval.

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
    found = difference_interval(one, two, level=level, resamples=resamples, seed=seed, cluster=groups)
    fixed = int(((one == 0) & (two == 1)).sum())
    broken = int(((one == 1) & (two == 0)).sum())
    p_clustered = float("nan")
    if groups is not None:
        p_clustered = float(mean_p(two - one, groups))
    return PairedAccuracy(
        first=float(one.mean()),
        second=float(two.mean()),
        fixed=fixed,
        broken=broken,
        difference=float(found["estimate"]),
        low=float(found["low"]),
        high=float(found["high"]),
        p=mcnemar_p(fixed, broken),
        p_clustered=p_clustered,
        n=int(both.sum()),
        n_clusters=int(both.sum()) if groups is None else len(np.unique(groups.values)),
        level=level,
    )


def mean_p(values: xr.DataArray, cluster: xr.DataArray | None = None, dim: str = "item") -> xr.DataArray:
    """Two-sided p of "the mean over `dim` is 0", for every other axis at once.

    Student's t of mean / se, with se from sums over clusters (Liang and Zeger 1986; factor c / (c - 1) for c
    clusters) and c - 1 degrees of freedom; without clusters, the one-sample t test.

    Returns:
        p over the other axes; NaN for fewer than 2 clusters, 1 where all values are 0.
    """
    own = values.transpose(dim, ...)
    there = own.notnull().values
    mean = own.mean(dim, skipna=True)
    rest = np.where(there, own.values - mean.values, 0.0)
    labels = _labels(own, cluster, dim)
    sums, held = (_per_group(each, labels) for each in (rest, there.astype(float)))
    groups = (held > 0).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt((sums**2).sum(0) * groups / (groups - 1)) / there.sum(0)
        t = np.abs(mean.values) / se
    t = np.where((se <= 1e-12 * np.abs(mean.values)) & (mean.values != 0), np.inf, t)
    p = np.where(np.isnan(t) & (mean.values == 0), 1.0, 2 * scipy.stats.t.sf(t, np.maximum(groups - 1, 1)))
    return mean.copy(data=np.where(groups > 1, p, np.nan)).rename("p")


def ratio_p(
    first: xr.DataArray, second: xr.DataArray, cluster: xr.DataArray | None = None, dim: str = "item"
) -> xr.DataArray:
    """Two-sided p of "mean of `second` over mean of `first` is 1", paired by name.

    Student's t of the logarithm of the ratio, with the error of the jackknife that leaves out one item, or one cluster,
    at a time (Efron 1982), which holds its level better than the delta method where a few items are large.

    Returns:
        p over the other axes; NaN where a mean is not above 0, or for fewer than 2 clusters.
    """
    one, two = aligned(first, second, dim)
    both = one.notnull() & two.notnull()
    over, under = (each.where(both).transpose(dim, ...) for each in (two, one))
    labels = _labels(one, cluster, dim)
    tables = [_per_group(np.nan_to_num(each.values), labels) for each in (over, under)]
    held = _per_group(both.transpose(dim, ...).values.astype(float), labels) > 0
    groups = held.sum(0)
    total_over, total_under = (table.sum(0) for table in tables)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.log(total_over / total_under)
        without = np.log((total_over - tables[0]) / (total_under - tables[1]))
        without = np.where(held & np.isfinite(without), without, np.nan)
        off = without - np.where(held, without, 0.0).sum(0) / groups
        se = np.sqrt((groups - 1) / groups * (np.where(held, off, 0.0) ** 2).sum(0))
        t = np.abs(change) / se
    t = np.where((se <= ROUNDING) & (np.abs(change) > ROUNDING), np.inf, t)
    same = (se <= ROUNDING) & (np.abs(change) <= ROUNDING)
    p = np.where(same, 1.0, 2 * scipy.stats.t.sf(t, np.maximum(groups - 1, 1)))
    fit = (groups > 1) & (total_over > 0) & (total_under > 0)
    out: xr.DataArray = over.isel({dim: 0}, drop=True)
    return out.copy(data=np.where(fit, p, np.nan)).rename("p")


def _labels(values: xr.DataArray, cluster: xr.DataArray | None, dim: str) -> np.ndarray:
    if cluster is None:
        return np.arange(values.sizes[dim])
    return np.unique(cluster.sel({dim: values[dim].values}).values, return_inverse=True)[1]


def _per_group(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    out = np.zeros((int(labels.max()) + 1, *rows.shape[1:]))
    np.add.at(out, labels, rows)
    return out

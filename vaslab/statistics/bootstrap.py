"""Intervals by bootstrap over items, for one number or for thousands of heads at once.

Every interval is a Dataset of `estimate`, `low`, `high`, `n`, with the axes of the input less
the resampled one.
"""

from functools import lru_cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from vaslab.errors import UsageError
from vaslab.statistics.align import aligned

Floats = NDArray[np.float64]

COLUMNS_AT_ONCE = 512


def mean_interval(
    values: xr.DataArray,
    dim: str = "item",
    level: float = 0.95,
    method: str = "BCa",
    resamples: int = 2000,
    seed: int = 0,
    cluster: xr.DataArray | None = None,
) -> xr.Dataset:
    """Mean over `dim` with its bootstrap interval; other axes are kept and share the resamples.

    Args:
        values: any float array with axis `dim`; NaN entries are left out, column by column.
        dim: the axis resampled, whose entries are independent.
        level: confidence level.
        method: "BCa" (bias-corrected and accelerated, Efron 1987: right for skewed means) or "percentile".
        resamples: how many.
        seed: of the resamples; the same seed gives the same interval.
        cluster: dims (dim): what entries share, such as the picture of a question. Clusters are then resampled
            whole (Davison and Hinkley 1997, section 3.8), and the mean still counts entries equally.

    Returns:
        Dataset: estimate, low, high (units of `values`), n (entries used). low and high are NaN where fewer than
        2 entries, or clusters, were used; the attribute `reason` says so.

    Raises:
        UsageError: no axis `dim`, an unknown method, a level or number of resamples out of range, or clusters
            that do not name the entries.
    """
    rest, table = _columns(values, dim, level, method, resamples)
    labels = labels_of(values, dim, cluster)
    estimate, low, high, n = (np.full(table.shape[1], np.nan) for _ in range(4))
    counts = resample(int(labels.max()) + 1, resamples, seed)
    for start in range(0, table.shape[1], COLUMNS_AT_ONCE):
        at = slice(start, start + COLUMNS_AT_ONCE)
        estimate[at], low[at], high[at], n[at] = _mean_columns(table[:, at], counts, level, method, labels)
    return _dataset(rest, (estimate, low, high, n), level, method, resamples, seed, dim, cluster)


def difference_interval(
    a: xr.DataArray,
    b: xr.DataArray,
    dim: str = "item",
    level: float = 0.95,
    method: str = "BCa",
    resamples: int = 2000,
    seed: int = 0,
    cluster: xr.DataArray | None = None,
) -> xr.Dataset:
    """Mean of b - a over `dim`, paired by name, with its bootstrap interval.

    Arguments and result as `mean_interval`.

    Raises:
        UsageError: as `mean_interval`, or the two do not align (see `aligned`).
    """
    first, second = aligned(a, b, dim)
    return mean_interval(second - first, dim, level, method, resamples, seed, cluster)


def ratio_interval(
    numerator: xr.DataArray,
    denominator: xr.DataArray,
    dim: str = "item",
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    cluster: xr.DataArray | None = None,
) -> xr.Dataset:
    """Mean of `numerator` over mean of `denominator`, over `dim`, with its percentile bootstrap interval.

    Entries that are NaN on either side are left out of both. Other arguments, result and errors as
    `difference_interval`.
    """
    top, bottom = aligned(numerator, denominator, dim)
    both = top.notnull() & bottom.notnull()
    rest, over = _columns(top.where(both), dim, level, "percentile", resamples)
    _, under = _columns(bottom.where(both), dim, level, "percentile", resamples)
    labels = labels_of(top, dim, cluster)
    counts = resample(int(labels.max()) + 1, resamples, seed).astype(np.float64)
    there = np.isfinite(over)
    n = there.sum(0).astype(float)
    groups = (grouped(there.astype(float), labels) > 0).sum(0)
    over, under = grouped(np.nan_to_num(over), labels), grouped(np.nan_to_num(under), labels)
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = over.sum(0) / under.sum(0)
        drawn = (counts @ over) / (counts @ under)
    low, high = np.nanquantile(_or_zero(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    low[groups < 2] = high[groups < 2] = np.nan
    return _dataset(rest, (estimate, low, high, n), level, "percentile", resamples, seed, dim, cluster)


def _or_zero(drawn: Floats) -> Floats:
    """An all-NaN column (no entry at all) would only make numpy warn; its interval is masked by n."""
    drawn[:, np.isnan(drawn).all(0)] = 0
    return drawn


def _columns(
    values: xr.DataArray, dim: str, level: float, method: str, resamples: int
) -> tuple[xr.DataArray, Floats]:
    """The shape of the result, and `values` as (entries of dim, everything else)."""
    if dim not in values.dims:
        raise UsageError(
            f"no axis {dim!r} to resample; the axes are {', '.join(map(str, values.dims)) or 'none'}"
        )
    if method not in ("BCa", "percentile"):
        raise UsageError(f"unknown interval method {method!r}; expected 'BCa' or 'percentile'")
    if not 0 < level < 1 or resamples < 1:
        raise UsageError(
            f"level {level} and {resamples} resamples; expected 0 < level < 1 and at least 1 resample"
        )
    ordered = values.transpose(dim, ...)
    if not values.sizes[dim]:
        raise UsageError(f"nothing to resample: the axis {dim!r} is empty")
    rest = xr.zeros_like(ordered.isel({dim: 0}, drop=True), dtype=float)
    return rest, ordered.values.reshape(values.sizes[dim], -1).astype(np.float64)


def labels_of(values: xr.DataArray, dim: str, cluster: xr.DataArray | None) -> NDArray[np.int64]:
    """Number of the cluster of each entry; without clusters each entry is its own."""
    if cluster is None:
        return np.arange(values.sizes[dim])
    if cluster.dims != (dim,) or dim not in cluster.coords:
        raise UsageError(f"clusters have the axes {tuple(cluster.dims)}; expected one name for each {dim}")
    absent = ~np.isin(values[dim].values, cluster[dim].values)
    if absent.any():
        raise UsageError(
            f"no cluster is named for {dim} {values[dim].values[absent][0]!s}; name one for each"
        )
    names = cluster.sel({dim: values[dim].values}).values
    return np.unique(names.astype(str), return_inverse=True)[1].astype(np.int64)


def grouped(rows: Floats, labels: NDArray[np.int64]) -> Floats:
    """Sums over the entries of each cluster: (entry, column) -> (cluster, column)."""
    if len(labels) == int(labels.max()) + 1:
        return rows[np.argsort(labels)]
    out = np.zeros((int(labels.max()) + 1, rows.shape[1]))
    np.add.at(out, labels, rows)
    return out


def degrees(held: Floats) -> Floats:
    """Degrees of freedom of an error over clusters: their effective number less 1, and at least 1.

    A cluster that holds most entries makes most of the error, and the number of clusters would promise more than they
    tell: (sum n)^2 / sum n^2 equal ones would tell as much (Carter, Schnepel and Steigerwald 2017, for entries of a
    cluster that move alike). Of equal clusters that is their number.

    Args:
        held: how many entries of each cluster are used, (cluster, column).

    Returns:
        One number a column.
    """
    squares = (held**2).sum(0)
    effective = np.divide(held.sum(0) ** 2, squares, out=np.ones_like(squares), where=squares > 0)
    return np.asarray(np.maximum(effective - 1, 1.0), dtype=np.float64)


# a figure asks for the same resamples many times over
@lru_cache(maxsize=2)
def resample(n: int, resamples: int, seed: int) -> NDArray[np.float32]:
    """How often each of n entries is drawn: (resamples, n), not to be written to. float32 holds counts exactly."""
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, n), dtype=np.float32)
    for row in range(resamples):
        counts[row] = np.bincount(rng.integers(0, n, n), minlength=n)
    counts.setflags(write=False)
    return counts


def _mean_columns(
    table: Floats, counts: NDArray[np.float32], level: float, method: str, labels: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats, Floats]:
    """estimate, low, high, n of each column of `table` (entry, column)."""
    there = np.isfinite(table)
    n = there.sum(0).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = np.where(there, table, 0).sum(0) / np.where(n > 0, n, np.nan)
        # deviations, so that float32 loses nothing against the spread
        deviation = grouped(np.where(there, table - estimate, 0), labels)
        held = grouped(there.astype(np.float64), labels)
        drawn = (counts @ deviation.astype(np.float32)).astype(np.float64)
        if (held == held[0, 0]).all():
            drawn /= held[0, 0] * len(held)
        else:
            drawn /= counts @ held.astype(np.float32)
    scale = np.sqrt((deviation**2).sum(0))
    flat = scale <= 1e-12 * np.maximum(np.abs(estimate), 1e-300)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])[:, None] * np.ones(table.shape[1])
    if method == "BCa":
        tails = _bca_tails(tails, drawn, deviation, scale)
    low, high = _quantiles(drawn, tails)
    low, high = estimate + low, estimate + high
    low[flat], high[flat] = estimate[flat], estimate[flat]
    short = (held > 0).sum(0) < 2
    low[short] = high[short] = np.nan
    return estimate, low, high, n


def _bca_tails(tails: Floats, drawn: Floats, deviation: Floats, scale: Floats) -> Floats:
    """Efron (1987): the percentiles to read, corrected for bias z0 and acceleration a.

    For a mean the jackknife gives a = sum(d^3) / (6 (sum d^2)^1.5), d the deviations from the mean.
    """
    below = ((drawn < 0).sum(0) + (drawn <= 0).sum(0)) / 2 / np.maximum(np.isfinite(drawn).sum(0), 1)
    edge = 0.5 / len(drawn)
    z0 = ndtri(np.clip(below, edge, 1 - edge))
    with np.errstate(invalid="ignore", divide="ignore"):
        a = np.nan_to_num((deviation**3).sum(0) / (6 * scale**3))
    z = z0 + ndtri(tails)
    return np.asarray(ndtr(z0 + z / (1 - a * z)), dtype=np.float64)


def _quantiles(drawn: Floats, tails: Floats) -> tuple[Floats, Floats]:
    """Linear-interpolated quantiles, each column at its own two levels."""
    # a resample that drew none of a column's entries is NaN; sorting puts it last, beyond `top`
    ordered = np.sort(drawn, axis=0)
    top = np.maximum(np.isfinite(drawn).sum(0) - 1, 0)
    place = np.clip(np.nan_to_num(tails), 0, 1) * top
    lower = np.floor(place).astype(int)
    upper = np.minimum(lower + 1, top)
    column = np.arange(ordered.shape[1])
    part = place - lower
    low, high = (
        ordered[lower[k], column] * (1 - part[k]) + ordered[upper[k], column] * part[k] for k in range(2)
    )
    return low, high


def _dataset(
    rest: xr.DataArray,
    parts: tuple[Floats, Floats, Floats, Floats],
    level: float,
    method: str,
    resamples: int,
    seed: int,
    dim: str,
    cluster: xr.DataArray | None,
) -> xr.Dataset:
    names = ("estimate", "low", "high", "n")
    shaped = {name: rest.copy(data=part.reshape(rest.shape)) for name, part in zip(names, parts, strict=True)}
    out = xr.Dataset(shaped)
    out["n"] = out["n"].astype(int)
    unit = f"{dim}s" if cluster is None else f"{dim}s, clustered by {cluster.name or 'cluster'}"
    short = bool(out["low"].isnull().any())
    out.attrs = {
        "level": level,
        "method": f"{method} bootstrap over {unit}",
        "resamples": resamples,
        "seed": seed,
        "reason": f"fewer than 2 {dim if cluster is None else 'cluster'}s: no interval" if short else "",
    }
    return out

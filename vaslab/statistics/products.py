"""Products and ratios of means, such as (image 2 / system 2) / (image 1 / system 1): interval and test."""

from collections.abc import Sequence

import numpy as np
import scipy.stats
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError
from vaslab.statistics.align import aligned
from vaslab.statistics.bootstrap import degrees, grouped, labels_of

Floats = NDArray[np.float64]
Terms = Sequence[tuple[xr.DataArray, int]]

ROUNDING = 1e-12


def product_t(
    terms: Terms, dim: str = "item", cluster: xr.DataArray | None = None, level: float = 0.95
) -> xr.Dataset:
    """Product of means with Student's t of its logarithm: the error is that of the jackknife which leaves out one
    entry, or one cluster, at a time (Efron 1982), and holds its level better than the delta method where a few entries
    are large; unequal clusters count as fewer (`degrees`). Interval and p agree: the interval leaves out 1 where
    p < 1 - level.

    Args:
        terms: (values, 1 or -1): values with axis `dim`, the same entries by name in each; what is NaN in one is
            left out of all.
        dim: the axis whose entries are left out.
        cluster: dims (dim): what entries share; left out whole.
        level: of the interval.

    Returns:
        Dataset over the other axes: estimate, low, high (a ratio), p (two-sided, of "the product is 1"), n. NaN where
        a mean is not above 0, no interval for fewer than 2 clusters; p is 1 where nothing changed in any entry.

    Raises:
        UsageError: no term, a power other than 1 and -1, or terms that do not align.
    """
    tables, held, rest = _tables(terms, dim, cluster)
    groups = (held > 0).sum(0)
    totals, n = [table.sum(0) for table, _ in tables], held.sum(0)
    there = held > 0
    free = degrees(held)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = _log_product(totals, tables, n)
        left = [total - table for total, (table, _) in zip(totals, tables, strict=True)]
        without = _log_product(left, tables, n - held)
        without = np.where(there & np.isfinite(without), without, 0.0)
        off = np.where(there, without - without.sum(0) / groups, 0.0)
        se = np.sqrt((groups - 1) / groups * (off**2).sum(0))
        t = np.abs(change) / se
        half = scipy.stats.t.ppf((1 + level) / 2, free) * se
    t = np.where((se <= ROUNDING) & (np.abs(change) > ROUNDING), np.inf, t)
    p = 2 * scipy.stats.t.sf(t, free)
    p = np.where((se <= ROUNDING) & (np.abs(change) <= ROUNDING), 1.0, p)
    known = (groups > 1) & np.isfinite(change)
    found = {
        "estimate": np.exp(change),
        "low": np.where(known, np.exp(change - half), np.nan),
        "high": np.where(known, np.exp(change + half), np.nan),
        "p": np.where(known, p, np.nan),
        "n": n,
    }
    out = xr.Dataset({name: rest.copy(data=values.reshape(rest.shape)) for name, values in found.items()})
    out["n"] = out["n"].astype(int)
    unit = f"{dim}s" if cluster is None else f"{dim}s, clustered by {cluster.name or 'cluster'}"
    out.attrs = {"level": level, "method": f"jackknife t over {unit}"}
    return out


def share_t(
    part: Terms, whole: Terms, dim: str = "item", cluster: xr.DataArray | None = None, level: float = 0.95
) -> xr.Dataset:
    """Share of the logarithm of one product in that of another, with Student's t by the jackknife of `product_t`.

    Args:
        part, whole: terms, as there; of the same entries. dim, cluster, level: as there.

    Returns:
        Dataset over the other axes: estimate, low, high; NaN where the whole does not change in total, no interval for
        fewer than 2 clusters.

    Raises:
        UsageError: as `product_t`.
    """
    logs = []
    for terms in (part, whole):
        tables, held, rest = _tables(terms, dim, cluster)
        totals, n = [table.sum(0) for table, _ in tables], held.sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            left = [total - table for total, (table, _) in zip(totals, tables, strict=True)]
            logs.append((_log_product(totals, tables, n), _log_product(left, tables, n - held)))
    groups, free = (held > 0).sum(0), degrees(held)
    with np.errstate(divide="ignore", invalid="ignore"):
        share, without = (np.divide(a, b) for a, b in zip(*logs, strict=True))
        share, without = (np.where(np.isfinite(each), each, np.nan) for each in (share, without))
        without = np.where(held > 0, without, np.nan)
        off = without - np.nansum(without, 0) / groups
        half = scipy.stats.t.ppf((1 + level) / 2, free) * np.sqrt(
            (groups - 1) / groups * np.nansum(off**2, 0)
        )
    half = np.where(groups > 1, half, np.nan)
    found = {"estimate": share, "low": share - half, "high": share + half}
    return xr.Dataset({name: rest.copy(data=values.reshape(rest.shape)) for name, values in found.items()})


def _tables(
    terms: Terms, dim: str, cluster: xr.DataArray | None
) -> tuple[list[tuple[Floats, int]], Floats, xr.DataArray]:
    """Sums over each cluster of every term (cluster, column), how many entries each holds, and the shape of results."""
    if not terms or any(power not in (1, -1) for _, power in terms):
        raise UsageError("expected at least one term, each with a power of 1 or -1")
    first = terms[0][0]
    values = [first, *(aligned(first, other, dim)[1] for other, _ in terms[1:])]
    ordered = [each.transpose(dim, ...).astype(np.float64) for each in values]
    both = np.isfinite(ordered[0].values)
    for each in ordered[1:]:
        both &= np.isfinite(each.values)
    labels = labels_of(first, dim, cluster)
    flat = both.reshape(len(both), -1)
    tables = [
        (grouped(np.where(flat, each.values.reshape(flat.shape), 0.0), labels), power)
        for each, (_, power) in zip(ordered, terms, strict=True)
    ]
    rest = xr.zeros_like(ordered[0].isel({dim: 0}, drop=True), dtype=float)
    return tables, grouped(flat.astype(np.float64), labels), rest


def _log_product(sums: Sequence[Floats], tables: Sequence[tuple[Floats, int]], n: Floats) -> Floats:
    """Logarithm of the product of means, from sums and counts; NaN where a mean is not above 0."""
    out = np.zeros(np.broadcast_shapes(sums[0].shape, n.shape))
    for total, (_, power) in zip(sums, tables, strict=True):
        mean = total / n
        out = out + power * np.log(np.where(mean > 0, mean, np.nan))
    return out

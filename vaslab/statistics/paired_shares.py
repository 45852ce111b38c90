"""Shares of items, and their change between two runs of the same items, where few items decide.

A bootstrap is too narrow there: it draws only from changes that were seen, and one answer lost of 200 would rule out
every gain. Score intervals ask instead which true values leave the counts likely. Interval and p are one test: the
interval holds 0 where p is above 1 - level, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeAlias

import numpy as np
import scipy.stats
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError
from vaslab.statistics.align import aligned
from vaslab.statistics.bootstrap import grouped, labels_of

Floats = NDArray[np.float64]
Numbers: TypeAlias = int | float | NDArray[Any]

_HALVINGS = 50


@dataclass(frozen=True)
class ShareChange:
    """Change of a share (second less first, in parts of one), with `low`, `high` and the two-sided `p` of "none".

    `fixed` and `broken`: items that only the second, only the first has. `design`: how much wider than with
    independent items, as a factor on the variance. `low`, `high` and `p` are NaN for fewer than 2 clusters.
    """

    estimate: float
    low: float
    high: float
    p: float
    fixed: int
    broken: int
    n: int
    n_clusters: int
    design: float
    level: float


def share_change(
    first: xr.DataArray, second: xr.DataArray, cluster: xr.DataArray | None = None, level: float = 0.95
) -> ShareChange:
    """Change of a share, paired on items: Tango's score interval (1998, Statistics in Medicine 17, 891) and its test.

    Items of one cluster count as fewer (`design_effect`; Rao and Scott 1992, Biometrics 48, 577), and the quantile is
    Student's with clusters - 1 degrees of freedom. Where no item changed, c clusters of one item leave
    t^2 / (c + t^2) open either way, somewhat more than the exact bound of Clopper and Pearson.

    Args:
        first, second: 1 or 0, NaN where not told; dims (item), the same items by name.
        cluster: picture of each item, dims (item); None takes items as independent.
        level: of the interval.

    Raises:
        UsageError: the items do not align, a value is neither 0, 1 nor NaN, or no item is told in both.
    """
    one, two = aligned(first, second)
    both = (one.notnull() & two.notnull()).values
    if not both.any():
        raise UsageError("no item is told in both runs; compare runs that have reference answers")
    one, two = one.astype(float).isel(item=both), two.astype(float).isel(item=both)
    _check((one, two))
    change = two - one
    labels = labels_of(change, "item", cluster)
    fixed, broken, n = int((change > 0).sum()), int((change < 0).sum()), change.size
    clusters = len(np.unique(labels))
    design = design_effect(change.values, labels)
    low = high = p = np.nan
    if clusters > 1:
        quantile = float(scipy.stats.t.ppf((1 + level) / 2, clusters - 1))
        low, high = (float(end) for end in score_interval(fixed, broken, n, quantile, design))
        score = abs(fixed - broken) / sqrt(design * max(fixed + broken, 1))
        p = float(2 * scipy.stats.t.sf(score, clusters - 1))
    return ShareChange(float(change.mean()), low, high, p, fixed, broken, n, clusters, design, level)


def share_interval(
    values: xr.DataArray, cluster: xr.DataArray | None = None, level: float = 0.95
) -> tuple[float, float, float]:
    """A share of the items and the ends of its score interval (Wilson 1927), in parts of one.

    Clusters widen it as in `share_change`. NaN for fewer than 2 clusters.

    Args:
        values: 1, 0, or NaN, which is left out; dims (item).
        cluster, level: as in `share_change`.

    Raises:
        UsageError: a value is neither 0, 1 nor NaN, or all are NaN.
    """
    told = values.dropna("item").astype(float)
    if not told.size:
        raise UsageError("no item is told; there is no share")
    _check((told,))
    labels = labels_of(told, "item", cluster)
    clusters, share = len(np.unique(labels)), float(told.mean())
    if clusters < 2:
        return share, np.nan, np.nan
    n = told.size / design_effect(told.values, labels)
    quantile = scipy.stats.t.ppf((1 + level) / 2, clusters - 1)
    low, high = _wilson(*(np.atleast_1d(np.float64(each)) for each in (share, n, quantile)))
    return share, float(low[0]), float(high[0])


def share_against(
    values: xr.DataArray,
    expected: xr.DataArray,
    cluster: xr.DataArray | None = None,
    dim: str = "item",
    level: float = 0.95,
) -> xr.Dataset:
    """Shares of the items, and whether they are what is expected of each: Wilson's interval, and the score test, whose
    variance is that under the expectation, so that a few items that all agree prove little.

    Args:
        values: 1, 0, or NaN, which is left out; axis `dim` and others.
        expected: how likely each item is 1, in parts of one; dims (dim).
        cluster, level: as in `share_change`, whose quantile this has.

    Returns:
        Dataset over the other axes: estimate, low, high (as `share_interval`), excess (estimate less what is expected
        of the same items) and its p (two-sided). No interval and no p for fewer than 2 clusters, and no p where nothing
        but one outcome is expected.

    Raises:
        UsageError: a value is neither 0, 1 nor NaN, or clusters that do not name the items.
    """
    ordered = values.transpose(dim, ...)
    flat = ordered.values.reshape(ordered.sizes[dim], -1).astype(float)
    if not np.isin(flat[np.isfinite(flat)], (0, 1)).all():
        raise UsageError("a value is neither 1 nor 0")
    labels, chance = labels_of(ordered, dim, cluster), expected.sel({dim: ordered[dim].values}).values
    share, excess, score, size, clusters = (np.full(flat.shape[1], np.nan) for _ in range(5))
    for column, told in enumerate(flat.T):
        there = np.isfinite(told)
        if not there.any():
            continue
        names, own = np.unique(labels[there], return_inverse=True)
        hits, likely = told[there], chance[there]
        off, variance = hits - likely, float((likely * (1 - likely)).sum())
        share[column], excess[column], clusters[column] = hits.mean(), off.mean(), len(names)
        size[column] = len(hits) / design_effect(hits, own)
        if variance > 0:
            score[column] = abs(off.sum()) / sqrt(design_effect(off, own) * variance)
    free = np.where(clusters > 1, clusters - 1, np.nan)
    low, high = _wilson(share, size, np.asarray(scipy.stats.t.ppf((1 + level) / 2, free)))
    rest = ordered.isel({dim: 0}, drop=True).astype(float)
    found = {
        "estimate": share,
        "low": low,
        "high": high,
        "excess": excess,
        "p": 2 * scipy.stats.t.sf(score, free),
    }
    return xr.Dataset({name: rest.copy(data=each.reshape(rest.shape)) for name, each in found.items()})


def _wilson(share: Floats, n: Floats, quantile: Floats) -> tuple[Floats, Floats]:
    """Wilson (1927), for shares of `n` items."""
    t2 = quantile**2
    middle = (share + t2 / (2 * n)) / (1 + t2 / n)
    half = np.sqrt(t2 * (share * (1 - share) / n + t2 / (4 * n * n))) / (1 + t2 / n)
    held = np.isfinite(quantile)
    low, high = np.where(share > 0, middle - half, 0.0), np.where(share < 1, middle + half, 1.0)
    return np.where(held, low, np.nan), np.where(held, high, np.nan)


def design_effect(values: Floats, labels: NDArray[np.int64]) -> float:
    """Variance of the mean of `values` with items clustered, over that with items independent; at least 1.

    Few values that differ tell nothing of what a cluster shares. So one cluster of usual size, all of whose items
    differ alike, is added to what was seen; where nothing differs, a cluster counts as one item.

    Args:
        values: of each item; labels: number of the cluster of each.
    """
    sizes = np.bincount(labels).astype(float)
    sizes = sizes[sizes > 0]
    usual = float((sizes**2).sum() / sizes.sum())
    off = values - values.mean()
    sums = grouped(off[:, None], labels)[:, 0]
    return max(1.0, float(((sums**2).sum() + usual**2) / ((off**2).sum() + usual)))


def score_interval(
    fixed: Numbers, broken: Numbers, n: Numbers, quantile: Numbers, design: Numbers = 1.0
) -> tuple[Floats, Floats]:
    """Tango's interval of (fixed - broken) / n: all differences whose score is within `quantile`, by bisection.

    Args:
        fixed, broken, n: counts, of any shape that broadcasts.
        quantile: of the score, such as 1.96.
        design: factor on the variance of the score.
    """
    given = [np.asarray(each, dtype=float) for each in (fixed, broken, n, quantile, design)]
    shape = np.broadcast_shapes(*(each.shape for each in given))
    # a scalar would lose its being an array on the way
    up, down, size, most, wide = np.broadcast_arrays(*map(np.atleast_1d, given))
    limit = most * np.sqrt(wide)
    middle = (up - down) / size
    ends = []
    for side in (-1.0, 1.0):
        inside, outside = middle.copy(), np.full(middle.shape, side)
        for _ in range(_HALVINGS):
            half = (inside + outside) / 2
            holds = np.abs(_score(up, down, size, half)) <= limit
            inside, outside = np.where(holds, half, inside), np.where(holds, outside, half)
        ends.append(inside)
    return ends[0].reshape(shape), ends[1].reshape(shape)


def _score(fixed: Floats, broken: Floats, n: Floats, difference: Floats) -> Floats:
    """Tango (1998), equations 9 to 13: the score of a true difference, with the share of broken items at its most
    likely value under it."""
    a = 2 * n
    b = -fixed - broken + (2 * n - fixed + broken) * difference
    c = -broken * difference * (1 - difference)
    share = (np.sqrt(np.maximum(b * b - 4 * a * c, 0)) - b) / (2 * a)
    variance = np.maximum(n * (2 * share + difference * (1 - difference)), 0)
    over = fixed - broken - n * difference
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(over == 0, 0.0, over / np.sqrt(variance))


def _check(told: tuple[xr.DataArray, ...]) -> None:
    if not all(np.isin(each.values, (0, 1)).all() for each in told):
        raise UsageError("a grade is neither right (1) nor wrong (0)")

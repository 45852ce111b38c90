"""What another draw of items would do to a correlation over checkpoints, head by head."""

import numpy as np
import scipy.stats
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError
from vaslab.statistics.bootstrap import grouped, labels_of
from vaslab.statistics.correlation import coefficient

Floats = NDArray[np.float64]

COLUMNS_AT_ONCE = 256
EDGE = 1 - 1e-12


def r_over_items(
    vas: xr.DataArray,
    right: xr.DataArray,
    cluster: xr.DataArray | None = None,
    under: xr.DataArray | None = None,
    log2: bool = True,
    level: float = 0.95,
) -> xr.Dataset:
    """Pearson's r of mean VAS and accuracy over checkpoints, with the interval of the items they were measured on.

    The checkpoints are kept; what moves is which items were drawn: Student's t of atanh r with the error of the
    jackknife that leaves out one item, or one picture, at a time (Efron 1982). It says nothing of other checkpoints:
    that is Fisher's interval.

    Args:
        vas: dims (checkpoint, item, ...), one value a head or layer; NaN is left out.
        right: 1 or 0, dims (checkpoint, item), the same items for all; NaN is left out.
        cluster: picture of each item, dims (item).
        under: like `vas`, for a ratio of means: the mean of `vas` is divided by its mean.
        log2: of the mean VAS. level: of the interval.

    Returns:
        Dataset over the other axes: estimate, low, high. NaN where a checkpoint has no value above 0, or all have the
        same; no interval for fewer than 2 clusters.

    Raises:
        UsageError: the axes name other checkpoints or items.
    """
    for dim in ("checkpoint", "item"):
        if dim not in vas.dims or list(vas[dim].values) != list(right[dim].values):
            raise UsageError(f"VAS and grades name other {dim}s, or in another order; name both alike")
    own = vas.transpose("item", "checkpoint", ...)
    labels = labels_of(own, "item", cluster)
    shape = (own.sizes["item"], own.sizes["checkpoint"], -1)
    flat = own.values.astype(np.float64).reshape(shape)
    divided = None if under is None else under.transpose(*own.dims).values.astype(np.float64).reshape(shape)
    grades = right.transpose("item", "checkpoint").values.astype(np.float64)[..., None]
    y, y_without = _means(grades, labels)
    found = np.full((3, flat.shape[2]), np.nan)
    for start in range(0, flat.shape[2], COLUMNS_AT_ONCE):
        at = slice(start, start + COLUMNS_AT_ONCE)
        x, x_without = _means(flat[..., at], labels)
        if divided is not None:
            below, below_without = _means(divided[..., at], labels)
            with np.errstate(divide="ignore", invalid="ignore"):
                x, x_without = x / below, x_without / below_without
        found[:, at] = _interval(x, x_without, y, y_without, log2, level)
    rest = own.isel(item=0, checkpoint=0, drop=True).astype(float)
    names = ("estimate", "low", "high")
    out = xr.Dataset({n: rest.copy(data=v.reshape(rest.shape)) for n, v in zip(names, found, strict=True)})
    unit = "items" if cluster is None else f"items, clustered by {cluster.name or 'cluster'}"
    out.attrs = {"level": level, "method": f"jackknife t over {unit}"}
    return out


def _means(values: Floats, labels: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Means over items of (item, checkpoint, column), and those without each cluster: (cluster, checkpoint, column)."""
    there = np.isfinite(values)
    flat = (len(values), -1)
    sums, counts = (
        grouped(each.reshape(flat), labels) for each in (np.where(there, values, 0.0), there.astype(float))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums.sum(0) / counts.sum(0)
        without = (sums.sum(0) - sums) / (counts.sum(0) - counts)
    tail = values.shape[1:]
    return mean.reshape(tail), without.reshape(-1, *tail)


def _interval(
    x: Floats, x_without: Floats, y: Floats, y_without: Floats, log2: bool, level: float
) -> tuple[Floats, Floats, Floats]:
    if log2:
        with np.errstate(divide="ignore", invalid="ignore"):
            x, x_without = (np.where(each > 0, np.log2(each), np.nan) for each in (x, x_without))
    # r is taken along the last axis
    r = coefficient(np.moveaxis(x, 0, -1), np.moveaxis(y, 0, -1))
    each = coefficient(np.moveaxis(x_without, 1, -1), np.moveaxis(y_without, 1, -1))
    z, z_without = (np.arctanh(np.clip(part, -EDGE, EDGE)) for part in (r, each))
    groups = len(z_without)
    if groups < 2:
        return r, np.full_like(r, np.nan), np.full_like(r, np.nan)
    se = np.sqrt((groups - 1) / groups * ((z_without - z_without.mean(0)) ** 2).sum(0))
    half = scipy.stats.t.ppf((1 + level) / 2, groups - 1) * se
    return r, np.tanh(z - half), np.tanh(z + half)

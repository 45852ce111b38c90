"""Does a head look where it is asked to, or where it always looks? Regions of other pictures in place of the item's."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.metrics.arrays import Floats


def location_prior(pointed: xr.Dataset, cluster: xr.DataArray | None = None) -> xr.DataArray:
    """How often each head would hit regions of other pictures with the patches that it looks at most.

    A head that always looks at one place, such as the centre, hits them as often as the item's own.

    Args:
        pointed: result of `vaslab.metrics.pointing`, in one piece or joined along `item`.
        cluster: picture of each item, dims (item); regions of one picture are not exchanged. None: each has its own.

    Returns:
        Share of other pictures' regions in which the item's highest patch lies (see `exchanged_hits`), dims (item,
        map); NaN where the head has no mass on the picture, or there is no other picture.
    """
    items = pointed["item"].values
    own = np.arange(len(items)) if cluster is None else cluster.sel(item=items).values
    other = own[:, None] != own[None, :]
    with np.errstate(invalid="ignore"):
        shares = [np.where(other, hits, 0.0).sum(1) / other.sum(1) for hits in exchanged_hits(pointed)]
    return pointed["hit"].transpose("item", "map").copy(data=np.stack(shares, axis=1)).rename("prior")


def exchanged_hits(pointed: xr.Dataset) -> Iterator[Floats]:
    """For one map after the other: would the highest patch of each item lie in the region of each?

    A patch is laid at the same relative place of a picture with another grid.

    Yields:
        1 or 0, (item of the patch, item of the region); the diagonal is `hit`. A row is NaN where it is.
    """
    regions = pointed["region"].transpose("item", "patch").values.astype(np.float64)
    rows, cols = pointed["rows"].values, pointed["cols"].values
    places = np.arange(len(regions))
    for peaks in pointed["peak"].transpose("map", "item").values:
        there = np.isfinite(peaks)
        y, x = np.divmod(np.where(there, peaks, 0).astype(np.int64), cols)
        at = _laid(y, rows) * cols + _laid(x, cols)
        yield np.where(there[:, None], regions[places, at], np.nan)


def _laid(place: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row (or column) of each grid at the relative place of one of the own grid: (own, other)."""
    return np.floor((place + 0.5)[:, None] / sizes[:, None] * sizes).astype(np.int64)

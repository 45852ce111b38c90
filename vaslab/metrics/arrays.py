"""Captures as plain arrays and back: aligning by name costs more than the arithmetic."""

from collections.abc import Hashable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mass = TypeVar("Mass", NDArray[np.floating], xr.DataArray)

DIMS = ("item", "layer", "head")
EVERYTHING = ("layer", "head", "item")
"""What a mean can be over, in the order in which it is taken: items count equally."""


def values_of(array: xr.DataArray) -> Floats:
    """`array` as (item, layer, head)."""
    return array.transpose(*DIMS).values.astype(np.float64)


def each(per_item: NDArray[Any]) -> NDArray[Any]:
    """(item,) -> (item, 1, 1)."""
    return per_item[:, None, None]


def named(values: NDArray[Any], like: xr.DataArray, dims: Sequence[str]) -> xr.DataArray:
    """`values` with the names that `like` has on `dims`; axes of `values` beyond those have one entry."""
    coords: dict[Hashable, Any] = {
        name: coord.variable for name, coord in like.coords.items() if set(coord.dims) <= set(dims)
    }
    return xr.DataArray(values.reshape([like.sizes[name] for name in dims]), coords, dims)


def mean_there(values: NDArray[np.floating], over: Sequence[str]) -> NDArray[np.floating]:
    """Mean over layers and heads within an item first, then over items, of what is no NaN.

    Args:
        values: (item, layer, head, ...).
        over: of "item", "layer" and "head"; these axes stay, with one entry.
    """
    for dims in (("layer", "head"), ("item",)):
        axes = tuple(DIMS.index(name) for name in dims if name in over)
        if axes:
            there = ~np.isnan(values)
            total = np.where(there, values, 0).sum(axes, keepdims=True, dtype=np.float64)
            with np.errstate(invalid="ignore"):
                values = total / there.sum(axes, keepdims=True)
    return values


def mean_over(values: xr.DataArray, over: tuple[str, ...]) -> xr.DataArray:
    """Mean over layers and heads within an item first, then over items, so that items count equally."""
    for dims in (("layer", "head"), ("item",)):
        present = [name for name in dims if name in over and name in values.dims]
        if present:
            values = values.mean(present, skipna=True)
    return values


def not_below(values: Mass, floor: Mass) -> Mass:
    """`values`, or `floor` where they are below it: what VAS divides by. NaN stays NaN."""
    return cast(Mass, np.maximum(values, floor))

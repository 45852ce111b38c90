"""What two checkpoints can be compared on: item by item, the heads that have a value in both."""

import operator
from collections.abc import Sequence
from functools import reduce

import numpy as np
import xarray as xr

from vaslab.metrics import Definition, vas_masses, vas_of
from vaslab.plots.text import counted
from vaslab.statistics import aligned


def shared_sides(
    first: xr.Dataset, second: xr.Dataset, definition: Definition
) -> tuple[xr.Dataset, xr.Dataset]:
    """What VAS is made of in two captures, on the same items, NaN where one of them has no value.

    A mean over heads would otherwise stand for other heads in the one checkpoint than in the other, and move with them.

    Args:
        first, second: Captures. definition: of VAS.

    Returns:
        Of each capture, dims (item, layer, head): vas; for a ratio of means, image, system and floor of `vas_masses`.

    Raises:
        UsageError: items, layers or heads do not align; otherwise as `vas`.
    """
    one, two = _side(first, definition), _side(second, definition)
    names = [str(name) for name in one.data_vars if name != "floor"]
    aligned(one[names[0]], two[names[0]])
    two = two.sel(item=one["item"].values)
    there = xr.ones_like(one[names[0]], dtype=bool)
    for side in (one, two):
        for name in names:
            there = there & np.isfinite(side[name])
    one, two = (side.assign({name: side[name].where(there) for name in names}) for side in (one, two))
    return one, two


def there_of(sides: Sequence[xr.Dataset]) -> xr.DataArray:
    """Where results of `shared_sides` have a value: dims (item, layer, head)."""
    found = [np.isfinite(side["vas" if "vas" in side else "image"]) for side in sides]
    return xr.DataArray(reduce(operator.and_, found))


def lost_words(there: xr.DataArray, whole: bool = False) -> str:
    """Which values an infinite or missing ratio leaves out of the means, in one sentence; "" where it is none.

    Args:
        there: whether an item has a value in a head, dims (item, layer, head). Items that have none at all do not
            count; they have no VAS.
        whole: whether heads without any value count too, where no other sentence tells of them.
    """
    heads = ("layer", "head")
    held = there if whole else there.where(there.any("item"), True)
    lost = ~held.astype(bool) & there.any(heads)
    if not bool(lost.any()):
        return ""
    some, items = int(lost.any("item").sum()), int(lost.any(heads).sum())
    return f"Infinite or missing ratios of {counted(some, 'head')} in {counted(items, 'item')}: left out of the means."


def _side(capture: xr.Dataset, definition: Definition) -> xr.Dataset:
    if definition.form == "ratio_of_means":
        return vas_masses(capture, definition)
    return xr.Dataset({"vas": vas_of(capture, definition, over=()).drop_attrs()})

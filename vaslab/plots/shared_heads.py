"""What two checkpoints can be compared on: item by item, the heads that have a value in both."""

import numpy as np
import xarray as xr

from vaslab.metrics import vas, vas_masses
from vaslab.statistics import aligned


def shared_sides(
    first: xr.Dataset, second: xr.Dataset, queries: str, form: str, sink: str, per_token: bool
) -> tuple[xr.Dataset, xr.Dataset]:
    """What VAS is made of in two captures, on the same items, NaN where one of them has no value.

    A mean over heads would otherwise stand for other heads in the one checkpoint than in the other, and move with them.

    Args:
        first, second: Captures. queries, form, sink, per_token: as `vaslab.metrics.vas`.

    Returns:
        Of each capture, dims (item, layer, head): vas; for a ratio of means, image, system and floor of `vas_masses`.

    Raises:
        UsageError: items, layers or heads do not align; otherwise as `vas`.
    """
    asked = (queries, form, sink, per_token)
    one, two = _side(first, *asked), _side(second, *asked)
    names = [str(name) for name in one.data_vars if name != "floor"]
    aligned(one[names[0]], two[names[0]])
    two = two.sel(item=one["item"].values)
    there = xr.ones_like(one[names[0]], dtype=bool)
    for side in (one, two):
        for name in names:
            there = there & np.isfinite(side[name])
    one, two = (side.assign({name: side[name].where(there) for name in names}) for side in (one, two))
    return one, two


def _side(capture: xr.Dataset, queries: str, form: str, sink: str, per_token: bool) -> xr.Dataset:
    if form == "ratio_of_means":
        return vas_masses(capture, queries, sink, per_token)
    return xr.Dataset({"vas": vas(capture, queries, form, sink, per_token, over=()).drop_attrs()})

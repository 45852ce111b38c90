"""What VAS divides by: the system mass, or 1e-6 where it is below, so that the VAS is a lower bound."""

from dataclasses import replace

import xarray as xr

from vaslab.metrics.arrays import EVERYTHING, mean_over, not_below
from vaslab.metrics.definition import PAPER, Definition
from vaslab.metrics.selection import check_dims, one_query_set
from vaslab.metrics.vas import vas_masses


def divisor(masses: xr.Dataset, over: tuple[str, ...] = ()) -> xr.DataArray:
    """What a ratio of means divides by: the system mass of `vas_masses`, averaged over `over`, or its floor where that
    mean is below. The floor is on the mean, once: a head without system attention is averaged as it is.

    Args:
        masses: of `vas_masses`. over: of "layer", "head", "item"; as `vas`.

    Returns:
        Dims (item, layer, head) less those in `over`; NaN where there is no VAS.
    """
    system, floor = (mean_over(masses[name], over) for name in ("system", "floor"))
    return not_below(system, floor)


def divisor_per_item(masses: xr.Dataset, over: tuple[str, ...] = ()) -> xr.DataArray:
    """System mass of each item, averaged over `over` ("layer", "head"), such that its mean over items is `divisor`
    with "item" in `over`: where that is the floor, each item has its floor.
    """
    system = mean_over(masses["system"], over)
    floor = masses["floor"].where(system.notnull())
    return system.where(~(system.mean("item") < floor.mean("item")), floor)


def floored(
    capture: xr.Dataset, definition: Definition = PAPER, over: tuple[str, ...] = EVERYTHING
) -> xr.DataArray:
    """Share of denominators of VAS at the floor: of queries for the mean of ratios; for the ratio of means, which
    divides once, 1 where its mean system mass is at the floor and 0 elsewhere.

    Captures count queries by the system mass with its first token; without it (`sink` "exclude") mean masses of single
    heads and items are counted for the mean of ratios, which tells too few.

    Args:
        capture, definition, over: as `vas_of`; masses are not divided by tokens here, for the floor is not.

    Returns:
        Parts of one, dims (item, layer, head) less those in `over`; NaN where there is no VAS.

    Raises:
        UsageError: as `vas`.
    """
    over = check_dims(tuple(over), EVERYTHING)
    masses = vas_masses(capture, replace(definition, per_token=False))
    if definition.form == "ratio_of_means":
        system, floor = (mean_over(masses[name], over) for name in ("system", "floor"))
        return (system <= floor).astype("float64").where(system.notnull())
    share = (masses["system"] <= masses["floor"]).astype("float64")
    if definition.sink == "include":
        share = one_query_set(capture, definition.queries)["clamped"].astype("float64")
    return mean_over(share.where(masses["image"].notnull()), over)

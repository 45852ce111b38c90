"""What VAS divides by: the system mass, or 1e-6 where it is below, so that the VAS is a lower bound."""

import xarray as xr

from vaslab.metrics.selection import check_dims, one_query_set
from vaslab.metrics.vas import EVERYTHING, mean_over, vas_masses


def divisor(masses: xr.Dataset) -> xr.DataArray:
    """What VAS divides by: the system mass of `vas_masses`, or its floor. Dims (item, layer, head)."""
    return masses["system"].where(masses["system"] > masses["floor"], masses["floor"])


def floored(
    capture: xr.Dataset,
    queries: str = "user",
    form: str = "mean_of_ratios",
    sink: str = "include",
    over: tuple[str, ...] = EVERYTHING,
) -> xr.DataArray:
    """Share of denominators of VAS at the floor: of queries for the mean of ratios; else of mean masses.

    Captures count queries by the system mass with its first token; without it (`sink` "exclude") mean masses are
    counted in either form, which tells too few.

    Args:
        capture, queries, form, sink, over: as `vas`.

    Returns:
        Parts of one, dims (item, layer, head) less those in `over`; NaN where there is no VAS.

    Raises:
        UsageError: as `vas`.
    """
    over = check_dims(tuple(over), EVERYTHING)
    masses = vas_masses(capture, queries, sink)
    share = (masses["system"] <= masses["floor"]).astype("float64")
    if form == "mean_of_ratios" and sink == "include":
        share = one_query_set(capture, queries)["clamped"].astype("float64")
    return mean_over(share.where(masses["image"].notnull()), over)

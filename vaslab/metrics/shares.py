"""Lazy Attention Localization: the share of attention that each layer spends on image, system and
question.
"""

import xarray as xr

from vaslab.metrics.masses import masses


def shares(capture: xr.Dataset, queries: str = "user", sink: str = "include") -> xr.DataArray:
    """Share of attention per layer: mass averaged over heads and the named queries, of all keys (arXiv
    2603.03825, "Lazy Attention Localization").

    Args:
        capture: a Capture.
        queries: the query set.
        sink: as in `masses`.

    Returns:
        float in 0 .. 1, dims (item, layer, role); the roles sum to 1. NaN as in `masses`.

    Raises:
        UsageError: unknown query role or sink.
    """
    return masses(capture, queries, sink, over=("head",)).transpose("item", "layer", "role")

"""The numbers behind the localisation figure: how often each head points at the place that was asked for."""

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics.head_roles import head_places
from vaslab.plots.levels import FALSE_FINDINGS
from vaslab.statistics import fdr, mean_t


def localisation_table(pointed: xr.Dataset, cluster: xr.DataArray | None = None) -> pd.DataFrame:
    """Hit rate of each head, tested against chance.

    Args:
        pointed: result of `vaslab.metrics.pointing`, of one item or of several joined along `item`.
        cluster: picture of each item, dims (item).

    Returns:
        The columns of `vaslab.metrics.localisation`; and hit_low, hit_high (95 %, t over items or pictures), p (of
        "hits are as frequent as chance", the share of patches in each item's own region), p_adjusted
        (Benjamini-Hochberg over heads), found (p_adjusted <= 0.05 and above chance), inside_low, inside_high.
    """
    table = head_places(pointed)
    own = None if cluster is None else cluster.sel(item=pointed["item"])
    hits, inside = mean_t(pointed["hit"], own), mean_t(pointed["inside"], own)
    p = mean_t(pointed["hit"] - pointed["chance"], own)["p"]
    for name, found in (("hit", hits), ("inside", inside)):
        for end in ("low", "high"):
            table[f"{name}_{end}"] = np.clip(found[end].values, 0, 1)
    table["p"], table["p_adjusted"] = p.values, fdr(p).values
    table["found"] = (table["p_adjusted"] <= FALSE_FINDINGS) & (table["hit_rate"] > table["chance"])
    table.attrs["clustered"] = cluster is not None
    return table

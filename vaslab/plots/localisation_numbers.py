"""The numbers behind the localisation figure: how often each head points at the place that was asked for."""

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics.head_roles import head_places
from vaslab.plots.levels import FALSE_FINDINGS
from vaslab.statistics import fdr, mean_t, share_against


def localisation_table(pointed: xr.Dataset, cluster: xr.DataArray | None = None) -> pd.DataFrame:
    """Hit rate of each head, tested against chance.

    Args:
        pointed: result of `vaslab.metrics.pointing`, of one item or of several joined along `item`.
        cluster: picture of each item, dims (item).

    Returns:
        The columns of `vaslab.metrics.localisation`; and hit_low, hit_high (95 %, score interval over items or
        pictures), p (of "hits are as frequent as chance", the share of patches in each item's own region, by
        `share_against`), p_adjusted (Benjamini-Hochberg over heads), found (p_adjusted <= 0.05, and more hits than
        that), inside_low, inside_high (95 %, t).
    """
    table = head_places(pointed)
    own = None if cluster is None else cluster.sel(item=pointed["item"])
    hits, inside = share_against(pointed["hit"], pointed["chance"], own), mean_t(pointed["inside"], own)
    table["hit_low"], table["hit_high"] = hits["low"].values, hits["high"].values
    for end in ("low", "high"):
        table[f"inside_{end}"] = np.clip(inside[end].values, 0, 1)
    table["p"], table["p_adjusted"] = hits["p"].values, fdr(hits["p"]).values
    table["found"] = (table["p_adjusted"] <= FALSE_FINDINGS) & (hits["excess"].values > 0)
    table.attrs["clustered"] = cluster is not None
    return table

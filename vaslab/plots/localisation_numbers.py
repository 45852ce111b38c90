"""The numbers behind the localisation figure: how often each head points at the place that was asked for."""

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics import exchanged_hits
from vaslab.metrics.head_roles import head_places
from vaslab.plots.levels import FALSE_FINDINGS
from vaslab.statistics import exchange_p, fdr, mean_t, share_against
from vaslab.statistics.bootstrap import labels_of


def localisation_table(pointed: xr.Dataset, cluster: xr.DataArray | None = None) -> pd.DataFrame:
    """Hit rate of each head, tested against chance.

    Args:
        pointed: result of `vaslab.metrics.pointing`, of one item or of several joined along `item`.
        cluster: picture of each item, dims (item).

    Returns:
        The columns of `vaslab.metrics.localisation`; and hit_low, hit_high (95 %, score interval over items or
        pictures), p (of "hits are as frequent as chance", the share of patches in each item's own region, by
        `share_against`), p_prior (of "as frequent as with regions exchanged among pictures", by `exchange_p`; NaN where
        there is one picture), p_adjusted (Benjamini-Hochberg over heads, of the larger of the two), found (p_adjusted
        <= 0.05, and more hits than both), inside_low, inside_high (95 %, t).
    """
    table = head_places(pointed, cluster)
    own = None if cluster is None else cluster.sel(item=pointed["item"])
    hits, inside = share_against(pointed["hit"], pointed["chance"], own), mean_t(pointed["inside"], own)
    table["hit_low"], table["hit_high"] = hits["low"].values, hits["high"].values
    for end in ("low", "high"):
        table[f"inside_{end}"] = np.clip(inside[end].values, 0, 1)
    pictures = labels_of(pointed["hit"], "item", own)
    table["p"] = hits["p"].values
    table["p_prior"] = [exchange_p(each, pictures) for each in exchanged_hits(pointed)]
    # a head is found where it passes both tests
    both = hits["p"].copy(data=np.fmax(table["p"], table["p_prior"]))
    table["p_adjusted"] = fdr(both).values
    above = (hits["excess"].values > 0) & ~(table["hit_rate"] <= table["prior"])
    table["found"] = (table["p_adjusted"] <= FALSE_FINDINGS) & above
    table.attrs["clustered"] = cluster is not None
    return table

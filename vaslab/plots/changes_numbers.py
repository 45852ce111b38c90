"""The numbers behind the decomposition figure: what part of a change of VAS is visual, what part is system."""

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics import decomposition, vas, vas_masses
from vaslab.statistics import product_interval

PARTS = ("visual", "system", "spread")


def changes_table(
    first: xr.Dataset,
    second: xr.Dataset,
    queries: str = "user",
    form: str = "ratio_of_means",
    sink: str = "include",
    cluster: xr.DataArray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Change of log2 VAS per layer and over all layers, in its parts, with 95 % intervals.

    Args:
        first, second: Captures of the same items and heads.
        queries, sink: as `vaslab.metrics.vas`.
        form: "ratio_of_means" (its parts are exact) or "mean_of_ratios" (the paper's; a third part closes the sum).
        cluster: picture of each item; resampled whole.
        seed: of the bootstrap over items, paired.

    Returns:
        Columns layer (the last row is "all"), total, total_low, total_high, visual, visual_low, visual_high, system,
        system_low, system_high, spread (log2; a fall of system attention is positive), p_visual, p_system, n_items.
        `attrs["floored"]`: of either capture, the share of items, layers and heads whose system mass is taken as 1e-6.

    Raises:
        UsageError, VaslabError: as `vaslab.metrics.decomposition`.
    """
    rows = []
    masses = [vas_masses(capture, queries, sink) for capture in (first, second)]
    both = masses[0]["image"].notnull() & masses[1]["image"].notnull()
    image = [part["image"].where(both) for part in masses]
    system = [
        part["system"].where(part["system"] > part["floor"], part["floor"]).where(both) for part in masses
    ]
    for over, kept in ((("head",), ("head", "item")), (("layer", "head"), ("layer", "head", "item"))):
        parts = decomposition(first, second, queries, form, sink, over=kept)
        i, s = ([each.mean(over) for each in side] for side in (image, system))
        found = {
            "visual": product_interval([(i[1], 1), (i[0], -1)], seed=seed, cluster=cluster),
            "system": product_interval([(s[0], 1), (s[1], -1)], seed=seed, cluster=cluster),
        }
        if form == "mean_of_ratios":
            ratios = [
                vas(capture, queries, form, sink, over=()).where(both).mean(over)
                for capture in (first, second)
            ]
            terms = [(ratios[1], 1), (ratios[0], -1)]
        else:
            terms = [(i[1], 1), (s[1], -1), (i[0], -1), (s[0], 1)]
        found["total"] = product_interval(terms, seed=seed, cluster=cluster)
        names = ["all"] if "layer" in over else list(parts["layer"].values)
        table = pd.DataFrame({"layer": pd.Series(names, dtype=object)})
        for name in ("total", "visual", "system"):
            table[name] = np.atleast_1d(parts[name].values)
            for end in ("low", "high"):
                with np.errstate(divide="ignore"):
                    table[f"{name}_{end}"] = np.log2(np.atleast_1d(found[name][end].values))
        table["spread"] = np.atleast_1d(parts["spread"].values)
        for name in ("visual", "system"):
            table[f"p_{name}"] = np.atleast_1d(found[name]["p"].values)
        table["n_items"] = np.atleast_1d(found["total"]["n"].values)
        rows.append(table)
    out = pd.concat(rows, ignore_index=True)
    out.attrs = {"form": form, "queries": queries, "sink": sink, "clustered": cluster is not None}
    out.attrs["floored"] = [float((part["system"] <= part["floor"]).where(both).mean()) for part in masses]
    return out

"""The numbers behind the heads figure: one row a head."""

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics import PAPER, Definition, divisor_per_item, masses, vas_masses, vas_of, vas_per_head
from vaslab.plots.head_grid import kv_groups
from vaslab.plots.shared_heads import lost_words
from vaslab.statistics import mean_interval, ratio_interval


def heads_table(
    capture: xr.Dataset,
    definition: Definition = PAPER,
    seed: int = 0,
) -> pd.DataFrame:
    """VAS of each head with its 95 % interval, rank and shares.

    Args:
        capture: a Capture.
        definition: of VAS.
        seed: of the bootstrap over items.

    Returns:
        Columns layer, head, kv_group (where it is known, see `kv_groups`), vas, ci_low,
        ci_high (NaN with one item), rank (1 is the highest; missing for a head without a value), the VAS in
        the other form, image, system, user (shares of attention, mean over items), n_items. `attrs["vas"]`
        holds the attributes of the VAS, `attrs["lost"]` what is said of ratios that are infinite or missing.

    Raises:
        UsageError, VaslabError: as `vaslab.metrics.vas`.
    """
    value, other = vas_per_head(capture, definition), definition.other_form
    values = vas_of(capture, definition, over=())
    if definition.form == "mean_of_ratios":
        interval = mean_interval(values, seed=seed)
    else:
        parts = vas_masses(capture, definition)
        interval = ratio_interval(parts["image"], divisor_per_item(parts), seed=seed)
    interval = interval.transpose("layer", "head")
    share = masses(capture, definition.queries, definition.sink, over=("item",)).transpose(
        "layer", "head", "role"
    )
    layer, head = np.meshgrid(value["layer"].values, value["head"].values, indexing="ij")
    columns: dict[str, np.ndarray] = {"layer": layer.ravel(), "head": head.ravel()}
    group = kv_groups(capture)
    if group is not None:
        columns["kv_group"] = np.broadcast_to(group, value.shape).ravel()
    table = pd.DataFrame(columns)
    table["vas"] = value.values.ravel()
    table["ci_low"] = interval["low"].values.ravel()
    table["ci_high"] = interval["high"].values.ravel()
    table["rank"] = table["vas"].rank(ascending=False, method="first").astype("Int64")
    table[other.form] = vas_per_head(capture, other).values.ravel()
    for role in ("image", "system", "user"):
        table[role] = share.sel(role=role).values.ravel()
    table["n_items"] = interval["n"].values.ravel()
    table.attrs["vas"] = dict(value.attrs)
    table.attrs["lost"] = lost_words(values.notnull())
    return table

"""The numbers behind the compare figure: one row a head, one row a layer, two checkpoints on the same items."""

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics import PAPER, Definition, floored, vas_per_head
from vaslab.plots.head_grid import kv_groups
from vaslab.plots.levels import add_change, change_terms
from vaslab.plots.shared_heads import lost_words, shared_sides, there_of
from vaslab.statistics import product_t


def compare_table(
    first: xr.Dataset,
    second: xr.Dataset,
    definition: Definition = PAPER,
    cluster: xr.DataArray | None = None,
) -> pd.DataFrame:
    """VAS of each head in two checkpoints, and the change.

    Args:
        first, second: Captures of the same items, layers and heads; alignment is checked.
        definition: of VAS.
        cluster: picture of each item, dims (item); its items count together.

    Returns:
        Columns layer, head, kv_group (where the captures name their key-value heads), first, second (VAS), ratio
        (second / first), low, high (95 %), p (both by `product_t`), p_adjusted (Benjamini-Hochberg over all heads),
        changed (p_adjusted <= 0.05), n_items. attrs: vas holds the attributes of the VAS; layers, one row a layer of
        the same, over the heads that have a value in both, with first_floored and second_floored (share of system
        masses taken as 1e-6); floored, its mean over layers; ratio, the change of VAS over all layers and heads,
        ratio_ends, its interval, and ratio_floored, the share of its denominators; lost, what is said of ratios that
        are infinite or missing; clustered.

    Raises:
        UsageError: captures that do not align, otherwise as `vas`.
        VaslabError: as `vas`.
    """
    heads = change_terms(first, second, definition)
    change = product_t(heads, cluster=cluster).transpose("layer", "head")
    levels = [vas_per_head(capture, definition) for capture in (first, second)]
    layer, head = np.meshgrid(levels[0]["layer"].values, levels[0]["head"].values, indexing="ij")
    table = pd.DataFrame({"layer": layer.ravel(), "head": head.ravel()})
    group, other = kv_groups(first), kv_groups(second)
    if group is not None and other is not None and (group == other).all():
        table["kv_group"] = np.broadcast_to(group, layer.shape).ravel()
    for name, level in zip(("first", "second"), levels, strict=True):
        table[name] = level.transpose("layer", "head").values.ravel()
    add_change(table, change)
    table.attrs["vas"] = dict(levels[1].attrs)
    over_heads = change_terms(first, second, definition, over=("head",))
    layers = pd.DataFrame({"layer": levels[0]["layer"].values})
    add_change(layers, product_t(over_heads, cluster=cluster))
    low = [floored(capture, definition, ("item", "head")) for capture in (first, second)]
    layers["first_floored"], layers["second_floored"] = (each.values for each in low)
    table.attrs["layers"] = layers
    over_all = product_t(change_terms(first, second, definition, over=("layer", "head")), cluster=cluster)
    table.attrs["ratio"] = float(over_all["estimate"])
    table.attrs["ratio_ends"] = (float(over_all["low"]), float(over_all["high"]))
    table.attrs["ratio_floored"] = tuple(float(floored(capture, definition)) for capture in (first, second))
    table.attrs["floored"] = tuple(float(each.mean()) for each in low)
    table.attrs["lost"] = lost_words(there_of(shared_sides(first, second, definition)))
    table.attrs["clustered"] = cluster is not None
    return table


def changed_layers(layers: pd.DataFrame) -> list[tuple[object, object, float]]:
    """Runs of neighbouring layers whose mean VAS changed the same way at a false discovery rate of 5 %.

    Args:
        layers: `attrs["layers"]` of a compare table.

    Returns:
        (first layer, last layer, ratio): the geometric mean of the layers' ratios, which tells the way, not the size
        of a change of VAS; the strongest rise and the
        strongest fall first, the stronger of them before the other, then the others (strength: size of the log ratio
        times the number of layers).
    """
    sign = np.where(layers["changed"], np.sign(np.log(layers["ratio"].to_numpy(dtype=float))), 0)
    runs: list[tuple[int, int]] = []
    for at, way in enumerate(sign):
        if way and runs and runs[-1][1] == at - 1 and sign[at - 1] == way:
            runs[-1] = (runs[-1][0], at)
        elif way:
            runs.append((at, at))
    logs = np.log(layers["ratio"].to_numpy(dtype=float))
    out = [
        (
            layers["layer"].iloc[a],
            layers["layer"].iloc[b],
            float(np.exp(logs[a : b + 1].mean())),
            float(logs[a : b + 1].sum()),
        )
        for a, b in runs
    ]
    rises = sorted((run for run in out if run[3] > 0), key=lambda run: -run[3])
    falls = sorted((run for run in out if run[3] < 0), key=lambda run: run[3])
    lead = sorted([*rises[:1], *falls[:1]], key=lambda run: -abs(run[3]))
    ordered = [*lead, *rises[1:], *falls[1:]]
    return [(a, b, ratio) for a, b, ratio, _ in ordered]

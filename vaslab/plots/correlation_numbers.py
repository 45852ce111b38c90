"""The numbers behind the correlation figure: r of VAS and accuracy over checkpoints, for every head and layer."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import PAPER, Definition, vas_masses, vas_of
from vaslab.plots.checkpoint_sets import check_checkpoints, has_value, shared_items
from vaslab.plots.head_grid import kv_groups
from vaslab.plots.levels import FALSE_FINDINGS
from vaslab.statistics import correlation_map, r_over_items
from vaslab.statistics.correlation import is_clear

NUMBERS = ("r", "low", "high", "p", "p_adjusted", "n")


def correlation_table(
    captures: Mapping[str, xr.Dataset],
    right: Mapping[str, xr.DataArray],
    definition: Definition = PAPER,
    cluster: xr.DataArray | None = None,
) -> pd.DataFrame:
    """Correlate accuracy with log2 VAS of each head, and of each layer's mean over heads.

    Args:
        captures: checkpoint name -> Capture, of one shape; 4 or more.
        right: checkpoint name -> 1 right, 0 wrong, NaN not graded; dims (item).
        definition: of VAS.
        cluster: picture of each item, dims (item).

    Returns:
        One row a head: layer, head, r, low, high (Fisher's 95 %, over checkpoints), p (by permutation), p_adjusted
        (Benjamini-Hochberg over heads), found (`is_clear` with it: the rule of the scatter figure), n (checkpoints with
        a VAS above 0), lacking (names of those that have no value of it in some item that has a VAS, and so no part in
        r), items_low and items_high (95 %, what other items or pictures would make of r:
        `vaslab.statistics.r_over_items`; NaN where a checkpoint lacks it, or not all were asked the same).
        `attrs["layers"]` holds the same columns, one row a layer: the mean over the heads that all checkpoints with a
        value in this layer have; `attrs["per_group"]` how many heads share a key-value head, None where that is not
        known or not the same in all.

    Raises:
        UsageError: captures of other shapes or data sets, without an item in common, or one checkpoint twice; otherwise
            as `vas`.
        VaslabError: fewer than 4 checkpoints, or an accuracy that is the same for all.
    """
    check_checkpoints(captures)
    shared = shared_items(captures, right)
    shapes = {(capture.sizes["layer"], capture.sizes["head"]) for capture in captures.values()}
    if len(shapes) > 1:
        told = " and ".join(f"{layers} x {heads}" for layers, heads in sorted(shapes))
        raise UsageError(
            f"the checkpoints have {told} layers x heads; name checkpoints of one architecture, whose heads correspond"
        )
    names = list(captures)
    there = _there(captures, definition)
    accuracy = xr.DataArray(
        [float(right[name].mean()) for name in names], dims="checkpoint", coords={"checkpoint": names}
    )
    # a layer's mean is over the same heads in every checkpoint that has the layer
    same = there & (there | ~there.any("head")).all("checkpoint")
    table = _rows(captures, accuracy, definition, ("item",), there)
    layers = _rows(captures, accuracy, definition, ("head", "item"), same)
    table["lacking"] = _lacking(there, ("layer", "head"))
    layers["lacking"] = _lacking(same.any("head"), ("layer",))
    if not table["r"].notna().any() and accuracy.notnull().all() and float(np.ptp(accuracy.values)) == 0:
        raise VaslabError(f"all {len(names)} checkpoints have the same accuracy: there is no correlation")
    if shared.equal:
        of_heads, of_layers = _items(captures, right, definition, list(shared.common), cluster, (there, same))
        for rows, found in ((table, of_heads), (layers, of_layers)):
            for end in ("low", "high"):
                rows[f"items_{end}"] = found[end].values.ravel()
    else:
        for rows in (table, layers):
            rows["items_low"] = rows["items_high"] = np.nan
    said = vas_of(next(iter(captures.values())), definition).attrs
    groups = {None if group is None else tuple(group) for group in map(kv_groups, captures.values())}
    same_groups = groups.pop() if len(groups) == 1 else None
    table.attrs = {
        "vas": dict(said),
        "n_checkpoints": len(names),
        "n_items": shared.most,
        "unequal": shared.words,
        "clustered": cluster is not None,
        "layers": layers,
        "per_group": None if same_groups is None else same_groups.count(0),
    }
    return table


def _there(captures: Mapping[str, xr.Dataset], definition: Definition) -> xr.DataArray:
    """Which heads have a VAS in every item that has one: dims (checkpoint, layer, head)."""
    asked = (definition.queries,), (definition.sink,)
    found = {name: has_value(capture, *asked) for name, capture in captures.items()}
    known = [each for each in found.values() if each is not None]
    if not known:
        # `vas` says why
        vas_of(next(iter(captures.values())), definition)
    return _stacked({name: xr.zeros_like(known[0]) if each is None else each for name, each in found.items()})


def _levels(
    capture: xr.Dataset, definition: Definition, over: tuple[str, ...], there: xr.DataArray
) -> xr.DataArray:
    """VAS over the heads that are there; NaN where none is."""
    if not bool(there.any()):
        return vas_of(capture, definition, over).where(False)
    if not bool(there.all()):
        capture = capture.assign({name: capture[name].where(there) for name in ("vas", "vas_no_sink")})
    return vas_of(capture, definition, over)


def _lacking(there: xr.DataArray, keys: tuple[str, ...]) -> list[str]:
    """Checkpoints without a value, of each head or layer, in words."""
    names = [str(name) for name in there["checkpoint"].values]
    rows = there.transpose(*keys, "checkpoint").values.reshape(-1, len(names))
    return [", ".join(name for name, held in zip(names, row, strict=True) if not held) for row in rows]


def _rows(
    captures: Mapping[str, xr.Dataset],
    accuracy: xr.DataArray,
    definition: Definition,
    over: tuple[str, ...],
    there: xr.DataArray,
) -> pd.DataFrame:
    """r of each head, or of each layer, with its interval over checkpoints."""
    values = _stacked(
        {
            name: _levels(capture, definition, over, there.sel(checkpoint=name, drop=True))
            for name, capture in captures.items()
        }
    )
    logs = values.where(values > 0)
    found = correlation_map(logs.copy(data=np.log2(logs.values)), accuracy)
    keys = [name for name in ("layer", "head") if name in found.dims]
    frame = found[list(NUMBERS)].to_dataframe(dim_order=keys).reset_index()[[*keys, *NUMBERS]]
    clear = [
        is_clear(row["low"], row["high"], row["p_adjusted"], 1 - FALSE_FINDINGS)
        for row in frame.to_dict("records")
    ]
    frame.insert(len(keys) + 5, "found", clear)
    return frame


def _items(
    captures: Mapping[str, xr.Dataset],
    right: Mapping[str, xr.DataArray],
    definition: Definition,
    items: list[str | int],
    cluster: xr.DataArray | None,
    there: tuple[xr.DataArray, xr.DataArray],
) -> tuple[xr.Dataset, xr.Dataset]:
    """What the items do to r of each head, and of each layer; `there`: the heads that stand for each."""
    grades = _stacked({name: right[name].sel(item=items) for name in captures})
    if definition.form == "ratio_of_means":
        masses = {name: vas_masses(capture, definition) for name, capture in captures.items()}
        top = _stacked({name: part["image"].sel(item=items) for name, part in masses.items()})
        under: xr.DataArray | None = _stacked(
            {name: part["system"].sel(item=items) for name, part in masses.items()}
        )
    else:
        top = _stacked({name: vas_of(c, definition, over=()).sel(item=items) for name, c in captures.items()})
        under = None
    of_heads, of_layers = there
    heads = r_over_items(top.where(of_heads), grades, cluster, under).transpose("layer", "head")
    below = None if under is None else under.where(of_layers).mean("head")
    return heads, r_over_items(top.where(of_layers).mean("head"), grades, cluster, below)


def _stacked(parts: Mapping[str, xr.DataArray]) -> xr.DataArray:
    dim = xr.Variable("checkpoint", list(parts))
    return xr.concat(list(parts.values()), dim=dim, coords="minimal", compat="override", join="override")

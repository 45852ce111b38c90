"""The numbers behind the lazy figure, and its finding in words."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import one_query_set, shares
from vaslab.plots.text import counted, percent
from vaslab.statistics import aligned, difference_interval, mean_interval, mean_t

ROLES = ("image", "system", "user")


def base_of(names: list[str], base: str | None = None) -> str:
    """The checkpoint that the others are compared with: `base`, else one named base, else the first.

    Raises:
        UsageError: no names, or `base` is not among them.
    """
    if not names:
        raise UsageError("no capture to draw; expected {name: capture, ...} with at least one")
    if base is not None:
        if base not in names:
            raise UsageError(f"base={base!r} is not among the captures: {', '.join(names)}")
        return base
    return next((name for name in names if re.search(r"\bbase\b", name.lower())), names[0])


def lazy_table(
    captures: Mapping[str, xr.Dataset],
    queries: str = "user",
    base: str | None = None,
    sink: str = "include",
    cluster: xr.DataArray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of attention per checkpoint, role and layer, with 95 % intervals over items.

    A mean over heads of which some have no value would stand for other heads than its neighbours: a layer in which a
    head has none in any item is a gap, and an item in which another head has none is left out.

    Args:
        captures: checkpoint name -> Capture. queries, base, sink, cluster, seed: as `lazy`.

    Returns:
        Columns run, role (image, system, user), layer, share, low, high (parts of one; bootstrap), difference,
        difference_low, difference_high (to the base, paired by item; NaN for the base), n_items. attrs: share says what
        was averaged; n_items, of the base; reference, the base; moves, one row for each other checkpoint: run and
        difference, low, high, p of its attention on the image, mean over the layers that both have (t test over items
        or pictures); gaps, run -> layers; left_out, run -> items; clustered.

    Raises:
        UsageError: unknown query role or base; the captures differ in items or layers; a checkpoint of which no item,
            or no layer, is left.
    """
    reference = base_of(list(captures), base)
    share, gaps, left_out = {}, {}, {}
    for name, capture in captures.items():
        share[name], gaps[name], left_out[name] = _whole(capture, name, queries, sink)
    rows, moves = [], []
    for name, values in share.items():
        own = mean_interval(values, seed=seed, cluster=cluster).transpose("role", "layer")
        delta = None
        if name != reference:
            a, b = _common(share[reference], values, name, reference)
            delta = difference_interval(a, b, seed=seed, cluster=cluster).transpose("role", "layer")
            moved = mean_t((b - a).sel(role="image").mean("layer"), cluster)
            found = {part: float(moved[part]) for part in ("low", "high", "p", "n")}
            moves.append({"run": name, "difference": float(moved["estimate"]), **found})
        for role in ROLES:
            part = own.sel(role=role)
            change = delta.sel(role=role) if delta is not None else None
            nothing = np.full(part.sizes["layer"], np.nan)
            rows.append(
                pd.DataFrame(
                    {
                        "run": name,
                        "role": role,
                        "layer": part["layer"].values,
                        "share": part["estimate"].values,
                        "low": part["low"].values,
                        "high": part["high"].values,
                        "difference": nothing if change is None else change["estimate"].values,
                        "difference_low": nothing if change is None else change["low"].values,
                        "difference_high": nothing if change is None else change["high"].values,
                        "n_items": part["n"].values,
                    }
                )
            )
    table = pd.concat(rows, ignore_index=True)
    table.attrs = {
        "share": dict(shares(captures[reference], queries, sink).attrs),
        "n_items": int(table.loc[table["run"] == reference, "n_items"].max()),
        "reference": reference,
        "moves": pd.DataFrame(moves),
        "gaps": gaps,
        "left_out": left_out,
        "clustered": cluster is not None,
    }
    return table


def _whole(capture: xr.Dataset, name: str, queries: str, sink: str) -> tuple[xr.DataArray, list[object], int]:
    """Shares (item, layer, role) of layers and items that have every head; the layers without, and how many items."""
    share = shares(capture, queries, sink).sel(role=list(ROLES))
    measured = share.notnull().any(("layer", "role"))
    if not bool(measured.any()):
        raise UsageError(f"{name} has no item with a {queries} query; name a query set that it measured")
    lost = one_query_set(capture, queries)["mass"].isnull().any("key_role") & measured
    gap = (lost | ~measured).all("item").any("head")
    partial = (lost & ~gap).any(("layer", "head"))
    if bool(gap.all()) or not bool((measured & ~partial).any()):
        raise UsageError(
            f"{name} lacks a value of some head in every layer or every item, and has no mean over heads; "
            "select the heads that have values, the same in every capture"
        )
    layers = [layer.item() for layer in gap["layer"].values[gap.values]]
    return share.where(~gap & ~partial), layers, int(partial.sum())


def _common(a: xr.DataArray, b: xr.DataArray, name: str, reference: str) -> tuple[xr.DataArray, xr.DataArray]:
    try:
        return aligned(a, b)
    except UsageError as error:
        raise UsageError(f"{reference} (first) and {name} (second): {error}") from error


def finding(table: pd.DataFrame) -> str:
    """What a table of `lazy_table` shows, in one sentence.

    One checkpoint: where attention on the image peaks. Several: which of them move attention to or from the
    image, by the paired t test of the mean over layers, at 5 % over their number (Bonferroni).
    """
    reference, moves = table.attrs["reference"], table.attrs["moves"]
    if moves.empty:
        rows = table[table["run"] == reference]
        image = rows[rows["role"] == "image"].set_index("layer")["share"]
        system = percent(float(rows.loc[rows["role"] == "system", "share"].mean()))
        return (
            f"Attention on the image peaks at {percent(float(image.max()))} in layer {image.idxmax()}; "
            f"the system prompt takes {system} over all layers"
        )
    if not moves["p"].notna().any():
        over = "picture" if table.attrs["clustered"] else "item"
        return f"Image attention of {len(moves) + 1} checkpoints on one {over}: too few to tell them apart"
    clear = moves["p"] < 0.05 / len(moves)
    still = list(moves.loc[~clear, "run"])
    moved = [(float(row["difference"]), str(row["run"])) for row in moves[clear].to_dict("records")]
    if not moved:
        who = f"{still[0]} shows" if len(still) == 1 else f"None of {len(still)} checkpoints shows"
        how = "no clear change" if len(still) == 1 else "a clear change"
        return f"{who} {how} in attention on the image against {reference}"
    moved.sort(key=lambda pair: -abs(pair[0]))
    size, name = moved[0]
    direction = "to the image" if size > 0 else "away from the image"
    text = f"{name} moves {abs(100 * size):.1f} points of attention {direction}"
    if len(moved) > 1:
        second, name = moved[1]
        turned = "" if second * size > 0 else (" to it" if second > 0 else " away from it")
        text += f", {name} {abs(100 * second):.1f}{turned}"
    rest = moved[2:]
    if rest and all(difference * size > 0 for difference, _ in moved):
        text += f", {counted(len(rest), 'other')} less"
    elif rest:
        for way, sign in (("to it", 1), ("away from it", -1)):
            some = [pair for pair in rest if pair[0] * sign > 0]
            if len(some) == 1:
                text += f", {some[0][1]} {abs(100 * some[0][0]):.1f} {way}"
            elif some:
                text += f", {counted(len(some), 'other')} less {way}"
    if still:
        text += f"; no clear change for {still[0] if len(still) == 1 else f'{len(still)} others'}"
    return text

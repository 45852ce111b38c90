"""The numbers behind the lazy figure, and its finding in words."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import shares
from vaslab.plots.text import percent
from vaslab.statistics import aligned, difference_interval, mean_interval, mean_p

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
    seed: int = 0,
) -> pd.DataFrame:
    """Share of attention per checkpoint, role and layer, with 95 % intervals over items.

    Args:
        captures: checkpoint name -> Capture. queries, base, sink, seed: as `lazy`.

    Returns:
        Columns run, role (image, system, user), layer, share, low, high (parts of one), difference,
        difference_low, difference_high (to the base, paired by item; NaN for the base), n_items.
        `attrs["share"]` says what was averaged, `attrs["n_items"]` the items of the base.

    Raises:
        UsageError: unknown query role or base; the captures differ in items or layers.
    """
    reference = base_of(list(captures), base)
    share = {name: shares(capture, queries, sink).sel(role=list(ROLES)) for name, capture in captures.items()}
    rows = []
    for name, values in share.items():
        own = mean_interval(values, seed=seed).transpose("role", "layer")
        delta = None
        if name != reference:
            delta = difference_interval(*_common(share[reference], values, name, reference), seed=seed)
            delta = delta.transpose("role", "layer")
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
        if not (part["n"] > 0).any():
            raise UsageError(f"{name} has no item with a {queries} query; name a query set that it measured")
    table = pd.concat(rows, ignore_index=True)
    table.attrs["share"] = dict(shares(captures[reference], queries, sink).attrs)
    table.attrs["n_items"] = int(table.loc[table["run"] == reference, "n_items"].max())
    return table


def _common(a: xr.DataArray, b: xr.DataArray, name: str, reference: str) -> tuple[xr.DataArray, xr.DataArray]:
    try:
        return aligned(a, b)
    except UsageError as error:
        raise UsageError(f"{reference} (first) and {name} (second): {error}") from error


def finding(captures: Mapping[str, xr.Dataset], queries: str, reference: str, sink: str = "include") -> str:
    """What the figure shows, in one sentence.

    One checkpoint: where attention on the image peaks. Several: which of them move attention to or from the
    image, by the paired t test of the mean over layers, at 5 % over their number (Bonferroni): a bootstrap of few
    items calls too much clear.
    """
    share = {name: shares(capture, queries, sink) for name, capture in captures.items()}
    others = [name for name in captures if name != reference]
    if not others:
        mean = share[reference].mean("item")
        image = mean.sel(role="image")
        peak = int(image.argmax("layer"))
        layer = image["layer"].values[peak]
        system = percent(float(mean.sel(role="system").mean()))
        return (
            f"Attention on the image peaks at {percent(float(image[peak]))} in layer {layer}; "
            f"the system prompt takes {system} over all layers"
        )
    moved: list[tuple[float, str]] = []
    still: list[str] = []
    for name in others:
        a, b = _common(share[reference].sel(role="image"), share[name].sel(role="image"), name, reference)
        change = b.mean("layer") - a.mean("layer")
        if float(mean_p(change)) < 0.05 / len(others):
            moved.append((float(change.mean()), name))
        else:
            still.append(name)
    if all(capture.sizes["item"] < 2 for capture in captures.values()):
        return f"Image attention of {len(captures)} checkpoints on one item: too few to tell them apart"
    if not moved:
        who = f"{others[0]} shows" if len(others) == 1 else f"None of {len(others)} checkpoints shows"
        how = "no clear change" if len(others) == 1 else "a clear change"
        return f"{who} {how} in attention on the image against {reference}"
    moved.sort(key=lambda pair: -abs(pair[0]))
    size, name = moved[0]
    direction = "to the image" if size > 0 else "away from the image"
    text = f"{name} moves {abs(100 * size):.1f} points of attention {direction}"
    if len(moved) > 1:
        second, name = moved[1]
        turned = "" if second * size > 0 else (" to it" if second > 0 else " away from it")
        text += f", {name} {abs(100 * second):.1f}{turned}"
    if still:
        text += f"; no clear change for {still[0] if len(still) == 1 else f'{len(still)} others'}"
    return text

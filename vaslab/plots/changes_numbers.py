"""The numbers behind the decomposition figure: what part of a change of VAS is visual, what part is system."""

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics import PAPER, Definition, divisor_per_item, floored, vas_masses, vas_of
from vaslab.plots.shared_heads import lost_words
from vaslab.statistics import aligned, product_t, share_t

FORMS = ("ratio_of_means", "mean_of_ratios")
PARTS = ("visual", "system", "spread")


def changes_table(
    first: xr.Dataset,
    second: xr.Dataset,
    queries: str = PAPER.queries,
    sink: str = PAPER.sink,
    cluster: xr.DataArray | None = None,
) -> pd.DataFrame:
    """Change of VAS in both of its forms, per layer and over all layers, in its parts (see `decomposition`):

        ratio_of_means = visual + system
        mean_of_ratios = visual + system + spread

    Args:
        first, second: Captures of the same items, layers and heads; what has no value in one is left out of both.
        queries, sink: as `vaslab.metrics.vas`.
        cluster: picture of each item; left out whole by the jackknife.

    Returns:
        Columns layer (the last row is "all"); ratio_of_means, mean_of_ratios, visual, system, spread in log2 units
        (1 is a doubling; a fall of system attention is positive), each with _low, _high (95 %) and _p, by Student's t
        with the error of the jackknife; n_items. `attrs["floored"]`: form -> share of denominators over all layers
        that are taken as 1e-6, in the first and in the second (see `floored`); `attrs["floored_layers"]`: how many
        layers' mean system masses are; `attrs["lost_heads"]`: heads without a value in one of them;
        `attrs["visual_share"]`: the visual part of ratio_of_means over all layers, as a share of it, with its 95 %
        interval (see `share_t`); `attrs["lost"]`: what is said of other ratios that are infinite or missing.

    Raises:
        UsageError: captures that do not align, otherwise as `vas`.
        VaslabError: as `vas`.
    """
    asked = Definition(queries, sink=sink)
    one, two = (_sides(capture, asked) for capture in (first, second))
    aligned(one["image"], two["image"])
    two = two.sel(item=one["item"].values)
    there = (one.notnull() & two.notnull()).to_dataarray().all("variable")
    rows = []
    for over in (("head",), ("layer", "head")):
        a, b = (_means(side, there, over) for side in (one, two))
        visual, system, ratio = (
            [(b[name], power), (a[name], -power)]
            for name, power in (("image", 1), ("system", -1), ("ratio", 1))
        )
        undone = [(values, -power) for values, power in (*visual, *system)]
        terms = {
            "ratio_of_means": [*visual, *system],
            "mean_of_ratios": ratio,
            "visual": visual,
            "system": system,
            "spread": [*ratio, *undone],
        }
        names = ["all"] if "layer" in over else list(a["layer"].values)
        table = pd.DataFrame({"layer": pd.Series(names, dtype=object)})
        for name, each in terms.items():
            found = product_t(each, cluster=cluster)
            for column, part in (("", "estimate"), ("_low", "low"), ("_high", "high")):
                with np.errstate(divide="ignore"):
                    table[f"{name}{column}"] = np.log2(np.atleast_1d(found[part].values))
            table[f"{name}_p"] = np.atleast_1d(found["p"].values)
            table["n_items"] = np.atleast_1d(found["n"].values)
        rows.append(table)
    # of the last, over layers and heads
    share = share_t(visual, [*visual, *system], cluster=cluster)
    out = pd.concat(rows, ignore_index=True)
    out.attrs = {
        "queries": queries,
        "sink": sink,
        "clustered": cluster is not None,
        "visual_share": tuple(float(share[name]) for name in ("estimate", "low", "high")),
        "lost": lost_words(there),
        "lost_heads": int((~there).all("item").sum()),
        "floored": {
            form: tuple(float(floored(capture, replace(asked, form=form))) for capture in (first, second))
            for form in FORMS
        },
        "floored_layers": tuple(
            int(floored(capture, replace(asked, form="ratio_of_means"), ("item", "head")).sum())
            for capture in (first, second)
        ),
    }
    return out


def _sides(capture: xr.Dataset, definition: Definition) -> xr.Dataset:
    """Image mass, system mass, their floor (item), and the mean of ratios: dims (item, layer, head)."""
    ratio = vas_of(capture, definition, over=()).drop_attrs()
    return vas_masses(capture, definition).assign(ratio=ratio)


def _means(side: xr.Dataset, there: xr.DataArray, over: tuple[str, ...]) -> xr.Dataset:
    """Means over heads of what is `there`, of each item; the system mass as VAS divides by it."""
    held = side.assign({name: side[name].where(there) for name in ("image", "system", "ratio")})
    return held[["image", "ratio"]].mean(over).assign(system=divisor_per_item(held, over))

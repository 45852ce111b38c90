"""VAS and accuracy of one checkpoint with their intervals, and what is divided where two are compared."""

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics import PAPER, Definition, divisor_per_item, vas_masses, vas_per_item
from vaslab.metrics.arrays import mean_over
from vaslab.plots.shared_heads import shared_sides
from vaslab.statistics import (
    accuracy_interval,
    fdr,
    mean_interval,
    paired_accuracy,
    ratio_interval,
    share_interval,
)

FALSE_FINDINGS = 0.05
"""Share of findings that may be false, where many are tested at once."""

ENDS = (("", "estimate"), ("_low", "low"), ("_high", "high"))

Terms = list[tuple[xr.DataArray, int]]


def vas_level(
    capture: xr.Dataset,
    definition: Definition = PAPER,
    cluster: xr.DataArray | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """VAS over all layers, heads and items, with its 95 % bootstrap interval over items or pictures.

    Returns:
        Dataset of scalars estimate, low, high, n. Errors as `vaslab.metrics.vas`.
    """
    if definition.form == "ratio_of_means":
        parts, heads = vas_masses(capture, definition), ("layer", "head")
        image, system = parts["image"].mean(heads), divisor_per_item(parts, heads)
        return ratio_interval(image, system, seed=seed, cluster=cluster)
    return mean_interval(vas_per_item(capture, definition), seed=seed, cluster=cluster)


def accuracy_level(right: xr.DataArray | None, cluster: xr.DataArray | None = None) -> xr.Dataset:
    """Accuracy over the graded items: Wilson's interval, of fewer items where they share pictures.

    Args:
        right: 1 right, 0 wrong, NaN not graded; dims (item). None: nothing was graded.
        cluster: picture of each item.

    Returns:
        Dataset of scalars estimate, low, high, n in parts of one; NaN where nothing was graded, low and high also
        where all items share one picture.
    """
    if right is None:
        return accuracy_interval(0, 0)
    graded = right.dropna("item").astype(float)
    if cluster is None or not graded.size:
        return accuracy_interval(int(graded.sum()), graded.size)
    ends = zip(("estimate", "low", "high"), share_interval(graded, cluster), strict=True)
    return xr.Dataset(dict(ends) | {"n": graded.size})


def change_terms(
    first: xr.Dataset,
    second: xr.Dataset,
    definition: Definition = PAPER,
    over: tuple[str, ...] = (),
) -> Terms:
    """What `product_t` multiplies to get VAS of `second` over VAS of `first`: means, each with its power.

    Args:
        first, second: Captures. definition: of VAS.
        over: of ("layer", "head"): averaged within each item before, over the heads that both have.

    Returns:
        Terms with dims (item, layer, head) less `over`, those of `first` last. Means over items, divided, are VAS
        itself, the floor of its denominator included.

    Raises:
        UsageError: items, layers or heads do not align; otherwise as `vas`.
    """
    one, two = shared_sides(first, second, definition)
    out: Terms = []
    for side, sign in ((two, 1), (one, -1)):
        out.append((mean_over(side["vas" if "vas" in side else "image"], over), sign))
        if "vas" not in side:
            out.append((divisor_per_item(side, over), -sign))
    return out


def add_change(table: pd.DataFrame, change: xr.Dataset) -> None:
    """Add the columns ratio, low, high, p, p_adjusted, changed and n_items of a `product_t` to a table."""
    adjusted = fdr(change["p"])
    for column, values in (
        ("ratio", change["estimate"]),
        ("low", change["low"]),
        ("high", change["high"]),
        ("p", change["p"]),
        ("p_adjusted", adjusted),
        ("changed", adjusted <= FALSE_FINDINGS),
        ("n_items", change["n"]),
    ):
        table[column] = np.atleast_1d(values.values).ravel()


def row_of(name: str, found: xr.Dataset) -> dict[str, float]:
    """A scalar estimate with its interval as the columns NAME, NAME_low, NAME_high, and NAME_p where it has one."""
    ends = {f"{name}{end}": float(found[part]) for end, part in ENDS}
    return ends | ({f"{name}_p": float(found["p"])} if "p" in found else {})


def accuracy_change(
    first: xr.DataArray | None,
    second: xr.DataArray | None,
    cluster: xr.DataArray | None = None,
) -> dict[str, float]:
    """Paired change of accuracy as columns accuracy_change, _low, _high and _p; NaN where nothing was graded in both.

    Interval and p are the score's of `paired_accuracy`.
    """
    if first is None or second is None or not bool((first.notnull() & second.notnull()).any()):
        return {f"accuracy_change{end}": np.nan for end in ("", "_low", "_high", "_p")}
    found = paired_accuracy(first, second, cluster)
    return {
        "accuracy_change": found.difference,
        "accuracy_change_low": found.low,
        "accuracy_change_high": found.high,
        "accuracy_change_p": found.p_score,
    }


def tested(table: pd.DataFrame, name: str, asked: pd.Series) -> pd.DataFrame:
    """Adjust the column NAME_p for the number of rows `asked`, and add NAME_p_adjusted and NAME_changed.

    p of the other rows, which are compared with themselves, is taken out. "" names the columns p, p_adjusted, changed.
    """
    part = f"{name}_" if name else ""
    p = table[f"{part}p"].where(asked)
    adjusted = fdr(xr.DataArray(p.to_numpy(dtype=float), dims="row")).values
    out = table.copy()
    out[f"{part}p"], out[f"{part}p_adjusted"] = p, adjusted
    out[f"{part}changed"] = adjusted <= FALSE_FINDINGS
    return out

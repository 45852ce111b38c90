"""The numbers behind the items figure: one row an item, answered by two checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import PAPER, Definition, divisor, vas_per_item
from vaslab.plots.shared_heads import lost_words, shared_sides, there_of
from vaslab.statistics import paired_accuracy

FILTERS = {"largest": "largest change", "fixed": "fixed by {}", "broken": "broken by {}"}
"""Which items are shown, and how a button calls them; {} is the second checkpoint."""


@dataclass(frozen=True)
class ItemWords:
    """What was asked about an item, the reference answer, and what either checkpoint said."""

    question: str = ""
    answer: str = ""
    first: str = ""
    second: str = ""


def items_table(
    first: xr.Dataset,
    second: xr.Dataset,
    right: tuple[xr.DataArray, xr.DataArray] | None = None,
    words: Mapping[str, ItemWords] | None = None,
    definition: Definition = PAPER,
    cluster: xr.DataArray | None = None,
) -> pd.DataFrame:
    """Each item with its VAS in two checkpoints, and who answered it right.

    Args:
        first, second: Captures of the same items.
        right: of each: 1 right, 0 wrong, NaN not graded; dims (item).
        words: item id -> its texts.
        definition: of VAS.
        cluster: picture of each item, for the tests.

    Returns:
        One row an item, the largest change of VAS first: item, question, answer, first_said, second_said, first_right,
        second_right (1, 0 or NaN), outcome ("fixed", "broken", "right in both", "wrong in both", "not graded"),
        first_vas, second_vas, ratio (second / first; NaN where one of them is missing, 0 or infinite).
        `attrs["vas"]` holds the attributes of the VAS, `attrs["paired"]` the result of `paired_accuracy` or None,
        `attrs["sides"]` how many items, or pictures where these are given, rise and fall in VAS, and of how many;
        `attrs["lost"]` what is said of ratios that are infinite or missing.

    Raises:
        UsageError: captures that do not align, otherwise as `vas`.
        VaslabError: as `vas`.
    """
    said = dict(vas_per_item(second, definition).attrs)
    sides = shared_sides(first, second, definition)
    one, two = map(_level, sides)
    ids = [str(name) for name in one["item"].values]
    texts = [(words or {}).get(name, ItemWords()) for name in ids]
    grades = [np.full(len(ids), np.nan)] * 2
    if right is not None:
        grades = [side.reindex(item=one["item"].values).values.astype(float) for side in right]
    values = [each.values.astype(float) for each in (one, two)]
    fit = [np.isfinite(each) & (each > 0) for each in values]
    ratio = np.full(len(ids), np.nan)
    both = fit[0] & fit[1]
    ratio[both] = values[1][both] / values[0][both]
    table = pd.DataFrame(
        {
            "item": ids,
            "question": [each.question for each in texts],
            "answer": [each.answer for each in texts],
            "first_said": [each.first for each in texts],
            "second_said": [each.second for each in texts],
            "first_right": grades[0],
            "second_right": grades[1],
            "outcome": [_outcome(a, b) for a, b in zip(*grades, strict=True)],
            "first_vas": values[0],
            "second_vas": values[1],
            "ratio": ratio,
        }
    )
    size = np.full(len(ids), -1.0)
    size[both] = np.abs(np.log2(ratio[both]))
    table = table.iloc[np.argsort(-size, kind="stable")].reset_index(drop=True)
    table.attrs["vas"] = said
    table.attrs["lost"] = lost_words(there_of(sides), whole=True)
    table.attrs["sides"] = _sides(table, cluster)
    graded = right is not None and bool((right[0].notnull() & right[1].notnull()).any())
    table.attrs["paired"] = paired_accuracy(*right, cluster) if graded and right is not None else None
    return table


def _sides(table: pd.DataFrame, cluster: xr.DataArray | None) -> tuple[int, int, int]:
    """How many items, or pictures by the mean of their items, rise and fall in VAS, and how many there are."""
    there = table[table["ratio"].notna()]
    power = np.log2(there["ratio"].to_numpy(dtype=float))
    if cluster is not None and len(there):
        pictures = cluster.sel(item=there["item"].to_numpy()).values
        power = pd.Series(power).groupby(pictures).mean().to_numpy()
    return int((power > 0).sum()), int((power < 0).sum()), len(power)


def _level(side: xr.Dataset) -> xr.DataArray:
    """VAS of each item, over the heads that both checkpoints have a value of."""
    heads = ("layer", "head")
    return side["vas"].mean(heads) if "vas" in side else side["image"].mean(heads) / divisor(side, heads)


def _outcome(first: float, second: float) -> str:
    if np.isnan(first) or np.isnan(second):
        return "not graded"
    if first != second:
        return "fixed" if second > first else "broken"
    return "right in both" if first else "wrong in both"


def known_filter(which: str) -> str:
    """`which`, where it is one of FILTERS; raises UsageError otherwise."""
    if which not in FILTERS:
        raise UsageError(f"unknown filter {which!r}; expected one of {', '.join(FILTERS)}")
    return which


def chosen(table: pd.DataFrame, which: str) -> pd.DataFrame:
    """The rows that a filter of FILTERS keeps, in the order of the table."""
    return table if which == "largest" else table[table["outcome"] == which]

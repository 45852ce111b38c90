"""What the compare figure says: its finding, subtitle and foot."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from vaslab.metrics import Definition
from vaslab.plots.compare_numbers import changed_layers
from vaslab.plots.text import (
    FLOORED,
    bound_words,
    counted,
    dotted,
    fold,
    percent,
    shortened,
    times_text,
    unbroken,
)

MANY = 1000
"""Heads beyond which only one of the maps carries the numbers of its hover boxes."""


def title_of(table: pd.DataFrame, names: tuple[str, str]) -> str:
    """The finding: in which layers the second checkpoint has more and less VAS, or that none can be told."""
    first, second = (shortened(name, 260, 13) for name in names)
    said, layers = table.attrs["vas"], table.attrs["layers"]
    vas = Definition.of(said).name
    known = table["p"].notna()
    if not known.any():
        return f"{second} against {first}: too few items to tell any change of {vas}"
    changed = int(table["changed"].sum())
    runs = changed_layers(layers)
    if changed == 0 and not runs:
        return f"No head of {second} differs clearly from {first} in {vas}"
    every = list(layers["layer"])
    # the strongest of either way, the larger first
    lead = [run for at, run in enumerate(runs) if not any((run[2] > 1) == (one[2] > 1) for one in runs[:at])]
    if not lead:
        share = _share(changed, int(known.sum()))
        return f"{second} differs from {first} in {vas} of {share}, but in no layer as a whole"
    parts: list[str] = []
    for run in lead:
        way = "raises" if run[2] > 1 else "lowers"
        others = sum((other[2] > 1) == (run[2] > 1) for other in runs) > 1
        where = f"{layers_words(run, every)}{' among others' if others else ''}"
        parts.append(f"{way} {'it' if parts else vas} {_size(table, run, where)}")
    return f"{second} {' and '.join(parts)}{'' if changed else ', though no head alone differs clearly'}"


def _size(table: pd.DataFrame, run: tuple[object, object, float], where: str) -> str:
    """By how much a run of layers changed: all of them by the change of VAS itself, others by their least and most."""
    layers = table.attrs["layers"]
    inside = range_words(run, layers)
    if where != "all layers" and where != "all layers measured":
        return f"{inside} in {where}"
    ratio = table.attrs["ratio"]
    bound = bound_words(ratio, table.attrs["ratio_floored"])
    whole = bound + fold(max(ratio, 1 / ratio))
    return f"{whole} in {where}" if whole == inside else f"{whole}, in {where} {inside.removeprefix(bound)}"


def range_words(run: tuple[object, object, float], layers: pd.DataFrame) -> str:
    """The least and the most by which layers of a run changed, and whether that is a bound: a layer at the floor is
    not seen beyond it.
    """
    order = list(layers["layer"])
    rows = layers.iloc[order.index(run[0]) : order.index(run[1]) + 1]
    ratios = rows["ratio"].to_numpy(dtype=float)
    sizes = np.maximum(ratios, 1 / ratios)
    bounds: set[str] = set()
    if "first_floored" in rows:
        shares = zip(rows["first_floored"], rows["second_floored"], strict=True)
        bounds = {
            bound_words(ratio, (float(a), float(b))) for ratio, (a, b) in zip(ratios, shares, strict=True)
        }
    bounds -= {""}
    # a size that is exact is at least, and at most, what it is
    bound = "" if not bounds else bounds.pop() if len(bounds) == 1 else "nominally "
    low, high = fold(float(sizes.min())), fold(float(sizes.max()))
    if low == high:
        return bound + low
    if low.startswith("by ") and high.startswith("by "):
        return f"{bound}{low} to {high.removeprefix('by ')}"
    return f"{bound}{low.removesuffix('fold') if low.endswith('fold') else low} to {high}"


def layers_words(run: tuple[object, object, float], every: Sequence[object]) -> str:
    """Which of `every` layer a run of neighbouring ones is (see `changed_layers`); layers between that were not
    measured are not claimed.
    """
    if run[0] == run[1]:
        return f"layer {run[0]}"
    own = list(every)[list(every).index(run[0]) : list(every).index(run[1]) + 1]
    whole = all(not isinstance(a, int) or b == a + 1 for a, b in pairwise(map(_plain, own)))
    if len(own) == len(every):
        return "all layers" if whole else "all layers measured"
    return f"layers {run[0]}–{run[1]}" if whole else f"the layers measured from {run[0]} to {run[1]}"


def _plain(layer: object) -> object:
    """A number of numpy as Python's."""
    return layer.item() if isinstance(layer, np.generic) else layer


def _share(some: int, n: int) -> str:
    return f"{percent(some / n)} of heads" if n >= 100 else f"{some} of {counted(n, 'head')}"


def differ_words(table: pd.DataFrame) -> str:
    """How many heads changed, above the map of the change."""
    n = int(table["p"].notna().sum())
    changed = int(table["changed"].sum())
    return f"{_share(changed, n)} {'differs' if changed == 1 and n < 100 else 'differ'}" if n else "no test"


def subtitle_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Metric, model, data, n, decoding, query set."""
    said = table.attrs["vas"]
    n = int(table["n_items"].max())
    decoding = words.get("decoding") if said["queries"] == "response" else "no decoding"
    return dotted(
        [
            f"Visual Attention Score per head, {said['form_words']}",
            f"{words.get('data') or 'data not named'}, same {counted(n, 'item')}",
            f"queries: {said['query_words']}",
            decoding or "decoding not stated",
            "line: median over heads, band: interquartile range",
        ]
    )


def _whole_words(table: pd.DataFrame) -> str:
    """The change over all layers and heads, with its interval."""
    ratio, (low, high) = table.attrs["ratio"], table.attrs["ratio_ends"]
    bound = bound_words(ratio, table.attrs["ratio_floored"])
    return f"Over all layers and heads: {bound}{times_text(ratio)} (95% CI {times_text(low)} to {times_text(high)})."


def foot_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Definition, what is pale, what was left out, run id."""
    n = int(table["n_items"].max())
    sentences = [
        f"{Definition.of(table.attrs['vas']).formula} (log₂ scale, same in both maps); bars count heads.",
    ]
    if n > 1:
        over = "pictures" if table.attrs.get("clustered") else f"{n:,} items"
        sentences.append(
            f"Pale cells: no significant change (paired, jackknife t over {over}, FDR 5% over heads; intervals in "
            "hover and table: 95%, by the same t)."
        )
        sentences.append("Title: layers whose mean over heads changed, FDR 5% over layers.")
        sentences.append(_whole_words(table))
    else:
        sentences.append("One item: no test and no interval; every change is pale.")
    if len(table) > MANY:
        sentences.append(f"More than {MANY:,} heads: only the map of the change tells intervals on hover.")
    low = [
        f"{name} {percent(share)}"
        for name, share in zip(("first", "second"), table.attrs["floored"], strict=True)
        if share > FLOORED
    ]
    if low:
        sentences.append(
            f"System mass below 1e-6, taken as 1e-6, so that VAS is a bound: {', '.join(low)} of rows."
        )
    lost = int(table["ratio"].isna().sum())
    if lost:
        sentences.append(
            f"{counted(lost, 'head')} without a value in one of the two: hatched, left out of both."
        )
    if table.attrs["lost"]:
        sentences.append(table.attrs["lost"])
    if table["changed"].any():
        sentences.append("Square: the head that changed most.")
    sentences.append("VAS is a ratio: read the decomposition for which part moved.")
    sentences.append(unbroken(f"Runs {words.get('run') or 'not named'}."))
    return " ".join(sentences)

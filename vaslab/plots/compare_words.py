"""What the compare figure says: its finding, subtitle and foot."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from vaslab.plots.compare_numbers import changed_layers
from vaslab.plots.text import counted, dotted, fold, percent, shortened, unbroken

MANY = 1000
"""Heads beyond which only one of the maps carries the numbers of its hover boxes."""


def title_of(table: pd.DataFrame, names: tuple[str, str]) -> str:
    """The finding: in which layers the second checkpoint has more and less VAS, or that none can be told."""
    first, second = (shortened(name, 260, 13) for name in names)
    known = table["p"].notna()
    if not known.any():
        return f"{second} against {first}: too few items to tell any change"
    changed = int(table["changed"].sum())
    if changed == 0:
        return f"No head of {second} differs clearly from {first}"
    runs = changed_layers(table.attrs["layers"])
    every = list(table.attrs["layers"]["layer"])
    rise = next((run for run in runs if run[2] > 1), None)
    fall = next((run for run in runs if run[2] < 1), None)
    if rise is None and fall is None:
        share = _share(changed, int(known.sum()))
        return f"{second} differs from {first} in {share}, but in no layer as a whole"
    parts = []
    if rise is not None:
        parts.append(f"raises VAS {fold(rise[2])} in {layers_words(rise, every)}")
    if fall is not None:
        parts.append(
            f"lowers it {fold(1 / fall[2])} in {layers_words(fall, every)}"
            if parts
            else f"lowers VAS {fold(1 / fall[2])} in {layers_words(fall, every)}"
        )
    return f"{second} {' and '.join(parts)}"


def layers_words(run: tuple[object, object, float], every: Sequence[object]) -> str:
    """Which of `every` layer a run of neighbouring ones is (see `changed_layers`)."""
    if run[0] == every[0] and run[1] == every[-1]:
        return "all layers" if len(every) > 1 else f"layer {run[0]}"
    return f"layer {run[0]}" if run[0] == run[1] else f"layers {run[0]}–{run[1]}"


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


def foot_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Definition, what is pale, what was left out, run id."""
    n = int(table["n_items"].max())
    sentences = [
        "VAS = attention on image tokens ÷ attention on system tokens (log₂ scale, same in both maps); "
        "bars count heads.",
    ]
    if n > 1:
        over = "pictures" if table.attrs.get("clustered") else f"{n:,} items"
        sentences.append(
            "Pale cells: no significant change (paired by item, jackknife t test, FDR 5% over heads; intervals in "
            f"hover and table: paired bootstrap over {over})."
        )
        sentences.append("Title: layers whose mean over heads changed, FDR 5% over layers.")
    else:
        sentences.append("One item: no test and no interval; every change is pale.")
    if len(table) > MANY:
        sentences.append(f"More than {MANY:,} heads: only the map of the change tells intervals on hover.")
    clamped = float(table.attrs["vas"].get("clamped_share", 0.0))
    if clamped > 0.01:
        sentences.append(
            f"Second: {percent(clamped)} of rows have a system mass below 1e-6, taken as 1e-6: a bound."
        )
    lost = int(table["ratio"].isna().sum())
    if lost:
        sentences.append(f"{counted(lost, 'head')} without a value in one of the two: hatched, not counted.")
    sentences.append(
        "Square: the head that changed most. VAS is a ratio: read the decomposition for which part moved."
    )
    sentences.append(unbroken(f"Runs {words.get('run') or 'not named'}."))
    return " ".join(sentences)

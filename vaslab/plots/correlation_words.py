"""What the correlation figure says: which heads and layers track accuracy, subtitle and foot."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vaslab.metrics import Definition
from vaslab.plots.levels import FALSE_FINDINGS
from vaslab.plots.text import coefficient, counted, dotted, p_text, unbroken
from vaslab.statistics.permutation import least_p, needed_together

NAMED = 4
"""Heads that a sentence names."""
FEW = 0.1
"""Share of heads that must be as clear as can be, for any to be found, above which checkpoints are called too few."""
MANY = 1000
"""Heads beyond which hover boxes tell r alone."""


def strongest(table: pd.DataFrame, found: bool = True) -> pd.DataFrame:
    """Rows that were found (or all that have an r), the smallest p first: of as many checkpoints, the largest |r|."""
    rows = table[table["found"] if found else table["r"].notna()]
    order = np.lexsort((-np.abs(rows["r"].to_numpy(dtype=float)), rows["p"].to_numpy(dtype=float)))
    return rows.iloc[order]


def title_of(table: pd.DataFrame) -> str:
    """The finding: how many heads track accuracy, which way, and the strongest by name."""
    named = _named(table)
    tested = int(table["r"].notna().sum())
    n = table.attrs["n_checkpoints"]
    if not tested:
        return f"No head has a correlation of {named} and accuracy over {n} checkpoints"
    rows = strongest(table)
    if rows.empty:
        if needed_together(n, tested, FALSE_FINDINGS) > max(1, FEW * tested):
            few = f"p is {least_p(n)} at best, too much for one of {counted(tested, 'head')} alone"
            return f"{n} checkpoints do not tell whether any head's {named} tracks accuracy: {few}"
        return f"No head's {named} clearly tracks accuracy over {n} checkpoints ({tested:,} tested)"
    up, down = (int((sign * rows["r"] > 0).sum()) for sign in (1, -1))
    best = rows.iloc[0]
    lead = f"{named} of {_heads(up or down, tested)} {'rises' if up else 'falls'} with accuracy"
    more = f", that of {down} falls" if up and down else ""
    return f"{lead}{more}; most clearly {head_words(best)}"


def _heads(some: int, n: int) -> str:
    return f"all {n:,} heads" if some == n and n > 1 else f"{some:,} of {counted(n, 'head')}"


def head_words(row: Mapping[Any, Any] | pd.Series) -> str:
    """A head by its name and its r: layer 3 head 5 (r = 0.97)."""
    return f"layer {row['layer']} head {row['head']} (r = {coefficient(row['r'])})"


def interval_words(row: Mapping[Any, Any] | pd.Series) -> str:
    """A head, or a layer, with both intervals and its false discovery rate."""
    name = f"layer {row['layer']}" + (f" head {row['head']}" if "head" in row else "")
    few = f", n = {row['n']} checkpoints (not {row['lacking']})" if row["lacking"] else ""
    if not np.isfinite(row["r"]):
        return f"{name}: no r{few}"
    text = (
        f"{name}: r = {coefficient(row['r'])} (95% CI {coefficient(row['low'])} to {coefficient(row['high'])}"
    )
    if np.isfinite(row["items_low"]):
        text += f"; by items {coefficient(row['items_low'])} to {coefficient(row['items_high'])}"
    return f"{text}), false discovery rate {p_text(row['p_adjusted'])}{few}"


def _together_words(table: pd.DataFrame) -> list[str]:
    """That so few checkpoints find no head alone."""
    n, tested = table.attrs["n_checkpoints"], int(table["r"].notna().sum())
    least = needed_together(n, tested, FALSE_FINDINGS) if tested else 1
    if least < 2:
        return []
    return [f"p is {least_p(n)} at best: no head is found unless {least} of {tested} are that clear."]


def fewer_words(table: pd.DataFrame) -> str:
    """Which heads and layers stand on fewer checkpoints than the others; "" where none does."""
    layers, told = table.attrs["layers"], []
    for rows, one in ((table, "head"), (layers, "layer")):
        low = rows[(rows["lacking"] != "") & rows["r"].notna()]
        if not low.empty:
            n = f"{low['n'].min()}" if low["n"].nunique() == 1 else f"{low['n'].min()} to {low['n'].max()}"
            told.append(f"{counted(len(low), one)} over {n}")
    if not told:
        return ""
    return (
        f"r of fewer than {table.attrs['n_checkpoints']} checkpoints, others lack a value: {', '.join(told)}."
    )


def layers_of(table: pd.DataFrame) -> str:
    """Which layers' mean VAS tracks accuracy, in one sentence."""
    layers = table.attrs["layers"]
    rows = layers[layers["found"]]
    if rows.empty:
        return f"No layer's mean {_named(table)} clearly tracks accuracy."
    told = "; ".join(interval_words(row) for row in strongest(layers).to_dict("records"))
    return f"By layer, mean over heads: {told}."


def _named(table: pd.DataFrame) -> str:
    return Definition.of(table.attrs["vas"]).name


def subtitle_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Metric and its form, checkpoints, data, n, query set, decoding."""
    said = table.attrs["vas"]
    return dotted(
        [
            f"Pearson r of log₂ {_named(table)} of each head and accuracy",
            counted(table.attrs["n_checkpoints"], "checkpoint"),
            f"{words.get('data') or 'data not named'}, n = {table.attrs['n_items']:,} items",
            f"queries: {said['query_words']}",
            f"answers: {words.get('decoding') or 'decoding not stated'}",
        ]
    )


def foot_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """What is a small square, what the bars are, both kinds of interval, what has no value, run ids."""
    n = table.attrs["n_checkpoints"]
    sentences = [
        f"{Definition.of(table.attrs['vas']).formula}.",
        "Small squares: not told from 0: the interval (Fisher z) holds it, or the false discovery rate over heads is "
        "above 5% (permutation, Benjamini and Hochberg).",
        "Above: r of each layer's mean over heads, with 95% intervals over checkpoints (Fisher z); filled at FDR 5% "
        "over layers.",
        f"With {n} checkpoints only a high |r| is found: a small square is no absence.",
        *_together_words(table),
    ]
    over = "pictures" if table.attrs["clustered"] else "items"
    if table["items_low"].notna().any():
        where = "Hover and table also hold" if len(table) <= MANY else "The table also holds"
        sentences.append(f"{where} what other {over} would make of r (jackknife t).")
    if len(table) > MANY:
        sentences.append(f"More than {MANY:,} heads: all but r stands in the table, not on hover.")
    if table.attrs["unequal"]:
        sentences.append(f"Checkpoints stand on {table.attrs['unequal']}.")
    fewer = fewer_words(table)
    if fewer:
        sentences.append(f"Crossed: {fewer[0].lower()}{fewer[1:]}")
    lost = int(table["r"].isna().sum())
    if lost:
        sentences.append(f"{counted(lost, 'head')} without r: hatched, not tested.")
    sentences.append("A correlation across checkpoints; not a causal estimate.")
    sentences.append(unbroken(f"Runs {words.get('run') or 'not named'}."))
    return " ".join(sentences)

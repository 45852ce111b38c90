"""What the training figure says: its finding, subtitle and foot."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vaslab.metrics import Definition
from vaslab.plots.compare_numbers import changed_layers
from vaslab.plots.compare_words import layers_words, range_words
from vaslab.plots.text import (
    FLOORED,
    bound_words,
    counted,
    dotted,
    fold,
    levels_by,
    percent,
    unbroken,
)

CLEAR = 0.05


def title_of(table: pd.DataFrame) -> str:
    """The finding: what training did to VAS by its last step, where, and what became of accuracy."""
    steps = table.attrs["steps"]
    last = steps.iloc[-1]
    if len(steps) == 1:
        return f"One checkpoint, at step {last['step']:,}: no change to show"
    if not steps["vas_ratio_p"].notna().any():
        return f"{counted(len(steps), 'checkpoint')} of training: too few items to tell any change of {_vas(table)}"
    return _of_vas(table, steps) + _of_accuracy(last)


def _vas(table: pd.DataFrame) -> str:
    return Definition.of(table.attrs["vas"]).name


def _of_vas(table: pd.DataFrame, steps: pd.DataFrame) -> str:
    first, last, vas = steps.iloc[0], steps.iloc[-1], _vas(table)
    if last["vas_ratio_changed"]:
        way = "raises" if last["vas_ratio"] > 1 else "lowers"
        text = f"Training {way} {vas} {_size(first, last)} by step {last['step']:,}"
        return text + _where(table[table["step"] == last["step"]], bool(last["vas_ratio"] > 1))
    clear = steps[steps["vas_ratio_changed"]]
    if clear.empty:
        return f"No clear change of {vas} over {last['step']:,} steps of training"
    most = clear.loc[np.log(clear["vas_ratio"]).abs().idxmax()]
    way = "higher" if most["vas_ratio"] > 1 else "lower"
    size = _size(first, most)
    return f"{vas} is {size} {way} at step {most['step']:,}, but not clearly changed at step {last['step']:,}"


def _size(first: pd.Series, row: pd.Series) -> str:
    ratio = float(row["vas_ratio"])
    return bound_words(ratio, (first["floored"], row["floored"])) + fold(max(ratio, 1 / ratio))


def _where(rows: pd.DataFrame, rise: bool) -> str:
    """In which neighbouring layers the last step changed, the same way as the whole and against it."""
    every, runs = list(rows["layer"]), changed_layers(rows)
    own = [run for run in runs if (run[2] > 1) == rise]
    against = [run for run in runs if (run[2] > 1) != rise]
    text = ", in no layer alone"
    if own:
        where = layers_words(own[0], every)
        text = f", in {where}" if len(own) == 1 else f", among others in {where}"
        if where.startswith("all layers"):
            size = range_words(own[0], rows)
            text += f" {size}" if " to " in size else ""
    if against:
        where = layers_words(against[0], every)
        text += f", but {'falls' if rise else 'rises'} in {where}{' and others' if len(against) > 1 else ''}"
    return text


def _of_accuracy(last: pd.Series) -> str:
    p = last["accuracy_change_p"]
    if not np.isfinite(p):
        return ""
    if p >= CLEAR:
        return "; accuracy is not clearly changed"
    change = 100 * float(last["accuracy_change"])
    return f"; accuracy {'rises' if change > 0 else 'falls'} {abs(change):.1f} points"


def subtitle_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Metric, model, data, n, query set, decoding."""
    said = table.attrs["vas"]
    steps = table.attrs["steps"]
    return dotted(
        [
            f"Visual Attention Score along training, {said['form_words']}",
            ", ".join(filter(None, (words.get("model"), counted(len(steps), "checkpoint")))),
            f"{words.get('data') or 'data not named'}, same {counted(int(steps['n_items'].max()), 'item')}",
            f"queries: {said['query_words']}",
            f"answers: {words.get('decoding') or 'decoding not stated'}",
        ]
    )


def foot_of(table: pd.DataFrame, words: Mapping[str, Any], log: bool) -> str:
    """Definition, what is pale, bars and tests, what has no value, run id."""
    steps = table.attrs["steps"]
    first = steps["step"].iloc[0]
    sentences = [
        f"{Definition.of(table.attrs['vas']).formula}. Colour: VAS of a layer (mean over its heads) "
        f"over that at step {first:,}, log₂ scale."
    ]
    clustered, n = bool(table.attrs.get("clustered")), int(steps["n_items"].max())
    if n > 1:
        over = "pictures" if clustered else "items"
        sentences.append(
            f"Bars: 95% intervals {levels_by(clustered, n)}. Pale cells: no significant change (paired, jackknife t "
            f"over {over}, FDR 5% over all steps and layers; intervals on hover: 95%, by the same t)."
        )
    else:
        sentences.append("One item: no interval and no test; every change is pale.")
    if log:
        sentences.append("Steps on a log scale" + ("; step 0 stands apart." if first == 0 else "."))
    low = steps[steps["floored"] > FLOORED]
    if not low.empty:
        told = ", ".join(
            f"step {row['step']:,} {percent(row['floored'])}" for row in low.to_dict("records")[-3:]
        )
        sentences.append(f"System mass below 1e-6, taken as 1e-6, so that VAS is a bound: {told} of rows.")
    lost = int(table["ratio"].isna().sum())
    if lost:
        sentences.append(f"{counted(lost, 'cell')} without a value: hatched.")
    if table.attrs["lost"]:
        sentences.append(table.attrs["lost"])
    sentences.append(unbroken(f"Run {words.get('run') or 'not named'}."))
    return " ".join(sentences)

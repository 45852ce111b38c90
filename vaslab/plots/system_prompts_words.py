"""What the system-prompt figure says: its finding, subtitle and foot."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from vaslab.metrics import Definition
from vaslab.plots.text import (
    FLOORED,
    bound_words,
    counted,
    dotted,
    levels_by,
    percent,
    points,
    shortened,
    times_text,
    unbroken,
)


def title_of(table: pd.DataFrame) -> str:
    """The finding: does VAS, and does accuracy, move with the system prompt, and how far at most?"""
    others = table[table["prompt"] != table.attrs["reference"]]
    if others.empty:
        return "One system prompt: nothing to compare"
    if not others["vas_ratio_p"].notna().any():
        return f"{counted(len(others), 'comparison')} of system prompts: too few items to tell any change"
    graded = bool(others["accuracy_change_p"].notna().any())
    said = table.attrs["vas"]
    name = Definition.of(said).name
    vas = _largest(others[others["vas_ratio_changed"]], "vas_ratio", log=True)
    right = _largest(others[others["accuracy_change_changed"]], "accuracy_change", log=False)
    moved = (
        ""
        if vas is None
        else f"{name} by {_times(vas, 'vas_ratio', table)} ({_who(vas, table)}){_against(vas, table)}"
    )
    scored = (
        ""
        if right is None
        else f"accuracy by up to {points(right['accuracy_change'])} points ({_who(right, table)})"
    )
    if moved and scored:
        return f"The system prompt moves {moved}, and {scored}"
    if moved:
        return f"The system prompt moves {moved}" + ("; accuracy is not clearly changed" if graded else "")
    if scored:
        return f"The system prompt moves {scored}; {name} is not clearly changed"
    return f"No system prompt clearly changes {name}" + (" or accuracy" if graded else "")


def _against(row: pd.Series, table: pd.DataFrame) -> str:
    """The change per token of the prompt that a title names, where it clearly goes the other way."""
    other = row["vas_per_token_ratio"]
    if not row["vas_per_token_ratio_changed"] or (other > 1) == (row["vas_ratio"] > 1):
        return ""
    return f", but per token {change_bound(row, 'vas_per_token_ratio', table)}{times_text(other)}"


def per_token_of(table: pd.DataFrame) -> str:
    """Whether VAS divided by the numbers of tokens moves less: one sentence, or "" where there was no test."""
    others = table[table["prompt"] != table.attrs["reference"]]
    if not others["vas_per_token_ratio_p"].notna().any():
        return ""
    found = _largest(others[others["vas_per_token_ratio_changed"]], "vas_per_token_ratio", log=True)
    name = replace(Definition.of(table.attrs["vas"]), per_token=True).name
    if found is None:
        return f"No system prompt clearly changes {name}."
    return f"{name} moves by {_times(found, 'vas_per_token_ratio', table)} ({_who(found, table)})."


def _times(row: pd.Series, name: str, table: pd.DataFrame) -> str:
    """The largest change of VAS; a bound where it rests on the floor of the denominator under one of the prompts."""
    return f"{change_bound(row, name, table) or 'up to '}{times_text(row[name])}"


def change_bound(row: Mapping[Any, Any] | pd.Series, name: str, table: pd.DataFrame) -> str:
    """What stands before a change of VAS that rests on the floor under one of its prompts; see `bound_words`."""
    own = table[(table["checkpoint"] == row["checkpoint"]) & (table["prompt"] == table.attrs["reference"])]
    return bound_words(row[name], (float(own["clamped_share"].iloc[0]), float(row["clamped_share"])))


def level_bound(row: Mapping[Any, Any] | pd.Series) -> str:
    """≥ before a VAS that rests on the floor of its denominator."""
    return "≥ " if row["clamped_share"] > FLOORED else ""


def _largest(rows: pd.DataFrame, name: str, log: bool) -> pd.Series | None:
    if rows.empty:
        return None
    values = rows[name].to_numpy(dtype=float)
    return rows.iloc[int(np.abs(np.log(values) if log else values).argmax())]


def _who(row: pd.Series, table: pd.DataFrame) -> str:
    prompt = shortened(str(row["prompt"]), 200, 13)
    way = ""
    if table["checkpoint"].nunique() > 1:
        way = f", {shortened(str(row['checkpoint']), 160, 13)}"
    return f"{prompt}{way}"


def subtitle_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Metric, checkpoints, data, n, query set, decoding."""
    said = table.attrs["vas"]
    names = list(dict.fromkeys(table["checkpoint"]))
    return dotted(
        [
            f"VAS ({said['form_words']}) and accuracy under {counted(table['prompt'].nunique(), 'system prompt')}",
            names[0] if len(names) == 1 else counted(len(names), "checkpoint"),
            f"{words.get('data') or 'data not named'}, same {counted(int(table['n_items'].max()), 'item')}",
            f"queries: {said['query_words']}",
            f"answers: {words.get('decoding') or 'decoding not stated'}",
        ]
    )


def foot_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Definition, what bars and filled points mean, what has no value, run id."""
    n = int(table["n_items"].max())
    over = "pictures" if table.attrs["clustered"] else counted(n, "item")
    sentences = [
        f"{Definition.of(table.attrs['vas']).formula}; per token: each divided by its number of tokens.",
        f"Changes against the prompt {shortened(str(table.attrs['reference']), 200, 12.5)} (line), whose levels stand "
        "beside its points.",
        f"Bars: 95% intervals, paired over {over} (jackknife t of VAS; score of accuracy); "
        "filled: changed at FDR 5% by the same tests. "
        f"Intervals of levels, on hover: 95% {levels_by(table.attrs['clustered'], n)}."
        if n > 1
        else "One item: no interval and no test.",
    ]
    low = table[table["clamped_share"] > FLOORED]
    if not low.empty:
        told = ", ".join(
            f"{row['prompt']}, {row['checkpoint']} {percent(row['clamped_share'])}"
            for row in low.to_dict("records")
        )
        sentences.append(f"Denominators below 1e-6, taken as 1e-6, so that VAS is a bound: {told}.")
    if table.attrs["heads"]:
        sentences.append(f"VAS of every run is over {table.attrs['heads']}.")
    lost = int(table["vas_ratio"].isna().sum())
    if lost:
        sentences.append(f"{counted(lost, 'run')} without VAS: marked by a cross.")
    sentences.append(unbroken(f"Runs {words.get('run') or 'not named'}."))
    return " ".join(sentences)

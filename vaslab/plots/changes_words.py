"""What the decomposition figure says: its finding, subtitle and foot."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vaslab.metrics import Definition
from vaslab.metrics.selection import QUERY_WORDS
from vaslab.plots.changes_numbers import FORMS
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

CLEAR = 0.05 / len(FORMS)
"""p below which a change is stated: 5 %, shared by the two forms of VAS that the title speaks of."""


def title_of(table: pd.DataFrame, names: tuple[str, str]) -> str:
    """The finding over all layers: how VAS changed in both forms, and which part carries it, by the t tests."""
    row = table.iloc[-1].to_dict()
    first, second = (shortened(name, 260, 13) for name in names)
    if not np.isfinite(row["ratio_of_means"]):
        return f"{second} against {first}: VAS is undefined over all layers"
    if not np.isfinite(row["ratio_of_means_p"]):
        return f"{second} against {first}: too few items to tell what changed VAS"
    said = {form: _change(table, row, form) for form in FORMS}
    calm = [form for form in FORMS if not said[form]]
    if len(calm) == len(FORMS):
        if _clear(row, "visual") and _clear(row, "system"):
            both = f"{_moves(row, 'visual')} and {_moves(row, 'system')}"
            return f"VAS of {second} is not clearly changed in either form: {both}"
        return f"No clear change of VAS from {first} to {second}, as ratio of means or as mean of ratios"
    lead, other = FORMS if said[FORMS[0]] else FORMS[::-1]
    text = f"{second} {'raises' if row[lead] > 0 else 'lowers'} {_named(table, lead)} {said[lead]}"
    if calm:
        return f"{text}; {_named(table, other)} is not clearly changed"
    return f"{text}; {_named(table, other)} {'rises' if row[other] > 0 else 'falls'} {said[other]}"


def _named(table: pd.DataFrame, form: str) -> str:
    return Definition(table.attrs["queries"], form, table.attrs["sink"]).name


def _clear(row: Mapping[Any, Any], name: str) -> bool:
    return bool(row[f"{name}_p"] < CLEAR)


def _moves(row: Mapping[Any, Any], part: str) -> str:
    if part == "visual":
        return f"visual attention {'rises' if row['visual'] > 0 else 'falls'}"
    return f"system attention {'falls' if row['system'] > 0 else 'rises'}"


def _change(table: pd.DataFrame, row: Mapping[Any, Any], form: str) -> str:
    """The size of the change of one form and what carries it; "" where it is not clear."""
    if not _clear(row, form):
        return ""
    total = row[form]
    bound = bound_words(2.0**total, table.attrs["floored"][form])
    text = f"{bound}{fold(2.0 ** abs(total))}"
    if form == "mean_of_ratios":
        spread = row["spread"]
        largest = abs(spread) > max(abs(row["visual"]), abs(row["system"]))
        carried = largest and spread * total > 0 and _clear(row, "spread")
        return (
            f"{text}, mostly because ratios spread differently at the same mean masses" if carried else text
        )
    own = [part for part in ("visual", "system") if _clear(row, part) and row[part] * total > 0]
    against = [part for part in ("visual", "system") if _clear(row, part) and row[part] * total < 0]
    if len(own) == 2:
        if bound not in ("", "at least "):
            return f"{text}: {_moves(row, 'visual')} and {_moves(row, 'system')}"
        # where the system part is a lower bound, the visual share is an upper one
        share = (
            f"at most {percent(row['visual'] / total)}" if bound else _rounded(table.attrs["visual_share"])
        )
        return (
            f"{text}: {share} of it because {_moves(row, 'visual')}, the rest because {_moves(row, 'system')}"
        )
    if len(own) == 1:
        text = f"{text}, because {_moves(row, own[0])}"
        return f"{text}, though {_moves(row, against[0])} too" if against else text
    return f"{text}, and neither mass alone moves clearly"


def _rounded(found: tuple[float, float, float]) -> str:
    """A share with the digits that its interval allows: 8%, about 70%."""
    share, low, high = found
    tenths = round(10 * share)
    return f"about {10 * tenths}%" if high - low > 0.1 and 0 < tenths < 10 else percent(share)


def subtitle_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Metric, data, n, query set."""
    return dotted(
        [
            f"Change of VAS (ratio of means and mean of ratios{_sink(table)}) in its parts, log₂ scale",
            f"{words.get('data') or 'data not named'}, same {counted(int(table['n_items'].max()), 'item')}",
            f"queries: {QUERY_WORDS.get(table.attrs['queries'], table.attrs['queries'])}",
        ]
    )


def _sink(table: pd.DataFrame) -> str:
    """What is left out of the system prompt, where it is."""
    return ", both without the first token" if table.attrs["sink"] == "exclude" else ""


def _sizes(table: pd.DataFrame) -> str:
    """The changes over all layers that the title names, with their intervals."""
    row = table.iloc[-1].to_dict()
    told = []
    for form in FORMS:
        middle, low, high = (times_text(2.0 ** row[f"{form}{end}"]) for end in ("", "_low", "_high"))
        bound = bound_words(2.0 ** row[form], table.attrs["floored"][form])
        text = f"{_named(table, form)} {bound}{middle} (95% CI {low} to {high})"
        if form == "ratio_of_means" and _shared(row):
            share, *ends = table.attrs["visual_share"]
            text += f", {percent(share)} of it visual ({percent(ends[0])} to {percent(ends[1])})"
        told.append(text)
    return f"Over all layers: {'; '.join(told)}."


def _shared(row: Mapping[Any, Any]) -> bool:
    """Whether both masses carry the change of the ratio of means, so that the title tells their shares."""
    total = row["ratio_of_means"]
    both = all(_clear(row, part) and row[part] * total > 0 for part in ("visual", "system"))
    return both and _clear(row, "ratio_of_means")


def foot_of(table: pd.DataFrame, names: tuple[str, str], words: Mapping[str, Any]) -> str:
    """What adds up to what, bounds, intervals and tests, what has no value, run ids."""
    sentences = [
        f"{Definition(table.attrs['queries'], sink=table.attrs['sink']).formula}.",
        f"{names[0]} to {names[1]}: rise of mean visual mass + fall of mean system mass = change of VAS as ratio of "
        "means; + spread of the ratios over queries, items and heads = change of VAS as mean of ratios (the paper's).",
    ]
    low = [
        f"{name} {percent(share)} of query rows"
        for name, share in zip(names, table.attrs["floored"]["mean_of_ratios"], strict=True)
        if share > FLOORED
    ]
    low += [
        f"{name} the mean mass of {counted(layers, 'layer')}"
        for name, layers in zip(names, table.attrs["floored_layers"], strict=True)
        if layers
    ]
    if low:
        sentences.append(f"System mass below 1e-6, taken as 1e-6, so that VAS is a bound: {', '.join(low)}.")
    n = int(table["n_items"].max())
    over = "pictures" if table.attrs["clustered"] else counted(n, "item")
    sentences.append(
        f"Bars and points with 95% intervals, and the title's tests (5% shared by both forms): jackknife t over {over}."
        if np.isfinite(table["ratio_of_means_p"]).any()
        else "Too few items: no intervals and no tests."
    )
    if np.isfinite(table["ratio_of_means_p"].iloc[-1]):
        sentences.append(_sizes(table))
    lost = int(table["ratio_of_means"].iloc[:-1].isna().sum())
    if lost:
        sentences.append(f"{counted(lost, 'layer')} without a value: crossed.")
    if table.attrs["lost_heads"]:
        heads = counted(table.attrs["lost_heads"], "head")
        sentences.append(f"{heads} without a value in one of the two: left out of both.")
    if table.attrs["lost"]:
        sentences.append(table.attrs["lost"])
    sentences.append(unbroken(f"Runs {words.get('run') or 'not named'}."))
    return " ".join(sentences)

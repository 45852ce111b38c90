"""The report's answers to: which layers and heads carry the correlation, and which point at what was asked for?"""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from vaslab.errors import UsageError, VaslabError
from vaslab.plots.correlation import correlation
from vaslab.plots.correlation_numbers import correlation_table
from vaslab.plots.correlation_words import NAMED, fewer_words, interval_words, layers_of, strongest
from vaslab.plots.correlation_words import title_of as correlation_title
from vaslab.plots.localisation import best, hit_words, localisation_figure, title_of
from vaslab.plots.localisation_numbers import localisation_table
from vaslab.plots.page import Section
from vaslab.plots.report_checkpoint import Checkpoint, Told, listed
from vaslab.plots.text import coefficient, counted, p_cell

SHOWN = 10
"""Heads in a table."""


def carries_section(graded: Sequence[Checkpoint], told: Told) -> Section:
    """r of every layer and head with accuracy, with intervals over checkpoints and over items, and FDR."""
    heading = "Which layers and heads carry it?"
    try:
        table = correlation_table(
            {each.name: each.capture for each in graded},
            {each.name: each.right for each in graded},
            told.definition,
            cluster=told.cluster,
        )
    except (UsageError, VaslabError) as error:
        return Section(heading, f"Not answered: {error}.")
    rows = strongest(table)
    words = [layers_of(table)]
    if not rows.empty:
        words.append(f"The clearest heads: {'; '.join(map(interval_words, listed(rows[:NAMED])))}.")
    else:
        nearest = strongest(table, found=False)[:NAMED]
        if not nearest.empty:
            words.append(
                f"The highest |r|, none of them found: {'; '.join(map(interval_words, listed(nearest)))}."
            )
    fewer = fewer_words(table)
    if fewer:
        words.append(fewer)
    words.append(
        f"Intervals are over checkpoints (Fisher z); “by items” is what other {told.over} would make of r, the "
        f"checkpoints kept (jackknife t). With {counted(len(graded), 'checkpoint')} a head is found only if its |r| is "
        "high: not found is not absent."
    )
    figure = correlation(table, data=told.data, decoding=told.decoding, run=told.run)
    return Section(heading, f"{correlation_title(table)}.", words, [_layers(table)], [figure])


def _layers(table: pd.DataFrame) -> pd.DataFrame:
    layers = table.attrs["layers"]
    found = table.groupby("layer", sort=False)["found"].sum()
    return pd.DataFrame(
        {
            "layer": layers["layer"],
            "r of the layer's mean VAS (mean of ratios)": [_with(row, "") for row in listed(layers)],
            f"by {'pictures' if table.attrs['clustered'] else 'items'}": [
                _between(row["items_low"], row["items_high"]) for row in listed(layers)
            ],
            "checkpoints": layers["n"],
            "p": [p_cell(p) for p in layers["p"]],
            "false discovery rate": [p_cell(p) for p in layers["p_adjusted"]],
            "heads at FDR 5 %": [int(found[layer]) for layer in layers["layer"]],
        }
    )


def _with(row: dict, name: str) -> str:
    if row["r"] != row["r"]:
        return "–"
    return f"{coefficient(row['r'])} {_between(row[f'{name}low'], row[f'{name}high'])}"


def _between(low: float, high: float) -> str:
    return "–" if low != low else f"[{coefficient(low)}, {coefficient(high)}]"


def points_section(ordered: Sequence[Checkpoint], told: Told) -> Section | None:
    """Which heads point at the place that a question asks for; None where no region was measured."""
    held = [each for each in ordered if each.pointed is not None]
    if not held:
        return None
    words: list[str] = []
    rows: list[dict[str, str]] = []
    figures: list[go.Figure] = []
    for each in held:
        assert each.pointed is not None
        table = localisation_table(each.pointed, told.cluster)
        words.append(f"{each.name}: {title_of(table)}.")
        rows += [
            {
                "checkpoint": each.name,
                "head": f"layer {row['layer']} head {row['head']}",
                "looks most at the region in": hit_words(row),
                "by area": f"{100 * row['chance']:.0f}%",
                "attention inside": f"{100 * row['inside']:.0f}%",
                "false discovery rate": p_cell(row["p_adjusted"]),
            }
            for row in listed(best(table)[: max(2, SHOWN // len(held))])
        ]
        if not figures:
            figures.append(localisation_figure(table, model=each.name, data=told.data, run=told.run))
    return Section(
        "Which heads look at what was asked for?",
        words[0] if len(held) == 1 else "",
        words[1:] if len(held) == 1 else words,
        [pd.DataFrame(rows)] if rows else [],
        figures,
    )

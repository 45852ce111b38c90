"""The training-log figure: VAS and the two masses of the batches that a trainer saw, step by step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from vaslab.errors import UsageError, VaslabError
from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.text import (
    FLOORED,
    bound_words,
    counted,
    dotted,
    fold,
    level_ticks,
    p_text,
    percent,
    power_text,
    round_ticks,
    unbroken,
    vas_words,
)
from vaslab.prompts.roles import MASS_FLOOR
from vaslab.statistics import correlate
from vaslab.statistics.correlation import FEWEST

Floats = NDArray[np.float64]

LEFT, WIDTH, STRIP, GAP = 84, 840, 140, 40
CLEAR = 0.05
VAS = vas_words("mean_of_ratios")
COLUMNS = {
    "vas": ("agto/vas", "vars/raw"),
    "visual": ("agto/visual_mass", "vars/visual_mass"),
    "system": ("agto/system_mass", "vars/system_mass"),
    "accuracy": ("rewards/accuracy/mean",),
}
"""What is drawn, and how the trainers of supervised and of reinforcement learning call it."""
INKS = {"vas": None, "visual": "#c65a17", "system": "#30679c", "accuracy": "#0b7a75"}
HEADINGS = {
    "accuracy": "accuracy of the answers drawn",
    "vas": "VAS",
    "visual": "visual mass",
    "system": "system mass",
}


def training_log_table(log: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """What a trainer logged about attention, one row a line of its log.

    Args:
        log: `log_history` of a trainer_state.json that `avar sft` or `avar grpo` wrote.

    Returns:
        Columns step, vas (mean of ratios: of the queries of each batch, or, in reinforcement learning, of the tokens
        drawn), visual, system (mean masses), accuracy (of the answers drawn; NaN in supervised training). `attrs`:
        kind, "sft" or "grpo".

    Raises:
        UsageError: no line says VAS.
    """
    lines = [line for line in log if any(name in line for name in COLUMNS["vas"])]
    if not lines:
        raise UsageError("no line of the log says VAS; it is written by avar sft and avar grpo alone")
    rows = [
        {"step": int(line["step"])}
        | {
            name: next((float(line[key]) for key in keys if key in line), np.nan)
            for name, keys in COLUMNS.items()
        }
        for line in lines
    ]
    table = pd.DataFrame(rows).sort_values("step", kind="stable").reset_index(drop=True)
    table.attrs["kind"] = "sft" if COLUMNS["vas"][0] in lines[0] else "grpo"
    return table


def training_log(table: pd.DataFrame, theme: str = "light", run: str | None = None) -> go.Figure:
    """Lines over x training step: accuracy where it was logged, VAS on a log2 axis, visual and system mass.

    Points are single lines of the log, the line their running mean over a tenth of the log. The log holds no layers:
    measure checkpoints, and draw `training`, for these.

    Args:
        table: result of `training_log_table`.
        theme: "light" or "dark". run: words for the foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme.
    """
    look = themes.named(theme)
    panels = [["vas"], ["visual", "system"]]
    if table["accuracy"].notna().any():
        panels.insert(0, ["accuracy"])
    canvas = Canvas(look, LEFT + WIDTH + EDGE, title_of(table), _subtitle(table), _foot(table, run))
    canvas.close(len(panels) * (STRIP + GAP) + 30)
    for number, names in enumerate(panels, start=1):
        top = canvas.body_at + 20 + (number - 1) * (STRIP + GAP)
        _panel(canvas, number, top, table, names, last=number == len(panels))
    bottom = canvas.body_at + len(panels) * (STRIP + GAP) + 16
    canvas.text("training step", LEFT + WIDTH / 2, bottom, xanchor="center")
    return canvas.figure


def title_of(table: pd.DataFrame) -> str:
    """The finding: does VAS of the batches trend with the step (Spearman), and how far from end to end?"""
    p, rho = trend(table)
    if p is None or rho is None:
        return f"{counted(len(table), 'line')} of a training log: too few, or too equal, to tell a trend of {VAS}"
    if p >= CLEAR:
        return f"No clear trend of {VAS} in the batches of this training"
    smooth = running_mean(table["vas"].to_numpy(dtype=float))
    ratio = float(smooth[-1] / smooth[0])
    if not np.isfinite(ratio) or (ratio > 1) != (rho > 0):
        return f"{VAS} {'rises' if rho > 0 else 'falls'} in the batches of this training, but not from end to end"
    low = running_mean(floored_at_most(table))
    size = bound_words(ratio, (float(low[0]), float(low[-1]))) + fold(max(ratio, 1 / ratio))
    return f"{VAS} {'rises' if rho > 0 else 'falls'} {size} in the batches of this training"


def floored_at_most(table: pd.DataFrame) -> Floats:
    """Largest share of a line's rows that can have had a system mass below 1e-6: the log does not count them, but each
    adds its visual mass times a million to the mean of ratios.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = MASS_FLOOR * table["vas"].to_numpy(dtype=float) / table["visual"].to_numpy(dtype=float)
    return np.nan_to_num(np.minimum(share, 1.0), nan=0.0)


def trend(table: pd.DataFrame) -> tuple[float | None, float | None]:
    """p by permutation and Spearman's rho of VAS and step; None for fewer than 4 lines, or equal ones."""
    part = table[np.isfinite(table["vas"])]
    if len(part) < FEWEST:
        return None, None
    try:
        found = correlate(part["step"].to_numpy(dtype=float), part["vas"].to_numpy(dtype=float), "spearman")
    except VaslabError:
        # all lines say the same: there is no trend to tell
        return None, None
    return found.p, found.estimate


def running_mean(values: Floats) -> Floats:
    """Mean of a tenth of the values around each, without what is missing."""
    half = max(1, len(values) // 20)
    out = np.full(len(values), np.nan)
    for at in range(len(values)):
        part = values[max(0, at - half) : at + half + 1]
        if np.isfinite(part).any():
            out[at] = part[np.isfinite(part)].mean()
    return out


def _subtitle(table: pd.DataFrame) -> str:
    what = (
        "VAS of the guided queries, mean of ratios"
        if table.attrs["kind"] == "sft"
        else "VAS of the tokens drawn, mean of ratios"
    )
    return dotted(
        [
            what,
            f"training batches, {counted(len(table), 'line')} of the log",
            f"steps {table['step'].iloc[0]:,} to {table['step'].iloc[-1]:,}",
        ]
    )


def _foot(table: pd.DataFrame, run: str | None) -> str:
    p, _ = trend(table)
    sentences = [
        "VAS = attention on image tokens ÷ attention on system tokens, over guided layers and heads.",
        "Points: single lines of the log; line: running mean over a tenth of them.",
        "Each line is another batch, so its spread is that of the data: no interval over items.",
    ]
    if p is not None:
        sentences.append(
            f"Trend of VAS: Spearman, p {p_text(p)} by permutation, which takes lines as independent."
        )
    low = floored_at_most(table)
    if low.max() > FLOORED:
        sentences.append(
            f"System mass below 1e-6 counts as 1e-6, so that VAS is a bound: of up to {percent(float(low.max()))} of "
            "the rows of a line, which the log does not count."
        )
    sentences.append("The log holds no layers.")
    sentences.append(unbroken(f"Run {run or 'not named'}."))
    return " ".join(sentences)


def _panel(
    canvas: Canvas, number: int, top: float, table: pd.DataFrame, names: list[str], last: bool
) -> None:
    look = canvas.theme
    steps = table["step"].to_numpy(dtype=float)
    drawn = {}
    for name in names:
        values, smooth = (each(table[name].to_numpy(dtype=float)) for each in (np.asarray, running_mean))
        if name == "vas":
            with np.errstate(divide="ignore", invalid="ignore"):
                values, smooth = (np.where(each > 0, np.log2(each), np.nan) for each in (values, smooth))
        else:
            values, smooth = 100 * values, 100 * smooth
        drawn[name] = (values, smooth)
    every = np.concatenate([values[np.isfinite(values)] for values, _ in drawn.values()])
    least, most = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    pad = max(0.1 * (most - least), 0.05 if names == ["vas"] else 1.0)
    least, most = least - pad, most + pad
    y: dict[str, object] = {"ticksuffix": "%", "nticks": 5}
    if names == ["vas"]:
        ticks = level_ticks(least, most, 5)
        y = {"tickvals": ticks, "ticktext": [power_text(tick) for tick in ticks]}
    wide = max(float(steps[-1] - steps[0]), 1.0)
    whole = [tick for tick in round_ticks(float(steps[0]), float(steps[-1]), 8) if tick == int(tick)]
    on = canvas.axes(
        number,
        LEFT,
        top,
        WIDTH,
        STRIP,
        {
            "range": [float(steps[0]) - 0.02 * wide, float(steps[-1]) + 0.02 * wide],
            "showticklabels": last,
            "ticks": "outside" if last else "",
            "tickvals": whole,
            "ticktext": [f"{tick:,.0f}" for tick in whole],
        },
        {"range": [least, most], "showgrid": True, "gridcolor": look.grid, "fixedrange": True, **y},
    )
    for order, name in enumerate(names):
        ink = look.text if INKS[name] is None else themes.readable(str(INKS[name]), look.background)
        values, smooth = drawn[name]
        unit = "" if name == "vas" else "%"
        shown = table[name].to_numpy(dtype=float) * (1 if name == "vas" else 100)
        canvas.figure.add_scatter(
            x=steps,
            y=values,
            mode="markers",
            marker={
                "size": 4.5,
                "color": themes.faded(ink, 0.4),
                "symbol": "circle" if order == 0 else "square",
            },
            customdata=shown,
            hovertemplate=f"step %{{x:,d}}<br>{HEADINGS[name]} %{{customdata:.3~r}}{unit}<extra></extra>",
            **on,
        )
        canvas.figure.add_scatter(
            x=steps,
            y=smooth,
            mode="lines",
            line={"color": ink, "width": 2.2, "dash": "solid" if order == 0 else "5px,3px"},
            hoverinfo="skip",
            **on,
        )
        mark = "●" if order == 0 else "■"
        canvas.text(f"{mark} {HEADINGS[name]}", LEFT + 140 * order, top - 12, color=ink)

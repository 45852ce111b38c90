"""The sensitivity figure: r of VAS and accuracy over every definition of VAS, as a specification curve."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vaslab.errors import UsageError
from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.sensitivity_words import (
    FLOOR,
    QUESTIONS,
    choices_of,
    floors_differ,
    foot_of,
    subtitle_of,
    title_of,
)
from vaslab.plots.text import coefficient, escape, p_text

LEFT, WIDTH, CURVE, ROW, BETWEEN = 196, 800, 260, 20, 26


def sensitivity(
    table: pd.DataFrame,
    theme: str = "light",
    data: str | None = None,
    run: str | None = None,
) -> go.Figure:
    """Above: r of every definition with its 95 % interval, sorted. Below: what each definition chose.

    Definitions that give the same values up to a factor are one column, marked at the choices of all of them.

    Args:
        table: result of `sensitivity_table`.
        theme: "light" or "dark". data, run: words for subtitle and foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme, or no definition that gives an r.
    """
    look = themes.named(theme)
    drawn = counted_once(table)
    if drawn.empty:
        raise UsageError("no definition of VAS gives an r here; every one leaves fewer than 4 checkpoints")
    asked = [q for q in QUESTIONS if table[q].nunique() > 1 and (q != FLOOR or floors_differ(table))]
    members = table[table["r"].notna()]
    choices = [(question, choice) for question in asked for choice in choices_of(table, question)]
    canvas = Canvas(
        look, LEFT + WIDTH + EDGE, title_of(drawn), subtitle_of(table, drawn, data), foot_of(table, run)
    )
    top = canvas.body_at + 14
    gaps = [sum(1 for q in asked[: asked.index(question)]) * 8 for question, _ in choices]
    below = len(choices) * ROW + (len(asked) - 1) * 8 if choices else 0
    canvas.close(14 + CURVE + BETWEEN + below + 8)
    n = len(drawn)
    x = {"range": [-0.8, n - 0.2], "showticklabels": False, "ticks": "", "fixedrange": True}
    on = canvas.axes(
        1,
        LEFT,
        top,
        WIDTH,
        CURVE,
        x,
        {"range": [-1.06, 1.06], "tickvals": [-1, -0.5, 0, 0.5, 1], "showgrid": True, "gridcolor": look.grid},
    )
    _curve(canvas, drawn, on)
    canvas.text("r", LEFT - 56, top + CURVE / 2, size=15)
    at = np.arange(n)
    on = canvas.axes(
        2,
        LEFT,
        top + CURVE + BETWEEN,
        WIDTH,
        max(below, 1),
        x,
        {"range": [below, 0], "visible": False, "fixedrange": True},
    )
    for row, (question, choice) in enumerate(choices):
        y = row * ROW + gaps[row] + ROW / 2
        chosen = drawn["group"].isin(members.loc[members[question] == choice, "group"]).to_numpy()
        for own, ink in ((~chosen, themes.faded(look.reference, 0.35)), (chosen, look.text)):
            canvas.figure.add_scatter(
                x=at[own],
                y=np.full(int(own.sum()), y),
                mode="markers",
                marker={"symbol": "line-ns-open", "size": 11, "color": ink, "line": {"width": _stroke(n)}},
                hoverinfo="skip",
                **on,
            )
        canvas.text(escape(choice), LEFT - 14, top + CURVE + BETWEEN + y, size=12, xanchor="right")
        if row == 0 or choices[row - 1][0] != question:
            canvas.text(
                f"<b>{escape(question)}</b>", EDGE, top + CURVE + BETWEEN + y, size=12, color=look.muted
            )
    return canvas.figure


def counted_once(table: pd.DataFrame) -> pd.DataFrame:
    """The definitions that have an r, each of those that give the same values once."""
    return table[table["r"].notna() & ~table["repeats"]].reset_index(drop=True)


def _stroke(n: int) -> float:
    return float(np.clip(420 / n, 1.0, 4.0))


def _curve(canvas: Canvas, drawn: pd.DataFrame, on: dict[str, str]) -> None:
    look, n = canvas.theme, len(drawn)
    clear = drawn["clear"]
    canvas.figure.add_scatter(
        x=[-0.8, n - 0.2],
        y=[0, 0],
        mode="lines",
        line={"color": look.reference, "width": 1.2, "dash": "5px,4px"},
        hoverinfo="skip",
        **on,
    )
    hover = [_hover(row) for row in drawn.to_dict("records")]
    for own, ink in ((~clear, look.muted), (clear, themes.on_page("#0b7a75", look))):
        part = drawn[own]
        canvas.figure.add_scatter(
            x=part.index,
            y=part["r"],
            mode="markers",
            marker={
                "size": float(np.clip(480 / n, 4, 9)),
                "color": ink,
                "symbol": "circle" if ink != look.muted else "circle-open",
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": part["high"] - part["r"],
                "arrayminus": part["r"] - part["low"],
                "color": themes.faded(ink, 0.5),
                "thickness": float(np.clip(300 / n, 1, 2.5)),
                "width": 0,
            },
            customdata=[hover[i] for i in part.index],
            hovertemplate="%{customdata}<extra></extra>",
            **on,
        )
    r = drawn["r"].to_numpy(dtype=float)
    for at in np.flatnonzero(drawn["paper"]):
        canvas.figure.add_annotation(
            x=int(at),
            y=r[at],
            xref=on["xaxis"],
            yref=on["yaxis"],
            text="the paper's definition",
            showarrow=True,
            arrowhead=0,
            arrowwidth=1.3,
            arrowcolor=look.text,
            ax=-60 if at > n / 2 else 60,
            ay=46 if r[at] > 0 else -46,
            font={"size": 12, "color": look.text},
            bgcolor=look.background,
            borderpad=2,
        )


def _hover(row: Mapping[Any, Any]) -> str:
    chosen = ", ".join(f"{question} {row[question]}" for question in QUESTIONS)
    return (
        f"<b>r = {coefficient(row['r'])}</b> (95% CI {coefficient(row['low'])} to {coefficient(row['high'])}), "
        f"p {p_text(row['p'])}<br>{escape(chosen)}<br>n = {row['n']} checkpoints"
    )

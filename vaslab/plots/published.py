"""The published figure: what the printed numbers of the paper allow, checked against each other; nothing measured."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.kinds import kind_of, kind_styles
from vaslab.plots.published_numbers import PRINTED_P, PRINTED_R, SOURCE, models_that_fit, published_table
from vaslab.plots.scatter_words import r_words
from vaslab.plots.text import escape, spelled, text_width
from vaslab.statistics import correlate

LEFT, STAGES, ROWS, ROW, BETWEEN = 74, 330, 250, 26, 56


def published(theme: str = "light") -> go.Figure:
    """Left: mean accuracy against VAS over the four published stages. Right: printed averages of the main table and of
    the cold-start table, beside the means of their rows; one that does not recompute is marked.

    Args:
        theme: "light" or "dark".

    Returns:
        A figure of fixed size, labelled as published.

    Raises:
        UsageError: an unknown theme.
    """
    look = themes.named(theme)
    table = published_table()
    stages = table[table["part"] == "stages"]
    # on the scale that is drawn
    r = correlate(np.log2(stages["vas"].to_numpy(dtype=float)), stages["printed"].to_numpy(dtype=float))
    wrong = table[~table["agrees"]]
    names = max(text_width(name, 12.5) for name in table.loc[table["part"] != "stages", "name"]) + 14
    at = LEFT + STAGES + BETWEEN + names
    width = at + ROWS + EDGE + 40
    fit = models_that_fit()
    canvas = Canvas(
        look,
        width,
        f"Published: accuracy rises with VAS over {spelled(len(stages))} stages; {_averages(wrong)}",
        f"Printed in {SOURCE}; published, not measured here · Qwen2.5-VL-7B stages, main table, cold-start table",
        f"Of log₂ VAS and accuracy over the stages, all of one model: {r_words(r)}. "
        f"The printed r = {PRINTED_R} with p = {PRINTED_P * 1e6:.1f} × 10⁻⁶ fits n = {fit} models; their own values "
        "are only in a figure. Filled: printed average of seven benchmarks; ring: mean of the printed row, where it "
        "differs by more than rounding. No intervals are published.",
    )
    parts = [("main", "main table"), ("cold start", "after a cold start on")]
    heights = [float(len(table[table["part"] == part]) * ROW) for part, _ in parts]
    body = 26 + sum(heights) + 62 + 44
    canvas.close(body)
    _stages(canvas, stages, body)
    top = canvas.body_at + 26
    for number, ((part, heading), high) in enumerate(zip(parts, heights, strict=True), start=2):
        canvas.text(f"<b>{heading}</b>", at - names, top - 14)
        _rows(canvas, number, table[table["part"] == part], (at, top, high))
        top += high + 62
    canvas.text("average accuracy", at + ROWS / 2, top - 26, xanchor="center")
    return canvas.figure


def _averages(wrong: pd.DataFrame) -> str:
    if wrong.empty:
        return "every printed average recomputes"
    row = wrong.iloc[0]
    if len(wrong) == 1:
        return f"of {row['name']} the printed average is {row['printed']:.1f}, its row's mean {row['recomputed']:.1f}"
    return f"{spelled(len(wrong))} printed averages do not recompute"


def _stages(canvas: Canvas, stages: pd.DataFrame, body: float) -> None:
    look = canvas.theme
    on = canvas.axes(
        1,
        LEFT,
        canvas.body_at + 26,
        STAGES,
        body - 80,
        {"range": [2.7, 4.6], "tickvals": [3, np.log2(12), 4], "ticktext": ["8", "12", "16"]},
        {"range": [47.5, 57.5], "ticksuffix": "%", "nticks": 6, "showgrid": True, "gridcolor": look.grid},
    )
    x = np.log2(stages["vas"].to_numpy(dtype=float))
    canvas.figure.add_scatter(
        x=x,
        y=stages["printed"],
        mode="lines",
        line={"color": look.reference, "width": 2},
        hoverinfo="skip",
        **on,
    )
    styles = kind_styles([kind_of(name) for name in stages["name"]], look)
    for place, row in zip(x, stages.to_dict("records"), strict=True):
        style = styles[kind_of(row["name"])]
        canvas.figure.add_scatter(
            x=[place],
            y=[row["printed"]],
            mode="markers",
            marker={
                "symbol": style.symbol,
                "size": 12,
                "color": style.line,
                "line": {"width": 1.6, "color": style.line},
            },
            hovertemplate=f"{escape(row['name'])}<br>VAS {row['vas']}<br>accuracy {row['printed']}%<extra></extra>",
            **on,
        )
        canvas.figure.add_annotation(
            x=place,
            y=row["printed"],
            xref=on["xaxis"],
            yref=on["yaxis"],
            text=escape(row["name"]),
            xanchor="left",
            xshift=12,
            yshift=-12,
            showarrow=False,
            font={"size": 12.5, "color": style.text},
        )
    canvas.text("VAS (log₂ scale)", LEFT + STAGES / 2, canvas.body_at + body - 16, xanchor="center")
    canvas.text("<b>stages of one model</b>: mean accuracy", LEFT - 50, canvas.body_at + 10)


def _rows(canvas: Canvas, number: int, rows: pd.DataFrame, place: tuple[float, float, float]) -> None:
    look, (left, top, high) = canvas.theme, place
    ordered = rows.sort_values("printed", kind="stable")
    n = len(ordered)
    on = canvas.axes(
        number,
        left,
        top,
        ROWS,
        high,
        {"range": [36, 58], "nticks": 5, "ticksuffix": "%", "showgrid": True, "gridcolor": look.grid},
        {
            "range": [-0.5, n - 0.5],
            "tickvals": list(range(n)),
            "ticktext": [escape(x) for x in ordered["name"]],
        },
    )
    ink = themes.on_page("#0b7a75", look)
    off = np.flatnonzero(~ordered["agrees"].to_numpy(dtype=bool))
    recomputed = ordered["recomputed"].to_numpy(dtype=float)
    canvas.figure.add_scatter(
        x=ordered["printed"],
        y=np.arange(n),
        mode="markers",
        marker={"size": 10, "color": ink},
        customdata=recomputed,
        hovertemplate="printed %{x}%<br>mean of the row %{customdata:.2f}%<extra></extra>",
        **on,
    )
    if off.size:
        canvas.figure.add_scatter(
            x=recomputed[off],
            y=off,
            mode="markers",
            marker={
                "size": 12,
                "color": themes.on_page("#c2255c", look),
                "symbol": "circle-open",
                "line": {"width": 2.2},
            },
            hovertemplate="mean of the row %{x:.2f}%<extra></extra>",
            **on,
        )

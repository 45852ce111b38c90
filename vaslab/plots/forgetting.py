"""The forgetting figure: does attention on the image decay along the answer, and does it turn where thinking ends?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.forgetting_words import MANY, foot_of, subtitle_of, title_of
from vaslab.plots.run_key import draw_key, key_height, point_styles
from vaslab.plots.strips import band, draw_spread
from vaslab.plots.text import counted, escape

LEFT, WIDTH, HEIGHT, HEAD = 76, 800, 320, 30
BETWEEN = 0.8
"""Steps between the last place of thinking and the first of the answer."""


def forgetting_figure(
    table: pd.DataFrame,
    theme: str = "light",
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
) -> go.Figure:
    """Share of attention on the image, place by place through thinking and answer, one line a checkpoint.

    Of many checkpoints, median and range, and the lines of the outermost slopes.

    Args:
        table: result of `forgetting_table`.
        theme: "light" or "dark". data, decoding, run: words for subtitle and foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme.
    """
    look = themes.named(theme)
    words = {"data": data, "decoding": decoding, "run": run}
    names = _shown(table)
    styles = point_styles(names, look)
    width = LEFT + WIDTH + EDGE + 8
    canvas = Canvas(look, width, title_of(table), subtitle_of(table, words), foot_of(table, words))
    key = key_height(names, width)
    top = canvas.body_at + key + HEAD
    canvas.close(key + HEAD + HEIGHT + 54)
    draw_key(canvas, 2, styles)
    places, ends = _places(table)
    lines = table[table["checkpoint"].isin(names)]
    most = 100 * float(max(table["share"].max(), lines[["share", "share_high"]].max().max()))
    span = (min(places.values()) - 0.5, max(places.values()) + 0.5)
    on = canvas.axes(
        1,
        LEFT,
        top,
        WIDTH,
        HEIGHT,
        {"range": list(span), "tickvals": ends[0], "ticktext": ends[1], "fixedrange": True},
        {
            "range": [0, max(most, 0.1) * 1.06],
            "ticksuffix": "%",
            "nticks": 6,
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
    )
    if table["checkpoint"].nunique() > len(names):
        _every(canvas, table, places, on)
    for name in names:
        own = table[(table["checkpoint"] == name) & table["part"].isin({part for part, _ in places})]
        _line(
            canvas,
            own,
            np.array([places[key] for key in zip(own["part"], own["within"], strict=True)]),
            styles[name],
            on,
        )
    _parts(canvas, places, span, top)
    canvas.text("place in its part", LEFT + WIDTH / 2, top + HEIGHT + 42, xanchor="center")
    canvas.text(
        f"attention on the {table.attrs['role']}", 24, top + HEIGHT / 2, textangle=-90, xanchor="center"
    )
    return canvas.figure


def _shown(table: pd.DataFrame) -> list[str]:
    """The checkpoints that get a line of their own."""
    names = list(dict.fromkeys(table["checkpoint"].astype(str)))
    if len(names) <= MANY:
        return names
    slopes = table.attrs["changes"].dropna(subset="change").sort_values("change", kind="stable")
    chosen = set(slopes["checkpoint"].iloc[[0, -1]]) if len(slopes) else set()
    return [name for name in names if name in chosen]


def _every(
    canvas: Canvas, table: pd.DataFrame, places: dict[tuple[str, float], float], on: dict[str, str]
) -> None:
    """What all checkpoints do, with a gap where thinking ends."""
    wide = table.pivot(index="checkpoint", columns=["part", "within"], values="share")
    held = [place for place in places if wide[place].notna().any()]
    x = np.array([places[place] for place in held])
    turn = [at for at in range(1, len(held)) if held[at][0] != held[at - 1][0]]
    shares = 100 * wide[held].to_numpy(dtype=float)
    draw_spread(
        canvas.figure,
        np.insert(x, turn, [(x[at - 1] + x[at]) / 2 for at in turn]),
        np.insert(shares, turn, np.nan, axis=1),
        canvas.theme,
        on,
    )


def _places(table: pd.DataFrame) -> tuple[dict[tuple[str, float], float], tuple[list[float], list[str]]]:
    """Where each (part, within) lies on the x axis, and ticks at the ends and the middle of each part."""
    held = table[table["share"].notna()]
    places: dict[tuple[str, float], float] = {}
    at, ticks, words = 0.0, [], []
    for part in ("think", "answer"):
        every = sorted(set(table.loc[table["part"] == part, "within"]))
        if not (held["part"] == part).any():
            continue
        for within in every:
            places[part, within] = at
            at += 1
        n = len(every)
        ticks += [at - n - 0.5, at - n / 2 - 0.5, at - 0.5]
        words += ["first token", "half", "last"] if part == "think" else ["first", "", "last"]
        at += BETWEEN
    return places, (ticks, words)


def _line(
    canvas: Canvas, rows: pd.DataFrame, x: np.ndarray, style: themes.RunStyle, on: dict[str, str]
) -> None:
    share, low, high = (
        100 * rows[name].to_numpy(dtype=float) for name in ("share", "share_low", "share_high")
    )
    there = np.isfinite(share)
    bounded = there & np.isfinite(low)
    for part in ("think", "answer"):
        own = bounded & (rows["part"] == part).to_numpy()
        if own.any():
            around_x, around_y = band(x[own], low[own], high[own])
            canvas.figure.add_scatter(
                x=around_x,
                y=around_y,
                fill="toself",
                fillcolor=themes.faded(style.line, 0.15),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                **on,
            )
    x, share, rows = x[there], share[there], rows[there]
    # the parts have scales of their own: no line runs from the one into the other
    parts = rows["part"].to_numpy()
    turn = np.flatnonzero(parts[1:] != parts[:-1]) + 1
    hover = [_hover(row) for row in rows.to_dict("records")]
    canvas.figure.add_scatter(
        x=np.insert(x, turn, (x[turn - 1] + x[turn]) / 2),
        y=np.insert(share, turn, np.nan),
        mode="lines+markers",
        line={"color": style.line, "width": 2.4, "dash": style.dash},
        marker={"symbol": style.marker, "size": 7, "color": style.line},
        customdata=np.insert(np.array(hover, dtype=object), turn, ""),
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )


def _hover(row: Mapping[Any, Any]) -> str:
    text = f"<b>{escape(row['checkpoint'])}</b><br>{row['part']}, {100 * row['within']:.0f}% of it<br>"
    text += f"{100 * row['share']:.1f}%"
    if np.isfinite(row["share_low"]):
        text += f" (95% CI {100 * row['share_low']:.1f} – {100 * row['share_high']:.1f})"
    return f"{text}<br>n = {counted(int(row['n']), 'answer')}"


def _parts(
    canvas: Canvas,
    places: dict[tuple[str, float], float],
    span: tuple[float, float],
    top: float,
) -> None:
    """Names of the parts over their places, and the turn between them."""
    each = WIDTH / (span[1] - span[0])
    held = list(dict.fromkeys(part for part, _ in places))
    for part in held:
        own = [at for (name, _), at in places.items() if name == part]
        left, right = (LEFT + (edge - span[0]) * each for edge in (min(own) - 0.5, max(own) + 0.5))
        canvas.text(part, (left + right) / 2, top - 13, size=13, color=canvas.theme.muted, xanchor="center")
    if len(held) > 1:
        turn = max(at for (part, _), at in places.items() if part == "think") + 0.5 + BETWEEN / 2
        x = canvas.x(LEFT + (turn - span[0]) * each)
        canvas.figure.add_shape(
            type="line",
            x0=x,
            x1=x,
            y0=canvas.y(top),
            y1=canvas.y(top + HEIGHT),
            xref="paper",
            yref="paper",
            line={"color": canvas.theme.reference, "width": 1.4, "dash": "5px,4px"},
        )

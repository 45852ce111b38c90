"""The scatter figure: VAS against accuracy, one point a checkpoint, with r and everything that qualifies it."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vaslab.errors import UsageError
from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.kinds import KindStyle, kind_of, kind_styles
from vaslab.plots.point_labels import SIZE, Box, place_labels
from vaslab.plots.scatter_numbers import Findings, findings
from vaslab.plots.scatter_words import foot_of, statistics_of, subtitle_of, title_of
from vaslab.plots.text import escape, number, ratio_text, ratio_ticks, shortened, text_width, wrapped

LEFT, WIDTH, HEIGHT, ABOVE = 84, 800, 470, 22
LABELLED = 40
"""Checkpoints up to which every one that has room is named; of more, those farthest from the middle are."""


def scatter(
    table: pd.DataFrame,
    theme: str = "light",
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
    seed: int = 0,
) -> go.Figure:
    """VAS (log2) against accuracy (%), one point a checkpoint; shape and colour tell how it was trained.

    Bars are 95 % intervals, the line is least squares on log2 VAS with the 95 % band of its mean. r with its
    interval, Spearman, leave-one-out and slope stand above; fewer than 4 checkpoints get none of them, and why.

    Args:
        table: result of `scatter_table`, or any table with columns checkpoint, vas, accuracy (parts of one) and, where
            known, kind, vas_low, vas_high, accuracy_low, accuracy_high, n_graded.
        theme: "light" or "dark".
        data, decoding, run: words for subtitle and foot.
        seed: of permutations and bootstrap.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme, a missing column, or no checkpoint with a VAS and an accuracy.
    """
    look = themes.named(theme)
    found = findings(table, seed)
    if found.used.empty:
        raise UsageError("no checkpoint has both a VAS above 0 and an accuracy; nothing can be drawn")
    n = table["n_graded"] if "n_graded" in table else pd.Series(dtype=int)
    words = {"data": data, "decoding": decoding, "run": run, "n": _n_words(n)}
    width = LEFT + WIDTH + EDGE + 8
    canvas = Canvas(
        look,
        width,
        title_of(found),
        subtitle_of(table.attrs.get("vas", {}), words),
        foot_of(found, table.attrs, words),
    )
    lines = [part for line in statistics_of(found) for part in wrapped(line, WIDTH, themes.LABEL_SIZE + 1)]
    kinds = [str(k) for k in found.used["kind"]] if "kind" in found.used else _kinds(found.used)
    styles = kind_styles(list(dict.fromkeys(kinds)), look)
    key_at = canvas.body_at + len(lines) * ABOVE + 12
    top = key_at + (_key_height(styles) if len(styles) > 1 else 0) + 12
    canvas.close(top - canvas.body_at + HEIGHT + 56)
    for row, line in enumerate(lines):
        word = f"<b>{escape(line.split(' (')[0])}</b>{escape(line[len(line.split(' (')[0]) :])}"
        canvas.text(
            word if row == 0 and found.pearson is not None else escape(line),
            LEFT,
            canvas.body_at + row * ABOVE + ABOVE / 2,
            size=themes.LABEL_SIZE + 1,
            color=look.text if row == 0 else look.muted,
        )
    if len(styles) > 1:
        _key(canvas, styles, key_at)
    _points(canvas, found, kinds, styles, top)
    return canvas.figure


def _kinds(used: pd.DataFrame) -> list[str]:
    return [kind_of(str(name)) for name in used["checkpoint"]]


def _n_words(n: pd.Series) -> str:
    if n.empty:
        return "not stated"
    low, high = int(n.min()), int(n.max())
    return f"{low:,} items" if low == high else f"{low:,} to {high:,} items"


def _key_places(styles: dict[str, KindStyle]) -> list[tuple[str, float, int]]:
    x, line, out = float(LEFT), 0, []
    for kind in styles:
        wide = 22 + text_width(kind, 13) + 24
        if x > LEFT and x + wide > LEFT + WIDTH:
            x, line = float(LEFT), line + 1
        out.append((kind, x, line))
        x += wide
    return out


def _key_height(styles: dict[str, KindStyle]) -> float:
    return (_key_places(styles)[-1][2] + 1) * 24.0


def _key(canvas: Canvas, styles: dict[str, KindStyle], top: float | int) -> None:
    bare = {"visible": False, "fixedrange": True}
    high = _key_height(styles)
    on = canvas.axes(
        2, 0, top, canvas.width, high, {"range": [0, canvas.width], **bare}, {"range": [high, 0], **bare}
    )
    for kind, x, line in _key_places(styles):
        style = styles[kind]
        canvas.figure.add_scatter(
            x=[x + 8],
            y=[line * 24 + 12],
            mode="markers",
            marker={
                "symbol": style.symbol,
                "size": 11,
                "color": style.line,
                "line": {"width": 1.5, "color": style.line},
            },
            hoverinfo="skip",
            **on,
        )
        canvas.text(escape(kind), x + 22, top + line * 24 + 12, color=style.text)


def _range(low: float, high: float, least: float) -> tuple[float, float]:
    spread = max(high - low, least)
    middle = (low + high) / 2
    return middle - 0.56 * spread, middle + 0.56 * spread


def _points(
    canvas: Canvas, found: Findings, kinds: list[str], styles: dict[str, KindStyle], top: float | int
) -> None:
    look, figure, used = canvas.theme, canvas.figure, found.used
    x, y = np.log2(used["vas"].to_numpy(dtype=float)), 100 * used["accuracy"].to_numpy(dtype=float)
    bars = {name: _bars(used, name) for name in ("vas_low", "vas_high", "accuracy_low", "accuracy_high")}
    with np.errstate(divide="ignore"):
        x_low, x_high = (np.log2(bars[name]) for name in ("vas_low", "vas_high"))
    # an interval that reaches 0 has no end on a log axis: it is drawn to the edge
    left, right = _range(*_ends(x, x_low, x_high), 0.5)
    bottom, ceiling = _range(*_ends(y, 100 * bars["accuracy_low"], 100 * bars["accuracy_high"]), 4.0)
    # an accuracy ends at 0 and 100 %
    bottom, ceiling = max(bottom, -2.0), min(ceiling, 102.0)
    x_low = np.where(np.isneginf(x_low), left - 1, x_low)
    ticks: list[float] = [*ratio_ticks(left, right, 8)]
    if len(ticks) < 2:
        ticks = list(np.linspace(left + 0.1 * (right - left), right - 0.1 * (right - left), 4))
    on = canvas.axes(
        1,
        LEFT,
        top,
        WIDTH,
        HEIGHT,
        {"range": [left, right], "tickvals": ticks, "ticktext": [ratio_text(tick) for tick in ticks]},
        {
            "range": [bottom, ceiling],
            "nticks": 8,
            "ticksuffix": "%",
            "showgrid": True,
            "gridcolor": look.grid,
        },
    )
    _line(canvas, found, left, right, on)
    hover = _hover(used)
    for kind, style in styles.items():
        own = np.array([each == kind for each in kinds])
        figure.add_scatter(
            x=x[own],
            y=y[own],
            mode="markers",
            marker={"symbol": style.symbol, "size": 12, "color": style.line, "line": {"width": 1.6}},
            error_x=_error(x[own], x_low[own], x_high[own], style.line),
            error_y=_error(
                y[own], 100 * bars["accuracy_low"][own], 100 * bars["accuracy_high"][own], style.line
            ),
            customdata=[text for text, mine in zip(hover, own, strict=True) if mine],
            hovertemplate="%{customdata}<extra></extra>",
            cliponaxis=True,
            **on,
        )
        figure.data[-1].marker.line.color = style.line if style.symbol.endswith("open") else look.background
    at_x = LEFT + (x - left) / (right - left) * WIDTH
    at_y = top + (ceiling - y) / (ceiling - bottom) * HEIGHT
    shown = _named(x, y)
    names = [shortened(str(name), 180, SIZE) for name in used["checkpoint"]]
    page: Box = (LEFT, float(top), LEFT + WIDTH, float(top) + HEIGHT)
    px = WIDTH / (right - left)
    py = HEIGHT / (ceiling - bottom)
    blocked: list[Box] = []
    for i in range(len(x)):
        if np.isfinite(bars["accuracy_low"][i]):
            up = (100 * bars["accuracy_high"][i] - y[i]) * py
            down = (y[i] - 100 * bars["accuracy_low"][i]) * py
            blocked.append((at_x[i] - 2, at_y[i] - up, at_x[i] + 2, at_y[i] + down))
        if np.isfinite(x_low[i]):
            blocked.append(
                (
                    at_x[i] - (x[i] - x_low[i]) * px,
                    at_y[i] - 2,
                    at_x[i] + (x_high[i] - x[i]) * px,
                    at_y[i] + 2,
                )
            )
    points = [(float(a), float(b)) for a, b in zip(at_x, at_y, strict=True)]
    order = [*shown, *(i for i in range(len(x)) if i not in shown)]
    places = place_labels([points[i] for i in order], [names[i] for i in order], page, blocked)
    for i, place in zip(order[: len(shown)], places, strict=False):
        if place is not None:
            canvas.text(
                escape(names[i]),
                *place,
                size=SIZE,
                color=styles[kinds[i]].text,
                xanchor="center",
                align="center",
                bgcolor=themes.faded(look.background, 0.72),
            )
    canvas.text(f"{found.vas}, log₂ scale", LEFT + WIDTH / 2, top + HEIGHT + 44, xanchor="center")
    canvas.text("accuracy", 26, top + HEIGHT / 2, textangle=-90, xanchor="center")


def _named(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Which points get a name: all of few; of many, those farthest from the middle."""
    if len(x) <= LABELLED:
        return list(range(len(x)))
    spread = [max(float(np.std(each)), 1e-9) for each in (x, y)]
    far = ((x - np.median(x)) / spread[0]) ** 2 + ((y - np.median(y)) / spread[1]) ** 2
    return [int(i) for i in np.argsort(-far, kind="stable")[: LABELLED // 2]]


def _bars(used: pd.DataFrame, name: str) -> np.ndarray:
    return used[name].to_numpy(dtype=float) if name in used else np.full(len(used), np.nan)


def _ends(*parts: np.ndarray) -> tuple[float, float]:
    every = np.concatenate(parts)
    every = every[np.isfinite(every)]
    return float(every.min()), float(every.max())


def _error(middle: np.ndarray, low: np.ndarray, high: np.ndarray, color: str) -> dict[str, object]:
    # a missing interval is no bar
    return {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num(high - middle),
        "arrayminus": np.nan_to_num(middle - low),
        "color": color,
        "thickness": 1.4,
        "width": 0,
    }


def _line(canvas: Canvas, found: Findings, left: float, right: float, on: dict[str, str]) -> None:
    if found.line is None:
        return
    places = np.linspace(left, right, 60)
    low, high = found.line.band(places)
    canvas.figure.add_scatter(
        x=np.concatenate([places, places[::-1]]),
        y=100 * np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=themes.faded(canvas.theme.text, 0.10 if found.clear else 0.06),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        **on,
    )
    canvas.figure.add_scatter(
        x=places,
        y=100 * found.line.at(places),
        mode="lines",
        line={"color": canvas.theme.text, "width": 2, "dash": "solid" if found.clear else "dash"},
        hoverinfo="skip",
        **on,
    )


def _hover(used: pd.DataFrame) -> list[str]:
    out = []
    for row in used.to_dict("records"):
        text = f"<b>{escape(row['checkpoint'])}</b><br>VAS {number(row['vas'])}"
        if np.isfinite(row.get("vas_low", np.nan)):
            text += f" (95% CI {number(row['vas_low'])} – {number(row['vas_high'])})"
        text += f"<br>accuracy {100 * row['accuracy']:.1f}%"
        if np.isfinite(row.get("accuracy_low", np.nan)):
            text += f" ({100 * row['accuracy_low']:.1f} – {100 * row['accuracy_high']:.1f})"
        if "n_graded" in row:
            text += f"<br>n = {row['n_graded']:,} items"
        out.append(text)
    return out

"""The tokens figure: where each token of one answer looks, layer by layer, while the model thinks and answers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError
from vaslab.metrics import answer_parts
from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.head_grid import limit_of
from vaslab.plots.strips import draw_histogram, draw_share_bar
from vaslab.plots.text import axis_ticks, counted, escape, shortened, vas_words
from vaslab.plots.tokens_numbers import tokens_table
from vaslab.plots.tokens_words import WINDOW, foot_of, subtitle_of, title_of

Floats = NDArray[np.float64]

LEFT, WIDTH, LINE, GAP, BELOW, BARS = 72, 960, 110, 12, 62, 40
NAMED = 64
"""Tokens up to which each has its text under the map."""

MANY = 4000
"""Cells beyond which the map's hover boxes leave out the neighbouring tokens; the line above keeps them."""


def tokens(
    capture: xr.Dataset,
    item: str,
    texts: Sequence[str] | None = None,
    value: str = "vas",
    rows: str = "emitting",
    window: int = 0,
    theme: str = "light",
    model: str | None = None,
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
    table: pd.DataFrame | None = None,
) -> go.Figure:
    """Map of one answer: x token, y layer, colour log2 VAS or share of attention on the image; above, the mean.

    Args:
        capture, item, texts, rows: as `tokens_table`.
        value: "vas" (of head means, level scale) or "share" (attention on the image, one hue from white).
        window: which 500 tokens of a longer answer, from 0.
        theme: "light" or "dark".
        model, data, decoding, run: words for subtitle and foot, in place of the capture's attributes.
        table: result of `tokens_table` with the same options, where it is at hand already.

    Returns:
        A figure of fixed size; the finding, about the whole answer, is its title.

    Raises:
        UsageError: as `tokens_table`; an unknown value, theme or window; an answer of which nothing was measured.
    """
    look = themes.named(theme)
    if value not in ("vas", "share"):
        raise UsageError(f"value is {value!r}; expected 'vas' or 'share'")
    if table is None:
        table = tokens_table(capture, item, texts, rows)
    layers = list(table["layer"].unique())
    n = len(table) // len(layers)
    windows = -(-n // WINDOW)
    if not 0 <= window < windows:
        raise UsageError(
            f"window {window}; this answer of {n} tokens has {counted(windows, 'window')}, from 0"
        )
    names = [str(text) for text in table["text"].to_numpy()[:: len(layers)]]
    shape = (n, len(layers))
    image, ratio = (table[name].to_numpy(dtype=float).reshape(shape) for name in ("image", "vas"))
    if not np.isfinite(image).any():
        raise UsageError(
            f"nothing of the answer of item {item} was measured; it is {counted(n, 'token')} long"
        )
    given = {"model": model, "data": data, "decoding": decoding, "run": run}
    words = {k: v if v is not None else capture.attrs.get(k) for k, v in given.items()}
    width = LEFT + WIDTH + EDGE + 12
    canvas = Canvas(
        look,
        width,
        title_of(image),
        subtitle_of(words, item, n, value),
        foot_of(table, words, value, n, window),
    )
    start, end = window * WINDOW, min(n, (window + 1) * WINDOW)
    overview = 46.0 if windows > 1 else 0.0
    brackets_at = canvas.body_at + overview
    line_at = brackets_at + 26
    map_at = line_at + LINE + GAP
    map_height = float(np.clip(16 * len(layers), 120, 400))
    named = end - start <= NAMED and texts_given(names)
    label_height = 84.0 if named else 26.0
    canvas.close(map_at - canvas.body_at + map_height + label_height + BELOW + BARS)
    if windows > 1:
        _overview(canvas, image, start, end)
    _brackets(canvas, names, start, end, brackets_at)
    drawn = image if value == "share" else ratio
    _mean_line(canvas, image, names, start, end, line_at)
    limit = limit_of(ratio.ravel())
    _map(canvas, drawn, names, layers, (start, end), (map_at, map_height), value, limit, named)
    legend = (float(LEFT), map_at + map_height + label_height + BELOW - 14, 360.0, float(BARS))
    if value == "vas":
        with np.errstate(divide="ignore"):
            draw_histogram(canvas, 10, legend, np.log2(ratio).ravel(), limit, themes.LEVEL, unit="values")
    else:
        draw_share_bar(canvas, 10, legend, image.ravel(), float(np.nanmax(image)))
    canvas.text(
        f"{vas_words('ratio_of_means')}, token by layer"
        if value == "vas"
        else "attention on the image, token by layer",
        LEFT + 384,
        legend[1] + BARS - 4,
        color=look.muted,
    )
    return canvas.figure


def texts_given(names: Sequence[str]) -> bool:
    """Whether tokens have texts, not only their numbers."""
    return any(name != str(at) for at, name in enumerate(names))


def _overview(canvas: Canvas, image: Floats, start: int, end: int) -> None:
    """The whole answer in at most 960 steps, with the window in it."""
    mean = _row_means(image)
    step = max(1, len(mean) // 480)
    places = np.arange(0, len(mean), step)
    coarse = np.concatenate([_row_means(mean[None, place : place + step]) for place in places])
    most = float(np.nanmax(coarse)) * 1.1
    bare = {"showticklabels": False, "ticks": "", "fixedrange": True}
    x, y = {"range": [0, len(mean)], **bare}, {"range": [0, most], **bare}
    on = canvas.axes(9, LEFT, canvas.body_at, WIDTH, 34, x, y)
    canvas.figure.add_scatter(
        x=[start, start, end, end],
        y=[0, most, most, 0],
        fill="toself",
        fillcolor=themes.faded(canvas.theme.text, 0.12),
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        **on,
    )
    canvas.figure.add_scatter(
        x=places,
        y=coarse,
        mode="lines",
        line={"color": canvas.theme.muted, "width": 1.4},
        hoverinfo="skip",
        **on,
    )


def _row_means(values: Floats) -> Floats:
    """Mean of what is there in each row; NaN in an empty one."""
    out = np.full(len(values), np.nan)
    fit = np.isfinite(values).any(1)
    out[fit] = np.nanmean(values[fit], axis=1)
    return out


def _brackets(canvas: Canvas, names: Sequence[str], start: int, end: int, top: float) -> None:
    """Lines over the parts of the answer, with their names."""
    each = WIDTH / (end - start)
    for part, first, last in answer_parts(names):
        a, b = max(first, start), min(last, end)
        if b <= a:
            continue
        left, right = LEFT + (a - start) * each + 1.5, LEFT + (b - start) * each - 1.5
        for x0, x1, y0, y1 in (
            (left, right, top + 18, top + 18),
            (left, left, top + 18, top + 23),
            (right, right, top + 18, top + 23),
        ):
            canvas.figure.add_shape(
                type="line",
                x0=canvas.x(x0),
                x1=canvas.x(x1),
                y0=canvas.y(y0),
                y1=canvas.y(y1),
                xref="paper",
                yref="paper",
                line={"color": canvas.theme.reference, "width": 1.4},
            )
        if right - left > 44:
            canvas.text(
                part, (left + right) / 2, top + 7, size=12, color=canvas.theme.muted, xanchor="center"
            )


def _mean_line(canvas: Canvas, image: Floats, names: Sequence[str], start: int, end: int, top: float) -> None:
    part = image[start:end]
    mean = _row_means(part)
    most = float(np.nanmax(mean)) if np.isfinite(mean).any() else 0.0
    on = canvas.axes(
        1,
        LEFT,
        top,
        WIDTH,
        LINE,
        {"range": [start - 0.5, end - 0.5], "showticklabels": False, "ticks": "", "matches": "x2"},
        {
            "range": [0, max(most, 0.001) * 108],
            "ticksuffix": "%",
            "nticks": 4,
            "showgrid": True,
            "gridcolor": canvas.theme.grid,
            "fixedrange": True,
        },
    )
    canvas.figure.add_scatter(
        x=np.arange(start, end),
        y=100 * mean,
        mode="lines+markers" if end - start <= NAMED else "lines",
        line={"color": canvas.theme.text, "width": 2},
        marker={"size": 5, "color": canvas.theme.text},
        customdata=[_neighbours(names, at) for at in range(start, end)],
        hovertemplate="token %{x:,d}: %{customdata}<br>%{y:.1f}% on the image<extra></extra>",
        **on,
    )
    canvas.text("image", 26, top + LINE / 2, textangle=-90, xanchor="center")


def _neighbours(names: Sequence[str], at: int) -> str:
    """A token in bold between two on each side."""
    before = "".join(names[max(0, at - 2) : at]) if texts_given(names) else ""
    after = "".join(names[at + 1 : at + 3]) if texts_given(names) else ""
    return f"{escape(before)}<b>{escape(names[at])}</b>{escape(after)}"


def _short(name: str) -> str:
    """The text of a token as a tick; white space is shown as such."""
    return escape(shortened(name.strip() or "␣", 70, 12))


def _map(
    canvas: Canvas,
    drawn: Floats,
    names: Sequence[str],
    layers: Sequence[object],
    span: tuple[int, int],
    place: tuple[float, float],
    value: str,
    limit: int,
    named: bool,
) -> None:
    look, (start, end), (top, height) = canvas.theme, span, place
    part = drawn[start:end]
    every = axis_ticks(end - start, WIDTH, 15 if named else 40)
    rows = axis_ticks(len(layers), height, 18)
    on = canvas.axes(
        2,
        LEFT,
        top,
        WIDTH,
        height,
        {
            "range": [start - 0.5, end - 0.5],
            "tickvals": [start + at for at in every],
            "ticktext": [_short(names[start + at]) if named else f"{start + at:,}" for at in every],
            "tickangle": -55 if named else 0,
            "tickfont": {"size": 12 if named else 13},
        },
        {
            "range": [len(layers) - 0.5, -0.5],
            "tickvals": rows,
            "ticktext": [str(layers[at]) for at in rows],
        },
    )
    with np.errstate(divide="ignore"):
        z = np.clip(np.log2(part), -limit, limit) if value == "vas" else 100 * part
    shown = (
        {"zmin": -limit, "zmax": limit}
        if value == "vas"
        else {"zmin": 0, "zmax": 100 * float(np.nanmax(drawn))}
    )
    missing = ~np.isfinite(part)
    if missing.any():
        canvas.figure.add_heatmap(
            x=np.arange(start, end),
            y=np.arange(len(layers)),
            z=np.where(missing, 0.0, np.nan).T,
            colorscale=[(0, look.missing), (1, look.missing)],
            showscale=False,
            hoverongaps=False,
            hovertemplate="<b>not measured</b><extra></extra>",
            **on,
        )
    labels = np.broadcast_to(
        np.array([_neighbours(names, at) for at in range(start, end)], dtype=object), z.T.shape
    )
    few = part.size <= MANY
    what = "%{z:.1f}% on the image" if value == "share" else "VAS %{text}" if few else "log₂ VAS %{z:.2f}"
    canvas.figure.add_heatmap(
        x=np.arange(start, end),
        y=np.arange(len(layers)),
        z=np.where(missing, np.nan, z).T.astype("float32"),
        text=np.char.mod("%.3g", part.T) if value == "vas" and few else None,
        customdata=labels if few else None,
        colorscale=themes.colorscale(themes.LEVEL if value == "vas" else themes.SHARE),
        showscale=False,
        hoverongaps=False,
        hovertemplate=("%{customdata}<br>" if few else "")
        + f"token %{{x:,d}}, layer %{{y}}<br>{what}<extra></extra>",
        **shown,
        **on,
    )
    canvas.text("layer", 26, top + height / 2, textangle=-90, xanchor="center")
    canvas.text("answer token", LEFT + WIDTH / 2, top + height + (96 if named else 40), xanchor="center")

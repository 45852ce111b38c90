"""Parts that maps of heads share: medians over layers above a map, a histogram below it that is its colour bar."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vaslab.plots import theme as themes
from vaslab.plots.canvas import Canvas
from vaslab.plots.head_grid import quartiles
from vaslab.plots.text import change_text, ratio_text, ratio_ticks

Floats = NDArray[np.float64]


def median_range(values: Sequence[Floats], limit: int) -> tuple[float, float]:
    """Lowest and highest log2 that strips of these maps (layer, head) need, the line at 1 among them."""
    ends = []
    for each in values:
        with np.errstate(divide="ignore"):
            ends.append(np.clip(np.log2(quartiles(each)), -limit, limit))
    every = np.concatenate([each[np.isfinite(each)] for each in ends])
    if not every.size:
        return -1.0, 1.0
    bottom, ceiling = np.floor(every.min() * 2 - 0.2) / 2, np.ceil(every.max() * 2 + 0.2) / 2
    spread = max(0.0, 2 - (ceiling - bottom)) / 2
    return float(min(bottom - spread, -0.25)), float(max(ceiling + spread, 0.25))


def band(x: Floats, low: Floats, high: Floats) -> tuple[list[float | None], list[float | None]]:
    """Outline of a band from `low` to `high`, for a trace that is filled to itself; what is missing is a gap in it."""
    at_x: list[float | None] = []
    at_y: list[float | None] = []
    there = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    for run in np.split(there, np.flatnonzero(np.diff(there) > 1) + 1):
        if run.size:
            at_x += [*x[run], *x[run][::-1], None]
            at_y += [*high[run], *low[run][::-1], None]
    return at_x[:-1], at_y[:-1]


def draw_spread(figure: go.Figure, x: Floats, shares: Floats, look: themes.Theme, on: dict[str, str]) -> None:
    """Median, middle half and range over checkpoints, place by place, in their stead.

    Args:
        figure: drawn on. x: (place). shares: (checkpoint, place), in %; a place without any is a gap.
        look: theme. on: keywords that put a trace on its axes.
    """
    low, first, middle, third, high = _quantiles(shares, (0.0, 0.25, 0.5, 0.75, 1.0))
    for lower, upper, alpha in ((low, high, 0.10), (first, third, 0.16)):
        around_x, around_y = band(x, lower, upper)
        figure.add_scatter(
            x=around_x,
            y=around_y,
            fill="toself",
            fillcolor=themes.faded(look.text, alpha),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            **on,
        )
    figure.add_scatter(
        x=x,
        y=middle,
        name="median",
        mode="lines",
        line={"color": look.text, "width": 1.6},
        customdata=np.stack([first, third, low, high], axis=-1),
        hovertemplate="%{y:.1f}%, half of them %{customdata[0]:.1f} – %{customdata[1]:.1f}, all %{customdata[2]:.1f} – "
        "%{customdata[3]:.1f}",
        **on,
    )


def _quantiles(values: Floats, at: tuple[float, ...]) -> Floats:
    """Quantiles of each column, of what is there; NaN for an empty one."""
    out = np.full((len(at), values.shape[1]), np.nan)
    there = np.isfinite(values).any(0)
    out[:, there] = np.nanquantile(values[:, there], at, axis=0)
    return out


def draw_medians(
    canvas: Canvas,
    number: int,
    place: tuple[float, float, float, float],
    values: Floats,
    layers: Sequence[object],
    limit: int,
    ends: tuple[float, float],
    color: str,
    change: bool = False,
    behind: Floats | None = None,
    words: bool = True,
) -> None:
    """Median over heads of each layer, with the interquartile range; `behind` adds another map's median, dashed.

    Args:
        canvas: the page. number: of the axes. place: left, top, width, height in pixels.
        values: ratios, (layer, head). layers: their names. limit: log2 beyond which values are clipped.
        ends: of the y axis, log2. color: of the line. change: ticks are changes (x2), not ratios.
        behind: ratios of another map. words: whether the y axis has labels.
    """
    look, figure = canvas.theme, canvas.figure
    left, top, width, height = place
    ticks = ratio_ticks(*ends, 5)
    n = len(values)
    texts = [(change_text if change else ratio_text)(power) for power in ticks]
    on = canvas.axes(
        number,
        left,
        top,
        width,
        height,
        {"range": [-0.5, n - 0.5], "showticklabels": False, "ticks": "", "fixedrange": True},
        {
            "range": list(ends),
            "tickvals": ticks,
            "ticktext": texts,
            "showticklabels": words,
            "ticks": "outside" if words else "",
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
    )
    figure.add_scatter(
        x=[-0.5, n - 0.5],
        y=[0, 0],
        mode="lines",
        line={"color": look.reference, "width": 1.2, "dash": "5px,4px"},
        hoverinfo="skip",
        **on,
    )
    of = quartiles(values)
    with np.errstate(divide="ignore"):
        low, middle, high = np.clip(np.log2(of), -limit, limit)
    x = np.arange(n)
    around_x, around_y = band(x.astype(float), low, high)
    figure.add_scatter(
        x=around_x,
        y=around_y,
        fill="toself",
        fillcolor=themes.faded(color, 0.18),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        **on,
    )
    if behind is not None:
        with np.errstate(divide="ignore"):
            other = np.clip(np.log2(quartiles(behind)[1]), -limit, limit)
        figure.add_scatter(
            x=x,
            y=other,
            mode="lines",
            line={"color": look.muted, "width": 1.6, "dash": "dot"},
            hoverinfo="skip",
            **on,
        )
    figure.add_scatter(
        x=x,
        y=middle,
        mode="lines+markers" if n <= 40 else "lines",
        line={"color": color, "width": 2},
        marker={"size": 4.5, "color": color},
        customdata=of[[1, 0, 2]].T,
        text=[str(name) for name in layers],
        hovertemplate=(
            "<b>layer %{text}</b><br>median %{customdata[0]:.3~r}<br>middle half of heads %{customdata[1]:.3~r} – "
            "%{customdata[2]:.3~r}<extra></extra>"
        ),
        **on,
    )


def draw_histogram(
    canvas: Canvas,
    number: int,
    place: tuple[float, float, float, float],
    level: Floats,
    limit: int,
    stops: tuple[str, ...],
    change: bool = False,
    unit: str = "heads",
) -> None:
    """Histogram of all heads over its own colour strip: the colour bar of the map above.

    Args:
        canvas, number, place: as `draw_medians`; the strip takes the last 8 pixels.
        level: log2 of all values, unclipped. limit: log2 at the ends. stops: the colours. change: words of the ticks.
        unit: what the bars count.
    """
    width = place[2]
    known = level[~np.isnan(level)]
    shown = np.clip(known, -limit, limit)
    per_octave = max(1, round(min(24.0, max(5.0, float(np.sqrt(shown.size)))) / limit))
    edges = np.linspace(-limit, limit, 2 * limit * per_octave + 1)
    ticks = sorted({-limit, limit, *ratio_ticks(-limit, limit, max(3, int(width / 64)))})
    ticks = [t for t in ticks if abs(t) == limit or (limit - abs(t)) * width / (2 * limit) > 46]
    words = [(change_text if change else ratio_text)(power) for power in ticks]
    if change:
        words[ticks.index(0)] = "no change"
    if (known < -limit).any():
        words[0] = f"≤ {words[0]}"
    if (known > limit).any():
        words[-1] = f"≥ {words[-1]}"
    hover = "%{customdata[0]:.3~r} – %{customdata[1]:.3~r}: %{y:,d} " + f"{unit}<extra></extra>"
    ends = np.column_stack([2.0 ** edges[:-1], 2.0 ** edges[1:]])
    _scale(canvas, number, place, (shown, edges, ends), stops, {"tickvals": ticks, "ticktext": words}, hover)


def draw_share_bar(
    canvas: Canvas, number: int, place: tuple[float, float, float, float], shares: Floats, highest: float
) -> None:
    """Histogram of shares (parts of one) over the colour strip from 0 to `highest`.

    Other arguments as `draw_histogram`.
    """
    known = shares[np.isfinite(shares)]
    edges = np.linspace(0, max(highest, 1e-6), 25)
    ends = np.column_stack([edges[:-1], edges[1:]])
    ticks: dict[str, object] = {"nticks": 6, "tickformat": ".0%" if highest > 0.03 else ".1%"}
    hover = "%{customdata[0]:.1%} – %{customdata[1]:.1%}: %{y:,d} values<extra></extra>"
    _scale(canvas, number, place, (known, edges, ends), themes.SHARE, ticks, hover)


def draw_r_bar(
    canvas: Canvas, number: int, place: tuple[float, float, float, float], values: Floats, unit: str = "heads"
) -> None:
    """Histogram of correlations over the colour strip from -1 to 1, white at 0. Arguments as `draw_histogram`."""
    edges = np.linspace(-1, 1, 41)
    ends = np.column_stack([edges[:-1], edges[1:]])
    ticks: dict[str, object] = {
        "tickvals": [-1, -0.5, 0, 0.5, 1],
        "ticktext": ["r = −1", "−0.5", "0", "0.5", "1"],
    }
    hover = "%{customdata[0]:.2f} to %{customdata[1]:.2f}: %{y:,d} " + f"{unit}<extra></extra>"
    _scale(canvas, number, place, (values[np.isfinite(values)], edges, ends), themes.CHANGE, ticks, hover)


def _scale(
    canvas: Canvas,
    number: int,
    place: tuple[float, float, float, float],
    bars: tuple[Floats, Floats, Floats],
    stops: tuple[str, ...],
    ticks: dict[str, object],
    hover: str,
) -> None:
    """Bars in the colours of a scale, over the scale itself with its ticks.

    Args:
        canvas, number, place, stops: as `draw_histogram`. bars: the values, the edges of the bars, and what their hover
            boxes say. ticks: of the axis. hover: template.
    """
    look, figure = canvas.theme, canvas.figure
    left, top, width, height = place
    values, edges, ends = bars
    low, high = float(edges[0]), float(edges[-1])
    counts, _ = np.histogram(values, edges)
    middles = (edges[:-1] + edges[1:]) / 2
    bare = {"showticklabels": False, "ticks": "", "fixedrange": True}
    on = canvas.axes(
        number,
        left,
        top,
        width,
        height - 10,
        {"range": [low, high], **bare},
        {"range": [0, max(int(counts.max()), 1) * 1.04], **bare},
    )
    figure.add_bar(
        x=middles,
        y=counts,
        width=np.diff(edges),
        marker={
            "color": [themes.sampled(stops, (m - low) / (high - low)) for m in middles],
            "line": {"width": 0.6, "color": themes.faded(look.text, 0.35)},
        },
        customdata=ends,
        hovertemplate=hover,
        **on,
    )
    on = canvas.axes(
        number + 1,
        left,
        top + height - 8,
        width,
        8,
        {"range": [low, high], "fixedrange": True, **ticks},
        {"range": [0, 1], **bare},
    )
    fine = np.linspace(low, high, 257)
    centres = ((fine[:-1] + fine[1:]) / 2).astype("float32")
    figure.add_heatmap(
        x=centres,
        y=[0.5],
        z=centres[None],
        zmin=low,
        zmax=high,
        colorscale=themes.colorscale(stops),
        showscale=False,
        hoverinfo="skip",
        **on,
    )

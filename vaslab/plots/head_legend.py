"""The colour bar of the heads map: a histogram of its heads in the colours of the map."""

import numpy as np

from vaslab.plots import theme as themes
from vaslab.plots.canvas import Canvas
from vaslab.plots.head_grid import Grid
from vaslab.plots.head_marks import Cells
from vaslab.plots.text import counted, ratio_text, ratio_ticks

BEFORE, STRIP, BARS, TICKS, SIDE = 42, 9, 82, 56, 38
LEGEND_WIDTH = BEFORE + STRIP + 2 + BARS + TICKS + SIDE


def draw_legend(canvas: Canvas, place: Cells, grid: Grid) -> None:
    """Colour strip, histogram of all heads in the same colours, ratios, and what each side means."""
    look, figure = canvas.theme, canvas.figure
    left = place.right + BEFORE
    value = grid.clipped[np.isfinite(grid.clipped)]
    per_octave = max(1, round(2 * min(24, max(5, np.sqrt(value.size))) / (2 * grid.limit)))
    edges = np.linspace(-grid.limit, grid.limit, 2 * grid.limit * per_octave + 1)
    counts, _ = np.histogram(value, edges)
    middles = (edges[:-1] + edges[1:]) / 2
    colours = [themes.sampled(themes.LEVEL, (m / grid.limit + 1) / 2) for m in middles]
    y_axis = {"range": [-grid.limit, grid.limit], "showticklabels": False, "ticks": "", "fixedrange": True}
    bare = {"showticklabels": False, "ticks": "", "fixedrange": True}
    on = canvas.axes(3, left, place.top, STRIP, place.height, {"range": [0, 1], **bare}, dict(y_axis))
    fine = np.linspace(-grid.limit, grid.limit, 257)
    figure.add_heatmap(
        x=[0.5],
        y=(fine[:-1] + fine[1:]) / 2,
        z=((fine[:-1] + fine[1:]) / 2)[:, None],
        zmin=-grid.limit,
        zmax=grid.limit,
        colorscale=themes.colorscale(themes.LEVEL),
        showscale=False,
        hoverinfo="skip",
        **on,
    )
    ticks = ratio_ticks(-grid.limit, grid.limit, max(5, int(place.height / 36)))
    ticks = [t for t in ticks if abs(t) == grid.limit or grid.limit - abs(t) >= 0.16 * grid.limit]
    ticks = sorted({-grid.limit, grid.limit, *ticks})
    on = canvas.axes(
        4,
        left + STRIP + 2,
        place.top,
        BARS,
        place.height,
        {"range": [0, max(int(counts.max()), 1) * 1.02], **bare},
        {
            **y_axis,
            "side": "right",
            "showticklabels": True,
            "ticks": "outside",
            "tickvals": ticks,
            "ticktext": _tick_words(grid, ticks),
        },
    )
    figure.add_bar(
        x=counts,
        y=middles,
        width=np.diff(edges),
        orientation="h",
        marker={"color": colours, "line": {"width": 0.6, "color": themes.faded(look.text, 0.35)}},
        customdata=np.column_stack([2.0 ** edges[:-1], 2.0 ** edges[1:]]),
        hovertemplate="VAS %{customdata[0]:.3~r} – %{customdata[1]:.3~r}: %{x:,d} heads<extra></extra>",
        **on,
    )
    figure.update_layout(bargap=0)
    one = place.top + place.height / 2
    figure.add_shape(
        type="line",
        x0=canvas.x(left - 6),
        x1=canvas.x(left + STRIP + 2 + BARS + 6),
        y0=canvas.y(one),
        y1=canvas.y(one),
        xref="paper",
        yref="paper",
        line={"color": look.text, "width": 1.2},
    )
    canvas.text(f"<b>VAS</b>, {counted(value.size, 'head')}", left, place.top - 22)
    side = left + STRIP + 2 + BARS + TICKS + 12
    for word, color, part in (("more image", look.more, 0.25), ("more system", look.less, 0.75)):
        canvas.text(
            word,
            side,
            place.top + part * place.height,
            color=color,
            textangle=90,
            xanchor="center",
            align="center",
        )


def _tick_words(grid: Grid, ticks: list[int]) -> list[str]:
    """Ratios; an end beyond which heads were clipped says so."""
    finite = grid.level[~np.isnan(grid.level)]
    words = [ratio_text(power) for power in ticks]
    if ticks[0] == -grid.limit and (finite < -grid.limit).any():
        words[0] = f"≤ {words[0]}"
    if ticks[-1] == grid.limit and (finite > grid.limit).any():
        words[-1] = f"≥ {words[-1]}"
    return words

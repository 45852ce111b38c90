"""A map of one number per head: layer by head, what was found fills its cell, other heads are small squares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaslab.plots import theme as themes
from vaslab.plots.canvas import Canvas
from vaslab.plots.head_marks import Cells, draw_groups, draw_hatch, draw_small, draw_squares
from vaslab.plots.text import axis_ticks

Floats = NDArray[np.float64]

SQUARES = 12
"""Found heads that get a frame; of more, the strongest."""


@dataclass(frozen=True)
class HeadMap:
    """What is drawn.

    Args:
        values: (layer, head); NaN is hatched.
        low, high: ends of the scale. stops: its colours.
        found: (layer, head); the others are small squares.
        squares: (layer, head) places, of which the first SQUARES are framed.
        hover: text of each, (layer, head).
        layers, heads: their names.
        per_group: heads of a key-value head, None where it is not known.
    """

    values: Floats
    low: float
    high: float
    stops: tuple[str, ...]
    found: NDArray[np.bool_]
    squares: list[tuple[int, int]]
    hover: NDArray[np.object_]
    layers: Sequence[object]
    heads: Sequence[object]
    per_group: int | None = None


def draw_head_map(canvas: Canvas, number: int, cells: Cells, drawn: HeadMap) -> dict[str, str]:
    """Draw a map into its cells; returns the keywords that put a trace on its axes."""
    every = axis_ticks(len(drawn.layers), cells.width, 30)
    rows = axis_ticks(len(drawn.heads), cells.height, 20)
    on = canvas.axes(
        number,
        cells.left,
        cells.top,
        cells.width,
        cells.height,
        {
            "range": [-0.5, len(drawn.layers) - 0.5],
            "tickvals": every,
            "ticktext": [str(drawn.layers[i]) for i in every],
            "fixedrange": True,
        },
        {
            "range": [len(drawn.heads) - 0.5, -0.5],
            "tickvals": rows,
            "ticktext": [str(drawn.heads[i]) for i in rows],
            "ticks": "outside",
            "fixedrange": True,
        },
    )
    x, y = np.arange(len(drawn.layers)), np.arange(len(drawn.heads))
    figure = canvas.figure
    small = ~drawn.found & np.isfinite(drawn.values)
    figure.add_heatmap(
        x=x,
        y=y,
        z=np.where(small, np.nan, drawn.values).T.astype("float32"),
        zmin=drawn.low,
        zmax=drawn.high,
        colorscale=themes.colorscale(drawn.stops),
        showscale=False,
        hoverongaps=False,
        customdata=np.where(small, "", drawn.hover).T,
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )
    scale = drawn.stops, drawn.low, drawn.high
    draw_small(figure, drawn.values, small, drawn.hover, scale, cells, canvas.theme, on)
    draw_hatch(figure, drawn.values, canvas.theme, on)
    if drawn.squares:
        draw_squares(figure, drawn.squares[:SQUARES], cells, on)
    canvas.text("layer", cells.left + cells.width / 2, cells.top + cells.height + 38, xanchor="center")
    if drawn.per_group is not None:
        # seen on filled cells and between small squares alike
        line = {"color": themes.faded(canvas.theme.text, 0.35), "width": 1}
        draw_groups(figure, drawn.per_group, (len(drawn.layers), len(drawn.heads)), line, on)
    heading = "head" if drawn.per_group is None else "head, grouped by key-value head"
    canvas.text(heading, 26, cells.top + cells.height / 2, textangle=-90, xanchor="center")
    return on


def places_of(
    rows: Sequence[tuple[object, object]], layers: Sequence[object], heads: Sequence[object]
) -> list[tuple[int, int]]:
    """Rows (layer, head) as places on the map."""
    return [(list(layers).index(layer), list(heads).index(head)) for layer, head in rows]

"""What stands on the cells of the heads map: squares, value labels, hatching."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vaslab.plots import theme as themes
from vaslab.plots.text import number, text_width

Floats = NDArray[np.float64]

DARK_INK, LIGHT_INK = "#17202e", "#ffffff"
SMALL = 0.42
"""Side of a small square, as a share of its cell's."""
VEIL = 0.85
"""How much of a pale cell is the middle colour of its scale."""


@dataclass
class Cells:
    """Where the cells of the map lie, in pixels of the page."""

    left: float | int
    cell_width: float | int
    cell_height: float | int
    n_layers: int
    n_heads: int
    top: float | int = 0.0

    @classmethod
    def fit(cls, n_layers: int, n_heads: int, left: float | int) -> "Cells":
        """Cells as near to squares as the page allows: few heads give large cells, many a map of at most 880
        x 720."""
        width = float(np.clip(672 / n_layers, 10.5, 74))
        height = float(np.clip(600 / n_heads, 9.5, 52))
        width = float(np.clip(width, height * 0.8, height * 2.2)) if n_layers < 28 else width
        width = max(width, 460 / n_layers)
        height = max(height, 300 / n_heads)
        return cls(left, min(width, 880 / n_layers), height, n_layers, n_heads)

    @property
    def width(self) -> float:
        """Of the map."""
        return self.cell_width * self.n_layers

    @property
    def height(self) -> float:
        """Of the map."""
        return self.cell_height * self.n_heads

    @property
    def right(self) -> float:
        """Edge of the map."""
        return self.left + self.width

    @property
    def holds_text(self) -> bool:
        """Whether a value can be printed in every cell."""
        return self.cell_width >= 44 and self.cell_height >= 24


def draw_groups(
    figure: go.Figure,
    per_group: int,
    shape: tuple[int, ...],
    line: Mapping[str, object],
    on: dict[str, str],
) -> None:
    """Lines between the key-value groups of a map of `shape` (layers, heads), `per_group` heads in each."""
    layers, heads = shape
    edges = np.arange(per_group, heads, per_group) - 0.5
    figure.add_scatter(
        x=[at for _ in edges for at in (-0.5, layers - 0.5, None)],
        y=[at for edge in edges for at in (edge, edge, None)],
        mode="lines",
        line=dict(line),
        hoverinfo="skip",
        **on,
    )


def draw_squares(figure: go.Figure, top: list[tuple[int, int]], place: Cells, on: dict[str, str]) -> None:
    """Black squares with a white edge on either side, inside the cells of `top` (layer, head)."""
    small = min(place.cell_width, place.cell_height) < 15
    inset = 1.0 if small else 2.2
    dx, dy = 0.5 - inset / place.cell_width, 0.5 - inset / place.cell_height
    x: list[float | None] = []
    y: list[float | None] = []
    for layer, head in top:
        x += [layer - dx, layer + dx, layer + dx, layer - dx, layer - dx, layer + dx, None]
        y += [head - dy, head - dy, head + dy, head + dy, head - dy, head - dy, None]
    for color, width in ((LIGHT_INK, 3.4 if small else 5.0), (DARK_INK, 1.5 if small else 2.0)):
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"color": color, "width": width}, hoverinfo="skip", **on
        )


def draw_values(
    figure: go.Figure, value: Floats, level: Floats, top: list[tuple[int, int]], on: dict[str, str]
) -> None:
    """The value in every cell, in the ink that reads on its colour; `level` is -1 .. 1 on the level scale."""
    layers, heads = np.nonzero(np.isfinite(value))
    marked = set(top)
    words, inks = [], []
    for layer, head in zip(layers.tolist(), heads.tolist(), strict=True):
        cell = themes.sampled(themes.LEVEL, (level[layer, head] + 1) / 2)
        word = number(value[layer, head])
        words.append(f"<b>{word}</b>" if (layer, head) in marked else word)
        inks.append(max(("#000000", LIGHT_INK), key=lambda ink: themes.contrast(ink, cell)))
    figure.add_scatter(
        x=layers,
        y=heads,
        mode="text",
        text=words,
        textfont={"size": 12, "color": inks},
        hoverinfo="skip",
        **on,
    )


def draw_veil(
    figure: go.Figure,
    pale: NDArray[np.bool_],
    x: NDArray[np.generic],
    y: NDArray[np.generic],
    stops: tuple[str, ...],
    on: dict[str, str],
) -> None:
    """Make cells (x, y) of a map pale: its middle colour lies over them, and hover boxes go through.

    Args:
        figure: where the map is. pale: which cells. x, y: as of the map. stops: its colours. on: its axes.
    """
    if not pale.any():
        return
    middle = stops[len(stops) // 2]
    figure.add_heatmap(
        x=x,
        y=y,
        z=np.where(pale, 0.0, np.nan).T.astype("float32"),
        opacity=VEIL,
        colorscale=[(0, middle), (1, middle)],
        showscale=False,
        hoverongaps=False,
        hoverinfo="skip",
        **on,
    )


def draw_small(
    figure: go.Figure,
    value: Floats,
    small: NDArray[np.bool_],
    hover: NDArray[np.object_],
    scale: tuple[tuple[str, ...], float | int, float | int],
    place: Cells,
    look: themes.Theme,
    on: dict[str, str],
) -> None:
    """Cells of a map as small squares of their own colour, which the legend still reads.

    Args:
        figure, look, on: where. value: (x, y). small: which cells; the map itself leaves them empty. hover: their
            texts. scale: colours, and the values at their ends. place: size of the cells.
    """
    if not small.any():
        return
    stops, low, high = scale
    figure.add_heatmap(
        x=np.arange(len(value)),
        y=np.arange(value.shape[1]),
        z=np.where(small, 0.0, np.nan).T.astype("float32"),
        colorscale=[(0, look.background), (1, look.background)],
        showscale=False,
        hoverongaps=False,
        customdata=np.where(small, hover, "").T,
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )
    columns, rows = np.nonzero(small)
    figure.add_scatter(
        x=columns.astype("int16"),
        y=rows.astype("int16"),
        mode="markers",
        marker={
            "symbol": "square",
            "size": SMALL * min(place.cell_width, place.cell_height),
            "color": value[small].astype("float32"),
            "cmin": low,
            "cmax": high,
            "colorscale": themes.colorscale(stops),
            # so that the colour of nothing is seen on the page
            "line": {"width": 0.8, "color": themes.faded(look.text, 0.35)},
        },
        hoverinfo="skip",
        **on,
    )


def draw_hatch(
    figure: go.Figure, value: Floats, look: themes.Theme, on: dict[str, str], edges: Floats | None = None
) -> None:
    """Grey cells with diagonal lines where a cell has no value: no colour of the scale can be taken for them.

    Args:
        figure, look, on: where. value: (x, y), NaN or infinite where there is none. edges: of the columns; by default
            they are one apart.
    """
    columns, rows = np.nonzero(~np.isfinite(value))
    if not columns.size:
        return
    ends = (np.arange(len(value) + 1) - 0.5 if edges is None else edges).tolist()
    figure.add_heatmap(
        x=ends,
        y=np.arange(value.shape[1]),
        z=np.where(np.isfinite(value), np.nan, 0.0).T.astype("float32"),
        colorscale=[(0, look.missing), (1, look.missing)],
        showscale=False,
        hoverongaps=False,
        hovertemplate="<b>no value</b><extra></extra>",
        **on,
    )
    x: list[float | None] = []
    y: list[float | None] = []
    for column, row in zip(columns.tolist(), rows.tolist(), strict=True):
        left, wide = ends[column], ends[column + 1] - ends[column]
        for start, end in (((0.0, 0.0), (0.5, -0.5)), ((0.0, 0.5), (1.0, -0.5)), ((0.5, 0.5), (1.0, 0.0))):
            x += [left + start[0] * wide, left + end[0] * wide, None]
            y += [row + start[1], row + end[1], None]
    figure.add_scatter(x=x, y=y, mode="lines", line={"color": look.hatch, "width": 1}, hoverinfo="skip", **on)


def label_places(
    top: list[tuple[int, int]], n: int, place: Cells, value: Floats
) -> list[tuple[tuple[int, int], tuple[float, float]]]:
    """For the first `n` of `top`, where its label stands: pixels right and down from the middle of its cell.

    A label stays inside the map, off the squares and off other labels; a head for which no place is free gets
    none.
    """
    centres = [((a + 0.5) * place.cell_width, (b + 0.5) * place.cell_height) for a, b in top]
    half_cell = (place.cell_width / 2, place.cell_height / 2)
    taken = [(x - half_cell[0], y - half_cell[1], x + half_cell[0], y + half_cell[1]) for x, y in centres]
    lines: list[tuple[float, float, float, float]] = []
    out = []
    for (layer, head), (x, y) in list(zip(top, centres, strict=True))[:n]:
        wide = text_width(number(value[layer, head]), 12, bold=True) / 2 + 5
        high = 10.5
        for far in (1.0, 1.5, 2.1, 2.8):
            reach_x, reach_y = (half_cell[0] + wide + 8) * far, (half_cell[1] + high + 6) * far
            spots = [
                (sx * reach_x, sy * reach_y)
                for sx, sy in ((1, -1), (-1, 1), (-1, -1), (1, 1), (1, 0), (-1, 0))
            ]
            spot = next((s for s in spots if _free(x, y, *s, wide, high, place, taken, lines)), None)
            if spot is not None:
                taken.append((x + spot[0] - wide, y + spot[1] - high, x + spot[0] + wide, y + spot[1] + high))
                lines.append((x, y, x + spot[0], y + spot[1]))
                out.append(((layer, head), spot))
                break
    return out


def _free(
    x: float | int,
    y: float | int,
    dx: float | int,
    dy: float | int,
    wide: float | int,
    high: float | int,
    place: Cells,
    taken: list[tuple[float, float, float, float]],
    lines: list[tuple[float, float, float, float]],
) -> bool:
    box = (x + dx - wide, y + dy - high, x + dx + wide, y + dy + high)
    if box[0] < 2 or box[1] < 2 or box[2] > place.width - 2 or box[3] > place.height - 2:
        return False
    if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
        return False
    steps = np.linspace(0, 1, 25)
    leader = [(x + t * dx, y + t * dy) for t in steps]
    own = [p for p in leader if 2 * abs(p[0] - x) > place.cell_width or 2 * abs(p[1] - y) > place.cell_height]
    if any(b[0] < px < b[2] and b[1] < py < b[3] for px, py in own for b in taken):
        return False
    return not any(
        box[0] < x0 + t * (x1 - x0) < box[2] and box[1] < y0 + t * (y1 - y0) < box[3]
        for x0, y0, x1, y1 in lines
        for t in steps
    )

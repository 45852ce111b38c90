"""The compare figure: VAS of every head in two checkpoints on the same items, and the change between them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from vaslab.metrics import PAPER, Definition
from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.compare_numbers import compare_table
from vaslab.plots.compare_words import MANY, differ_words, foot_of, subtitle_of, title_of
from vaslab.plots.head_grid import limit_of
from vaslab.plots.head_marks import Cells, draw_groups, draw_hatch, draw_squares, draw_veil
from vaslab.plots.strips import draw_histogram, draw_medians, median_range
from vaslab.plots.text import FLOORED, axis_ticks, escape, number, shortened, text_width

Floats = NDArray[np.float64]

LEFT, BETWEEN, STRIP, GAP, HEADING = 84, 56, 96, 14, 34
BELOW, BARS = 62, 44

HOVER = (
    "<b>layer %{customdata[0]:d}, head %{customdata[1]:d}</b><br>VAS %{customdata[2]:.3~r} → %{customdata[3]:.3~r}"
    "<br>ratio %{customdata[4]:.3~r} (95% CI %{customdata[5]:.3~r} – %{customdata[6]:.3~r})"
    "<br>false discovery rate %{customdata[7]:.2~r}<extra></extra>"
)
LEVEL_ONLY = "layer %{x}, head %{y}<br>log₂ VAS %{z:.2f}<extra></extra>"


@dataclass
class Maps:
    """The table as arrays (layer, head)."""

    first: Floats
    second: Floats
    ratio: Floats
    changed: NDArray[np.bool_]
    layers: list[object]
    heads: list[object]
    per_group: int | None
    floored: NDArray[np.bool_]
    """(2, layer): whether VAS of the first, of the second is a bound there, resting on the floor of its denominator."""

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Maps":
        """From the rows of `compare_table`."""
        layers, heads = list(table["layer"].unique()), list(table["head"].unique())
        shape = (len(layers), len(heads))
        first, second, ratio = (
            table[name].to_numpy(dtype=float).reshape(shape) for name in ("first", "second", "ratio")
        )
        groups = table["kv_group"].nunique() if "kv_group" in table else 0
        changed = table["changed"].to_numpy(dtype=bool).reshape(shape)
        rows = table.attrs["layers"].set_index("layer").reindex(layers)
        shares = [
            rows[name] if name in rows else rows["ratio"] * 0 for name in ("first_floored", "second_floored")
        ]
        floored = np.stack([share.to_numpy(dtype=float) > FLOORED for share in shares])
        per_group = len(heads) // groups if groups else None
        return cls(first, second, ratio, changed, layers, heads, per_group, floored)

    @property
    def strongest(self) -> tuple[int, int] | None:
        """The head whose change is largest among those that changed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.where(self.changed & np.isfinite(self.ratio), np.abs(np.log2(self.ratio)), -1.0)
        at = np.unravel_index(int(size.argmax()), size.shape)
        return (int(at[0]), int(at[1])) if size[at] > 0 else None


def compare(
    first: xr.Dataset,
    second: xr.Dataset,
    names: tuple[str, str] = ("first", "second"),
    definition: Definition = PAPER,
    cluster: xr.DataArray | None = None,
    theme: str = "light",
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
    table: pd.DataFrame | None = None,
) -> go.Figure:
    """Three maps with the same axes: VAS per head in the first checkpoint, in the second, and second over first.

    Levels share their limits; heads without a significant change (FDR 5 %) are pale. Above: medians per layer. Below:
    histograms that are the colour bars.

    Args:
        first, second: Captures of the same items and heads; alignment is checked.
        names: of the two checkpoints.
        definition, cluster: as `compare_table`.
        theme: "light" or "dark".
        data, decoding, run: words for subtitle and foot, in place of the captures' attributes.
        table: result of `compare_table` with the same options, where it is at hand already.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError, VaslabError: as `compare_table`; UsageError for an unknown theme.
    """
    look = themes.named(theme)
    if table is None:
        table = compare_table(first, second, definition, cluster)
    maps = Maps.of(table)
    given = {"data": data, "decoding": decoding, "run": run}
    words = {k: v if v is not None else first.attrs.get(k) for k, v in given.items()}
    cells = _cells(len(maps.layers), len(maps.heads))
    width = LEFT + 3 * cells.width + 2 * BETWEEN + EDGE + 12
    canvas = Canvas(look, width, title_of(table, names), subtitle_of(table, words), foot_of(table, words))
    cells.top = canvas.body_at + HEADING + STRIP + GAP
    canvas.close(HEADING + STRIP + GAP + cells.height + BELOW + BARS + 58)
    limit = limit_of(np.concatenate([maps.first.ravel(), maps.second.ravel()]))
    change_limit = limit_of(maps.ratio.ravel())
    ends = median_range([maps.first, maps.second], limit)
    inks = [themes.on_page("#66717f", look), themes.on_page("#0b7a75", look), look.text]
    headings = [
        escape(shortened(names[0], cells.width - 20, 14)),
        escape(shortened(names[1], cells.width - 20, 14)),
        _change_heading(names, cells.width),
    ]
    parts = ((maps.first, themes.LEVEL), (maps.second, themes.LEVEL), (maps.ratio, themes.CHANGE))
    hover = _hover(table, maps)
    for panel, (value, stops) in enumerate(parts):
        cells.left = LEFT + panel * (cells.width + BETWEEN)
        own_limit = change_limit if panel == 2 else limit
        canvas.text(
            f"<b>{headings[panel]}</b>",
            cells.left,
            canvas.body_at + 8,
            size=14,
            color=themes.readable(inks[panel], look.background),
        )
        if panel == 2:
            canvas.text(
                differ_words(table),
                cells.left + cells.width,
                canvas.body_at + (8 if cells.width > 300 else 26),
                color=look.muted,
                xanchor="right",
            )
        number_of = 4 * panel + 1
        place = (float(cells.left), canvas.body_at + HEADING, float(cells.width), float(STRIP))
        draw_medians(
            canvas,
            number_of,
            place,
            value,
            maps.layers,
            own_limit,
            median_range([value], own_limit) if panel == 2 else ends,
            inks[panel],
            change=panel == 2,
            behind=maps.first if panel == 1 else None,
            words=panel != 1,
        )
        _map(canvas, number_of + 1, cells, maps, value, own_limit, stops, hover, panel)
        below = float(cells.top + cells.height + BELOW)
        with np.errstate(divide="ignore"):
            level = np.log2(value).ravel()
        draw_histogram(
            canvas, number_of + 2, (float(cells.left), below, float(cells.width), float(BARS)), level, own_limit, stops,
            change=panel == 2,
        )  # fmt: skip
        canvas.text("layer", cells.left + cells.width / 2, cells.top + cells.height + 36, xanchor="center")
        sides = ("lower VAS", "higher VAS") if panel == 2 else ("more system", "more image")
        _sides(canvas, cells, below + BARS + 38, sides, stops)
    canvas.text("median", 22, canvas.body_at + HEADING + STRIP / 2, textangle=-90, xanchor="center")
    canvas.text("head", 26, cells.top + cells.height / 2, textangle=-90, xanchor="center")
    canvas.figure.update_layout(bargap=0)
    return canvas.figure


def _sides(
    canvas: Canvas, cells: Cells, y: float | int, words: tuple[str, str], stops: tuple[str, ...]
) -> None:
    """What either end of a colour scale means, in its ink."""
    for word, x, anchor, stop in (
        (f"← {words[0]}", cells.left, "left", stops[2]),
        (f"{words[1]} →", cells.left + cells.width, "right", stops[-3]),
    ):
        ink = themes.readable(stop, canvas.theme.background)
        canvas.text(word, x, y, size=12.5, color=ink, xanchor=anchor)


def _change_heading(names: tuple[str, str], width: float | int) -> str:
    text = f"change: {names[1]} ÷ {names[0]}"
    return escape(text if text_width(text, 14, bold=True) < width - 130 else "change: second ÷ first")


def _cells(n_layers: int, n_heads: int) -> Cells:
    width = float(np.clip(384 / n_layers, 6.0, 46))
    width = max(width, 250 / n_layers)
    height = float(np.clip(420 / n_heads, 7.0, 40))
    return Cells(LEFT, width, max(height, 160 / n_heads), n_layers, n_heads)


def _map(
    canvas: Canvas,
    number_of: int,
    cells: Cells,
    maps: Maps,
    value: Floats,
    limit: int,
    stops: tuple[str, ...],
    hover: NDArray[np.float32],
    panel: int,
) -> None:
    look, figure = canvas.theme, canvas.figure
    # numbers of every head three times over would make a page of several megabytes
    told = panel == 2 or value.size <= MANY
    every = axis_ticks(len(maps.layers), cells.width, 30)
    step = maps.per_group or 1
    rows = [group * step for group in axis_ticks(len(maps.heads) // step, cells.height, 20)]
    on = canvas.axes(
        number_of,
        cells.left,
        cells.top,
        cells.width,
        cells.height,
        {
            "range": [-0.5, len(maps.layers) - 0.5],
            "tickvals": every,
            "ticktext": [str(maps.layers[i]) for i in every],
        },
        {
            "range": [len(maps.heads) - 0.5, -0.5],
            "tickvals": rows,
            "ticktext": [str(maps.heads[i]) for i in rows],
            "showticklabels": panel == 0,
            "ticks": "outside" if panel == 0 else "",
        },
    )
    if panel:
        figure.update_layout({f"xaxis{number_of}": {"matches": "x2"}, f"yaxis{number_of}": {"matches": "y2"}})
    with np.errstate(divide="ignore"):
        level = np.clip(np.log2(value), -limit, limit)
    x, y = np.arange(len(maps.layers)), np.arange(len(maps.heads))
    figure.add_heatmap(
        x=x,
        y=y,
        z=level.T.astype("float32"),
        zmin=-limit,
        zmax=limit,
        colorscale=themes.colorscale(stops),
        showscale=False,
        hoverongaps=False,
        customdata=np.swapaxes(hover, 0, 1) if told else None,
        hovertemplate=HOVER if told else LEVEL_ONLY,
        **on,
    )
    if panel == 2:
        draw_veil(figure, ~maps.changed & np.isfinite(value), x, y, stops, on)
    draw_hatch(figure, value, look, on)
    if maps.per_group is not None:
        draw_groups(figure, maps.per_group, value.shape, {"color": look.background, "width": 2.5}, on)
    strongest = maps.strongest
    if strongest is not None:
        draw_squares(figure, [strongest], cells, on)
        if panel == 2:
            _label(canvas, maps, strongest, cells, on)


def _label(canvas: Canvas, maps: Maps, at: tuple[int, int], cells: Cells, on: dict[str, str]) -> None:
    """Which head changed most, and from what to what; beside its square, inside the map."""
    layer, head = at
    low = head < len(maps.heads) / 2
    name, change = (
        f"L{maps.layers[layer]} H{maps.heads[head]}",
        " → ".join(
            f"{'≥ ' if floored else ''}{number(level[at])}"
            for level, floored in zip((maps.first, maps.second), maps.floored[:, layer], strict=True)
        ),
    )
    half = (text_width(name, 12, bold=True) + text_width(f"  {change}", 12)) / 2 + 4
    before = (layer + 0.5) * cells.cell_width
    aside = (cells.cell_width / 2 + 18 + half) * (1 if layer < len(maps.layers) / 2 else -1)
    text = f"<b>{escape(name)}</b>  {change}"
    canvas.figure.add_annotation(
        x=layer,
        y=head,
        xref=on["xaxis"],
        yref=on["yaxis"],
        text=text,
        showarrow=True,
        ax=float(np.clip(aside, half - before, cells.width - before - half)),
        ay=(cells.cell_height / 2 + 20) * (1 if low else -1),
        xanchor="center",
        arrowhead=0,
        arrowwidth=1.3,
        arrowcolor="#17202e",
        bgcolor="#f8f9fa",
        borderpad=2.5,
        font={"size": 12, "color": "#17202e"},
    )


def _hover(table: pd.DataFrame, maps: Maps) -> NDArray[np.float32]:
    """Numbers of the hover box: layer, head, both levels, the change with its interval and FDR."""
    names = ["layer", "head", "first", "second", "ratio", "low", "high", "p_adjusted"]
    columns = [pd.to_numeric(table[name], errors="coerce").to_numpy(dtype="float32") for name in names]
    return np.stack(columns, axis=-1).reshape(*maps.first.shape, len(names))

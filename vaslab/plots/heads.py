"""The heads figure: Visual Attention Score of every head of every layer, on one map."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import xarray as xr

from vaslab.metrics import PAPER, Definition
from vaslab.plots import theme as themes
from vaslab.plots.canvas import Canvas
from vaslab.plots.head_grid import Floats, Grid, quartiles
from vaslab.plots.head_legend import LEGEND_WIDTH, draw_legend
from vaslab.plots.head_marks import Cells, draw_groups, draw_hatch, draw_squares, draw_values, label_places
from vaslab.plots.head_numbers import heads_table
from vaslab.plots.head_words import MANY, foot_of, subtitle_of, title_of
from vaslab.plots.strips import band
from vaslab.plots.text import axis_ticks, number, ratio_text, ratio_ticks

LEFT, TOP_PANEL, GAP = 80, 106, 20
LABELLED = 3
SHARES = ("image", "system", "user")


def heads(
    capture: xr.Dataset,
    definition: Definition = PAPER,
    theme: str = "light",
    top: int = 10,
    model: str | None = None,
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
    seed: int = 0,
    table: pd.DataFrame | None = None,
) -> go.Figure:
    """Map of VAS per head: x layer, y head in key-value groups, colour log2 VAS with white at 1.

    Above: the median over the heads of each layer, band: interquartile range. Right: histogram of all heads,
    which is the colour bar. Squares mark the highest heads. The limits are the smallest power of 2 that clips
    at most 2 % of heads.

    Args:
        capture: a Capture. Its attributes model, data, decoding, run and n_kv_heads are used where given.
        definition: of VAS.
        theme: "light" or "dark".
        top: heads marked with a square; at most a quarter of all. model, data, decoding, run: words for the
        subtitle and foot, in place of the capture's attributes.
        seed: of the bootstrap over items (intervals in the hover).
        table: result of `heads_table` with the same options, where it is at hand already.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError, VaslabError: as `heads_table`; UsageError for an unknown theme.
    """
    look = themes.named(theme)
    if table is None:
        table = heads_table(capture, definition, seed)
    grid = Grid.of(table, top)
    named = {"model": model, "data": data, "decoding": decoding, "run": run}
    words = {k: v if v is not None else capture.attrs.get(k) for k, v in named.items()}
    said = table.attrs["vas"]
    place = Cells.fit(grid.n_layers, grid.n_heads, LEFT)
    width = place.right + LEGEND_WIDTH
    canvas = Canvas(
        look, width, title_of(table, said), subtitle_of(said, words), foot_of(table, grid, said, words)
    )
    place.top = canvas.body_at + TOP_PANEL + GAP
    canvas.close(TOP_PANEL + GAP + place.height + 50)
    _map(canvas, place, grid, table)
    _layer_medians(canvas, place, grid)
    draw_legend(canvas, place, grid)
    return canvas.figure


def _map(canvas: Canvas, place: Cells, grid: Grid, table: pd.DataFrame) -> None:
    look, figure = canvas.theme, canvas.figure
    every = axis_ticks(grid.n_layers, place.width, 32)
    if grid.per_group is None:
        rows = axis_ticks(grid.n_heads, place.height, 20)
    else:
        groups = axis_ticks(grid.n_heads // grid.per_group, place.height, 20)
        rows = [group * grid.per_group for group in groups]
    if (grid.n_heads - 1 - rows[-1]) * place.cell_height >= 16:
        rows.append(grid.n_heads - 1)
    on = canvas.axes(
        1,
        LEFT,
        place.top,
        place.width,
        place.height,
        {
            "range": [-0.5, grid.n_layers - 0.5],
            "tickvals": every,
            "ticktext": [str(grid.layers[i]) for i in every],
        },
        {
            "range": [grid.n_heads - 0.5, -0.5],
            "tickvals": rows,
            "ticktext": [str(grid.heads[i]) for i in rows],
        },
    )
    few = grid.vas.size <= MANY
    numbers = ["vas", "ci_low", "ci_high", "rank", "layer", "head", *(SHARES if few else ())]
    hover = np.stack([_floats(table[c]).reshape(grid.vas.shape).T for c in numbers], axis=-1)
    interval = "   (95% CI %{customdata[1]:.3~r} – %{customdata[2]:.3~r})"
    share = (
        "<br>attention: image %{customdata[6]:.1%}, system %{customdata[7]:.1%}, user %{customdata[8]:.1%}"
    )
    figure.add_heatmap(
        x=np.arange(grid.n_layers),
        y=np.arange(grid.n_heads),
        z=grid.clipped.T.astype("float32"),
        zmin=-grid.limit,
        zmax=grid.limit,
        colorscale=themes.colorscale(themes.LEVEL),
        showscale=False,
        hoverongaps=False,
        customdata=hover if few else hover.astype("float32"),
        hovertemplate=(
            "<b>layer %{customdata[4]}, head %{customdata[5]}</b><br>VAS <b>%{customdata[0]:.3~r}</b>"
            + (interval if np.isfinite(table["ci_low"]).any() else "   (one item: no interval)")
            + f"<br>rank %{{customdata[3]:,d}} of {int(np.isfinite(grid.vas).sum()):,}"
            + (share if few else "")
            + "<extra></extra>"
        ),
        **on,
    )
    draw_hatch(figure, grid.vas, look, on)
    if grid.per_group is not None:
        line = {"color": look.background, "width": 4 if place.cell_height > 14 else 2.5}
        draw_groups(figure, grid.per_group, (grid.n_layers, grid.n_heads), line, on)
    draw_squares(figure, grid.top, place, on)
    if place.holds_text:
        draw_values(figure, grid.vas, grid.clipped / grid.limit, grid.top, on)
    else:
        for (layer, head), (dx, dy) in label_places(grid.top, LABELLED, place, grid.vas):
            figure.add_annotation(
                x=layer,
                y=head,
                xref=on["xaxis"],
                yref=on["yaxis"],
                text=f"<b>{number(grid.vas[layer, head])}</b>",
                showarrow=True,
                ax=dx,
                ay=dy,
                arrowhead=0,
                arrowwidth=1.3,
                arrowcolor="#17202e",
                standoff=0,
                bgcolor="#f8f9fa",
                borderpad=2.5,
                font={"size": 12, "color": "#17202e"},
            )
    canvas.text("layer", LEFT + place.width / 2, place.top + place.height + 38, xanchor="center")
    heading = "head" if grid.per_group is None else "head, grouped by key-value head"
    canvas.text(heading, 30, place.top + place.height / 2, textangle=-90, xanchor="center")


def _floats(column: pd.Series) -> Floats:
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def _layer_medians(canvas: Canvas, place: Cells, grid: Grid) -> None:
    look, figure = canvas.theme, canvas.figure
    of_vas = quartiles(grid.vas)
    with np.errstate(divide="ignore"):
        low, middle, high = np.clip(np.log2(of_vas), -grid.limit, grid.limit)
    bottom = np.floor(np.nanmin(low) * 2 - 0.2) / 2
    ceiling = np.ceil(np.nanmax(high) * 2 + 0.2) / 2
    spread = max(0.0, 2 - (ceiling - bottom)) / 2
    bottom, ceiling = bottom - spread, ceiling + spread
    # the line at 1 belongs into view unless it would flatten the curve
    bottom, ceiling = (
        (min(bottom, -0.25) if bottom < 2 else bottom),
        (max(ceiling, 0.25) if ceiling > -2 else ceiling),
    )
    ticks = ratio_ticks(bottom, ceiling, 6)
    on = canvas.axes(
        2,
        LEFT,
        canvas.body_at,
        place.width,
        TOP_PANEL,
        {"range": [-0.5, grid.n_layers - 0.5], "matches": "x", "showticklabels": False, "ticks": ""},
        {
            "range": [bottom, ceiling],
            "tickvals": ticks,
            "ticktext": [ratio_text(power) for power in ticks],
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
    )
    x = np.arange(grid.n_layers)
    around_x, around_y = band(x.astype(float), low, high)
    figure.add_scatter(
        x=[-0.5, grid.n_layers - 0.5],
        y=[0, 0],
        mode="lines",
        line={"color": look.reference, "width": 1.2, "dash": "5px,4px"},
        hoverinfo="skip",
        **on,
    )
    figure.add_scatter(
        x=around_x,
        y=around_y,
        fill="toself",
        fillcolor=themes.faded(look.text, 0.15),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        **on,
    )
    figure.add_scatter(
        x=x,
        y=middle,
        mode="lines+markers",
        line={"color": look.text, "width": 2},
        marker={"size": 5.5 if place.cell_width > 14 else 4, "color": look.text},
        customdata=of_vas[[1, 0, 2]].T,
        text=[str(name) for name in grid.layers],
        hovertemplate=(
            "<b>layer %{text}</b><br>median VAS %{customdata[0]:.3~r}"
            "<br>middle half of heads %{customdata[1]:.3~r} – %{customdata[2]:.3~r}<extra></extra>"
        ),
        **on,
    )
    canvas.text("median", 30, canvas.body_at + TOP_PANEL / 2, textangle=-90, xanchor="center")

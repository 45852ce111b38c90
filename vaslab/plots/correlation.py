"""The correlation figure: which heads' and layers' VAS tracks accuracy over checkpoints."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.correlation_words import (
    MANY,
    foot_of,
    head_words,
    interval_words,
    strongest,
    subtitle_of,
    title_of,
)
from vaslab.plots.head_map import HeadMap, draw_head_map, places_of
from vaslab.plots.head_marks import Cells
from vaslab.plots.strips import draw_r_bar

LEFT, STRIP, GAP, BELOW, BARS = 84, 130, 18, 62, 44


def correlation(
    table: pd.DataFrame,
    theme: str = "light",
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
) -> go.Figure:
    """Map of r per head; above, r of each layer with its interval; below, the histogram that is the colour bar.

    White is r = 0; heads that are not told from 0 at a false discovery rate of 5 % are small squares; those that
    not all checkpoints have are crossed.

    Args:
        table: result of `correlation_table`.
        theme: "light" or "dark". data, decoding, run: words for subtitle and foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme.
    """
    look = themes.named(theme)
    words = {"data": data, "decoding": decoding, "run": run}
    layers, heads = list(table["layer"].unique()), list(table["head"].unique())
    shape = (len(layers), len(heads))
    cells = Cells.fit(*shape, LEFT)
    width = max(LEFT + cells.width + EDGE + 12, 640)
    canvas = Canvas(look, width, title_of(table), subtitle_of(table, words), foot_of(table, words))
    cells.top = canvas.body_at + STRIP + GAP
    canvas.close(STRIP + GAP + cells.height + BELOW + BARS + 34)
    _layers(canvas, table.attrs["layers"], cells)
    told = interval_words if len(table) <= MANY else head_words
    hover = np.array([told(row) for row in table.to_dict("records")], dtype=object).reshape(shape)
    rows = strongest(table)
    on = draw_head_map(
        canvas,
        2,
        cells,
        HeadMap(
            values=table["r"].to_numpy(dtype=float).reshape(shape),
            low=-1.0,
            high=1.0,
            stops=themes.CHANGE,
            found=table["found"].to_numpy(dtype=bool).reshape(shape),
            squares=places_of(list(zip(rows["layer"], rows["head"], strict=True)), layers, heads),
            hover=hover,
            layers=layers,
            heads=heads,
            per_group=table.attrs["per_group"],
        ),
    )
    fewer = table[(table["lacking"] != "") & table["r"].notna()]
    if not fewer.empty:
        places = places_of(list(zip(fewer["layer"], fewer["head"], strict=True)), layers, heads)
        size = float(np.clip(min(cells.cell_width, cells.cell_height) / 2, 4, 10))
        # light below dark, so that it stands out from every colour
        for ink, wide in ((look.background, 4.0), (look.text, 1.4)):
            canvas.figure.add_scatter(
                x=[x for x, _ in places],
                y=[y for _, y in places],
                mode="markers",
                marker={
                    "symbol": "x-thin-open",
                    "size": size,
                    "color": ink,
                    "line": {"width": wide, "color": ink},
                },
                hoverinfo="skip",
                **on,
            )
    below = float(cells.top + cells.height + BELOW)
    draw_r_bar(
        canvas, 3, (float(LEFT), below, float(cells.width), float(BARS)), table["r"].to_numpy(dtype=float)
    )
    canvas.figure.update_layout(bargap=0)
    return canvas.figure


def _layers(canvas: Canvas, layers: pd.DataFrame, cells: Cells) -> None:
    """r of each layer with its interval over checkpoints."""
    look, n = canvas.theme, len(layers)
    bare = {"showticklabels": False, "ticks": "", "fixedrange": True}
    on = canvas.axes(
        1,
        cells.left,
        canvas.body_at,
        cells.width,
        STRIP,
        {"range": [-0.5, n - 0.5], **bare},
        {
            "range": [-1.06, 1.06],
            "tickvals": [-1, -0.5, 0, 0.5, 1],
            "ticktext": ["−1", "−0.5", "0", "0.5", "1"],
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
    )
    canvas.figure.add_scatter(
        x=[-0.5, n - 0.5],
        y=[0, 0],
        mode="lines",
        line={"color": look.reference, "width": 1.2, "dash": "5px,4px"},
        hoverinfo="skip",
        **on,
    )
    there = layers["r"].notna().to_numpy()
    r, low, high = (layers[name].to_numpy(dtype=float)[there] for name in ("r", "low", "high"))
    ink = themes.on_page("#0b7a75", look)
    canvas.figure.add_scatter(
        x=np.arange(n)[there],
        y=r,
        mode="markers",
        marker={
            "size": 9 if n <= 40 else 6,
            "color": [ink if found else look.background for found in layers["found"][there]],
            "line": {"width": 1.8, "color": ink},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": high - r,
            "arrayminus": r - low,
            "color": ink,
            "thickness": 1.5,
            "width": 0,
        },
        customdata=[interval_words(row) for row in layers[there].to_dict("records")],
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )
    canvas.text("r, layer", 26, canvas.body_at + STRIP / 2, textangle=-90, xanchor="center")

"""The training figure: how VAS of each layer changes along one training run, with accuracy and mean VAS above."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.head_grid import limit_of
from vaslab.plots.head_marks import draw_hatch, draw_veil
from vaslab.plots.strips import draw_histogram
from vaslab.plots.text import axis_ticks, level_ticks, power_text, round_ticks
from vaslab.plots.training_words import foot_of, subtitle_of, title_of

Floats = NDArray[np.float64]

LEFT, WIDTH, STRIP, GAP, BELOW, BARS = 84, 840, 104, 18, 66, 42
UNEVEN = 8.0
"""Longest gap between steps over the shortest from which steps stand on a log scale."""
MANY = 4000
"""Cells beyond which hover boxes leave out intervals."""


@dataclass(frozen=True)
class StepAxis:
    """Where training steps stand: as they are, or, where their gaps are uneven, by their log2.

    Args:
        at: place of each step. edges: of its column, one more. log: whether by log2; step 0 then stands apart.
    """

    steps: tuple[int, ...]
    at: Floats
    edges: Floats
    log: bool

    @classmethod
    def of(cls, steps: Sequence[int]) -> "StepAxis":
        """Place steps, which rise."""
        at = np.asarray(steps, dtype=float)
        gaps = np.diff(at)
        log = len(gaps) > 1 and bool(gaps.max() > UNEVEN * gaps.min())
        if log:
            above = at[at > 0]
            at = np.log2(np.maximum(at, 1))
            if steps[0] == 0:
                at[0] = np.log2(above[0]) - (
                    float(np.median(np.diff(np.log2(above)))) if len(above) > 1 else 1.0
                )
        middle = (at[1:] + at[:-1]) / 2
        if not len(middle):
            return cls(tuple(steps), at, np.array([at[0] - 0.5, at[0] + 0.5]), log)
        edges = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
        return cls(tuple(steps), at, edges, log)

    def axis(self, width: float | int, named: bool) -> dict[str, object]:
        """The x axis in plotly's form; as many steps are named as have room."""
        low, high = float(self.edges[0]), float(self.edges[-1])
        shown: list[int] = []
        for place in range(len(self.at)):
            room = (self.at[place] - (self.at[shown[-1]] if shown else -np.inf)) * width / (high - low)
            if room >= 9.0 * len(f"{self.steps[place]:,}") + 12:
                shown.append(place)
        return {
            "range": [low, high],
            "tickvals": [float(self.at[place]) for place in shown],
            "ticktext": [f"{self.steps[place]:,}" for place in shown],
            "showticklabels": named,
            "ticks": "outside" if named else "",
            "fixedrange": True,
        }


def training(
    table: pd.DataFrame,
    theme: str = "light",
    model: str | None = None,
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
) -> go.Figure:
    """Map over x training step and y layer of log2 VAS over that at the first step; above, accuracy and mean VAS.

    Cells without a significant change (FDR 5 %) are pale. Steps with uneven gaps stand on a log scale.

    Args:
        table: result of `training_table`.
        theme: "light" or "dark".
        model, data, decoding, run: words for subtitle and foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme.
    """
    look = themes.named(theme)
    steps = table.attrs["steps"]
    axis = StepAxis.of([int(step) for step in steps["step"]])
    words = {"model": model, "data": data, "decoding": decoding, "run": run}
    canvas = Canvas(
        look,
        LEFT + WIDTH + EDGE,
        title_of(table),
        subtitle_of(table, words),
        foot_of(table, words, axis.log),
    )
    graded = bool(steps["accuracy"].notna().any())
    strips = 2 if graded else 1
    layers = list(table["layer"].unique())
    height = float(np.clip(15 * len(layers), 130, 440))
    map_at = canvas.body_at + strips * (STRIP + GAP)
    canvas.close(strips * (STRIP + GAP) + height + BELOW + BARS + 26)
    if graded:
        _strip(canvas, 1, canvas.body_at, axis, steps, "accuracy")
    _strip(canvas, 2, map_at - STRIP - GAP, axis, steps, "vas")
    limit = _map(canvas, axis, table, layers, (map_at, height))
    ratio = table["ratio"].to_numpy(dtype=float)[len(layers) :]
    with np.errstate(divide="ignore"):
        level = np.log2(ratio)
    below = map_at + height + BELOW
    draw_histogram(
        canvas,
        4,
        (float(LEFT), below, 360.0, float(BARS)),
        level,
        limit,
        themes.CHANGE,
        change=True,
        unit="cells",
    )
    canvas.text(
        f"VAS over that at step {axis.steps[0]:,}, by step and layer",
        LEFT + 384,
        below + BARS - 4,
        color=look.muted,
    )
    canvas.figure.update_layout(bargap=0)
    return canvas.figure


def _strip(canvas: Canvas, number: int, top: float, axis: StepAxis, steps: pd.DataFrame, name: str) -> None:
    """One line with its intervals over the steps: accuracy in %, or mean VAS on a log2 axis."""
    look = canvas.theme
    middle, low, high = (steps[f"{name}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high"))
    hover = [_hover(row, name) for row in steps.to_dict("records")]
    if name == "accuracy":
        middle, low, high = 100 * middle, 100 * low, 100 * high
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            middle, low, high = (_finite(np.log2(each)) for each in (middle, low, high))
    every = np.concatenate([middle, low, high])
    every = every[np.isfinite(every)]
    least, most = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    pad = max(0.12 * (most - least), 1.0 if name == "accuracy" else 0.06)
    least, most = least - pad, most + pad
    ticks = (round_ticks if name == "accuracy" else level_ticks)(least, most, 5 if name == "accuracy" else 4)
    texts = [f"{tick:.3g}%" if name == "accuracy" else power_text(tick) for tick in ticks]
    on = canvas.axes(
        number,
        LEFT,
        top,
        WIDTH,
        STRIP,
        axis.axis(WIDTH, named=False),
        {
            "range": [least, most],
            "tickvals": ticks,
            "ticktext": texts,
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
    )
    ink = look.text if name == "vas" else themes.on_page("#0b7a75", look)
    canvas.figure.add_scatter(
        x=axis.at,
        y=middle,
        mode="lines+markers",
        line={"color": ink, "width": 2},
        marker={
            "size": 6 if len(axis.at) <= 40 else 3.5,
            "color": ink,
            "symbol": "circle" if name == "vas" else "square",
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(high - middle),
            "arrayminus": np.nan_to_num(middle - low),
            "color": ink,
            "thickness": 1.3,
            "width": 0,
        },
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )
    canvas.text(
        "accuracy" if name == "accuracy" else "mean VAS", 24, top + STRIP / 2, textangle=-90, xanchor="center"
    )


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _hover(row: dict, name: str) -> str:
    scale, unit = (100, "%") if name == "accuracy" else (1, "")
    text = f"<b>step {row['step']:,}</b><br>{'accuracy' if unit else 'VAS'} {scale * row[name]:.3g}{unit}"
    if np.isfinite(row[f"{name}_low"]):
        text += f" (95% CI {scale * row[f'{name}_low']:.3g} – {scale * row[f'{name}_high']:.3g})"
    change = "accuracy_change" if unit else "vas_ratio"
    if np.isfinite(row[f"{change}_p"]):
        ends = [scale * row[f"{change}{end}"] for end in ("", "_low", "_high")]
        said = "{:+.1f} points" if unit else "×{:.3g}"
        if np.isfinite(ends[1]):
            said += " ({:+.1f} to {:+.1f})" if unit else " ({:.3g} – {:.3g})"
        text += f"<br>against the first step {said.format(*ends)}"
    return text


def _map(
    canvas: Canvas, axis: StepAxis, table: pd.DataFrame, layers: list[object], place: tuple[float, float]
) -> int:
    """Draw the map; returns its limit, log2."""
    look, (top, height) = canvas.theme, place
    shape = (len(axis.steps), len(layers))
    ratio = table["ratio"].to_numpy(dtype=float).reshape(shape)
    limit = limit_of(ratio[1:].ravel())
    rows = axis_ticks(len(layers), height, 18)
    on = canvas.axes(
        3,
        LEFT,
        top,
        WIDTH,
        height,
        axis.axis(WIDTH, named=True),
        {
            "range": [len(layers) - 0.5, -0.5],
            "tickvals": rows,
            "ticktext": [str(layers[at]) for at in rows],
            "fixedrange": True,
        },
    )
    told = ["step", "layer", "ratio", "low", "high", "p_adjusted"][: 6 if ratio.size <= MANY else 3]
    numbers = [
        pd.to_numeric(table[name], errors="coerce").to_numpy(dtype="float32").reshape(shape).T
        for name in told
    ]
    ci = (
        "<br>95% CI %{customdata[3]:.3~r} – %{customdata[4]:.3~r}, false discovery rate %{customdata[5]:.2~r}"
    )
    with np.errstate(divide="ignore"):
        level = np.clip(np.log2(ratio), -limit, limit)
    y = np.arange(len(layers))
    canvas.figure.add_heatmap(
        x=axis.edges,
        y=y,
        z=level.T.astype("float32"),
        zmin=-limit,
        zmax=limit,
        colorscale=themes.colorscale(themes.CHANGE),
        showscale=False,
        hoverongaps=False,
        customdata=np.stack(numbers, axis=-1),
        hovertemplate=(
            "<b>step %{customdata[0]:,d}, layer %{customdata[1]:d}</b><br>VAS × %{customdata[2]:.3~r}"
            + (ci if len(told) == 6 else "")
            + "<extra></extra>"
        ),
        **on,
    )
    pale = ~table["changed"].to_numpy(dtype=bool).reshape(shape) & np.isfinite(ratio)
    draw_veil(canvas.figure, pale, axis.edges, y, themes.CHANGE, on)
    draw_hatch(canvas.figure, ratio, look, on, axis.edges)
    canvas.text("layer", 24, top + height / 2, textangle=-90, xanchor="center")
    scale = " (log scale)" if axis.log else ""
    canvas.text(f"training step{scale}", LEFT + WIDTH / 2, top + height + 40, xanchor="center")
    return limit

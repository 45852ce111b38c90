"""Page and axes of the sweep's figures: a change in points, or a ratio on log2; what a cell says when pointed at."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vaslab.plots import theme as themes
from vaslab.plots.canvas import Canvas
from vaslab.plots.sweep_numbers import RATIOS
from vaslab.plots.sweep_words import subtitle_of
from vaslab.plots.text import escape, number, points, ratio_text, ratio_ticks

TITLES = {
    "accuracy_change": "accuracy, points",
    "vas_ratio": "VAS, ratio",
    "visual_change": "visual mass, points",
    "system_change": "system mass, points",
}
"""Kinds of change, with their units."""

SIDE_TITLES = {
    "formatted_change": "format, points",
    "obeys_capitals_change": "capitals, points",
    "obeys_end_change": "end, points",
    "length_change": "length, tokens",
    "perplexity_ratio": "perplexity, ratio",
}
"""Side effects, with their units."""


def page_of(
    cells: pd.DataFrame,
    theme: str,
    width: float | int,
    title: str,
    what: str,
    foot: str,
    attention: bool = True,
) -> Canvas:
    """The open page of a figure of a sweep.

    Args:
        cells: one table of `sweep_cells`. theme: its name. width: in pixels. title: the finding.
        what: the figure shows, for the subtitle. foot: how to read it.
        attention: whether it shows any, so that the subtitle says of which queries.

    Raises:
        UsageError: an unknown theme.
    """
    return Canvas(themes.named(theme), width, title, subtitle_of(cells, what, attention), foot)


def change_axis(span: tuple[float, float], name: str, look: themes.Theme, most: int = 4) -> dict[str, object]:
    """An axis of a change over `span`, in plotly's form, with about `most` ticks."""
    ticks = change_ticks(span, name, most)
    return {
        "range": list(span),
        "tickvals": ticks,
        "ticktext": [tick_text(tick, name) for tick in ticks],
        "showgrid": True,
        "gridcolor": look.grid,
    }


def shown(cells: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Change, lower end, whether nothing is left (a ratio of 0), and upper end, in the units of the axis: points,
    tokens, or log2 of a ratio.
    """
    value, low, high = (cells[f"{name}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high"))
    gone = np.zeros(len(cells), dtype=bool)
    if name not in RATIOS:
        scale = 1 if name == "length_change" else 100
        return scale * value, scale * low, gone, scale * high
    gone = value == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = (np.log2(each) for each in (value, low, high))
    return np.where(gone, np.nan, value), np.where(gone, np.nan, low), gone, np.where(gone, np.nan, high)


def reach(ends: list[np.ndarray], least: float) -> tuple[float, float]:
    """Range of an axis that holds 0 and every finite end, with some room."""
    every = np.concatenate([*ends, [0.0]])
    every = every[np.isfinite(every)]
    low, high = float(every.min()), float(every.max())
    pad = 0.08 * max(high - low, least)
    if high - low < least:
        low, high = low - least / 2, high + least / 2
    return low - pad, high + pad


def change_ticks(span: tuple[float, float], name: str, most: int = 4) -> list[float]:
    """About so many places on an axis of a change, at round points, or at log2 of round ratios."""
    low, high = span
    if name not in RATIOS:
        return _round(low, high, most)
    if high - low >= 2:
        return [float(tick) for tick in ratio_ticks(low, high, most)]
    return [float(np.log2(ratio)) for ratio in _round(2.0**low, 2.0**high, most)]


def _round(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    size = 10.0 ** np.floor(np.log10(rough))
    step = next(float(size * k) for k in (1, 2, 5, 10) if size * k >= rough)
    return [float(k * step) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def tick_text(value: float, name: str) -> str:
    """A place on an axis of a change, in words."""
    if name in RATIOS:
        return ratio_text(value) if float(value).is_integer() else f"{2.0**value:.6g}"
    return "0" if value == 0 else f"{'−' if value < 0 else '+'}{abs(value):g}"


def hover(row: Mapping[Any, Any]) -> str:
    """The hover box of a cell: every change with its interval and adjusted p."""
    strength = f"{escape(row['axis'])} = {row['strength']:g}, " if row["axis"] else ""
    text = f"<b>{escape(row['label'])}</b><br>{strength}n = {row['n']:,}"
    for name, title in (TITLES | SIDE_TITLES).items():
        value, low, high = (row.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
        if not np.isfinite(value):
            continue
        ends = f" ({_said(low, name)} – {_said(high, name)})" if np.isfinite(low) else ""
        if low == high:
            ends = " (the same for every item)"
        text += f"<br>{title} {_said(value, name)}{ends}"
    p = row["p_adjusted"]
    return f"{text}<br>adjusted p of accuracy {p:.2g}" if np.isfinite(p) else text


def _said(value: float, name: str) -> str:
    if name in RATIOS:
        return number(value) if name == "vas_ratio" else f"{value:.3g}"
    return points(value / 100) if name == "length_change" else points(value)

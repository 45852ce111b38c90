"""The sweep figure: what each intervention changes at each strength, in accuracy, VAS and the two masses behind it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.sweep_axes import TITLES, change_ticks, hover, reach, shown, tick_text
from vaslab.plots.sweep_numbers import stands
from vaslab.plots.sweep_words import foot_of, subtitle_of, sweep_title
from vaslab.plots.text import escape, shortened, text_width

LABELS, WIDE, BETWEEN, ROW, GAP, HEAD = 268, 172, 26, 23, 9, 34
RISE, FALL = themes.CHANGE[-4], themes.CHANGE[3]


@dataclass(frozen=True)
class Entry:
    """One line of text: an intervention, and the row of its change where it has one of its own."""

    text: str
    at: float
    row: int | None
    inner: bool = False


def sweep(cells: pd.DataFrame, theme: str = "light", run: str | None = None) -> go.Figure:
    """Change against the plain model, a row an intervention and strength, with paired 95 % intervals.

    Strengths of one intervention stand under each other, joined by a line. Filled markers are changes that stand at
    a false discovery rate of 5 % over the sweep.

    Args:
        cells: one table of `sweep_cells`.
        theme: "light" or "dark".
        run: the sweep's name, for the foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme.
    """
    look = themes.named(theme)
    width = EDGE + LABELS + len(TITLES) * WIDE + (len(TITLES) - 1) * BETWEEN + EDGE
    foot = foot_of(cells, "Line: strengths of one intervention.", run)
    canvas = Canvas(
        look, width, sweep_title(cells), subtitle_of(cells, "Change by intervention and strength"), foot
    )
    entries, high = _entries(cells)
    canvas.close(HEAD + high + 34)
    top = canvas.body_at + HEAD
    for entry in entries:
        _write(canvas, entry, top)
    for place, name in enumerate(TITLES):
        left = EDGE + LABELS + place * (WIDE + BETWEEN)
        canvas.text(f"<b>{TITLES[name]}</b>", left + WIDE / 2, canvas.body_at + 12, xanchor="center")
        _panel(canvas, place + 1, (left, top, high), cells, name, entries)
    return canvas.figure


def _entries(cells: pd.DataFrame) -> tuple[list[Entry], float]:
    """Every line of text with the middle of its place, in pixels from the top, and the height of all."""
    out: list[Entry] = []
    at = 0.0
    for line, part in cells.groupby("line", sort=False):
        alone = len(part) == 1
        if not alone:
            out.append(Entry(str(line), at + ROW / 2, None))
            at += ROW
        for row, told in zip(part.index, part.to_dict("records"), strict=True):
            text = told["label"] if alone else f"{told['axis']} = {told['strength']:g}"
            out.append(Entry(text, at + ROW / 2, int(row), not alone))
            at += ROW
        at += GAP
    return out, at - GAP


def _write(canvas: Canvas, entry: Entry, top: float) -> None:
    left = EDGE + (14 if entry.inner else 0)
    room = LABELS - 16 - (left - EDGE)
    if entry.inner:
        canvas.text(escape(shortened(entry.text, room, 13)), left, top + entry.at, color=canvas.theme.muted)
        return
    name, _, rest = entry.text.partition(" ")
    canvas.text(f"<b>{escape(name)}</b>", left, top + entry.at)
    used = text_width(f"{name} ", 13, bold=True)
    if rest:
        words = escape(shortened(rest, room - used, 12))
        canvas.text(words, left + used, top + entry.at, size=12, color=canvas.theme.muted)


def _panel(
    canvas: Canvas,
    place: int,
    box: tuple[float | int, float, float],
    cells: pd.DataFrame,
    name: str,
    entries: list[Entry],
) -> None:
    look, figure = canvas.theme, canvas.figure
    left, top, high = box
    values, low, gone, high_end = shown(cells, name)
    span = reach([values, low, high_end], 0.15 if name == "vas_ratio" else 0.4)
    ticks = change_ticks(span, name)
    on = canvas.axes(
        place,
        left,
        top,
        WIDE,
        high,
        {
            "range": list(span),
            "tickvals": ticks,
            "ticktext": [tick_text(tick, name) for tick in ticks],
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
        {"range": [high, 0], "visible": False, "fixedrange": True},
    )
    figure.add_scatter(
        x=[0, 0],
        y=[0, high],
        mode="lines",
        line={"color": look.text, "width": 1.1},
        hoverinfo="skip",
        **on,
    )
    at = {entry.row: entry.at for entry in entries if entry.row is not None}
    x = np.where(gone, span[0], values)
    for _, part in cells.groupby("line", sort=False):
        rows = list(part.index)
        figure.add_scatter(
            x=x[rows],
            y=[at[row] for row in rows],
            mode="lines",
            line={"color": look.reference, "width": 1.3},
            hoverinfo="skip",
            **on,
        )
    solid = stands(cells, name)
    for chosen, ink, fill in (
        (~solid, look.muted, look.background),
        (solid & (values > 0), _inks(look)[0], _inks(look)[0]),
        (solid & ~(values > 0), _inks(look)[1], _inks(look)[1]),
    ):
        rows = list(np.flatnonzero(chosen & (np.isfinite(values) | gone)))
        figure.add_scatter(
            x=x[rows],
            y=[at[int(row)] for row in rows],
            mode="markers",
            marker={
                "size": 8.5,
                "symbol": ["triangle-left" if gone[row] else "circle" for row in rows],
                "color": fill,
                "line": {"width": 1.6, "color": ink},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(high_end - values, posinf=0, neginf=0)[rows],
                "arrayminus": np.nan_to_num(values - low, posinf=0, neginf=0)[rows],
                "color": ink,
                "thickness": 1.5,
                "width": 0,
            },
            customdata=[hover(cells.loc[int(row)].to_dict()) for row in rows],
            hovertemplate="%{customdata}<extra></extra>",
            cliponaxis=False,
            **on,
        )


def _inks(look: themes.Theme) -> tuple[str, str]:
    """Colours of a rise and of a fall on the page."""
    rise, fall = (themes.readable(ink, look.background) for ink in (RISE, FALL))
    return rise, fall

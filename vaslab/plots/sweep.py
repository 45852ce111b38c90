"""The sweep figures: what each intervention changes at each strength, in accuracy, VAS and the two masses behind it;
and what it does beside."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.sweep_axes import SIDE_TITLES, TITLES, change_axis, hover, page_of, reach, shown
from vaslab.plots.sweep_numbers import BLANK, RATIOS, blank, sides, stands
from vaslab.plots.sweep_words import foot_of, sides_foot, sides_title, sweep_title
from vaslab.plots.text import escape, text_width, wrapped

LABELS, PANELS, BETWEEN, ROW, GAP, HEAD = 282, 766, 26, 23, 9, 40
_LINE = 16
RISE, FALL = themes.CHANGE[-4], themes.CHANGE[3]


@dataclass(frozen=True)
class Entry:
    """The words of an intervention or a strength, and the row of its change where it has one of its own."""

    lines: tuple[str, ...]
    top: float
    row: int | None
    inner: bool = False

    @property
    def high(self) -> float:
        """Height in pixels."""
        return float(ROW + _LINE * (len(self.lines) - 1))

    @property
    def at(self) -> float:
        """Middle, in pixels from the top."""
        return self.top + self.high / 2


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
    what, line = "Change by intervention and strength", "Line: strengths of one intervention."
    return _drawn(cells, theme, TITLES, sweep_title(cells), what, foot_of(cells, line, run))


def sweep_sides(cells: pd.DataFrame, theme: str = "light", run: str | None = None) -> go.Figure:
    """Side effects against the plain model, drawn as `sweep` draws changes.

    Shares of answers in the paper's format and of answers that obey two checkable system prompts, length, and the
    perplexity of text without pictures.

    Args:
        cells: one table of `sweep_cells`.
        theme: "light" or "dark".
        run: the sweep's name, for the foot.

    Raises:
        UsageError: an unknown theme.
    """
    titles = {name: SIDE_TITLES[name] for name in sides(cells)}
    told = ""
    if set(titles) - {"formatted_change", "length_change"}:
        told = (
            "Capitals, end: answers that obey that system prompt. Perplexity: of answers to questions without "
            "pictures. These are of the sweep's side items alone."
        )
    what = "Side effects by intervention and strength"
    return _drawn(cells, theme, titles, sides_title(cells), what, sides_foot(told, run))


def _drawn(
    cells: pd.DataFrame,
    theme: str,
    titles: Mapping[str, str],
    title: str,
    what: str,
    foot: str,
) -> go.Figure:
    attention = "vas_ratio" in titles
    canvas = page_of(cells, theme, EDGE + LABELS + PANELS + EDGE, title, what, foot, attention)
    entries, high = _entries(cells)
    canvas.close(HEAD + high + 34)
    top = canvas.body_at + HEAD
    for entry in entries:
        _write(canvas, entry, top)
    wide = (PANELS - (len(titles) - 1) * BETWEEN) / len(titles)
    for place, (name, words) in enumerate(titles.items()):
        left = EDGE + LABELS + place * (wide + BETWEEN)
        canvas.text(f"<b>{words}</b>", left + wide / 2, canvas.body_at + 12, xanchor="center")
        _panel(canvas, place + 1, (left, top, wide, high), cells, name, entries)
    return canvas.figure


def _entries(cells: pd.DataFrame) -> tuple[list[Entry], float]:
    """All words with their places, in pixels from the top, and the height of all."""
    out: list[Entry] = []
    at = 0.0

    def add(text: str, row: int | None, inner: bool = False) -> None:
        nonlocal at
        out.append(Entry((text,) if inner else _lines(text), at, row, inner))
        at += out[-1].high

    for line, part in cells.groupby("line", sort=False):
        alone = len(part) == 1
        if not alone:
            add(str(line), None)
        for row, told in zip(part.index, part.to_dict("records"), strict=True):
            text = str(told["label"]) if alone else f"{told['axis']} = {told['strength']:g}"
            add(text, int(row), not alone)
        at += GAP
    return out, at - GAP


def _lines(text: str) -> tuple[str, ...]:
    """A label in as many lines as it needs, its name at the head of the first."""
    name, _, rest = text.partition(" ")
    if not rest:
        return (name,)
    first, *more = wrapped(rest, LABELS - 16 - text_width(f"{name} ", 13, bold=True), 12)
    return (f"{name} {first}", *more)


def _write(canvas: Canvas, entry: Entry, top: float) -> None:
    muted = canvas.theme.muted
    at = top + entry.top + ROW / 2
    if entry.inner:
        canvas.text(escape(entry.lines[0]), EDGE + 14, at, color=muted)
        return
    name, _, rest = entry.lines[0].partition(" ")
    canvas.text(f"<b>{escape(name)}</b>", EDGE, at)
    left = EDGE + text_width(f"{name} ", 13, bold=True)
    for number, words in enumerate((rest, *entry.lines[1:])):
        if words:
            canvas.text(escape(words), left, at + _LINE * number, size=12, color=muted)


def _panel(
    canvas: Canvas,
    place: int,
    box: tuple[float | int, float, float, float],
    cells: pd.DataFrame,
    name: str,
    entries: list[Entry],
) -> None:
    look, figure = canvas.theme, canvas.figure
    left, top, wide, high = box
    values, low, gone, high_end = shown(cells, name)
    span = reach([values, low, high_end], 0.15 if name in RATIOS else 0.4)
    on = canvas.axes(
        place,
        left,
        top,
        wide,
        high,
        {**change_axis(span, name, look), "fixedrange": True},
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
    if name == "accuracy_change":
        _blank(canvas, cells, span, (left, top, wide, high), on)
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


def _blank(
    canvas: Canvas,
    cells: pd.DataFrame,
    span: tuple[float, float],
    box: tuple[float | int, float, float, float],
    on: dict[str, str],
) -> None:
    """The level of a blank picture, through all rows, with its interval."""
    found = blank(cells)
    if found is None:
        return
    level, low, high_end = (100 * value for value in found)
    left, top, wide, high = box
    for ends, style in (
        (
            [low, low, high_end, high_end],
            {"fill": "toself", "fillcolor": themes.faded(canvas.theme.muted, 0.12)},
        ),
        ([level, level], {}),
    ):
        canvas.figure.add_scatter(
            x=ends,
            y=[0, high, high, 0][: len(ends)],
            mode="lines",
            line={"color": canvas.theme.muted, "width": 0 if style else 1.3, "dash": "dash"},
            hoverinfo="skip",
            **style,
            **on,
        )
    x = left + (level - span[0]) / (span[1] - span[0]) * wide
    half = text_width(BLANK, 11) / 2
    x = min(max(x, left + half), left + wide - half)
    canvas.text(BLANK, x, top - 9, size=11, color=canvas.theme.muted, xanchor="center")


def _inks(look: themes.Theme) -> tuple[str, str]:
    """Colours of a rise and of a fall on the page."""
    rise, fall = (themes.readable(ink, look.background) for ink in (RISE, FALL))
    return rise, fall

"""The dose-response figure: change of attention against change of accuracy, one point an intervention and strength."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.point_labels import SIZE, Box, place_labels
from vaslab.plots.sweep_axes import change_axis, hover, page_of, reach, shown
from vaslab.plots.sweep_numbers import BLANK, blank, settings, stands, without_dose
from vaslab.plots.sweep_words import dose_title, foot_of
from vaslab.plots.text import escape, text_width, wrapped

LEFT, WIDE, BETWEEN, HIGH, LINE = 84, 430, 34, 400, 24
STRIP = 76
"""Pixels at the right of a panel for settings without a dose, where there are any."""
DOSES = {"visual_change": "change of visual mass, points", "vas_ratio": "change of VAS, ratio"}

_INKS = ("#0b7a75", "#c2255c", "#8a5a00", "#3f51b5", "#7a3e9d", "#66717f", "#17202e")
_SYMBOLS = (
    *("circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "hexagon"),
    *("star", "cross", "x", "star-triangle-up", "star-square", "hourglass", "bowtie"),
)


@dataclass(frozen=True)
class Mark:
    """How one intervention is drawn: a symbol of its own, and a colour."""

    ink: str
    text: str
    symbol: str


def dose_response(cells: pd.DataFrame, theme: str = "light", run: str | None = None) -> go.Figure:
    """Change of visual mass, and of VAS, against change of accuracy, with paired 95 % intervals both ways.

    Filled and named points are changes of accuracy that stand at a false discovery rate of 5 % over the sweep. Settings
    that leave the measured rows alone have no dose and stand in a strip of their own.

    Args:
        cells: one table of `sweep_cells`.
        theme: "light" or "dark".
        run: the sweep's name, for the foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme.
    """
    width = LEFT + 2 * WIDE + BETWEEN + EDGE
    what = "Change of attention against change of accuracy"
    points = "One point an intervention and strength; filled points are named where there is room."
    canvas = page_of(cells, theme, width, dose_title(cells), what, foot_of(cells, points, run, strip=True))
    level = blank(cells)
    cells = settings(cells).reset_index(drop=True)
    marks = _marks(cells, canvas.theme)
    key = _key_places(marks, width - LEFT - EDGE)
    rows = key[-1][2] + 1
    top = canvas.body_at + rows * LINE + 16
    canvas.close(rows * LINE + 16 + HIGH + 56)
    _key(canvas, marks, key)
    accuracy = shown(cells, "accuracy_change")
    up = reach([*(accuracy[end] for end in (0, 1, 3)), 100 * np.asarray(level or (0.0,))], 4.0)
    for place, dose in enumerate(DOSES):
        left = LEFT + place * (WIDE + BETWEEN)
        _panel(canvas, place + 1, (left, top), cells, dose, up, marks, None if level is None else level[0])
        canvas.text(DOSES[dose], left + WIDE / 2, top + HIGH + 42, xanchor="center")
    canvas.text("change of accuracy, points", 24, top + HIGH / 2, textangle=-90, xanchor="center")
    return canvas.figure


def _marks(cells: pd.DataFrame, look: themes.Theme) -> dict[str, Mark]:
    out = {}
    for number, name in enumerate(dict.fromkeys(map(str, cells["intervention"]))):
        ink = themes.on_page(_INKS[number % len(_INKS)], look)
        text = themes.readable(ink, look.background)
        out[name] = Mark(ink, text, _SYMBOLS[number % len(_SYMBOLS)])
    return out


def _key_places(marks: dict[str, Mark], room: float | int) -> list[tuple[str, float, int]]:
    x, line, out = 0.0, 0, []
    for name in marks:
        wide = 20 + text_width(name, 13) + 22
        if x and x + wide > room:
            x, line = 0.0, line + 1
        out.append((name, LEFT + x, line))
        x += wide
    return out


def _key(canvas: Canvas, marks: dict[str, Mark], places: list[tuple[str, float, int]]) -> None:
    high = (places[-1][2] + 1) * LINE
    bare = {"visible": False, "fixedrange": True}
    on = canvas.axes(
        len(DOSES) + 1,
        0,
        canvas.body_at,
        canvas.width,
        high,
        {"range": [0, canvas.width], **bare},
        {"range": [high, 0], **bare},
    )
    for name, x, line in places:
        canvas.figure.add_scatter(
            x=[x + 7],
            y=[line * LINE + LINE / 2],
            mode="markers",
            marker=_marker(marks[name], True, canvas.theme),
            hoverinfo="skip",
            **on,
        )
        canvas.text(escape(name), x + 20, canvas.body_at + line * LINE + LINE / 2, color=marks[name].text)


def _marker(mark: Mark, filled: bool, look: themes.Theme) -> dict[str, object]:
    fill = mark.ink if filled else themes.faded(look.background, 0.6)
    return {"symbol": mark.symbol, "size": 10, "color": fill, "line": {"width": 1.7, "color": mark.ink}}


def _panel(
    canvas: Canvas,
    place: int,
    corner: tuple[float | int, float],
    cells: pd.DataFrame,
    dose: str,
    up: tuple[float, float],
    marks: dict[str, Mark],
    level: float | None,
) -> None:
    look, figure = canvas.theme, canvas.figure
    left, top = corner
    x, x_low, gone, x_high = shown(cells, dose)
    y, y_low, _, y_high = shown(cells, "accuracy_change")
    still = without_dose(cells)
    x, x_low, x_high = (np.where(still, np.nan, each) for each in (x, x_low, x_high))
    dosed = reach([x, x_low, x_high], 0.3 if dose == "vas_ratio" else 1.0)
    x = np.where(gone, dosed[0], x)
    ticks = change_axis(dosed, dose, look, 7)
    span = dosed
    if still.any():
        span = (dosed[0], dosed[1] + (dosed[1] - dosed[0]) * STRIP / (WIDE - STRIP))
        x[still] = _spread(y[still], dosed[1], span[1])
    on = canvas.axes(
        place,
        left,
        top,
        WIDE,
        HIGH,
        {**ticks, "range": list(span)},
        {
            **change_axis(up, "accuracy_change", look, 7),
            "showticklabels": place == 1,
            "ticks": "outside" if place == 1 else "",
        },
    )
    lines = [([0, 0], list(up)), (list(span), [0, 0])]
    if still.any():
        lines.append(([dosed[1], dosed[1]], list(up)))
        canvas.text("no dose", left + WIDE - STRIP / 2, top + HIGH + 15, size=11, xanchor="center")
    for line in lines:
        figure.add_scatter(
            x=line[0],
            y=line[1],
            mode="lines",
            line={"color": look.reference, "width": 1.2},
            hoverinfo="skip",
            **on,
        )
    if level is not None:
        _blank(canvas, corner, span, up, 100 * level, on, STRIP if still.any() else 0)
    solid = stands(cells, "accuracy_change")
    boxes = [hover(row) for row in cells.to_dict("records")]
    # what stands lies on top of what does not
    for row in sorted(np.flatnonzero(np.isfinite(x) & np.isfinite(y)), key=lambda row: bool(solid[row])):
        mark = marks[str(cells.at[row, "intervention"])]
        ink = mark.ink if solid[row] else themes.faded(mark.ink, 0.55)
        figure.add_scatter(
            x=[x[row]],
            y=[y[row]],
            mode="markers",
            marker=_marker(mark, bool(solid[row]), look),
            error_x=_error(x[row], x_low[row], x_high[row], ink),
            error_y=_error(y[row], y_low[row], y_high[row], ink),
            customdata=[boxes[row]],
            hovertemplate="%{customdata}<extra></extra>",
            cliponaxis=False,
            **on,
        )
    _name(canvas, corner, cells, (x, y), solid, (span, up), marks)


def _spread(y: np.ndarray, low: float, high: float) -> np.ndarray:
    """Places between two ends at which points of like `y` lie apart."""
    places = np.linspace(low, high, len(y) + 2)[1:-1]
    half = (len(y) + 1) // 2
    out = np.empty(len(y))
    out[np.argsort(y, kind="stable")] = [places[rank // 2 + half * (rank % 2)] for rank in range(len(y))]
    return out


def _blank(
    canvas: Canvas,
    corner: tuple[float | int, float],
    span: tuple[float, float],
    up: tuple[float, float],
    level: float,
    on: dict[str, str],
    strip: float | int,
) -> None:
    """The accuracy of a blank picture, across the panel."""
    canvas.figure.add_scatter(
        x=list(span),
        y=[level, level],
        mode="lines",
        line={"color": canvas.theme.muted, "width": 1.3, "dash": "dash"},
        hoverinfo="skip",
        **on,
    )
    y = corner[1] + (up[1] - level) / (up[1] - up[0]) * HIGH
    canvas.text(
        BLANK, corner[0] + WIDE - strip - 4, y - 8, size=11, color=canvas.theme.muted, xanchor="right"
    )


def _error(middle: float, low: float, high: float, ink: str) -> dict[str, object]:
    # a missing interval is no bar
    return {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num([high - middle]),
        "arrayminus": np.nan_to_num([middle - low]),
        "color": ink,
        "thickness": 1.3,
        "width": 0,
    }


def _name(
    canvas: Canvas,
    corner: tuple[float | int, float],
    cells: pd.DataFrame,
    at: tuple[np.ndarray, np.ndarray],
    solid: np.ndarray,
    spans: tuple[tuple[float, float], tuple[float, float]],
    marks: dict[str, Mark],
) -> None:
    """Names beside what stands; one without room is left to its hover box."""
    (low, high), (floor, ceiling) = spans
    left, top = corner
    drawn = np.flatnonzero(np.isfinite(at[0]) & np.isfinite(at[1]))
    order = [*(row for row in drawn if solid[row]), *(row for row in drawn if not solid[row])]
    points = [
        (
            left + float((at[0][row] - low) / (high - low)) * WIDE,
            top + float((ceiling - at[1][row]) / (ceiling - floor)) * HIGH,
        )
        for row in order
    ]
    page: Box = (left, top, left + WIDE, top + HIGH)
    # the label alone, in several lines, is shorter than the name, which tells a default strength too
    told = [wrapped(str(label), WIDE / 2, SIZE) for label in cells["label"]]
    longest = [max(told[row], key=lambda line: text_width(line, SIZE)) for row in order]
    places = place_labels(points, longest, page, lines=[len(told[row]) for row in order])
    for row, place in zip(order, places, strict=True):
        if solid[row] and place is not None:
            canvas.text(
                "<br>".join(map(escape, told[row])),
                *place,
                size=SIZE,
                color=marks[str(cells.at[row, "intervention"])].text,
                xanchor="center",
                align="center",
                bgcolor=themes.faded(canvas.theme.background, 0.72),
            )

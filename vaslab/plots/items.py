"""The items figure: a table of items, right or wrong in two checkpoints, and how their VAS changed."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image

from vaslab.errors import UsageError
from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.head_grid import limit_of
from vaslab.plots.items_numbers import FILTERS, chosen, known_filter
from vaslab.plots.items_words import (
    CUT,
    TEXT,
    TEXT_SIZE,
    foot_of,
    hover_words,
    mark_words,
    question_words,
    subtitle_of,
    title_of,
)
from vaslab.plots.text import change_text, escape, number, ratio_ticks, shortened, times_text

ROW, HEAD, THUMB, BAR = 62, 52, 52, 210
TEXT_AT = EDGE + THUMB + 16
MARKS = (TEXT_AT + TEXT + 16, TEXT_AT + TEXT + 122)
LEVELS = (MARKS[1] + 172, MARKS[1] + 242)
BAR_AT = LEVELS[1] + 26
WIDTH = BAR_AT + BAR + 62 + EDGE
BUTTONS, BUTTON_INK = 40, "#17202e"


def items(
    table: pd.DataFrame,
    names: tuple[str, str] = ("first", "second"),
    pictures: Mapping[str, Image.Image] | None = None,
    which: str = "largest",
    rows: int = 12,
    theme: str = "light",
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
) -> go.Figure:
    """Table of items: picture, question, right or wrong as mark and word, VAS in both, ratio as a bar.

    Buttons choose between the items that changed most, those that the second checkpoint fixed, and those that it broke;
    a picture of the figure shows the one that is chosen.

    Args:
        table: result of `items_table`; any number of rows, of which each filter shows the first.
        names: of the two checkpoints.
        pictures: item id -> its picture, where it is at hand.
        which: the filter shown first, of FILTERS.
        rows: how many items are shown at once.
        theme: "light" or "dark". data, decoding, run: words for subtitle and foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme or filter, no item, or fewer than one row.
    """
    look = themes.named(theme)
    known_filter(which)
    if table.empty or rows < 1:
        raise UsageError(f"{len(table)} items and {rows} rows; expected at least one of each")
    parts = {name: chosen(table, name).head(rows) for name in FILTERS}
    n_rows = max(1, *(len(part) for part in parts.values()))
    words = {"data": data, "decoding": decoding, "run": run}
    # of every item that a button can show
    seen = list(dict.fromkeys(item for part in parts.values() for item in part["item"]))
    lost = sum(item not in (pictures or {}) for item in seen)
    limit = limit_of(table["ratio"].to_numpy(dtype=float))
    canvas = Canvas(
        look,
        WIDTH,
        title_of(table, names),
        subtitle_of(table, words),
        foot_of(table, words, rows, limit, (len(seen) - lost, len(seen))),
    )
    top = canvas.body_at + BUTTONS + HEAD
    canvas.close(BUTTONS + HEAD + n_rows * ROW + 30)
    _headings(canvas, names, top)
    _lines(canvas, top, n_rows)
    _traces(canvas, top, n_rows, limit)
    slots = _slots(canvas, top, n_rows)
    shown = _pictures(canvas, seen, pictures or {})
    updates = {name: _update(canvas, part, limit, slots, shown, top, names) for name, part in parts.items()}
    _apply(canvas.figure, updates[which])
    _buttons(canvas, table, names, updates, which)
    return canvas.figure


def _headings(canvas: Canvas, names: tuple[str, str], top: float) -> None:
    look = canvas.theme
    inks = [themes.readable(themes.on_page(ink, look), look.background) for ink in ("#66717f", "#0b7a75")]
    canvas.text("question", TEXT_AT, top - 16, color=look.muted)
    for name, ink, mark, level in zip(names, inks, MARKS, LEVELS, strict=True):
        canvas.text(f"<b>{escape(shortened(name, 98, 13, bold=True))}</b>", mark, top - 16, color=ink)
        short = shortened(name, 62, 12, bold=True)
        canvas.text(f"<b>{escape(short)}</b>", level, top - 16, size=12, color=ink, xanchor="right")
    canvas.text("VAS", (LEVELS[0] + LEVELS[1]) / 2 - 22, top - 38, color=look.muted, xanchor="center")
    canvas.text("ratio", BAR_AT + BAR / 2, top - 38, color=look.muted, xanchor="center")


def _lines(canvas: Canvas, top: float, n_rows: int) -> None:
    """Thin lines between rows."""
    for row in range(n_rows + 1):
        canvas.figure.add_shape(
            type="line",
            x0=canvas.x(EDGE),
            x1=canvas.x(WIDTH - EDGE),
            y0=canvas.y(top + row * ROW),
            y1=canvas.y(top + row * ROW),
            xref="paper",
            yref="paper",
            layer="below",
            line={"color": canvas.theme.grid, "width": 1},
        )


def _traces(canvas: Canvas, top: float, n_rows: int, limit: int) -> None:
    """Two bars a row: an unseen one over the whole row, which tells all of it on hover, and that of the ratio."""
    look = canvas.theme
    y = {"range": [n_rows - 0.5, -0.5], "visible": False, "fixedrange": True}
    room = n_rows * ROW
    on = canvas.axes(
        1, EDGE, top, WIDTH - 2 * EDGE, room, {"range": [0, 1], "visible": False, "fixedrange": True}, dict(y)
    )
    canvas.figure.add_bar(
        y=list(range(n_rows)),
        orientation="h",
        width=1,
        marker={"color": "rgba(0,0,0,0)", "line": {"width": 0}},
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )
    ticks = ratio_ticks(-limit, limit, 5)
    on = canvas.axes(
        2,
        BAR_AT,
        top,
        BAR,
        room,
        {
            "range": [-limit * 1.02, limit * 1.02],
            "tickvals": ticks,
            "ticktext": [change_text(power) for power in ticks],
            "side": "top",
            "ticks": "",
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
        dict(y),
    )
    canvas.figure.add_bar(
        y=list(range(n_rows)),
        orientation="h",
        width=0.42,
        marker={"line": {"width": 0.8, "color": look.muted}},
        hoverinfo="skip",
        **on,
    )
    canvas.figure.add_shape(
        type="line",
        x0=canvas.x(BAR_AT + BAR / 2),
        x1=canvas.x(BAR_AT + BAR / 2),
        y0=canvas.y(top),
        y1=canvas.y(top + room),
        xref="paper",
        yref="paper",
        line={"color": look.muted, "width": 1.2},
    )


def _slots(canvas: Canvas, top: float, n_rows: int) -> list[list[int]]:
    """Empty texts of each row: question, marks, levels, ratio, in place of a picture; returns their numbers among the
    annotations.
    """
    look, out = canvas.theme, []
    for row in range(n_rows):
        y = top + (row + 0.5) * ROW
        first = len(canvas.figure.layout.annotations)
        canvas.text("", TEXT_AT, y, size=TEXT_SIZE)
        for mark in MARKS:
            canvas.text("", mark, y)
        for level in LEVELS:
            canvas.text("", level, y, xanchor="right")
        canvas.text("", BAR_AT + BAR + 10, y, color=look.text)
        canvas.text("", EDGE + THUMB / 2, y, size=11, color=look.muted, xanchor="center")
        out.append(list(range(first, first + 7)))
    return out


def _pictures(canvas: Canvas, seen: Sequence[str], pictures: Mapping[str, Image.Image]) -> dict[str, int]:
    """Put the picture of every item that a filter can show on the page once, unseen; item id -> its number."""
    shown: dict[str, int] = {}
    for name in seen:
        if name in pictures:
            shown[name] = len(shown)
            canvas.figure.add_layout_image(
                source=thumbnail(pictures[name]),
                x=canvas.x(EDGE),
                y=0,
                xref="paper",
                yref="paper",
                sizex=THUMB / canvas.width,
                sizey=THUMB / canvas.height,
                xanchor="left",
                yanchor="top",
                sizing="contain",
                visible=False,
            )
    return shown


def thumbnail(picture: Image.Image, side: int = 2 * THUMB) -> str:
    """A picture, made smaller, as a data address: PNG, or JPEG where that is smaller."""
    small = picture.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    kinds = []
    for kind, how in (("png", {"optimize": True}), ("jpeg", {"quality": 82})):
        held = io.BytesIO()
        small.save(held, kind, **how)
        kinds.append((len(held.getvalue()), kind, held.getvalue()))
    _, kind, data = min(kinds)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _update(
    canvas: Canvas,
    part: pd.DataFrame,
    limit: int,
    slots: list[list[int]],
    shown: Mapping[str, int],
    top: float,
    names: tuple[str, str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What plotly's update needs to show these rows: of the two traces, and of the layout."""
    layout: dict[str, Any] = {f"images[{at}].visible": False for at in shown.values()}
    hover, lengths, colours = [], [], []
    records: list[Any] = part.to_dict("records")
    for row, numbers in enumerate(slots):
        if row >= len(records):
            texts = ["no item" if row == 0 else ""] + [""] * 6
        else:
            record = records[row]
            ratio = float(record["ratio"])
            power = float(np.clip(np.log2(ratio), -limit, limit)) if np.isfinite(ratio) else None
            texts = [
                question_words(record),
                mark_words(record["first_right"]),
                mark_words(record["second_right"]),
                number(record["first_vas"]),
                number(record["second_vas"]),
                "–" if power is None else times_text(ratio) + _cut(ratio, limit),
                "" if record["item"] in shown or not shown else "no<br>picture",
            ]
            hover.append(hover_words(record, names))
            lengths.append(power)
            colours.append(themes.sampled(themes.CHANGE, ((power or 0.0) / limit + 1) / 2))
            if record["item"] in shown:
                at = shown[record["item"]]
                layout[f"images[{at}].visible"] = True
                layout[f"images[{at}].y"] = canvas.y(top + row * ROW + (ROW - THUMB) / 2)
        layout |= {f"annotations[{at}].text": text for at, text in zip(numbers, texts, strict=True)}
    ones = [1.0] * len(hover) + [None] * (len(slots) - len(hover))
    blank = [None] * (len(slots) - len(hover))
    traces = {
        "x": [ones, [*lengths, *blank]],
        "customdata": [[*hover, *[""] * len(blank)], [""] * len(slots)],
        "marker.color": ["rgba(0,0,0,0)", [*colours, *["#ffffff"] * len(blank)]],
    }
    return traces, layout


def _cut(ratio: float, limit: int) -> str:
    """A mark behind the ratio of a bar that is longer than the axis."""
    power = float(np.log2(ratio))
    return "" if abs(power) <= limit else f" {CUT[power > 0]}"


def _apply(figure: go.Figure, update: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Put one update into the figure itself: what is seen before a button is pressed."""
    traces, layout = update
    for at, trace in enumerate(figure.data):
        trace.x, trace.customdata = traces["x"][at], traces["customdata"][at]
        trace.marker.color = traces["marker.color"][at]
    for place, value in layout.items():
        kind, rest = place.split("[")
        number_of, name = rest.split("].")
        figure.layout[kind][int(number_of)][name] = value


def _buttons(
    canvas: Canvas,
    table: pd.DataFrame,
    names: tuple[str, str],
    updates: Mapping[str, tuple[dict[str, Any], dict[str, Any]]],
    which: str,
) -> None:
    look = canvas.theme
    labels = {
        name: f"{words.format(shortened(names[1], 160, 13))} ({len(chosen(table, name)):,})"
        for name, words in FILTERS.items()
    }
    canvas.figure.update_layout(
        updatemenus=[
            {
                "type": "buttons",
                "direction": "right",
                "active": list(FILTERS).index(which),
                "x": canvas.x(EDGE),
                "y": canvas.y(canvas.body_at - 4),
                "xanchor": "left",
                "yanchor": "top",
                "pad": {"l": 0, "t": 0},
                # plotly paints the pressed button nearly white, whatever the theme
                "bgcolor": look.background if look.name == "light" else look.muted,
                "bordercolor": look.reference,
                "borderwidth": 1,
                "font": {"size": 13, "color": BUTTON_INK},
                "buttons": [
                    {"label": escape(labels[name]), "method": "update", "args": list(update)}
                    for name, update in updates.items()
                ],
            }
        ]
    )

"""The lazy figure: share of attention per layer on image, system prompt and question, one line a checkpoint."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.lazy_numbers import ROLES, finding, lazy_table
from vaslab.plots.strips import band, draw_spread
from vaslab.plots.text import (
    axis_ticks,
    counted,
    dotted,
    escape,
    points,
    shortened,
    spelled,
    text_width,
    unbroken,
)

PANEL_WORDS = {"image": "image tokens", "system": "system prompt", "user": "question"}
LEFT, PANEL, BETWEEN, HEIGHT = 64, 310, 74, 300
KEY_LINE, KEY_SAMPLE = 30, 34
MANY = 12
"""Checkpoints beyond which lines and marks are not told apart: a median and a band stand for them, and three lines
for the base and for those that move most to the image and away from it."""


def lazy(
    captures: Mapping[str, xr.Dataset],
    queries: str = "user",
    base: str | None = None,
    sink: str = "include",
    cluster: xr.DataArray | None = None,
    theme: str = "light",
    model: str | None = None,
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
    seed: int = 0,
    table: pd.DataFrame | None = None,
) -> go.Figure:
    """Lazy Attention Localization: three panels over layers, share of attention in %, y from 0.

    Args:
        captures: checkpoint name -> Capture, in the order drawn. All on the same items and layers.
        queries: the query set.
        base: the checkpoint that others are compared with; default: one named base, else the first.
        sink: "include" (system holds its first token) or "exclude".
        cluster: picture of each item; resampled whole, and tested whole.
        theme: "light" or "dark".
        model, data, decoding, run: words for subtitle and foot, in place of the captures' attributes.
        seed: of the bootstrap over items (bands, and paired differences in the hover).
        table: result of `lazy_table` with the same options, where it is at hand already.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: as `lazy_table`; an unknown theme.
    """
    look = themes.named(theme)
    if table is None:
        table = lazy_table(captures, queries, base, sink, cluster, seed)
    reference = table.attrs["reference"]
    names = _shown(list(captures), table)
    styles = themes.run_styles(names, look, reference if len(names) > 1 else None)
    named = {"model": model, "data": data, "decoding": decoding, "run": run}
    words = {k: v if v is not None else _shared(captures, k) for k, v in named.items()}
    width = LEFT + 3 * PANEL + 2 * BETWEEN + EDGE
    canvas = Canvas(
        look,
        width,
        finding(table),
        _subtitle(table, words, len(captures)),
        _foot(table, words, len(captures)),
    )
    places = _key_places(names, width) if len(names) > 1 else []
    key_height = (places[-1][2] + 1) * KEY_LINE if places else 0
    panel_top = canvas.body_at + key_height + 36
    canvas.close(key_height + 36 + HEIGHT + 48)
    if places:
        _key(canvas, places, styles, key_height)
    for panel, role in enumerate(ROLES):
        left = LEFT + panel * (PANEL + BETWEEN)
        canvas.text(f"attention on <b>{PANEL_WORDS[role]}</b>", left - 2, panel_top - 20, size=14)
        canvas.text("layer", left + PANEL / 2, panel_top + HEIGHT + 38, xanchor="center")
        _panel(canvas, panel + 1, left, panel_top, table[table["role"] == role], styles, reference)
    canvas.figure.update_layout(hovermode="x unified")
    return canvas.figure


def _shown(names: list[str], table: pd.DataFrame) -> list[str]:
    """The checkpoints that get a line of their own."""
    if len(names) <= MANY:
        return names
    moves = table.attrs["moves"].sort_values("difference", kind="stable")
    chosen = {table.attrs["reference"], *moves["run"].iloc[[0, -1]]}
    return [name for name in names if name in chosen]


def _shared(captures: Mapping[str, xr.Dataset], attribute: str) -> str | None:
    """An attribute that all captures agree on."""
    found = {str(capture.attrs[attribute]) for capture in captures.values() if attribute in capture.attrs}
    return found.pop() if len(found) == 1 and all(attribute in c.attrs for c in captures.values()) else None


def _key_name(name: str) -> str:
    """A path to a checkpoint can be longer than the page is wide."""
    return shortened(name, 420, 14, bold=True)


def _key_places(names: list[str], width: float | int) -> list[tuple[str, float, int]]:
    """Name, pixel from the left and line of each entry of the key."""
    places: list[tuple[str, float, int]] = []
    x, line = float(LEFT), 0
    for name in names:
        wide = KEY_SAMPLE + 8 + text_width(_key_name(name), 14, bold=True) + 26
        if x > LEFT and x + wide > width - EDGE:
            x, line = float(LEFT), line + 1
        places.append((name, x, line))
        x += wide
    return places


def _key(
    canvas: Canvas,
    places: list[tuple[str, float, int]],
    styles: dict[str, themes.RunStyle],
    height: float | int,
) -> None:
    """Names in their own colour behind a piece of their own line: no legend box."""
    bare = {"visible": False, "fixedrange": True}
    on = canvas.axes(
        4,
        0,
        canvas.body_at - 6,
        canvas.width,
        height,
        {"range": [0, canvas.width], **bare},
        {"range": [height, 0], **bare},
    )
    for name, x, line in places:
        style, y = styles[name], line * KEY_LINE + KEY_LINE / 2
        canvas.figure.add_scatter(
            x=[x, x + KEY_SAMPLE],
            y=[y, y],
            mode="lines",
            line={"color": style.line, "width": 3, "dash": style.dash},
            hoverinfo="skip",
            **on,
        )
        if style.symbol:
            canvas.figure.add_scatter(
                x=[x + KEY_SAMPLE / 2],
                y=[y],
                mode="markers",
                marker={"color": style.line, "symbol": style.symbol, "size": 9},
                hoverinfo="skip",
                **on,
            )
        canvas.text(
            f"<b>{escape(_key_name(name))}</b>",
            x + KEY_SAMPLE + 8,
            canvas.body_at - 6 + y,
            size=14,
            color=style.text,
        )


def _panel(
    canvas: Canvas,
    number: int,
    left: float | int,
    top: float | int,
    rows: pd.DataFrame,
    styles: dict[str, themes.RunStyle],
    reference: str,
) -> None:
    look, figure = canvas.theme, canvas.figure
    layers = list(rows["layer"].unique())
    x = np.array(layers, dtype=float)
    ticks = axis_ticks(len(layers), PANEL, 28)
    most = float(np.nanmax(rows[["share", "high"]].to_numpy(dtype=float))) * 100
    on = canvas.axes(
        number,
        left,
        top,
        PANEL,
        HEIGHT,
        {
            "range": [x[0] - 0.4, x[-1] + 0.4],
            "tickvals": x[ticks],
            "unifiedhovertitle": {"text": "<b>layer %{x}</b>"},
            "showspikes": False,
            "fixedrange": True,
        },
        {
            "range": [0, max(most, 0.1) * 1.06],
            "ticksuffix": "%",
            "nticks": 6,
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
    )
    jumps = _jumps(x)
    drawn_x = np.insert(x, jumps, (x[jumps - 1] + x[jumps]) / 2)
    several = len(styles) > 1
    if rows["run"].nunique() > len(styles):
        shares = rows.pivot(index="run", columns="layer", values="share").to_numpy(dtype=float) * 100
        draw_spread(figure, drawn_x, np.insert(shares, jumps, np.nan, axis=1), look, on)
    # the base last, so that its dots lie on a line that coincides with it
    order = [name for name in styles if name != reference] + [reference]
    for name, style in styles.items():
        run = rows[rows["run"] == name]
        low, high = (run[c].to_numpy(dtype=float) * 100 for c in ("low", "high"))
        if np.isfinite(low).any():
            around_x, around_y = band(drawn_x, *(np.insert(each, jumps, np.nan) for each in (low, high)))
            figure.add_scatter(
                x=around_x,
                y=around_y,
                fill="toself",
                fillcolor=themes.faded(style.line, 0.15 if look.name == "light" else 0.22),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                **on,
            )
    for name in order:
        style, run = styles[name], rows[rows["run"] == name]
        hover = [_hover(row, None if name == reference else reference) for row in run.to_dict("records")]
        figure.add_scatter(
            x=drawn_x,
            y=np.insert(run["share"].to_numpy(dtype=float) * 100, jumps, np.nan),
            name=escape(name),
            mode="lines+markers" if (style.symbol and several) or len(layers) <= 14 else "lines",
            line={"color": style.line, "width": 2.6, "dash": style.dash if several else "solid"},
            marker={
                "symbol": style.symbol or "circle",
                "size": 6.5 if style.symbol else 4.5,
                "maxdisplayed": 14 if len(layers) > 14 else 0,
            },
            customdata=np.insert(np.array(hover, dtype=object), jumps, ""),
            hovertemplate="%{customdata}",
            cliponaxis=False,
            **on,
        )
        gaps = np.flatnonzero(run["share"].isna())
        if gaps.size:
            figure.add_scatter(
                x=x[gaps],
                y=np.zeros(len(gaps)),
                mode="markers",
                marker={"symbol": "x-thin-open", "size": 10, "color": style.line, "line": {"width": 2}},
                hovertemplate="no value<extra></extra>",
                cliponaxis=False,
                **on,
            )


def _jumps(layers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places before which layers are missing: no line may be drawn over what was not measured."""
    steps = np.diff(layers)
    return np.flatnonzero(steps > np.median(steps)) + 1 if steps.size else np.zeros(0, dtype=np.int64)


def _hover(row: Mapping[Any, Any], reference: str | None) -> str:
    """Share with its interval and, for a compared checkpoint, the paired difference to the base in points."""
    if not np.isfinite(row["share"]):
        return "no value"
    text = f"{100 * row['share']:.1f}%"
    if np.isfinite(row["low"]):
        text += f" ({100 * row['low']:.1f} – {100 * row['high']:.1f})"
    if reference is not None and np.isfinite(row["difference"]):
        text += (
            f", {points(row['difference'])} points to {escape(shortened(reference, 160, themes.LABEL_SIZE))}"
        )
        if np.isfinite(row["difference_low"]):
            text += f" ({points(row['difference_low'])} to {points(row['difference_high'])})"
    return text


def _subtitle(table: pd.DataFrame, words: dict[str, str | None], n_runs: int) -> str:
    said = table.attrs["share"]
    decoding = words.get("decoding") if said["queries"] == "response" else "no decoding"
    model = words.get("model") or ("model not named" if n_runs == 1 else "")
    runs = f"{spelled(n_runs)} checkpoints" if n_runs > 1 else ""
    return dotted(
        [
            "Lazy Attention Localization",
            "share of attention mass per layer",
            ", ".join(part for part in (model, runs) if part),
            f"{words.get('data') or 'data not named'}, n = {table.attrs['n_items']:,}",
            f"queries: {said['query_words']}",
            decoding or "decoding not stated",
        ]
    )


def _foot(table: pd.DataFrame, words: dict[str, str | None], n_runs: int) -> str:
    said, n, reference = table.attrs["share"], table.attrs["n_items"], table.attrs["reference"]
    over = "pictures" if table.attrs["clustered"] else f"{n:,} items"
    sentences = [
        f"Share = attention mass on the tokens named, of all keys, averaged over heads and {said['query_words']}, then "
        "over items; the rest is on template markers and other text.",
        "System prompt with its first token (the usual sink)."
        if said["system"] != "system"
        else "System prompt without its first token (the sink).",
    ]
    if n_runs > MANY:
        sentences.append(
            f"More than {MANY} checkpoints: thin line their median, grey bands the middle half and all of them; lines "
            "of their own for the base, and for those that move most to and away from the image; all in the table."
        )
    sentences.append(f"Bands: 95% bootstrap over {over}." if n > 1 else "One item: no bands, no intervals.")
    if n_runs > 1 and n > 1:
        sentences.append(
            f"Title: paired differences to {reference} in image attention, mean over layers; “moves” where a t test "
            f"over {'pictures' if table.attrs['clustered'] else 'items'} stands at 5%"
            f"{f', shared by {spelled(n_runs - 1)} comparisons' if n_runs > 2 else ''}."
        )
    lacking = sum(map(bool, table.attrs["gaps"].values()))
    if n_runs > MANY and lacking:
        sentences.append(f"{counted(lacking, 'checkpoint')} with layers without a value: gaps there.")
    for name, layers in table.attrs["gaps"].items():
        if layers and n_runs <= MANY:
            where = f"{'layer' if len(layers) == 1 else 'layers'} {', '.join(map(str, layers))}"
            sentences.append(f"{name}: heads of {where} have no value: gaps, crossed, left out of the title.")
    for name, lost in table.attrs["left_out"].items():
        if lost and n_runs <= MANY:
            sentences.append(f"{name}: {counted(lost, 'item')} with a head without a value left out.")
    sentences.append("Y axes differ between panels and start at 0.")
    sentences.append(unbroken(f"Run {words.get('run') or 'not named'}."))
    return " ".join(sentences)

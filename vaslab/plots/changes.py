"""The decomposition figure: did visual attention rise, or system attention fall? Change of log2 VAS, stacked."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import xarray as xr

from vaslab.metrics.selection import QUERY_WORDS
from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.changes_numbers import changes_table
from vaslab.plots.text import (
    axis_ticks,
    change_text,
    counted,
    dotted,
    escape,
    fold,
    percent,
    ratio_ticks,
    shortened,
    text_width,
    times_text,
    unbroken,
)

LEFT, HEIGHT, ALL, BETWEEN = 112, 340, 96, 40
MATTERS = 0.05
"""Share of the stronger part that the other must have to be named in the title."""

WORDS = {
    "visual": "rise of visual attention",
    "system": "fall of system attention",
    "spread": "spread of the ratios",
}
INKS = {"visual": "#c65a17", "system": "#30679c", "spread": "#868d96"}


def changes(
    first: xr.Dataset,
    second: xr.Dataset,
    names: tuple[str, str] = ("first", "second"),
    queries: str = "user",
    form: str = "ratio_of_means",
    sink: str = "include",
    cluster: xr.DataArray | None = None,
    theme: str = "light",
    data: str | None = None,
    run: str | None = None,
    seed: int = 0,
    table: pd.DataFrame | None = None,
) -> go.Figure:
    """Change of log2 VAS from the first checkpoint to the second, layer by layer, as a stack of its parts.

    Parts that raise VAS stand above the line, parts that lower it below; the point is their sum, with its 95 %
    interval. The bar at the right is that of all layers together.

    Args:
        first, second: Captures of the same items and heads.
        names: of the two checkpoints.
        queries, form, sink, cluster, seed: as `changes_table`.
        theme: "light" or "dark". data, run: words for subtitle and foot.
        table: result of `changes_table` with the same options, where it is at hand already.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError, VaslabError: as `changes_table`; UsageError for an unknown theme.
    """
    look = themes.named(theme)
    if table is None:
        table = changes_table(first, second, queries, form, sink, cluster, seed)
    given = {"data": data, "run": run}
    words = {k: v if v is not None else first.attrs.get(k) for k, v in given.items()}
    layers = table.iloc[:-1]
    wide = float(np.clip(24 * len(layers), 460, 860))
    width = LEFT + wide + BETWEEN + ALL + EDGE
    canvas = Canvas(look, width, title_of(table, names), _subtitle(table, words), _foot(table, names, words))
    parts = [p for p in WORDS if p != "spread" or table.attrs["form"] == "mean_of_ratios"]
    top = canvas.body_at + 34
    canvas.close(34 + HEIGHT + 50)
    x = float(LEFT)
    for part in parts:
        ink = themes.readable(INKS[part], look.background)
        canvas.text(f"<b>■ {escape(WORDS[part])}</b>", x, canvas.body_at + 8, color=ink)
        x += text_width(f"■ {WORDS[part]}", 13, bold=True) + 26
    span = _span(table, parts)
    for number_of, (rows, left, room) in enumerate(
        ((layers, float(LEFT), wide), (table.iloc[-1:], LEFT + wide + BETWEEN, float(ALL))), start=1
    ):
        _panel(canvas, number_of, (left, top, room), rows, parts, span)
    canvas.text("layer", LEFT + wide / 2, top + HEIGHT + 38, xanchor="center")
    canvas.text("change of VAS", 26, top + HEIGHT / 2, textangle=-90, xanchor="center")
    canvas.figure.update_layout(barmode="relative", bargap=0.25)
    return canvas.figure


def title_of(table: pd.DataFrame, names: tuple[str, str]) -> str:
    """The finding over all layers: how VAS changed, and which part carries it where their intervals tell."""
    row = table.iloc[-1]
    first, second = (shortened(name, 260, 13) for name in names)
    if not np.isfinite(row["total"]):
        return f"{second} against {first}: VAS is undefined over all layers"
    if not np.isfinite(row["total_low"]):
        return f"{second} against {first}: one item, too few to tell what changed VAS"
    clear = {
        part: row[f"{part}_low"] > 0 or row[f"{part}_high"] < 0 for part in ("total", "visual", "system")
    }
    moves = {
        "visual": "visual attention " + ("rises" if row["visual"] > 0 else "falls"),
        "system": "system attention " + ("falls" if row["system"] > 0 else "rises"),
    }
    if not clear["total"]:
        if clear["visual"] and clear["system"]:
            return f"VAS of {second} is not clearly changed: {moves['visual']} and {moves['system']}"
        return f"No clear change of VAS from {first} to {second}"
    way = f"{second} {'raises' if row['total'] > 0 else 'lowers'} VAS {fold(2.0 ** abs(row['total']))}"
    if row["spread"] * row["total"] > 0 and abs(row["spread"]) > max(abs(row["visual"]), abs(row["system"])):
        return f"{way}, mostly because the ratios spread differently at their masses"
    own = [part for part in ("visual", "system") if clear[part] and row[part] * row["total"] > 0]
    against = [part for part in ("visual", "system") if clear[part] and row[part] * row["total"] < 0]
    if len(own) == 2:
        if table.attrs["form"] == "mean_of_ratios":
            return f"{way}: {moves['visual']} and {moves['system']}"
        share = row["visual"] / row["total"]
        return f"{way}: {percent(share)} of it because {moves['visual']}, the rest because {moves['system']}"
    if len(own) == 1:
        text = f"{way}, because {moves[own[0]]}"
        return f"{text}, though {moves[against[0]]} too" if against else text
    return f"{way}, and neither mass alone moves clearly"


def _span(table: pd.DataFrame, parts: list[str]) -> tuple[float, float]:
    """Lowest and highest log2 that bars and intervals need, 0 among them."""
    stacked = table[parts].to_numpy(dtype=float)
    low = [np.nansum(np.minimum(stacked, 0), axis=1), table["total_low"], table["total"]]
    high = [np.nansum(np.maximum(stacked, 0), axis=1), table["total_high"], table["total"]]
    bottom, top = (np.concatenate([np.asarray(each, dtype=float) for each in side]) for side in (low, high))
    least, most = min(float(np.nanmin(bottom)), 0.0), max(float(np.nanmax(top)), 0.0)
    pad = max(0.08 * (most - least), 0.05)
    return least - pad, most + pad


def _ticks(least: float, most: float) -> list[float]:
    """Powers of two; of changes below a doubling, a few steps of a tenth of an octave or more."""
    if most - least >= 2:
        return [float(t) for t in ratio_ticks(least, most, 7)]
    step = max(0.1, round((most - least) / 5, 1))
    return [round(step * k, 1) for k in range(int(np.ceil(least / step)), int(np.floor(most / step)) + 1)]


def _panel(
    canvas: Canvas,
    number_of: int,
    place: tuple[float, float, float],
    rows: pd.DataFrame,
    parts: list[str],
    span: tuple[float, float],
) -> None:
    look, figure = canvas.theme, canvas.figure
    left, top, width = place
    n = len(rows)
    every = axis_ticks(n, width, 28)
    names = [str(name) for name in rows["layer"]]
    on = canvas.axes(
        number_of,
        left,
        top,
        width,
        HEIGHT,
        {
            "range": [-0.6, n - 0.4],
            "tickvals": every,
            "ticktext": ["all layers" if names[i] == "all" else names[i] for i in every],
            "fixedrange": True,
        },
        {
            "range": list(span),
            "tickvals": _ticks(*span),
            "ticktext": ["no change" if t == 0 else _tick(t) for t in _ticks(*span)],
            "showticklabels": number_of == 1,
            "ticks": "outside" if number_of == 1 else "",
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
    )
    hover = [_hover(row, parts) for row in rows.to_dict("records")]
    for part in parts:
        figure.add_bar(
            x=np.arange(n),
            y=rows[part].to_numpy(dtype=float),
            marker={
                "color": themes.readable(INKS[part], look.background, 3.0),
                "line": {"width": 0},
            },
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            **on,
        )
    figure.add_scatter(
        x=[-0.6, n - 0.4],
        y=[0, 0],
        mode="lines",
        line={"color": look.text, "width": 1.2},
        hoverinfo="skip",
        **on,
    )
    total, low, high = (rows[c].to_numpy(dtype=float) for c in ("total", "total_low", "total_high"))
    figure.add_scatter(
        x=np.arange(n),
        y=total,
        mode="markers",
        marker={"size": 7, "color": look.text, "line": {"width": 1.4, "color": look.background}},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(high - total),
            "arrayminus": np.nan_to_num(total - low),
            "color": look.text,
            "thickness": 1.4,
            "width": 0,
        },
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )
    gaps = np.flatnonzero(~np.isfinite(total))
    if gaps.size:
        figure.add_scatter(
            x=gaps,
            y=np.zeros(len(gaps)),
            mode="markers",
            marker={"symbol": "x-thin-open", "size": 10, "color": look.hatch, "line": {"width": 2}},
            hovertemplate="<b>no value</b><extra></extra>",
            **on,
        )


def _tick(power: float) -> str:
    return change_text(power) if float(power).is_integer() else times_text(2.0**power)


def _hover(row: Mapping[Any, Any], parts: list[str]) -> str:
    text = "<b>all layers</b>" if row["layer"] == "all" else f"<b>layer {escape(row['layer'])}</b>"
    if not np.isfinite(row["total"]):
        return f"{text}<br>no value"
    text += f"<br>VAS {times_text(2.0 ** row['total'])}{_range(row, 'total')}"
    for part in parts:
        text += f"<br>{WORDS[part]} {times_text(2.0 ** row[part])}{_range(row, part)}"
    return text


def _range(row: Mapping[Any, Any], part: str) -> str:
    if not np.isfinite(row.get(f"{part}_low", np.nan)):
        return ""
    return f" (95% CI {times_text(2.0 ** row[f'{part}_low'])} – {times_text(2.0 ** row[f'{part}_high'])})"


def _subtitle(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    n = int(table["n_items"].max())
    form = str(table.attrs["form"]).replace("_", " ")
    return dotted(
        [
            f"Change of log₂ VAS per layer, {form}",
            f"{words.get('data') or 'data not named'}, same {counted(n, 'item')}",
            f"queries: {QUERY_WORDS.get(table.attrs['queries'], table.attrs['queries'])}",
        ]
    )


def _foot(table: pd.DataFrame, names: tuple[str, str], words: Mapping[str, Any]) -> str:
    sentences = [
        f"From {names[0]} to {names[1]}: log₂ VAS = log₂ of the mean mass on image tokens − log₂ of that on system "
        "tokens, so the two parts add up.",
    ]
    if table.attrs["form"] == "mean_of_ratios":
        sentences.append(
            "A mean of ratios also moves when ratios spread more at equal masses: the third part."
        )
    floored = [
        f"{name} {percent(share)}"
        for name, share in zip(names, table.attrs["floored"], strict=True)
        if share > 0.01
    ]
    if floored:
        sentences.append(
            f"System mass below 1e-6, taken as 1e-6, so that its part is a bound: {', '.join(floored)}."
        )
    n = int(table["n_items"].max())
    over = "pictures" if table.attrs["clustered"] else f"{n:,} items"
    sentences.append(
        f"Points: the sum, 95% interval by paired bootstrap over {over}."
        if n > 1
        else "One item: no intervals."
    )
    sentences.append(unbroken(f"Runs {words.get('run') or 'not named'}."))
    return " ".join(sentences)

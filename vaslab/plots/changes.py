"""The decomposition figure: did visual attention rise, or system attention fall? Change of VAS, part by part."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.changes_numbers import FORMS, PARTS, changes_table
from vaslab.plots.changes_words import foot_of, subtitle_of, title_of
from vaslab.plots.text import axis_ticks, change_text, escape, ratio_ticks, text_width, times_text, vas_words

LEFT, HEIGHT, ALL, BETWEEN, KEY_LINE = 112, 340, 330, 44, 26
RATIO_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0)
BEYOND = 1000.0
"""Octaves from which an interval is called unbounded."""

WORDS = {
    "visual": "rise of visual attention",
    "system": "fall of system attention",
    "spread": "spread of the ratios",
}
INKS = {"visual": "#c65a17", "system": "#30679c", "spread": "#868d96"}
SYMBOLS = {"ratio_of_means": ("diamond", "◇"), "mean_of_ratios": ("circle", "●")}

STEPS = ("visual", "system", "ratio_of_means", "spread", "mean_of_ratios")
"""How the change of all layers adds up, from left to right."""
STEP_WORDS = ("visual", "system", "= ratio<br>of means", "spread", "= mean<br>of ratios")


def changes(
    first: xr.Dataset,
    second: xr.Dataset,
    names: tuple[str, str] = ("first", "second"),
    queries: str = "user",
    sink: str = "include",
    cluster: xr.DataArray | None = None,
    theme: str = "light",
    data: str | None = None,
    run: str | None = None,
    table: pd.DataFrame | None = None,
) -> go.Figure:
    """Change of VAS from the first checkpoint to the second in both of its forms, and the parts that make it up.

    Left: layer by layer, parts stacked; those that raise VAS stand above the line, those that lower it below. Right:
    all layers, each part with its 95 % interval, added up step by step: visual and system to the ratio of means, the
    spread of the ratios to the mean of ratios.

    Args:
        first, second: Captures of the same items and heads.
        names: of the two checkpoints.
        queries, sink, cluster: as `changes_table`.
        theme: "light" or "dark". data, run: words for subtitle and foot.
        table: result of `changes_table` with the same options, where it is at hand already.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError, VaslabError: as `changes_table`; UsageError for an unknown theme.
    """
    look = themes.named(theme)
    if table is None:
        table = changes_table(first, second, queries, sink, cluster)
    given = {"data": data, "run": run}
    words = {k: v if v is not None else first.attrs.get(k) for k, v in given.items()}
    layers, every = table.iloc[:-1], table.iloc[-1]
    wide = float(np.clip(24 * len(layers), 460, 860))
    width = LEFT + wide + BETWEEN + ALL + EDGE
    canvas = Canvas(
        look, width, title_of(table, names), subtitle_of(table, words), foot_of(table, names, words)
    )
    key = _key_places(width)
    above = (key[-1][2] + 1) * KEY_LINE + 36
    top = canvas.body_at + above
    canvas.close(above + HEIGHT + 58)
    _key(canvas, key)
    span = _span(table)
    ends = (float(LEFT), top, wide), (LEFT + wide + BETWEEN, top, float(ALL))
    _layers(canvas, _axes(canvas, 1, ends[0], len(layers), span), layers, wide)
    _steps(canvas, _axes(canvas, 2, ends[1], len(STEPS), span), every)
    canvas.text("layer", LEFT + wide / 2, top + HEIGHT + 40, xanchor="center")
    canvas.text("<b>all layers</b>", ends[1][0] + ALL / 2, top - 14, xanchor="center")
    canvas.text("<b>layer by layer</b>", LEFT + wide / 2, top - 14, xanchor="center")
    canvas.text("change of VAS", 26, top + HEIGHT / 2, textangle=-90, xanchor="center")
    canvas.figure.update_layout(barmode="relative", bargap=0.25)
    return canvas.figure


def _key_places(width: float | int) -> list[tuple[str, float, int]]:
    """Name, pixel from the left and line of each part and each form."""
    out, x, line = [], float(LEFT), 0
    for name in (*PARTS, *FORMS):
        wide = text_width(_key_words(name), 13, bold=True) + 24
        if x > LEFT and x + wide > width - EDGE:
            x, line = float(LEFT), line + 1
        out.append((name, x, line))
        x += wide
    return out


def _key_words(name: str) -> str:
    return f"■ {WORDS[name]}" if name in WORDS else f"{SYMBOLS[name][1]} {name.replace('_', ' ')}"


def _key(canvas: Canvas, places: list[tuple[str, float, int]]) -> None:
    look = canvas.theme
    for name, x, line in places:
        ink = themes.readable(INKS[name], look.background) if name in INKS else look.text
        canvas.text(f"<b>{escape(_key_words(name))}</b>", x, canvas.body_at + 8 + line * KEY_LINE, color=ink)


def _span(table: pd.DataFrame) -> tuple[float, float]:
    """Lowest and highest log2 that bars need, and intervals as far as they are not many times as long; 0 is inside."""
    parts = table[list(PARTS)].to_numpy(dtype=float)
    bars = np.concatenate(
        [np.nansum(np.minimum(parts, 0), axis=1), np.nansum(np.maximum(parts, 0), axis=1), [0.0]]
    )
    steps = np.nancumsum(parts[-1])
    ends = [table[f"{form}{end}"].to_numpy(dtype=float) for form in FORMS for end in ("_low", "_high")]
    for at, part in enumerate(PARTS):
        base = steps[at - 1] if at else 0.0
        ends.append(
            base + table.loc[table.index[-1:], [f"{part}_low", f"{part}_high"]].to_numpy(dtype=float)[0]
        )
    reach = np.concatenate(ends)
    reach = reach[np.isfinite(reach)]
    # of two items an interval can reach a thousand octaves: it runs off the axis, and the hover box tells its end
    room = max(float(np.abs(bars).max()), 0.3)
    reach = np.clip(reach, bars.min() - room, bars.max() + room)
    every = np.concatenate([bars, reach])
    least, most = float(every.min()), float(every.max())
    pad = max(0.08 * (most - least), 0.05)
    return least - pad, most + pad


def _ticks(least: float, most: float) -> list[float]:
    """Powers of two; of changes below eightfold, a few even steps of the ratio, up and down alike."""
    largest = 2.0 ** max(-least, most)
    if largest > 8:
        return [float(t) for t in ratio_ticks(least, most, 7)]
    step = next(size for size in RATIO_STEPS if (largest - 1) / size <= 5)
    powers = np.log2(1 + step * np.arange(1, 6))
    return [float(t) for t in (*-powers[::-1], 0.0, *powers) if least <= t <= most]


def _tick(power: float) -> str:
    if power == 0:
        return "no change"
    if abs(power) > 3:
        return change_text(power)
    return f"{'×' if power > 0 else '÷'}{2.0 ** abs(power):.4g}"


def _axes(
    canvas: Canvas, number_of: int, place: tuple[float, float, float], n: int, span: tuple[float, float]
) -> dict[str, str]:
    """Axes over n places, with the line of no change; those of the second have their own words."""
    look, (left, top, width) = canvas.theme, place
    on = canvas.axes(
        number_of,
        left,
        top,
        width,
        HEIGHT,
        {"range": [-0.6, n - 0.4], "fixedrange": True},
        {
            "range": list(span),
            "tickvals": _ticks(*span),
            "ticktext": [_tick(t) for t in _ticks(*span)],
            "showticklabels": number_of == 1,
            "ticks": "outside" if number_of == 1 else "",
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
        },
    )
    canvas.figure.add_scatter(
        x=[-0.6, n - 0.4],
        y=[0, 0],
        mode="lines",
        line={"color": look.text, "width": 1.2},
        hoverinfo="skip",
        **on,
    )
    return on


def _layers(canvas: Canvas, on: dict[str, str], rows: pd.DataFrame, width: float) -> None:
    """Parts stacked layer by layer, and both forms as points with their intervals."""
    look, figure, n = canvas.theme, canvas.figure, len(rows)
    shown = axis_ticks(n, width, 28)
    figure.update_layout(xaxis={"tickvals": shown, "ticktext": [str(rows["layer"].iloc[at]) for at in shown]})
    hover = [_hover(row) for row in rows.to_dict("records")]
    gaps = ~np.isfinite(rows[list(FORMS)].to_numpy(dtype=float)).all(1)
    # a layer that has one part alone would stand there as if it had all
    rows = rows.astype(dict.fromkeys(PARTS, float))
    rows.loc[gaps, [*PARTS, *FORMS]] = np.nan
    at = np.arange(n)
    for part in PARTS:
        figure.add_bar(
            x=at,
            y=rows[part].to_numpy(dtype=float),
            marker={"color": _fill(part, look), "line": {"width": 0}},
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            **on,
        )
    for form, aside in zip(FORMS, (-0.16, 0.16), strict=True):
        _points(figure, at + aside, rows, form, hover, look, on)
    _crosses(figure, np.flatnonzero(gaps), look, on)


def _steps(canvas: Canvas, on: dict[str, str], row: pd.Series) -> None:
    """The change of all layers: each part stands where the one before it ends."""
    look, figure = canvas.theme, canvas.figure
    figure.update_layout(xaxis2={"tickvals": list(range(len(STEPS))), "ticktext": list(STEP_WORDS)})
    hover = [_hover(row.to_dict())]
    table = row.to_frame().T
    if not np.isfinite([row[form] for form in FORMS]).all():
        _crosses(figure, np.arange(len(STEPS)), look, on)
        return
    reached = 0.0
    for at, name in enumerate(STEPS):
        place = np.array([float(at)])
        if name in FORMS:
            _points(figure, place, table, name, hover, look, on)
            continue
        size = float(row[name])
        figure.add_bar(
            x=place,
            y=[size],
            base=[reached],
            width=0.62,
            marker={"color": _fill(name, look), "line": {"width": 0}},
            error_y=_error(table, name, look.text),
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            **on,
        )
        reached += size
        figure.add_scatter(
            x=[at - 0.31, at + 1.3],
            y=[reached, reached],
            mode="lines",
            line={"color": look.reference, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            **on,
        )


def _fill(part: str, look: themes.Theme) -> str:
    return themes.readable(INKS[part], look.background, 3.0)


def _points(
    figure: go.Figure,
    x: NDArray[np.floating[Any]],
    rows: pd.DataFrame,
    form: str,
    hover: list[str],
    look: themes.Theme,
    on: dict[str, str],
) -> None:
    filled = form == "mean_of_ratios"
    figure.add_scatter(
        x=x,
        y=rows[form].to_numpy(dtype=float),
        mode="markers",
        marker={
            "size": 7.5,
            "symbol": SYMBOLS[form][0],
            "color": look.text if filled else look.background,
            "line": {"width": 1.4, "color": look.background if filled else look.text},
        },
        error_y=_error(rows, form, look.text),
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )


def _error(rows: pd.DataFrame, name: str, ink: str) -> dict[str, object]:
    middle, low, high = (rows[f"{name}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high"))
    return {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num(high - middle, posinf=BEYOND),
        "arrayminus": np.nan_to_num(middle - low, posinf=BEYOND),
        "color": ink,
        "thickness": 1.4,
        "width": 0,
    }


def _crosses(figure: go.Figure, at: NDArray[np.generic], look: themes.Theme, on: dict[str, str]) -> None:
    if at.size:
        figure.add_scatter(
            x=at,
            y=np.zeros(len(at)),
            mode="markers",
            marker={"symbol": "x-thin-open", "size": 10, "color": look.hatch, "line": {"width": 2}},
            hovertemplate="<b>no value</b><extra></extra>",
            **on,
        )


def _hover(row: Mapping[Any, Any]) -> str:
    text = "<b>all layers</b>" if row["layer"] == "all" else f"<b>layer {escape(row['layer'])}</b>"
    if not np.isfinite(row["ratio_of_means"]):
        return f"{text}<br>no value"
    for name in (*FORMS, *PARTS):
        word = vas_words(name) if name in FORMS else WORDS[name]
        text += f"<br>{word} {times_text(2.0 ** row[name])}{_range(row, name)}"
    return text


def _range(row: Mapping[Any, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if np.isnan(low):
        return ""
    if max(abs(low), abs(high)) >= BEYOND:
        return " (95% CI without bounds)"
    return f" (95% CI {times_text(2.0**low)} – {times_text(2.0**high)})"

"""The system-prompt figure: how VAS and accuracy move with the system prompt, as paired changes with intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.run_key import draw_key, filled_marker, key_height, point_styles
from vaslab.plots.system_prompts_words import change_bound, foot_of, level_bound, subtitle_of, title_of
from vaslab.plots.text import (
    change_text,
    counted,
    escape,
    number,
    points,
    shortened,
    times_text,
)

Floats = NDArray[np.float64]

LEFT, BETWEEN, HEAD, ROW, RUN = 236, 64, 34, 28, 16
PANELS = (236, 236, 236)
POINTS = (1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 50.0)
"""Steps of an axis in points of accuracy."""


@dataclass(frozen=True)
class Panel:
    """One column of the figure: which change it shows, and how its axis reads."""

    metric: str
    name: str
    log: bool

    def on_axis(self, table: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
        """Change and its interval, in log2 or in points; 0 under the reference itself."""
        found = [table[f"{self.name}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high")]
        with np.errstate(divide="ignore", invalid="ignore"):
            middle, low, high = (np.log2(each) if self.log else 100 * each for each in found)
        known = (table["prompt"] == table.attrs["reference"]) & table[self.level].notna()
        return np.where(known, 0.0, middle), low, high

    def heading(self, table: pd.DataFrame) -> str:
        """The metric, VAS never without its form."""
        return f"{self.metric}, {table.attrs['vas']['form'].replace('_', ' ')}" if self.log else self.metric

    @property
    def level(self) -> str:
        """The column of which changes are shown."""
        return self.name.removesuffix("_ratio").removesuffix("_change")


COLUMNS = (
    Panel("VAS", "vas_ratio", True),
    Panel("VAS per token", "vas_per_token_ratio", True),
    Panel("accuracy", "accuracy_change", False),
)


def system_prompts(
    table: pd.DataFrame,
    theme: str = "light",
    data: str | None = None,
    decoding: str | None = None,
    run: str | None = None,
) -> go.Figure:
    """One row a system prompt: change of VAS, of VAS per token and of accuracy against the first, with intervals.

    Args:
        table: result of `system_prompts_table`.
        theme: "light" or "dark". data, decoding, run: words for subtitle and foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme.
    """
    look = themes.named(theme)
    words = {"data": data, "decoding": decoding, "run": run}
    names = list(dict.fromkeys(table["checkpoint"].astype(str)))
    styles = point_styles(names, look)
    columns = [each for each in COLUMNS if each.name != "accuracy_change" or table["accuracy"].notna().any()]
    width = LEFT + sum(PANELS[: len(columns)]) + BETWEEN * (len(columns) - 1) + EDGE + 16
    canvas = Canvas(look, width, title_of(table), subtitle_of(table, words), foot_of(table, words))
    prompt_names = list(dict.fromkeys(table["prompt"].astype(str)))
    each = float(ROW + RUN * len(names))
    key = key_height(names, width)
    top = canvas.body_at + key + HEAD
    canvas.close(key + HEAD + each * len(prompt_names) + 48)
    draw_key(canvas, 9, styles)
    for row, prompt in enumerate(prompt_names):
        own = table[table["prompt"] == prompt]
        y = top + (row + 0.5) * each
        tokens = counted(round(float(own["system_tokens"].mean())), "system token")
        canvas.text(
            escape(shortened(prompt, LEFT - 60, 13)), LEFT - 16, y - 8, xanchor="right", align="right"
        )
        canvas.text(tokens, LEFT - 16, y + 9, size=11.5, color=look.muted, xanchor="right", align="right")
    left = float(LEFT)
    for number_of, (column, room) in enumerate(zip(columns, PANELS, strict=False), start=1):
        canvas.text(f"<b>{column.heading(table)}</b>", left + room / 2, top - 18, xanchor="center")
        _panel(canvas, number_of, (left, top, float(room), each), column, table, styles)
        unit = "change, log₂ scale" if column.log else "change in points"
        canvas.text(unit, left + room / 2, top + each * len(prompt_names) + 38, xanchor="center")
        left += room + BETWEEN
    return canvas.figure


def _panel(
    canvas: Canvas,
    number_of: int,
    place: tuple[float, float, float, float],
    column: Panel,
    table: pd.DataFrame,
    styles: dict[str, themes.RunStyle],
) -> None:
    look, figure = canvas.theme, canvas.figure
    left, top, room, each = place
    prompt_names = list(dict.fromkeys(table["prompt"].astype(str)))
    middle, low, high = column.on_axis(table)
    every = np.concatenate([middle, low, high])
    every = np.abs(every[np.isfinite(every)])
    reach = max(float(every.max()) if every.size else 0.0, 0.5 if column.log else 2.0)
    ticks, words = _ticks(column, reach)
    limit = 1.06 * max(reach, ticks[-1])
    on = canvas.axes(
        number_of,
        left,
        top,
        room,
        each * len(prompt_names),
        {
            "range": [-limit, limit],
            "showgrid": True,
            "gridcolor": look.grid,
            "fixedrange": True,
            "tickvals": ticks,
            "ticktext": words,
        },
        {"range": [each * len(prompt_names), 0], "visible": False, "fixedrange": True},
    )
    figure.add_scatter(
        x=[0, 0],
        y=[0, each * len(prompt_names)],
        mode="lines",
        line={"color": look.reference, "width": 1.6},
        hoverinfo="skip",
        **on,
    )
    rows = [prompt_names.index(str(name)) for name in table["prompt"]]
    names = list(styles)
    y = np.array(
        [
            each * row + ROW / 2 + RUN * (names.index(str(name)) + 0.5)
            for row, name in zip(rows, table["checkpoint"], strict=True)
        ]
    )
    changed = table[f"{column.name}_changed"].to_numpy(dtype=bool)
    hover = [_hover(row, column, table) for row in table.to_dict("records")]
    for name, style in styles.items():
        own = (table["checkpoint"].astype(str) == name).to_numpy() & np.isfinite(middle)
        figure.add_scatter(
            x=middle[own],
            y=y[own],
            mode="markers",
            marker=filled_marker(style, changed[own].tolist(), look),
            error_x={
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(high[own] - middle[own]),
                "arrayminus": np.nan_to_num(middle[own] - low[own]),
                "color": style.line,
                "thickness": 1.5,
                "width": 0,
            },
            customdata=[text for text, mine in zip(hover, own, strict=True) if mine],
            hovertemplate="%{customdata}<extra></extra>",
            **on,
        )
    for at in np.flatnonzero(table["prompt"] == table.attrs["reference"]):
        level = float(table[column.level].iloc[at])
        canvas.text(
            f"{level_bound(table.iloc[at])}{number(level)}" if column.log else f"{100 * level:.1f}%",
            left + room / 2 + 12,
            top + y[at],
            size=11.5,
            color=look.muted,
        )
    lost = ~np.isfinite(middle) if column.log else np.zeros(len(middle), dtype=bool)
    if lost.any():
        figure.add_scatter(
            x=np.zeros(int(lost.sum())),
            y=y[lost],
            mode="markers",
            marker={"symbol": "x-thin-open", "size": 10, "color": look.hatch, "line": {"width": 2}},
            hovertemplate="<b>no VAS</b><extra></extra>",
            **on,
        )


def _ticks(column: Panel, reach: float) -> tuple[list[float], list[str]]:
    """Steps on both sides of 0, the last at or past `reach`, and their words."""
    if not column.log:
        step = next((size for size in POINTS if 2 * size >= reach), POINTS[-1])
        points_at = [-2.0 * step, -step, 0.0, step, 2.0 * step]
        return points_at, ["0" if at == 0 else f"{'−' if at < 0 else '+'}{abs(at):g}" for at in points_at]
    step, each = (0.5, 2) if reach <= 1 else (1.0, 3) if 2 < reach <= 3 else (float(np.ceil(reach / 2)), 2)
    powers = [step * at for at in range(-each, each + 1)]
    return powers, [change_text(t) if t.is_integer() else times_text(2.0**t) for t in powers]


def _hover(row: dict, column: Panel, table: pd.DataFrame) -> str:
    name = column.level
    scale, unit = (1, "") if column.log else (100, "%")
    text = f"<b>{escape(row['prompt'])}</b>, {escape(row['checkpoint'])}"
    text += (
        f"<br>{column.heading(table)} {level_bound(row) if column.log else ''}{scale * row[name]:.3g}{unit}"
    )
    if np.isfinite(row[f"{name}_low"]):
        text += f" (95% CI {scale * row[f'{name}_low']:.3g} – {scale * row[f'{name}_high']:.3g})"
    if np.isfinite(row[f"{column.name}_p"]):
        ends = [row[f"{column.name}{end}"] for end in ("", "_low", "_high")]
        say, between = (times_text, "–") if column.log else (points, "to")
        bound = change_bound(row, column.name, table) if column.log else ""
        text += f"<br>{bound}{say(ends[0])}{'' if column.log else ' points'}"
        if np.isfinite(ends[1]):
            text += f" ({say(ends[1])} {between} {say(ends[2])})"
        text += f", false discovery rate {row[f'{column.name}_p_adjusted']:.2g}"
    return text

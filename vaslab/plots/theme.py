"""Colours, fonts and line styles of every figure, in light and dark."""

import re
from dataclasses import dataclass

import plotly.graph_objects as go

from vaslab.errors import UsageError

FONT = "Open Sans, Helvetica, Arial, DejaVu Sans, sans-serif"

TITLE_SIZE, SUBTITLE_SIZE, LABEL_SIZE, TICK_SIZE, FOOT_SIZE = 21, 13.5, 13, 13, 12.5

LEVEL = (
    *("#133b65", "#1d4d7f", "#30679c", "#4882b7", "#71a2cc", "#97bdda", "#c2d7e6", "#dee7ed"),
    "#f6f5f3",
    *("#fae5cf", "#f9d2ac", "#f4b47c", "#e99354", "#d76e2c", "#bd5219", "#9c390b", "#7c2704"),
)
"""Level of a ratio, low to high: blue, white where the ratio is 1, orange. Equal steps of log2."""

CHANGE = (
    *("#3c105d", "#57257a", "#723e93", "#8f5eaa", "#a981bd", "#c0a0ce", "#dac6e1", "#e9deec"),
    "#f5f4f6",
    *("#dfeddf", "#c2e1c4", "#9ed0a2", "#74b980", "#4a9f5e", "#2a8343", "#12642d", "#01451c"),
)
"""Change of a ratio, fall to rise: purple, white where nothing changed, green. Equal steps of log2."""

SHARE = ("#ffffff", "#e3eeee", "#c2dcda", "#98c6c2", "#67aca7", "#36918b", "#0b7a75", "#055e5b", "#033f3d")
"""A share of attention from 0: one hue from white."""


@dataclass(frozen=True)
class Theme:
    """Colours of the page; every ink has a contrast of at least 4.5 on `background`."""

    name: str
    background: str
    text: str
    muted: str
    grid: str
    reference: str
    missing: str
    hatch: str
    hover: str
    more: str
    less: str


THEMES = {
    "light": Theme(
        name="light",
        background="#ffffff",
        text="#17202e",
        muted="#5d6877",
        grid="#e9ecef",
        reference="#b4bac2",
        missing="#cfd2d6",
        hatch="#868d96",
        hover="#ffffff",
        more="#b04d14",
        less="#2b6098",
    ),
    "dark": Theme(
        name="dark",
        background="#12161c",
        text="#e9edf2",
        muted="#a4aeba",
        grid="#262d36",
        reference="#5b6673",
        missing="#4a515a",
        hatch="#9aa3ad",
        hover="#1d232b",
        more="#f0a06a",
        less="#86b6e2",
    ),
}


def named(theme: str) -> Theme:
    """The theme called `theme`.

    Raises:
        UsageError: there is no such theme.
    """
    if theme not in THEMES:
        raise UsageError(f"unknown theme {theme!r}; expected one of {', '.join(THEMES)}")
    return THEMES[theme]


def template(theme: Theme) -> go.layout.Template:
    """The plotly template of a theme: fonts, page, bare axes, hover box."""
    axis = {
        "showgrid": False,
        "zeroline": False,
        "showline": False,
        "ticks": "outside",
        "ticklen": 5,
        "tickcolor": theme.reference,
        "tickfont": {"size": TICK_SIZE, "color": theme.text},
        "automargin": False,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": LABEL_SIZE, "color": theme.text},
            "paper_bgcolor": theme.background,
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "showlegend": False,
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": theme.hover,
                "bordercolor": theme.reference,
                "align": "left",
                "font": {"family": FONT, "size": LABEL_SIZE, "color": theme.text},
            },
            # beside the title, not over it
            "modebar": {"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": theme.reference},
            "annotationdefaults": {"showarrow": False, "font": {"color": theme.text}},
        }
    )


def rgb(colour: str) -> tuple[int, int, int]:
    """'#rrggbb' as three integers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def hexed(channels: tuple[float, float, float]) -> str:
    """Three numbers of 0 .. 255 as '#rrggbb'."""
    return "#" + "".join(f"{min(255, max(0, round(c))):02x}" for c in channels)


def mixed(a: str, b: str, part: float | int) -> str:
    """Colour `part` of the way from `a` to `b` (sRGB)."""
    left, right = rgb(a), rgb(b)
    one, two, three = (x + (y - x) * part for x, y in zip(left, right, strict=True))
    return hexed((one, two, three))


def sampled(stops: tuple[str, ...], at: float | int) -> str:
    """Colour of a scale at `at` in 0 .. 1, as plotly interpolates it."""
    place = min(max(at, 0.0), 1.0) * (len(stops) - 1)
    lower = min(int(place), len(stops) - 2)
    return mixed(stops[lower], stops[lower + 1], place - lower)


def faded(colour: str, alpha: float | int) -> str:
    """'#rrggbb' with an opacity, for fills."""
    red, green, blue = rgb(colour)
    return f"rgba({red},{green},{blue},{alpha})"


def colorscale(stops: tuple[str, ...]) -> list[tuple[float, str]]:
    """A scale in plotly's form."""
    return [(i / (len(stops) - 1), colour) for i, colour in enumerate(stops)]


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1, 0 .. 1."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """Contrast ratio of WCAG 2.1, 1 .. 21."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable(colour: str, background: str, least: float | int = 4.5) -> str:
    """`colour`, moved to black or white only as far as text on `background` needs."""
    goal = "#000000" if luminance(background) > 0.18 else "#ffffff"
    for step in range(101):
        moved = mixed(colour, goal, step / 100)
        if contrast(moved, background) >= least:
            return moved
    return goal


@dataclass(frozen=True)
class RunStyle:
    """How one checkpoint is drawn: never told apart by colour alone."""

    line: str
    text: str
    dash: str
    symbol: str | None

    @property
    def marker(self) -> str:
        """Its marker where points stand alone; one that has none on a line gets a plus."""
        return self.symbol or "cross"


_KINDS = (
    (r"vars", ("#6b4400", "solid", "star")),
    (r"agto", ("#8a5a00", "solid", "diamond")),
    (r"vard", ("#b07d00", "solid", "triangle-up")),
    (r"text[ _-]*only|\btext\b", ("#c2255c", "solid", "square")),
    (r"multi[ _-]*modal", ("#0b7a75", "solid", "circle")),
    (r"\bbase\b", ("#66717f", "dot", None)),
)
_DARK = {
    "#66717f": "#a4aeba",
    "#0b7a75": "#35b5ac",
    "#c2255c": "#f2729c",
    "#b07d00": "#f2d479",
    "#8a5a00": "#dfa32c",
}
_DARK["#6b4400"] = "#c67f1c"
_OTHERS = (
    ("#0b7a75", "solid", "circle"),
    ("#c2255c", "solid", "square"),
    ("#b07d00", "solid", "triangle-up"),
    ("#3f51b5", "dash", "diamond"),
    ("#17202e", "dash", "x"),
    ("#7a3e9d", "dashdot", "cross"),
)


def _others() -> list[tuple[str, str, str | None]]:
    """Styles of checkpoints whose names say no kind: each colour goes round the dashes and symbols of the others."""
    n = len(_OTHERS)
    return [(_OTHERS[k % n][0], *_OTHERS[(k + k // n) % n][1:]) for k in range(n * n)]


def on_page(ink: str, theme: Theme) -> str:
    """The colour of a checkpoint on the page of a theme."""
    return ink if theme.name == "light" else _DARK.get(ink, readable(ink, theme.background, 6.0))


def run_styles(names: list[str], theme: Theme, base: str | None = None) -> dict[str, RunStyle]:
    """A style for each checkpoint: by its kind where the name says it (base, multimodal, text-only, VARD,
    AGTO, VARS), otherwise the next one that is free.
    """
    chosen: dict[str, tuple[str, str, str | None]] = {}
    for name in names:
        kind = next((style for pattern, style in _KINDS if re.search(pattern, name.lower())), None)
        if name == base:
            kind = _KINDS[-1][1]
        if kind is not None and kind not in chosen.values():
            chosen[name] = kind
    free = [style for style in _others() if style not in chosen.values()]
    for count, name in enumerate(name for name in names if name not in chosen):
        chosen[name] = free[count % len(free)]
    out = {}
    for name in names:
        ink, dash, symbol = chosen[name]
        line = on_page(ink, theme)
        out[name] = RunStyle(line, readable(line, theme.background), dash, symbol)
    return out

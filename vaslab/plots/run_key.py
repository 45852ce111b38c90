"""Names of checkpoints in their own ink behind their own marker, in lines above a figure: no legend box."""

from dataclasses import replace

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.text import escape, shortened, text_width

LINE = 28


def point_styles(names: list[str], look: themes.Theme) -> dict[str, themes.RunStyle]:
    """Styles of checkpoints that are drawn as points; one that is alone needs no shape of its own."""
    styles = themes.run_styles(names, look)
    return (
        styles if len(names) > 1 else {name: replace(each, symbol="circle") for name, each in styles.items()}
    )


def key_height(names: list[str], width: float | int) -> int:
    """Pixels that the key takes on a page of this width; none for one checkpoint."""
    return (_places(names, width)[-1][2] + 1) * LINE if len(names) > 1 else 0


def draw_key(canvas: Canvas, number: int, styles: dict[str, themes.RunStyle]) -> None:
    """Draw it at the top of the body; `number` is that of its axes."""
    bare = {"visible": False, "fixedrange": True}
    high = key_height(list(styles), canvas.width)
    if not high:
        return
    on = canvas.axes(
        number,
        0,
        canvas.body_at,
        canvas.width,
        high,
        {"range": [0, canvas.width], **bare},
        {"range": [high, 0], **bare},
    )
    for name, x, line in _places(list(styles), canvas.width):
        style, y = styles[name], line * LINE + LINE / 2
        canvas.figure.add_scatter(
            x=[x + 9],
            y=[y],
            mode="markers",
            marker=filled_marker(style, [True], canvas.theme),
            hoverinfo="skip",
            **on,
        )
        canvas.text(escape(shortened(name, 260, 13)), x + 24, canvas.body_at + y, color=style.text)


def filled_marker(style: themes.RunStyle, filled: list[bool], look: themes.Theme) -> dict[str, object]:
    """Markers of a checkpoint: filled where something is found, open where it is not."""
    return {
        "symbol": style.marker,
        "size": 10,
        "color": [style.line if each else look.background for each in filled],
        "line": {"width": 1.8, "color": style.line},
    }


def _places(names: list[str], width: float | int) -> list[tuple[str, float, int]]:
    """Name, pixel from the left and line of each entry."""
    x, line, out = float(EDGE), 0, []
    for name in names:
        wide = 26 + text_width(shortened(name, 260, 13), 13) + 22
        if x > EDGE and x + wide > width - EDGE:
            x, line = float(EDGE), line + 1
        out.append((name, x, line))
        x += wide
    return out

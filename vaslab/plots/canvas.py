"""A page in pixels: title, subtitle and foot at their places, axes and text addressed from the top left
corner."""

import plotly.graph_objects as go

from vaslab.plots import theme as themes
from vaslab.plots.text import escape, wrapped

EDGE = 24
LINE = 1.3
"""Plotly sets lines of a text 1.3 em apart."""


class Canvas:
    """Places things on a figure of fixed size, in pixels from the top left corner.

    The height follows from the content: head (title, subtitle), body, foot. Margins are 0, so that plotly's
    paper coordinates are the page.
    """

    def __init__(self, theme: themes.Theme, width: float | int, title: str, subtitle: str, foot: str) -> None:
        self.theme, self.width = theme, width
        room = width - 2 * EDGE
        self._title = wrapped(title, room, themes.TITLE_SIZE, bold=True)
        self._subtitle = [line.removesuffix(" ·") for line in wrapped(subtitle, room, themes.SUBTITLE_SIZE)]
        self._foot = wrapped(foot, room, themes.FOOT_SIZE)
        self.subtitle_at = 20 + len(self._title) * LINE * themes.TITLE_SIZE + 8
        self.body_at = self.subtitle_at + len(self._subtitle) * LINE * themes.SUBTITLE_SIZE + 22
        self.height = 0.0
        self.figure = go.Figure()

    def close(self, body_height: float | int) -> None:
        """Fix the height of the page to hold a body of `body_height` pixels, and write head and foot."""
        foot_at = self.body_at + body_height + 18
        self.height = foot_at + len(self._foot) * LINE * themes.FOOT_SIZE + 18
        self.figure.update_layout(
            template=themes.template(self.theme),
            width=self.width,
            height=self.height,
            title={
                "text": "<b>" + "<br>".join(map(escape, self._title)) + "</b>",
                "font": {"size": themes.TITLE_SIZE, "color": self.theme.text},
                "x": self.x(EDGE),
                # plotly puts a title of several lines half a line above where one line would stand
                "y": self.y(18 + min(len(self._title) - 1, 1) * LINE * themes.TITLE_SIZE / 2),
                "xref": "container",
                "yref": "container",
                "xanchor": "left",
                "yanchor": "top",
                "automargin": False,
            },
        )
        for lines, size, top in (
            (self._subtitle, themes.SUBTITLE_SIZE, self.subtitle_at),
            (self._foot, themes.FOOT_SIZE, foot_at),
        ):
            self.text(
                "<br>".join(map(escape, lines)), EDGE, top, size=size, color=self.theme.muted, yanchor="top"
            )

    def x(self, pixel: float | int) -> float:
        """Paper coordinate of a distance from the left edge."""
        return pixel / self.width

    def y(self, pixel: float | int) -> float:
        """Paper coordinate of a distance from the top edge."""
        return 1 - pixel / self.height

    def text(
        self, text: str, x: float | int, y: float | int, size: float | int = themes.LABEL_SIZE, **how: object
    ) -> None:
        """Plotly text at a pixel; outer words must be escaped by the caller."""
        color = how.pop("color", self.theme.text)
        how = {"xanchor": "left", "yanchor": "middle", "align": "left", **how}
        self.figure.add_annotation(
            text=text,
            x=self.x(x),
            y=self.y(y),
            xref="paper",
            yref="paper",
            showarrow=False,
            borderpad=0,
            font={"size": size, "color": color},
            **how,
        )

    def axes(
        self,
        number: int,
        left: float | int,
        top: float | int,
        width: float | int,
        height: float | int,
        x: dict[str, object],
        y: dict[str, object],
    ) -> dict[str, str]:
        """Add a pair of axes that fill a rectangle of pixels; returns the keywords that put a trace on them."""
        tail = "" if number == 1 else str(number)
        domain_x = [self.x(left), self.x(left + width)]
        domain_y = [self.y(top + height), self.y(top)]
        self.figure.update_layout(
            {
                f"xaxis{tail}": {"domain": domain_x, "anchor": f"y{tail}", **x},
                f"yaxis{tail}": {"domain": domain_y, "anchor": f"x{tail}", **y},
            }
        )
        return {"xaxis": f"x{tail}", "yaxis": f"y{tail}"}

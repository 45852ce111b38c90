"""Figures of heads as widgets: what a click on a head does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go


def clickable(figure: go.Figure, chosen: Callable[[int, int], None]) -> go.FigureWidget:
    """Return a figure of heads as a widget that calls `chosen` with the layer and the head that are clicked.

        clickable(compare(first, second), vaslab.explore("runs/base", "runs/agto").select)

    Args:
        figure: of `heads` or `compare`.
        chosen: called with indices of layer and head.

    It is plotly's own widget: it needs a kernel, and a notebook that saves widgets grows by 5 MB.
    """
    shown = go.FigureWidget(figure)

    def clicked(_: Any, points: Any, __: Any) -> None:
        if points.xs:
            chosen(int(points.xs[0]), int(points.ys[0]))

    for trace in shown.data:
        # veils and hatches lie over a map and are no heads
        is_map = trace.type == "heatmap" and trace.hoverinfo != "skip"
        if is_map and np.array_equal(trace.x, np.arange(len(trace.x))):
            trace.on_click(clicked)
    return shown

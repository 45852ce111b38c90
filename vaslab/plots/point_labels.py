"""Names beside points: where each stands so that it covers no point, no bar and no other name."""

from collections.abc import Sequence

from vaslab.plots.text import text_width

SIZE = 12
HIGH = 9.0
GAP = 9.0

Number = float | int
Box = tuple[Number, Number, Number, Number]


def place_labels(
    points: Sequence[tuple[Number, Number]],
    names: Sequence[str],
    page: Box,
    bars: Sequence[Box] = (),
    lines: Sequence[int] | None = None,
) -> list[tuple[float, float] | None]:
    """The middle of each name's box, in pixels; None where no place is free.

    Args:
        points: markers, in pixels from the top left.
        names: what is written.
        page: (left, top, right, bottom) that names stay inside.
        bars: boxes that names should not cover (error bars); a name without another place may lie over a bar, never
            over a point or a name.
        lines: how many lines each name has, of which the longest is given; None is one each.
    """
    taken = [(x - 7.0, y - 7.0, x + 7.0, y + 7.0) for x, y in points]
    out: list[tuple[float, float] | None] = []
    for (x, y), name, count in zip(points, names, lines or [1] * len(names), strict=True):
        half, high = text_width(name, SIZE) / 2 + 2, HIGH * count
        spots = [
            (x + sx * (half * abs(sx) + far * GAP), y + sy * (high + (far - 1) * GAP))
            for far in (1.0, 1.8)
            for sx, sy in ((-1, -1), (1, 1), (1, -1), (-1, 1), (1, 0), (-1, 0), (0, -1.9), (0, 1.9))
        ]
        boxes = [((a - half, b - high, a + half, b + high), (a, b)) for a, b in spots]
        inside = [(box, at) for box, at in boxes if _within(box, page)]
        free = [(box, at) for box, at in inside if not any(_meet(box, other) for other in taken)]
        clear = [(box, at) for box, at in free if not any(_meet(box, other) for other in bars)]
        best = clear or free
        if best:
            taken.append(best[0][0])
        out.append(best[0][1] if best else None)
    return out


def _within(box: Box, page: Box) -> bool:
    return bool(box[0] >= page[0] and box[1] >= page[1] and box[2] <= page[2] and box[3] <= page[3])


def _meet(a: Box, b: Box) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])

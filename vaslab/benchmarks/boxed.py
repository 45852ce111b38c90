"""Answers in LaTeX boxes."""

from __future__ import annotations

import re

_BRACE = re.compile(r"\\(?:boxed|fbox)\s{0,9}\{|[{}]")


def last_boxed(text: str) -> str | None:
    """Return what the last closed \\boxed{...} holds, inner braces and all; None where there is none."""
    opened: list[tuple[bool, int]] = []
    last = (-1, -1)
    for brace in _BRACE.finditer(text):
        if brace[0] != "}":
            opened.append((len(brace[0]) > 1, brace.end()))
        elif opened:
            is_box, start = opened.pop()
            if is_box and start > last[0]:
                last = (start, brace.start())
    return None if last[0] < 0 else text[last[0] : last[1]].strip()

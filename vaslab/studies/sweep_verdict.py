"""What a row of a sweep shows, in words: accuracy, the level of a blank picture, side effects."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan
from typing import Any

FINDING = 0.05
"""False discovery rate over the sweep up to which a change is a finding."""

MARGIN = 0.10
"""How far accuracy may lie from that of a blank picture and still be said to be at its level."""

BLANK_LABEL = "blank picture"

_SIDES = {
    "formatted": "answers in the format",
    "obeys_capitals": 'obeying "in capitals"',
    "obeys_end": 'obeying "end with done"',
}


def verdict(row: Mapping[str, Any]) -> str:
    """What a row shows, at a false discovery rate of 5 % over the sweep."""
    change, low, high = (100 * each for each in _three(row, "accuracy_change"))
    if not isfinite(change):
        return ""
    interval = f"{change:+.1f} points{_ends(low, high, '+.1f')}"
    if row.get("intervention") == BLANK_LABEL:
        level, floor, top = (100 * each for each in _three(row, "accuracy"))
        return f"what needs no picture: {level:.1f} %{_ends(floor, top)}, {interval} against the picture"
    told = f"no change of accuracy shown: {interval}"
    if row["p_adjusted"] <= FINDING and change != 0:
        told = f"{'raises' if change > 0 else 'lowers'} accuracy: {interval}"
    elif row.get("fixed") == 0 and row.get("broken") == 0:
        told += ", no answer changed sides"
    parts = [told, _blank_words(row, lowers=told.startswith("lowers")), _rate_words(row), _side_words(row)]
    return "; ".join(part for part in parts if part)


def level_words(change: float | int, low: float | int, high: float | int, apart: bool) -> str:
    """How accuracy lies to that of a blank picture.

    Args:
        change, low, high: accuracy less that of a blank picture, and its 95 % interval, in parts of one.
        apart: whether the two are told apart.
    """
    if not isfinite(change):
        return ""
    interval = _ends(100 * low, 100 * high, "+.1f")
    if apart:
        return (
            f"{100 * abs(change):.1f} points {'above' if change > 0 else 'below'} a blank picture{interval}"
        )
    if low > -MARGIN and high < MARGIN:
        return f"at the level of a blank picture, within {100 * MARGIN:.0f} points{interval}"
    return f"not told apart from a blank picture{interval}"


def _blank_words(row: Mapping[str, Any], lowers: bool) -> str:
    """Said of what lowers accuracy: does anything of the picture's worth remain?"""
    if not lowers:
        return ""
    apart = row.get("over_blank_p_adjusted", nan) <= FINDING
    return level_words(*_three(row, "over_blank"), apart)


def _rate_words(row: Mapping[str, Any]) -> str:
    rate, low, high = (100 * each for each in _three(row, "other_rate"))
    if not isfinite(rate):
        return ""
    return (
        f"{rate:.1f} %{_ends(low, high)} of {row['other_n']:.0f} right answers become that of the object "
        "steered to"
    )


def _side_words(row: Mapping[str, Any]) -> str:
    """Side effects that stand."""
    told = []
    for name, words in _SIDES.items():
        change, low, high = (100 * each for each in _three(row, f"{name}_change"))
        if _stands(row, name) and change != 0:
            told.append(f"{words} {change:+.1f} points [{low:+.1f}, {high:+.1f}] to {100 * row[name]:.0f} %")
    change, low, high = _three(row, "length_change")
    if _stands(row, "length") and change != 0:
        told.append(f"{change:+.1f} tokens [{low:+.1f}, {high:+.1f}]")
    ratio, low, high = _three(row, "perplexity_ratio")
    if _stands(row, "perplexity") and ratio != 1:
        told.append(f"perplexity on text x{ratio:.2f} [{low:.2f}, {high:.2f}]")
    if told:
        return f"side effects: {', '.join(told)}"
    return "no side effect shown" if "formatted_p_adjusted" in row else ""


def _ends(low: float, high: float, form: str = ".1f") -> str:
    """An interval in brackets; nothing where there is none, as of items that share one picture."""
    return f" [{low:{form}}, {high:{form}}]" if isfinite(low) and isfinite(high) else ""


def _stands(row: Mapping[str, Any], name: str) -> bool:
    return bool(row.get(f"{name}_p_adjusted", nan) <= FINDING)


def _three(row: Mapping[str, Any], name: str) -> tuple[float, float, float]:
    estimate, low, high = (float(row.get(f"{name}{part}", nan)) for part in ("", "_low", "_high"))
    return estimate, low, high

"""MMMU's rule for open answers: what a response concludes, and whether that is the answer.

The rule is published in `eval/eval_utils.py` of MMMU-Benchmark/MMMU (Yue et al., CVPR 2024). It looks in each line
for what follows a word of conclusion; a text that holds the answer is right, and so is a number that equals it when
both are rounded to two decimals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_SIGNS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_TRIVIAL = (":", ",", ".", "!", "?", ";", "'")
_WITH_COMMAS = re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b")
# a run of digits is tried from its first one alone: quadratic time is no part of the rule
_SCIENTIFIC = re.compile(r"-?(?<!\d)\d+(?:\.\d+)?[eE][+-]?\d+")
_PLAIN = re.compile(r"-?(?:(?<!\d)\d+\.\d+|\.\d+|(?<!\d)\d+\b)(?![eE][+-]?\d+)(?![,\d])")


def conclusions(response: str) -> list[str]:
    """Return what the lines of a response conclude, in lower case; the whole response where no line does.

    In each line it is the shortest of what follows the last "so", "is", "answer" and their like; in the last line
    "=" is one of them.
    """
    whole = response.strip().strip(".").lower()
    lines = whole.split("\n")
    found = []
    for number, line in enumerate(lines, start=1):
        tail = ""
        for sign in (*_SIGNS, "=") if number == len(lines) else _SIGNS:
            if sign in line:
                rest = line.rpartition(sign)[2].strip()
                # as published: a tail that came out empty gives way to any later one
                tail = rest if not tail or len(rest) < len(tail) else tail
        if tail and tail not in _TRIVIAL:
            found.append(tail)
    return found or [whole]


def matching(found: Sequence[str], answers: Sequence[str]) -> str | None:
    """Return the first conclusion, or number in one, that one of the answers equals; None where none does."""
    golds = [form for answer in answers for form in _forms(answer)]
    numbers = [number for text in found for number in _numbers(text)]
    for candidate in (*found, *numbers):
        for form in _forms(candidate):
            if isinstance(form, float):
                if form in golds:
                    return candidate
            elif any(isinstance(gold, str) and gold in form for gold in golds):
                return candidate
    return None


def _numbers(text: str) -> list[str]:
    return [*_WITH_COMMAS.findall(text), *_SCIENTIFIC.findall(text), *_PLAIN.findall(text)]


def _forms(text: str) -> list[str | float]:
    """Return a number to two decimals, or a text in lower case; one letter needs a space beside it to be found."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
    return [f" {text}", f"{text} "] if len(text) == 1 else [text]

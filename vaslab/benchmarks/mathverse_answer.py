"""MathVerse without a judge: a rule of vaslab's own for what the published protocol leaves to a model.

It finds the answer where the prompts ask for it, at the end, and takes two answers for the same where their texts,
their quantities, or math-verify say so. It is no published rule: numbers by it carry its name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vaslab.benchmarks.boxed import last_boxed
from vaslab.benchmarks.math_equality import same, value
from vaslab.benchmarks.options import LETTERS
from vaslab.benchmarks.quantity import alike, quantity

_SAID = re.compile(
    r"(?:final\s+answer|final\s+value|correct\s+(?:answer|option|choice)|answer|option|choice)s?\s*"
    r"(?:(?:letter\s+)?(?:is|are|would\s+be|should\s+be)\s*:?|:|=)\s*(?P<rest>[^\n]*(?:\n\s*\n?[^\n]+)?)",
    re.IGNORECASE,
)
_CONCLUDED = re.compile(
    r"(?:therefore|thus|hence|so|finally)\b,?\s(?P<rest>[^\n]+(?:\n\s*\n?[^\n]+)?)", re.IGNORECASE
)
_LETTER = re.compile(
    r"\W*(?:option\s+|choice\s+)?\(?([A-H])\)?(?![\w'])(?:\s*[.:)]|\s*$|\s*\n)", re.IGNORECASE
)
_LONE_LINE = re.compile(r"^\W*\(?([A-H])\)?\W*(?:[:.)]\s*\S.*)?$", re.MULTILINE)
_IN_PARENTHESES = re.compile(r"\(([A-H])\)")
_MATHS = re.compile(r"\\\((.+?)\\\)|\\\[(.+?)\\\]|\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)
_INTERVAL = re.compile(r"[\[(]\s*[^\[\]()=]*?,\s*[^\[\]()=]*?\s*[\])]")
_NUMBER_WITH_UNIT = re.compile(
    r"[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+)?\s*"
    r"(?:°|\\?%|\^\{?\\circ\}?|(?:(?:square\s+|cubic\s+)?(?:cm|mm|km|dm|m|kg|mg|g|ml|feet|ft|inches|units?|degrees|"
    r"meters|miles|hours?|minutes?|seconds?)(?:\^\{?[23]\}?|[²³])?\b))?",
    re.IGNORECASE,
)
_DECIMAL = re.compile(r"[-+]?\d+\.(\d+)")
_LOOKS = re.compile(r"\\(?:left|right|displaystyle|,|;|!| )|[$*`]|\\[()\[\]]")
_WORDS_BEFORE = re.compile(r"^(?:[A-Za-z]+\s+)+(?=[-\d(\\])")


def extracted(response: str, options: Sequence[str], letters: bool) -> str:
    """Return the answer in a response; "" for none.

    Args:
        response: what the model said.
        options: texts of the options, () where they are not known.
        letters: whether a letter is asked for.
    """
    told = response.replace("**", "").strip()
    regions = _regions(told)
    if letters:
        return _letter(told, regions, options)
    for region in regions:
        found = _free(region)
        if found:
            return found
    return ""


def consistent(reference: str, told: str, options: Sequence[str] = ()) -> bool:
    """Whether an extracted answer is the reference: same text, same quantity, as many decimals, or same mathematics.

    Where the reference is the letter of an option, the option's text counts as well.
    """
    if not reference.strip() or not told.strip():
        return False
    ours, theirs = _plain(reference), _plain(told)
    if _squeezed(ours) == _squeezed(theirs):
        return True
    if len(ours) == 1 and ours in LETTERS[: len(options)]:
        return consistent(options[LETTERS.index(ours)], told) if len(theirs) > 1 else False
    pairs = [[_squeezed(each) for each in _INTERVAL.findall(text)] for text in (ours, theirs)]
    if len(pairs[0]) > 1:
        return pairs[0] == pairs[1]
    one, other = quantity(ours), quantity(theirs)
    if one is not None and other is not None:
        return alike(one, other) or (one.dimension in ("", other.dimension) and _rounded(ours, other.number))
    number = value(theirs.split("=")[-1])
    if one is not None and number is not None and _rounded(ours, number):
        return True
    return same(ours, theirs) is True


def _regions(told: str) -> list[str]:
    """Return where an answer may stand, the likeliest first."""
    boxed = last_boxed(told)
    said = [found["rest"].strip() for found in _SAID.finditer(told)]
    concluded = [found["rest"].strip() for found in _CONCLUDED.finditer(told)]
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    found = [*([] if boxed is None else [boxed]), *said[-1:], *lines[-1:], *concluded[-1:]]
    return [region for region in found if region]


def _letter(told: str, regions: Sequence[str], options: Sequence[str]) -> str:
    if len(told) == 1:
        return told.upper()
    for region in regions:
        found = _LETTER.match(region)
        if found:
            return found[1].upper()
        inside = set(_IN_PARENTHESES.findall(region))
        if len(inside) == 1:
            return inside.pop()
    lone = _LONE_LINE.findall(told)
    if lone:
        return lone[-1]
    for region in regions:
        named = [letter for letter, text in zip(LETTERS, options, strict=False) if _names(region, text)]
        if len(named) == 1:
            return named[0]
    return _free(regions[0]) if regions else ""


def _names(region: str, option: str) -> bool:
    return bool(option) and re.search(rf"(?<![\w.]){re.escape(option)}(?![\w.]*\w)", region) is not None


def _free(region: str) -> str:
    """Return the formula, interval or number in a region that is an answer and no more; the region itself where it
    is short."""
    formulas = [next(filter(None, found)) for found in _MATHS.findall(region)]
    if len(formulas) == 1 or (formulas and not _squeezed(_MATHS.sub("", region)).strip(".,;:")):
        return formulas[-1].strip()
    line = region.splitlines()[0].strip().rstrip(".")
    if len(line.split()) <= 3 and line:
        return line
    intervals = _INTERVAL.findall(line)
    if intervals:
        return ", ".join(intervals) if len(intervals) > 1 else str(intervals[0])
    if formulas:
        return formulas[-1].strip()
    numbers = _NUMBER_WITH_UNIT.findall(line)
    if numbers:
        return str(numbers[-1]).strip()
    equals = line.rsplit("=", 1)
    return equals[1].strip() if len(equals) == 2 else ""


def _plain(text: str) -> str:
    """Take away what LaTeX and prose add around an answer."""
    text = _LOOKS.sub(
        "", text.replace("\\dfrac", "\\frac").replace("−", "-").replace("≈", "=").replace("\\approx", "=")
    )
    text = text.strip().rstrip(".").strip()
    return _WORDS_BEFORE.sub("", text) if not _INTERVAL.search(text) else text


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()


def _rounded(reference: str, number: float) -> bool:
    """Whether a number rounds to a reference that is a decimal."""
    found = _DECIMAL.match(reference)
    return found is not None and abs(round(number, len(found[1])) - float(found[0])) < 1e-9

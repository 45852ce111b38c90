"""MathVista: how an answer is found in a response without a model, and the published normalising of what was found."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from vaslab.benchmarks.boxed import last_boxed
from vaslab.benchmarks.math_equality import value
from vaslab.benchmarks.options import LETTERS

_QUOTED = re.compile(r'The answer is "(.*)"\.')
_SAID = re.compile(
    r"(?:answer|option|choice|value|result)\b(?:\s+(?:letter|value|option|choice))?\s*(?:is|are|:|=|would be|should be)"
    r"(?:\s+approximately|\s+about)?\s*:?\s*([^\n]+)",
    re.IGNORECASE,
)
_PARENTHESISED = re.compile(r"\(([A-Za-z])\)")
_OPENING_LETTER = re.compile(r"\s*(?:(?:option|choice)\s+)?\(?([A-Z])\)?\s*(?:[.:),\n]|$)")
_LATEX = re.compile(r"\\(?:d?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|sqrt\s*\{[^{}]*\})|\d+\s*\\sqrt\s*\{[^{}]*\}")
_NUMBER = re.compile(
    r"(?<![\w.])[-−+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+(?![\d.]))?|(?<![\w.])\.\d+"
)
_LIST = re.compile(r"[\[(]\s*[-\d.'\"][^\[\]()]*[\])]")
_LETTER_IN_PARENTHESES = re.compile(r"\(([a-zA-Z])\)")
_LOOKS = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_DEGREES = re.compile(r"\s*\^\s*(?:\\circ|\{\s*\\circ\s*\})")
_STARS = str.maketrans("", "", "*`")


def quick(response: str, kind: str, options: Sequence[str]) -> str | None:
    """Return what the authors find without a model: an option said alone, or a number said alone."""
    told = response.strip()
    if options and told in options:
        return told
    try:
        if kind == "integer":
            return str(int(told))
        if kind == "float":
            return str(float(told))
    except ValueError:
        pass
    quoted = _QUOTED.search(response)
    return quoted[1] if quoted else None


def extracted(response: str, kind: str, options: Sequence[str]) -> str:
    """Return the answer in a response by rule: where the prompt asked for it, at the end; "" for none.

    Args:
        response: what the model said.
        kind: the row's answer type: text, integer, float or list.
        options: the options, () for a free answer.
    """
    short = quick(response, kind, options)
    if short is not None:
        return short
    told = response.translate(_STARS).strip()
    if options:
        return _option(_DEGREES.sub("°", _LOOKS.sub(r"\1", told)), options)
    return _list(told) if kind == "list" else _number(told)


def normalized(found: str, kind: str, options: Sequence[str], precision: int) -> str | None:
    """Bring an extracted answer into the form of the reference, as the authors do: an option's text by its letter,
    else the option at the smallest edit distance; a whole number; a number of so many decimals; any other text."""
    if options:
        letters = _LETTER_IN_PARENTHESES.findall(found)
        letter = letters[0].upper() if letters else found.strip()
        if letter in LETTERS[: len(options)]:
            return options[LETTERS.index(letter)]
        distances = [edit_distance(letter, option) for option in options]
        return options[distances.index(min(distances))]
    try:
        if kind == "integer":
            return str(int(float(found)))
        if kind == "float":
            return str(round(float(found), precision))
    except (ValueError, OverflowError):
        return None
    return found


def edit_distance(one: str, other: str) -> int:
    """Levenshtein distance: the fewest characters to insert, delete or replace."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        above = row
        row = [i]
        for j, right in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (left != right)))
    return row[-1]


def _regions(told: str) -> list[str]:
    """Return where an answer may stand, the likeliest first: the last box, the last "the answer is", the last line."""
    boxed = last_boxed(told)
    said = [found[1] for found in _SAID.finditer(told)]
    lines = [line for line in told.splitlines() if line.strip()]
    return [*([] if boxed is None else [boxed]), *said[-1:], *lines[-1:]]


def _option(told: str, options: Sequence[str]) -> str:
    letters = LETTERS[: len(options)]
    for region in _regions(told):
        opening = _OPENING_LETTER.match(region)
        if opening and opening[1] in letters:
            return opening[1]
        in_parentheses = [each.upper() for each in _PARENTHESISED.findall(region) if each.upper() in letters]
        if len(set(in_parentheses)) == 1:
            return in_parentheses[0]
        plain = region.strip().strip("$.").strip()
        if plain in options:
            return plain
    anywhere = [each.upper() for each in _PARENTHESISED.findall(told) if each.upper() in letters]
    if anywhere:
        return anywhere[-1]
    named = [option for option in options if re.search(rf"(?<!\w){re.escape(option)}(?!\w)", told)]
    if len(named) == 1:
        return named[0]
    regions = _regions(told)
    return regions[0].strip() if regions else ""


def _number(told: str) -> str:
    for region in _regions(told):
        region = region.split("=")[-1].split("\\approx")[-1].split("≈")[-1]
        latex = [each for each in (value(found[0]) for found in _LATEX.finditer(region)) if each is not None]
        if latex:
            return repr(latex[-1])
        plain = _NUMBER.findall(region)
        if plain:
            return _plain_number(plain[-1])
    anywhere = _NUMBER.findall(told)
    return _plain_number(anywhere[-1]) if anywhere else ""


def _plain_number(text: str) -> str:
    text = re.sub(r"[,\s+]", "", text).replace("−", "-")
    if "/" not in text:
        return text
    fraction = value(text)
    return "" if fraction is None else repr(fraction)


def _list(told: str) -> str:
    for region in (*_regions(told), told):
        for found in reversed(_LIST.findall(region)):
            try:
                return str(list(ast.literal_eval(f"[{found[1:-1]}]")))
            except (ValueError, SyntaxError):
                continue
    for region in _regions(told):
        numbers = [_plain_number(each) for each in _NUMBER.findall(region)]
        if len(numbers) > 1:
            return f"[{', '.join(numbers)}]"
    return ""

"""MathVision's published rule: how an answer is found in a response, and when two answers are equal.

Step by step what the authors' evaluation does (github.com/mathllm/MATH-V, evaluation/), its oddities included, so
that scores can be compared with published ones.
"""

from __future__ import annotations

import math
import re

from vaslab.benchmarks.math_equality import value

_PHRASES = ("the final answer is", "the answer is", "the correct answer is", "the answer should be")
_BOX = re.compile(r"oxed\{(.*)\}", re.DOTALL)
_DROPPED = (
    (" ", "\\,", "\n", "\\!", "$", "\\%"),
    ("\\text", "\\mbox", "\\left", "\\right", "^{\\circ}", "^\\circ"),
    ("{m}^3", "m^3", "{units}", "units", "{km}", "km"),
)
_LETTERS = (re.compile(r"\(([a-e])\)"), re.compile(r"\{([a-e])\}"))
_BARE_ROOT = re.compile(r"\\sqrt([^{])")
_BARE_FRACTION = re.compile(r"\\frac([^{])([^{])")
_FRACTION = re.compile(r"(-?\d{1,300})/(-?\d{1,300})")


def extracted(response: str) -> str:
    """Return the answer in a response, in lower case and without spaces, as it is compared; "" for none."""
    told = _bare_letter(response.strip())
    last = told.split("is ")[-1].rstrip(".")
    if _is_number(last):
        told = last
    if "oxed{" in told:
        told = "oxed{" + told.split("oxed{")[-1] if told.count("oxed{") > 1 else told
    else:
        told = _after_phrase(told)
    told = _plain(told.lower())
    for letter in _LETTERS:
        told = letter.sub(r"\1", told)
    return told.rstrip(".").lstrip(":").strip()


def equal(reference: str, told: str) -> bool:
    """Whether two answers have the same text, case aside, or the same numbers rounded to two decimals."""
    reference, told = reference.strip().lower(), told.strip().lower()
    if not reference or not told:
        return False
    if reference == told:
        return True
    ours, theirs = _numbers(reference), _numbers(told)
    return ours is not None and ours == theirs


def _bare_letter(told: str) -> str:
    """Return the option letter that a response begins with on a line of its own, or ends with."""
    for letter in "ABCDE":
        if told.endswith((f" {letter}.", f" ({letter}).")):
            return letter
        if told.startswith((f"{letter}\n", f"({letter})\n", f"({letter}) {letter}\n")):
            return letter
    return told


def _after_phrase(told: str) -> str:
    for phrase in _PHRASES:
        for said in (phrase, phrase.replace("the", "The")):
            if said in told:
                told = told.split(said)[-1].strip().split("\n")[0].split(". ")[0]
    return told


def _plain(told: str) -> str:
    """Take an answer out of its box and its equation, and rid it of spaces, units and what LaTeX adds for looks."""
    told = told.replace("{}", "")
    boxed = _BOX.findall(told)
    told = boxed[-1] if boxed else told
    opened, closed = told.find("{"), told.find("}")
    if closed != -1 and (opened == -1 or closed < opened):
        told = told[:closed]
    told = told.split("=")[-1].split("\\approx")[-1].replace("∞", "\\infty").replace("+\\infty", "\\infty")
    for group in _DROPPED:
        for each in group:
            told = told.replace(each, "")
    told = told.replace("\\\\", "\\").replace("tfrac", "frac").replace("dfrac", "frac").replace("{.", "{0.")
    told = f"0{told}" if told.startswith(".") else told
    if "sqrt" in told:
        told = _BARE_FRACTION.sub(r"\\frac{\1}{\2}", _BARE_ROOT.sub(r"\\sqrt{\1}", told))
    if told == "0.5":
        return "\\frac{1}{2}"
    fraction = _FRACTION.fullmatch(told)
    return f"\\frac{{{int(fraction[1])}}}{{{int(fraction[2])}}}" if fraction else told


def _numbers(text: str) -> tuple[str | float, ...] | None:
    """Return the number, or the bracketed numbers with their brackets, at two decimals; None for anything else."""
    inside = text[1:-1].split(",")
    if len(inside) > 1 and text[0] + text[-1] in ("()", "[]"):
        parts = [_rounded(each) for each in inside]
        return None if None in parts else (text[0], *(each for each in parts if each is not None))
    number = _rounded(text)
    return None if number is None else (number,)


def _rounded(text: str) -> str | float | None:
    if "infty" in text:
        return text.strip()
    number = value(text)
    return None if number is None else round(number, 2)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False

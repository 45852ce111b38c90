"""Numbers with a unit, so that 0.5 m and 50 cm are the same length."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vaslab.benchmarks.math_equality import value

_PREFIXES = {"": 1.0, "k": 1e3, "d": 1e-1, "c": 1e-2, "m": 1e-3}
_UNITS: dict[str, tuple[str, float]] = {
    **{f"{prefix}m": ("length", size) for prefix, size in _PREFIXES.items()},
    **{f"{prefix}g": ("mass", size) for prefix, size in _PREFIXES.items() if prefix in ("", "k", "m")},
    **{f"{prefix}l": ("volume", size) for prefix, size in _PREFIXES.items() if prefix in ("", "m", "c")},
    **dict.fromkeys(("meter", "meters", "metre", "metres"), ("length", 1.0)),
    **dict.fromkeys(("centimeter", "centimeters", "centimetre", "centimetres"), ("length", 0.01)),
    **dict.fromkeys(("kilometer", "kilometers", "kilometre", "kilometres"), ("length", 1000.0)),
    **dict.fromkeys(("ft", "foot", "feet"), ("length in feet", 1.0)),
    **dict.fromkeys(("in", "inch", "inches"), ("length in feet", 1 / 12)),
    **dict.fromkeys(("mile", "miles", "mi"), ("length in miles", 1.0)),
    **dict.fromkeys(("s", "sec", "second", "seconds"), ("time", 1.0)),
    **dict.fromkeys(("min", "minute", "minutes"), ("time", 60.0)),
    **dict.fromkeys(("h", "hour", "hours"), ("time", 3600.0)),
    **dict.fromkeys(("°", "^\\circ", "^{\\circ}", "degree", "degrees"), ("angle", 1.0)),
    **dict.fromkeys(("unit", "units"), ("", 1.0)),
}
_POWERS = {"²": 2, "^2": 2, "^{2}": 2, "³": 3, "^3": 3, "^{3}": 3}
_LOOKS = re.compile(r"\\(?:mathrm|text|mbox|rm)\s*\{\s*~?\s*([^{}]*)\}|\\[,;:! ]|~")
_QUANTITY = re.compile(
    r"(?P<number>.*?)\s*(?P<square>square\s+|cubic\s+|sq\.?\s+)?"
    rf"(?P<unit>{'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})"
    rf"(?P<power>{'|'.join(map(re.escape, _POWERS))})?\.?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Quantity:
    """A number as written, and its unit as so many basic units of a dimension: 50 cm is (50, 0.01, "length")."""

    number: float
    unit: float = 1.0
    dimension: str = ""


def quantity(text: str) -> Quantity | None:
    """Read a number with or without a unit behind it; None for anything else."""
    plain = _LOOKS.sub(lambda found: f" {found[1] or ''}", text.replace("$", "")).strip().rstrip(".")
    bare = value(plain)
    if bare is not None:
        return Quantity(bare)
    found = _QUANTITY.fullmatch(plain)
    number = None if found is None else value(found["number"])
    if found is None or number is None:
        return None
    dimension, unit = _UNITS[found["unit"].lower()]
    said = (found["square"] or "").strip(" .").lower()
    power = {"square": 2, "sq": 2, "cubic": 3}.get(said, _POWERS.get(found["power"] or "", 1))
    return Quantity(number, unit**power, f"{dimension}^{power}" if dimension and power > 1 else dimension)


def alike(one: Quantity, other: Quantity) -> bool:
    """Whether two quantities are the same, to one part in 10^9; where only one has a unit, the numbers decide."""
    if one.dimension and other.dimension:
        if one.dimension != other.dimension:
            return False
        one, other = Quantity(one.number * one.unit), Quantity(other.number * other.unit)
    return abs(one.number - other.number) <= 1e-9 * max(1.0, abs(one.number))

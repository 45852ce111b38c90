"""Words and numbers on figures: escaped, wrapped to a width in pixels, ratios and shares as a reader says
them."""

import math
from html import escape as html_escape

from vaslab.metrics import Definition

_NARROW = set("iljtfrI.,:;'|!()[]/ ·-\u00a0")
_WIDE = set("mwMW%@÷≤≥")

NO_BREAK = "\u00a0"
SHORT = 100
"""Letters that any page has room for on one line."""

FLOORED = 0.01
"""Share of rows whose system mass is taken as 1e-6 from which a VAS is called a bound."""


def escape(text: object) -> str:
    """Text as plotly shows it literally: no markup, no MathJax, no hover template."""
    # plotly decodes &lt; &gt; &amp; and numbers, and would show &quot; as it stands
    return html_escape(str(text), quote=False).replace("$", "&#36;").replace("%{", "&#37;{")


def text_width(text: str, size: float | int, bold: bool = False) -> float:
    """Width in pixels of one line of Open Sans, a little above the true one."""
    em = 0.0
    for letter in text:
        if letter in _NARROW:
            em += 0.31
        elif letter in _WIDE:
            em += 0.90
        elif letter.isupper():
            em += 0.66
        else:
            em += 0.565
    return em * size * (1.06 if bold else 1.0)


def wrapped(text: str, width: float | int, size: float | int, bold: bool = False) -> list[str]:
    """`text` in lines of at most `width` pixels, broken at spaces (not at no-break spaces); a word that is
    too long is broken where it must.
    """
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        while text_width(word, size, bold) > width and len(word) > 1:
            fits = max(1, int(len(word) * width / text_width(word, size, bold)) - 1)
            if line:
                lines.append(line)
                line = ""
            lines.append(word[:fits])
            word = word[fits:]
        longer = f"{line} {word}" if line else word
        if line and text_width(longer, size, bold) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line] if line or not lines else lines


def shortened(text: str, width: float | int, size: float | int, bold: bool = False) -> str:
    """`text` cut in its middle, where it is wider than `width` pixels."""
    keep = len(text)
    short = text
    while text_width(short, size, bold) > width and keep > 4:
        keep -= 1
        short = f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}"
    return short


def unbroken(text: str) -> str:
    """`text` that `wrapped` keeps on one line; a list too long for one line may break at its spaces."""
    return text.replace(" ", NO_BREAK) if len(text) <= SHORT else text


def dotted(parts: list[str]) -> str:
    """Short statements on one line, with a middle dot between; lines break between them."""
    return " · ".join(unbroken(part) if len(part) < 60 else part for part in parts)


def ratio_text(power: float | int) -> str:
    """2 ** power as a ratio: 1/8, 1, 8; past a thousand as a power of two."""
    if power == 0:
        return "1"
    if float(power).is_integer():
        size = abs(int(power))
        word = f"{2**size:,}" if size <= 10 else f"2<sup>{size}</sup>"
        return word if power > 0 else f"1/{word}"
    return number(2.0**power)


def power_text(power: float | int) -> str:
    """2 ** power as a tick: a whole power as `ratio_text`, others in three figures."""
    return ratio_text(power) if float(power).is_integer() else f"{2.0**power:.3g}"


def number(value: float | int) -> str:
    """A ratio in two to three figures: 0.043, 0.43, 4.3, 43, 4,300."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 9.95:
        return f"{value:,.0f}"
    if size >= 0.995:
        return f"{value:.1f}"
    if size >= 0.0995:
        return f"{value:.2f}"
    if size >= 0.00095:
        return f"{value:.3f}"
    return f"{value:.0e}"


def percent(share: float | int) -> str:
    """A share in whole percent, with one digit where that would say none or all: 14%, 0.4%, 99.6%."""
    if not math.isfinite(share):
        return "–"
    value = 100 * share
    if 99.5 <= value < 100:
        return f"{value:.1f}%" if value < 99.95 else ">99.9%"
    if value == 0 or value >= 0.95:
        return f"{value:.0f}%"
    return f"{value:.1f}%" if value >= 0.05 else "<0.1%"


def points(difference: float | int) -> str:
    """A difference of shares in points: +4.1, −0.3."""
    value = 100 * difference
    return f"{'−' if value < 0 else '+'}{abs(value):.1f}"


def counted(n: int, one: str) -> str:
    """A count with its noun: 1 head, 10 heads."""
    return f"{n:,} {one}{'' if n == 1 else 's'}"


def spelled(n: int) -> str:
    """Small counts as words."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[n] if n < len(words) else str(n)


def ratio_ticks(low: float | int, high: float | int, most: int) -> list[int]:
    """Whole powers of two in low .. high, at most about `most`, with 0 among them where it lies inside."""
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    step = max(1, math.ceil((last - first) / max(most - 1, 1)))
    return [power for power in range(first, last + 1) if power % step == 0]


def round_ticks(low: float | int, high: float | int, most: int) -> list[float]:
    """At most about `most` round numbers in low .. high."""
    if not high > low:
        return [float(low)]
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * k for k in (1, 2, 2.5, 5, 10) if size * k >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * k, 10) for k in range(first, last + 1)]


def level_ticks(low: float | int, high: float | int, most: int) -> list[float]:
    """Ticks of a ratio's log2 axis: whole powers of two, or, where fewer than two lie in low .. high, round ratios."""
    powers = ratio_ticks(low, high, most)
    if len(powers) > 1:
        return [float(power) for power in powers]
    return [math.log2(ratio) for ratio in round_ticks(2.0**low, 2.0**high, most)]


def axis_ticks(n: int, pixels: float | int, apart: float | int = 26.0) -> list[int]:
    """Positions 0 .. n-1 to label so that labels stand at least `apart` pixels from each other; 0 is always
    one."""
    each = pixels / n
    steps = [s for s in (1, 2, 3, 4, 5, 10, 20, 50, 100) if s * each >= apart] or [n]
    # a slightly wider step is worth it where the last position gets a label
    step = next((s for s in steps if s <= 2 * steps[0] and (n - 1) % s == 0), steps[0])
    return list(range(0, n, step))


def minus(text: str) -> str:
    """A number with a true minus sign in place of a hyphen."""
    return text.replace("-", "−")


def change_text(power: float | int) -> str:
    """2 ** power as a change: ÷2, 1, ×2; past a thousand as a power of two."""
    if power == 0:
        return "1"
    if not float(power).is_integer():
        return f"×{number(2.0**power)}"
    size = ratio_text(abs(power))
    return f"{'×' if power > 0 else '÷'}{size}"


def times_text(ratio: float | int) -> str:
    """A ratio above 0 as a change: ×2.10, ÷1.04, ×4,300."""
    size = max(ratio, 1 / ratio)
    return f"{'×' if ratio >= 1 else '÷'}{f'{size:.2f}' if size < 9.95 else number(size)}"


def fold(ratio: float | int) -> str:
    """A ratio above 1 as a sentence says it: 2.1-fold; a small one by 4%."""
    return f"{number(ratio)}-fold" if ratio >= 1.095 else f"by {percent(ratio - 1)}"


def coefficient(r: float | int) -> str:
    """Two decimals, three where two would read 1.00; a true minus sign."""
    text = f"{r:.2f}" if abs(r) < 0.995 else f"{r:.3f}"
    return minus("0.00" if text in ("-0.00", "0.00") else text)


def p_text(p: float | int) -> str:
    """= and two figures; below 0.0001 a bound."""
    return "< 0.0001" if p < 1e-4 else f"= {p:.2g}"


def levels_by(clustered: bool, n: int) -> str:
    """How intervals of levels are made, for a foot: VAS by bootstrap, accuracy by Wilson's score."""
    return f"over {'pictures' if clustered else counted(n, 'item')} (bootstrap; accuracy Wilson)"


def p_cell(p: float | int) -> str:
    """A p value in a table: two figures, a bound below 0.0001, a dash where there was no test."""
    return "–" if not math.isfinite(p) else "<0.0001" if p < 1e-4 else f"{p:.2g}"


def vas_words(form: str, per_token: bool | int = False) -> str:
    """VAS as titles and sentences name it, never without its form: VAS (mean of ratios), VAS (ratio of means)."""
    return Definition(form=form, per_token=bool(per_token)).name


def bound_words(ratio: float | int, floored: tuple[float, float]) -> str:
    """What stands before a change of VAS where a side rests on the floor of its denominator: at least, at most, or "".

    Such a VAS is a lower bound; where both sides are, their ratio is bound on neither side and is called nominal.

    Args:
        ratio: second over first.
        floored: of the first and the second, the share of rows at the floor.
    """
    first, second = (share > FLOORED for share in floored)
    if first and second:
        return "nominally "
    if not (first or second):
        return ""
    return "at least " if second == (ratio >= 1) else "at most "

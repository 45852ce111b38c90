"""The median of paired ratios and its interval, with no assumption about their distribution."""

from dataclasses import dataclass
from math import comb
from statistics import median


@dataclass(frozen=True)
class Ratio:
    """Median of ratios with the interval between two order statistics; `level_of(n)` is its level."""

    median: float
    low: float
    high: float
    n: int


def order_ranks(n: int, level: float = 0.95) -> tuple[int, int]:
    """Ranks (from 0) of the order statistics that hold the median with at least this probability.

    The number of values below the median is binomial (n, 1/2); the narrowest symmetric pair of ranks is taken.
    With too few values (n < 6 at 95 %) the extremes are all there is, and hold less: see `level_of`.
    """
    for below in range((n - 1) // 2, -1, -1):
        outside = 2 * sum(comb(n, i) for i in range(below + 1)) / 2**n
        if 1 - outside >= level:
            return below, n - 1 - below
    return 0, n - 1


def level_of(n: int, level: float = 0.95) -> float:
    """The level that an interval of `n` values is said to have: that asked for, or what the extremes hold, if less."""
    return min(level, 1 - 2 / 2**n)


def other_level(n: int) -> str:
    """What is added to an interval of so few pairs that it is none of 95 %, as " (93.75 %)"."""
    level = level_of(n)
    return "" if level == 0.95 else f" ({100 * level:g} %)"


def median_ratio(numerators: list[float], denominators: list[float]) -> Ratio:
    """Median of numerator / denominator over pairs, with its 95 % interval; of fewer than 6 pairs, the extremes."""
    ratios = sorted(a / b for a, b in zip(numerators, denominators, strict=True))
    low, high = order_ranks(len(ratios))
    return Ratio(median(ratios), ratios[low], ratios[high], len(ratios))

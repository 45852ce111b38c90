"""How many checkpoints, and how many items, are needed to tell a correlation from 0."""

from math import sqrt

import numpy as np
from scipy.special import ndtr, ndtri

from vaslab.errors import UsageError
from vaslab.statistics.correlation import FEWEST


def attenuated(r: float, reliability_x: float = 1.0, reliability_y: float = 1.0) -> float:
    """The r that is seen when both sides are measured with noise: r * sqrt(reliabilities) (Spearman 1904)."""
    return r * sqrt(reliability_x * reliability_y)


def reliability(between: float | int, within: float | int, items: int) -> float:
    """Share of the spread of a checkpoint's mean that is not noise of the items.

    Args:
        between: standard deviation of the true means over checkpoints.
        within: standard deviation over items, within a checkpoint (of accuracy: sqrt(p (1 - p))).
        items: measured for each checkpoint.

    Raises:
        UsageError: a negative spread, both 0, or no item.
    """
    if between < 0 or within < 0 or between + within == 0 or items < 1:
        raise UsageError(
            f"spreads {between} and {within} with {items} items; expected spreads >= 0, not both 0, and an item"
        )
    return float(between**2 / (between**2 + within**2 / items))


def power_of_r(r: float, n: int, level: float = 0.95) -> float:
    """Probability that n checkpoints tell a true correlation r from 0, two-sided at 1 - level, by Fisher's z.

    The mean of z lies r / (2 (n - 1)) above atanh r (Fisher 1921); what is left of the error is below 0.04 at n = 6 and
    r = 0.9, on the careful side.

    Raises:
        UsageError: r is not within -1 .. 1, or n is below 4.
    """
    if not -1 < r < 1 or n < FEWEST:
        raise UsageError(f"r = {r} and n = {n}; expected -1 < r < 1 and at least {FEWEST} checkpoints")
    shift = (float(np.arctanh(r)) + r / (2 * (n - 1))) * sqrt(n - 3)
    edge = float(ndtri((1 + level) / 2))
    return float(ndtr(shift - edge) + ndtr(-shift - edge))


def checkpoints_needed(r: float, power: float = 0.8, level: float = 0.95) -> int:
    """Smallest number of checkpoints that tell r from 0 with that probability.

    Raises:
        UsageError: r is 0 or not within -1 .. 1, or power is not within 0 .. 1.
    """
    if not 0 < abs(r) < 1 or not 0 < power < 1:
        raise UsageError(f"r = {r} and power = {power}; expected 0 < |r| < 1 and 0 < power < 1")
    low, high = FEWEST - 1, FEWEST
    while power_of_r(r, high, level) < power:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of_r(r, middle, level) >= power else (middle, high)
    return high


def items_needed(
    r: float,
    checkpoints: int,
    between: float | int,
    within: float | int,
    power: float = 0.8,
    level: float = 0.95,
) -> int | None:
    """Smallest number of items per checkpoint that leaves the r enough of itself; None where no number does.

    The noise of the items is on one side (accuracy, where a single item says least); `between` and `within` as
    `reliability`, other arguments as `checkpoints_needed`.
    """
    if checkpoints < FEWEST or power_of_r(r, checkpoints, level) <= power:
        return None
    low, high = 0, 1
    while power_of_r(attenuated(r, reliability(between, within, high)), checkpoints, level) < power:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_of_r(attenuated(r, reliability(between, within, middle)), checkpoints, level) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high

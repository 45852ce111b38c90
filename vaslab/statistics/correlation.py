"""Correlation over checkpoints: r with its interval, its p, and how much one checkpoint carries."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from vaslab.errors import UsageError, VaslabError
from vaslab.statistics.permutation import permutation_p

Floats = NDArray[np.float64]

KINDS = ("pearson", "spearman")
FEWEST = 4
"""Checkpoints below which there is no r: Fisher's interval divides by n - 3, and three points lie on a line easily."""


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient with its uncertainty.

    `low` and `high` are the printed interval, by `method`; `bca_low` and `bca_high` stand beside it (BCa
    bootstrap over checkpoints; too narrow for few of them, see bench/results/correlation-coverage.csv). `p` is
    by permutation, `p_words` says of how many orders; `p_t` is Student's.
    """

    kind: str
    estimate: float
    low: float
    high: float
    level: float
    method: str
    bca_low: float
    bca_high: float
    p: float
    p_words: str
    p_t: float
    n: int

    @property
    def clear(self) -> bool:
        """Whether it is told from 0; see `is_clear`."""
        return is_clear(self.low, self.high, self.p, self.level)

    def to_dict(self) -> dict[str, float | int | str]:
        """Every field, by name."""
        return asdict(self)


def correlate(
    x: ArrayLike,
    y: ArrayLike,
    kind: str = "pearson",
    level: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> Correlation:
    """Correlate two numbers over checkpoints, one point a checkpoint.

    The printed interval is Fisher's: tanh(atanh r -+ z se), se = 1 / sqrt(n - 3) for Pearson (Fisher 1921) and
    sqrt((1 + r^2 / 2) / (n - 3)) for Spearman (Bonett and Wright 2000).

    Args:
        x, y: one finite number a checkpoint.
        kind: "pearson" or "spearman".
        level: of both intervals.
        resamples, seed: of the bootstrap and of drawn permutations.

    Raises:
        UsageError: unequal lengths, numbers that are not finite, or an unknown kind.
        VaslabError: fewer than 4 checkpoints, or all equal in `x` or in `y`.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown correlation {kind!r}; expected one of {', '.join(KINDS)}")
    left, right = checked(x, y)
    if kind == "spearman":
        left, right = scipy.stats.rankdata(left), scipy.stats.rankdata(right)
    r, n = float(coefficient(left, right)), len(left)
    low, high = fisher_interval(r, n, kind, level)
    bca_low, bca_high = bca_interval(left, right, kind, level, resamples, seed)
    p, words = permutation_p(left, right, seed)
    with np.errstate(divide="ignore"):
        t = r * np.sqrt((n - 2) / max(1 - r * r, 0.0)) if abs(r) < 1 else np.inf
    return Correlation(
        kind=kind,
        estimate=r,
        low=low,
        high=high,
        level=level,
        method="Fisher z" if kind == "pearson" else "Fisher z, Bonett-Wright",
        bca_low=bca_low,
        bca_high=bca_high,
        p=p,
        p_words=words,
        p_t=float(2 * scipy.stats.t.sf(abs(t), n - 2)),
        n=n,
    )


def is_clear(low: float, high: float, p: float, level: float = 0.95) -> bool:
    """Whether a correlation is told from 0: its printed interval leaves out 0, and so does the permutation test.

    The one rule of every title and sentence. The interval supposes normal spread, the permutation test does not; of 4
    checkpoints its p is 1 / 24 at best.

    Args:
        low, high: of Fisher's interval. p: by permutation. level: of the interval; p must lie below 1 - level.
    """
    return bool((low > 0 or high < 0) and p < 1 - level)


def checked(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """`x` and `y` as arrays fit for a correlation. Raises as `correlate`."""
    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape:
        raise UsageError(f"shapes {left.shape} and {right.shape}; expected one number a checkpoint in each")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise UsageError("a checkpoint has no finite value; leave it out, and say so")
    if len(left) < FEWEST:
        raise VaslabError(too_few(len(left)))
    for name, values in (("x", left), ("y", right)):
        if np.ptp(values) <= 1e-12 * max(1e-300, float(np.abs(values).max())):
            raise VaslabError(f"all {len(left)} checkpoints have the same {name}: there is no correlation")
    return left, right


def too_few(n: int) -> str:
    """Why so few checkpoints get no r."""
    return (
        f"{n} checkpoint{'' if n == 1 else 's'}: no r is given for fewer than {FEWEST}, since its 95 % interval "
        "would reach nearly from -1 to 1 (Fisher's standard error is 1 / sqrt(n - 3)); measure more checkpoints"
    )


def fisher_interval(r: float, n: int, kind: str = "pearson", level: float = 0.95) -> tuple[float, float]:
    """Interval of a correlation, as `correlate` prints it.

    Args:
        r: the coefficient, of n points (Fisher 1921; with k confounders held still, n less k). kind: "pearson" or
            "spearman". level: of the interval.

    Ranks that agree wholly leave room for a correlation below 1: r is then read as half a step lower, where the next
    possible value lies 12 / (n (n^2 - 1)) away, and the interval reaches to 1.
    """
    if abs(r) >= 1:
        if kind == "pearson":
            return r, r
        inner = fisher_interval(1 - 6 / (n * (n * n - 1)), n, kind, level)[0]
        return (inner, 1.0) if r > 0 else (-1.0, -inner)
    variance = 1.0 if kind == "pearson" else 1 + r * r / 2
    half = float(ndtri((1 + level) / 2)) * np.sqrt(variance / (n - 3))
    return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def coefficient(x: Floats, y: Floats) -> Floats:
    """Pearson's r along the last axis, which `x` and `y` share; NaN where one of them is constant."""
    left = x - x.mean(-1, keepdims=True)
    right = y - y.mean(-1, keepdims=True)
    scale = np.sqrt((left**2).sum(-1) * (right**2).sum(-1))
    size = np.abs(x).max(-1) * np.abs(y).max(-1) * x.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(scale > 1e-12 * size, (left * right).sum(-1) / scale, np.nan)
    return np.asarray(np.clip(r, -1, 1))


def bca_interval(
    x: Floats, y: Floats, kind: str, level: float, resamples: int, seed: int
) -> tuple[float, float]:
    """BCa bootstrap over points (Efron 1987), the jackknife as its acceleration; resamples in which a side is constant
    count for nothing. Arguments as `correlate`, ranks for Spearman.
    """
    n = len(x)
    drawn_at = np.random.default_rng(seed).integers(0, n, (resamples, n))
    one, two = x[drawn_at], y[drawn_at]
    keep = ~np.eye(n, dtype=bool)
    left_out_x = np.broadcast_to(x, (n, n))[keep].reshape(n, n - 1)
    left_out_y = np.broadcast_to(y, (n, n))[keep].reshape(n, n - 1)
    if kind == "spearman":
        one, two, left_out_x, left_out_y = (
            scipy.stats.rankdata(each, axis=-1) for each in (one, two, left_out_x, left_out_y)
        )
    drawn = coefficient(one, two)
    drawn = np.sort(drawn[np.isfinite(drawn)])
    jackknife = coefficient(left_out_x, left_out_y)
    jackknife = jackknife[np.isfinite(jackknife)]
    r = float(coefficient(x, y))
    if not drawn.size or drawn[-1] - drawn[0] < 1e-12 or jackknife.size < 2:
        return r, r
    below = ((drawn < r).mean() + (drawn <= r).mean()) / 2
    edge = 0.5 / len(drawn)
    z0 = ndtri(np.clip(below, edge, 1 - edge))
    pull = jackknife.mean() - jackknife
    spread = (pull**2).sum()
    a = (pull**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    z = z0 + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    tails = ndtr(z0 + z / (1 - a * z))
    low, high = np.quantile(drawn, np.clip(tails, 0, 1))
    return float(low), float(high)


@dataclass(frozen=True)
class LeaveOneOut:
    """r without each checkpoint in turn, in their order; the lowest and the highest, and whose absence gives it."""

    names: tuple[str, ...]
    estimates: tuple[float, ...]
    low: float
    high: float
    low_without: str
    high_without: str


def leave_one_out(x: ArrayLike, y: ArrayLike, names: Sequence[str], kind: str = "pearson") -> LeaveOneOut:
    """Correlate without each checkpoint in turn.

    Args:
        x, y, kind: as `correlate`. names: of the checkpoints, in their order.

    Raises:
        UsageError, VaslabError: as `correlate`; VaslabError also for 4 checkpoints (3 would be left), or where the
            rest are all equal.
    """
    left, right = checked(x, y)
    if len(names) != len(left):
        raise UsageError(f"{len(names)} names for {len(left)} checkpoints; expected one each")
    found = []
    for at, name in enumerate(names):
        rest_x, rest_y = np.delete(left, at), np.delete(right, at)
        if len(rest_x) < FEWEST:
            raise VaslabError(
                f"leaving one of {len(left)} checkpoints out leaves too few: {too_few(len(rest_x))}"
            )
        if kind == "spearman":
            rest_x, rest_y = scipy.stats.rankdata(rest_x), scipy.stats.rankdata(rest_y)
        r = float(coefficient(rest_x, rest_y))
        if not np.isfinite(r):
            raise VaslabError(f"without {name} the other checkpoints are all equal: there is no correlation")
        found.append(r)
    low, high = int(np.argmin(found)), int(np.argmax(found))
    return LeaveOneOut(tuple(names), tuple(found), found[low], found[high], names[low], names[high])

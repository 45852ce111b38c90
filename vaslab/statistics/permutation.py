"""Permutation tests: of a correlation, exact where all orders can be tried; of what belongs to items."""

from functools import lru_cache
from itertools import chain, permutations
from math import ceil, factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT_UP_TO = 9
"""Checkpoints up to which every one of the n! orders is tried (9! = 362,880)."""

DRAWN = 99_999
EXCHANGES = 9_999
ROUNDING = 1e-12
ROOM = 4_000_000
"""Correlations held at once where many columns are tested."""


def permutation_p(x: Floats, y: Floats, seed: int = 0, exact_up_to: int = EXACT_UP_TO) -> tuple[float, str]:
    """Two-sided p of the correlation of `x` and `y`, by exchanging the values of `y` among the points.

    Args:
        x, y: equally long, neither constant; ranks for Spearman.
        seed: of the drawn orders, where not all are tried.
        exact_up_to: largest n of which all orders are tried.

    Returns:
        p, the share of orders whose |r| is at least the observed one (drawn orders count the observed order
        among them, Phipson and Smyth 2010), and how it was found, in words.
    """
    left = (x - x.mean()) / np.linalg.norm(x - x.mean())
    right = (y - y.mean()) / np.linalg.norm(y - y.mean())
    least = abs(float(left @ right)) - ROUNDING
    n = len(x)
    if n <= exact_up_to:
        extreme = int((np.abs(left[_orders(n)] @ right) >= least).sum())
        return extreme / factorial(n), f"exact, all {factorial(n):,} orders"
    extreme = int((np.abs(left[_drawn(n, seed)] @ right) >= least).sum())
    return (extreme + 1) / (DRAWN + 1), f"{DRAWN + 1:,} orders, drawn"


def permutation_ps(values: Floats, y: Floats, seed: int = 0) -> Floats:
    """`permutation_p` of many columns with one `y`: the same p for each as alone.

    Args:
        values: (point, column), no column constant. y: (point,). seed: as there.
    """
    n, columns = values.shape
    left = (values - values.mean(0)) / np.linalg.norm(values - values.mean(0), axis=0)
    right = (y - y.mean()) / np.linalg.norm(y - y.mean())
    least = np.abs(right @ left) - ROUNDING
    orders = _orders(n) if n <= EXACT_UP_TO else _drawn(n, seed)
    extreme = np.zeros(columns, dtype=np.int64)
    # few orders at a time, so that any number of columns fits into memory
    step = max(1, ROOM // columns)
    for start in range(0, len(orders), step):
        part = orders[start : start + step].astype(np.intp)
        moved = np.empty(part.shape)
        np.put_along_axis(moved, part, np.broadcast_to(right, part.shape), axis=1)
        extreme += (np.abs(moved @ left) >= least).sum(0)
    return extreme / len(orders) if n <= EXACT_UP_TO else (extreme + 1) / (DRAWN + 1)


def least_p(n: int) -> str:
    """The smallest p that `permutation_p` can give for `n` points, in words."""
    return f"1 / {factorial(n) if n <= EXACT_UP_TO else DRAWN + 1:,}"


def needed_together(n: int, tests: int, rate: float) -> int:
    """How many of `tests` must have the smallest p that `n` points allow, for any to be found at a false discovery
    `rate` (Benjamini and Hochberg: the k-th of m p values is compared with rate k / m).
    """
    smallest = 1 / (factorial(n) if n <= EXACT_UP_TO else DRAWN + 1)
    return max(1, ceil(smallest * tests / rate - ROUNDING))


# a specification curve asks for the same orders hundreds of times
@lru_cache(maxsize=2)
def _drawn(n: int, seed: int) -> NDArray[np.intp]:
    """DRAWN orders of n points, drawn: (order, point)."""
    return np.random.default_rng(seed).permuted(np.broadcast_to(np.arange(n), (DRAWN, n)), axis=1)


@lru_cache(maxsize=4)
def _orders(n: int) -> NDArray[np.int8]:
    """All n! orders of n points: (order, point)."""
    flat = np.fromiter(chain.from_iterable(permutations(range(n))), dtype=np.int8, count=n * factorial(n))
    return flat.reshape(-1, n)


def exchange_p(hits: Floats, labels: NDArray[np.int64], seed: int = 0) -> float:
    """Two-sided p of "an item does as well with what belongs to other items", by exchanging that among clusters.

    A cluster (the questions of a picture) gets what belongs to one other cluster, or to itself, in an order that is
    turned by chance, and again from its beginning where the other has fewer; so items of a picture stay together.

    Args:
        hits: what item i would do with what belongs to item j: (i, j). Rows that are NaN are left out.
        labels: cluster of each item, (item,).
        seed: of the exchanges.

    Returns:
        The share of exchanges whose mean lies as far from the mean of all as that of the diagonal (which counts as one,
        Phipson and Smyth 2010); NaN for fewer than 2 clusters, or no row.
    """
    there = np.flatnonzero(np.isfinite(hits).all(1))
    if not there.size or len(np.unique(labels)) < 2:
        return float("nan")
    partners = _exchanges(tuple(labels.tolist()), seed)[:, there]
    drawn = hits[there, partners].mean(1)
    middle = drawn.mean()
    far = np.abs(drawn - middle) >= abs(float(hits[there, there].mean()) - middle) - ROUNDING
    return (int(far.sum()) + 1) / (EXCHANGES + 1)


# one figure asks for the same exchanges for each of its heads
@lru_cache(maxsize=2)
def _exchanges(labels: tuple[int, ...], seed: int) -> NDArray[np.int64]:
    """The item whose belongings each item gets: (exchange, item)."""
    own = np.unique(labels, return_inverse=True)[1]
    sizes = np.bincount(own)
    members = np.zeros((len(sizes), sizes.max()), dtype=np.int64)
    rank = np.zeros(len(own), dtype=np.int64)
    for cluster, size in enumerate(sizes):
        at = np.flatnonzero(own == cluster)
        members[cluster, :size], rank[at] = at, np.arange(size)
    rng = np.random.default_rng(seed)
    clusters = np.broadcast_to(np.arange(len(sizes)), (EXCHANGES, len(sizes)))
    other = rng.permuted(clusters, axis=1)
    turned = rng.integers(0, sizes[other])
    given, start = other[:, own], turned[:, own]
    return members[given, (rank + start) % sizes[given]]

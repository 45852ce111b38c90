"""Permutation test of a correlation: exact where all orders can be tried."""

from functools import lru_cache
from itertools import chain, permutations
from math import factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT_UP_TO = 9
"""Checkpoints up to which every one of the n! orders is tried (9! = 362,880)."""

DRAWN = 99_999
ROUNDING = 1e-12


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
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.broadcast_to(left, (DRAWN, n)), axis=1)
    extreme = int((np.abs(orders @ right) >= least).sum())
    return (extreme + 1) / (DRAWN + 1), f"{DRAWN + 1:,} orders, drawn"


@lru_cache(maxsize=4)
def _orders(n: int) -> NDArray[np.int8]:
    flat = np.fromiter(chain.from_iterable(permutations(range(n))), dtype=np.int8, count=n * factorial(n))
    return flat.reshape(-1, n)

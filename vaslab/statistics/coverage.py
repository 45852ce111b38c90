"""How often the printed intervals of a correlation hold the truth: bench/results/correlation-coverage.csv in short."""

from typing import NamedTuple

COVERED = {
    "pearson": {
        "normal": {
            4: (0.9607, 0.9627),
            6: (0.9499, 0.9549),
            10: (0.9489, 0.9532),
            20: (0.9455, 0.9497),
            40: (0.9499, 0.9512),
        },
        "heavy-tailed": {
            4: (0.9356, 0.9453),
            6: (0.8845, 0.8942),
            10: (0.8436, 0.8579),
            20: (0.7950, 0.7967),
            40: (0.7443, 0.7474),
        },
    },
    "spearman": {
        "normal": {
            4: (0.9960, 1.0000),
            6: (0.9681, 0.9778),
            10: (0.9519, 0.9675),
            20: (0.9533, 0.9575),
            40: (0.9550, 0.9574),
        },
        "heavy-tailed": {
            4: (0.9962, 1.0000),
            6: (0.9555, 0.9734),
            10: (0.9265, 0.9530),
            20: (0.9153, 0.9405),
            40: (0.8970, 0.9355),
        },
    },
}
"""Correlation -> spread of the checkpoints -> their number -> coverage of the 95 % interval, the lowest and
the highest over true r of 0, 0.5 and 0.9. Heavy-tailed is the bivariate t with 3 degrees of freedom."""


class Covered(NamedTuple):
    """Simulated number of checkpoints, and the lowest and highest coverage over true r of 0, 0.5 and 0.9."""

    n: int
    low: float
    high: float


def covered(n: int, spread: str = "normal", correlation: str = "pearson") -> Covered:
    """Coverage at the simulated number of checkpoints nearest below `n` (at 4 for fewer)."""
    sizes = COVERED[correlation][spread]
    nearest = max((size for size in sizes if size <= n), default=min(sizes))
    return Covered(nearest, *sizes[nearest])

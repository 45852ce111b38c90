"""How often the printed intervals of a correlation hold the truth: bench/results/correlation-coverage.csv in short."""

COVERED = {
    "pearson": {
        "normal": {4: 0.961, 6: 0.950, 10: 0.949, 20: 0.946, 40: 0.950},
        "heavy-tailed": {4: 0.936, 6: 0.884, 10: 0.844, 20: 0.795, 40: 0.744},
    },
    "spearman": {
        "normal": {4: 0.996, 6: 0.968, 10: 0.952, 20: 0.953, 40: 0.955},
        "heavy-tailed": {4: 0.996, 6: 0.956, 10: 0.926, 20: 0.915, 40: 0.897},
    },
}
"""Correlation -> spread of the checkpoints -> their number -> coverage of the 95 % interval, the lowest over true r of
0, 0.5 and 0.9. Heavy-tailed is the bivariate t with 3 degrees of freedom."""


def covered(n: int, spread: str = "normal", correlation: str = "pearson") -> tuple[int, float]:
    """The simulated number of checkpoints nearest below `n` (4 for fewer), and the coverage there."""
    sizes = COVERED[correlation][spread]
    nearest = max((size for size in sizes if size <= n), default=min(sizes))
    return nearest, sizes[nearest]

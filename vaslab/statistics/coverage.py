"""How often the printed interval of r holds the truth: bench/results/correlation-coverage.csv in short."""

COVERED = {
    "normal": {4: 0.961, 6: 0.950, 10: 0.949, 20: 0.946, 40: 0.950},
    "heavy-tailed": {4: 0.936, 6: 0.884, 10: 0.844, 20: 0.795, 40: 0.744},
}
"""Spread of the checkpoints -> their number -> coverage of Fisher's 95 % interval of Pearson's r, the lowest over true
r of 0, 0.5 and 0.9. Heavy-tailed is the bivariate t with 3 degrees of freedom."""


def covered(n: int, spread: str = "normal") -> tuple[int, float]:
    """The simulated number of checkpoints nearest below `n` (4 for fewer), and the coverage there."""
    sizes = COVERED[spread]
    nearest = max((size for size in sizes if size <= n), default=min(sizes))
    return nearest, sizes[nearest]

"""How often the intervals of a correlation hold the true value: by simulation, into a table that is committed.

python -m bench.coverage        # writes bench/results/correlation-coverage.csv, about five minutes on one core
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from vaslab.statistics.correlation import KINDS, bca_interval, coefficient, fisher_interval

SIZES = (4, 6, 10, 20, 40)
RHOS = (0.0, 0.5, 0.9)
SPREADS = ("normal", "heavy-tailed")
HEAVY = 3
"""Degrees of freedom of the bivariate t: the variance exists, the fourth moment does not."""

TABLE = Path(__file__).parent / "results" / "correlation-coverage.csv"

Floats = NDArray[np.float64]


def sample(spread: str, rho: float, samples: int, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Pairs of correlation rho, each (samples, n): bivariate normal, or bivariate t with 3 degrees of freedom."""
    x, e = rng.standard_normal((2, samples, n))
    y = rho * x + np.sqrt(1 - rho**2) * e
    if spread == "heavy-tailed":
        scale = np.sqrt(HEAVY / rng.chisquare(HEAVY, (samples, n)))
        x, y = x * scale, y * scale
    return x, y


def true_value(kind: str, spread: str, rho: float) -> float:
    """Of the population. Spearman: 6 / pi * asin(rho / 2) for the normal, by two million draws for the t."""
    if kind == "pearson" or rho == 0:
        return rho
    if spread == "normal":
        return float(6 / np.pi * np.arcsin(rho / 2))
    x, y = sample(spread, rho, 1, 2_000_000, np.random.default_rng(12))
    return float(coefficient(scipy.stats.rankdata(x), scipy.stats.rankdata(y)))


def coverage(
    kind: str, spread: str, rho: float, n: int, samples: int, bootstrapped: int, seed: int = 0
) -> list[dict[str, object]]:
    """Rows of the table for one population: the printed interval, and BCa on the first `bootstrapped` samples."""
    rng = np.random.default_rng([seed, n, int(10 * rho), SPREADS.index(spread)])
    x, y = sample(spread, rho, samples, n, rng)
    if kind == "spearman":
        x, y = scipy.stats.rankdata(x, axis=1), scipy.stats.rankdata(y, axis=1)
    truth = true_value(kind, spread, rho)
    printed = [fisher_interval(float(r), n, kind) for r in coefficient(x, y)]
    bca = [
        bca_interval(a, b, kind, 0.95, 1000, number)
        for number, (a, b) in enumerate(zip(x[:bootstrapped], y[:bootstrapped], strict=True))
    ]
    rows = []
    for method, ends in (("Fisher z", printed), ("BCa", bca)):
        low, high = np.array(ends).T
        share = float(((low <= truth) & (truth <= high)).mean())
        rows.append(
            {
                "correlation": kind,
                "spread": spread,
                "rho": rho,
                "n": n,
                "interval": method,
                "coverage": share,
                "monte_carlo_error": np.sqrt(share * (1 - share) / len(ends)),
                "median_width": float(np.median(high - low)),
                "samples": len(ends),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of the intervals of a correlation.")
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--bootstrapped", type=int, default=2_000)
    parser.add_argument("--out", type=Path, default=TABLE)
    given = parser.parse_args()
    rows = []
    for kind, spread, rho, n in product(KINDS, SPREADS, RHOS, SIZES):
        rows += coverage(kind, spread, rho, n, given.samples, given.bootstrapped)
        print(rows[-2] | {"bca": rows[-1]["coverage"]}, flush=True)
    given.out.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(given.out, index=False, float_format="%.4f", lineterminator="\n")


if __name__ == "__main__":
    main()

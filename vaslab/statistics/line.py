"""The straight line through checkpoints: points of accuracy per doubling of VAS."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from vaslab.statistics.correlation import checked

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """Least squares: slope (units of y per unit of x) with its t interval, intercept (units of y), and what the band
    needs: mean of x, sum of squares of x about it, and the standard deviation of the residuals (n - 2).
    """

    slope: float
    low: float
    high: float
    intercept: float
    level: float
    n: int
    x_mean: float
    x_spread: float
    residual: float

    def at(self, x: ArrayLike) -> Floats:
        """Height of the line."""
        return self.intercept + self.slope * np.asarray(x, dtype=np.float64)

    def band(self, x: ArrayLike) -> tuple[Floats, Floats]:
        """Interval of the mean at `x`: the line -+ t * s * sqrt(1/n + (x - mean)^2 / Sxx)."""
        places = np.asarray(x, dtype=np.float64)
        t = scipy.stats.t.ppf((1 + self.level) / 2, self.n - 2)
        half = t * self.residual * np.sqrt(1 / self.n + (places - self.x_mean) ** 2 / self.x_spread)
        return self.at(places) - half, self.at(places) + half


def fit_line(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> Line:
    """Fit y on x by least squares (scipy.stats.linregress). With x = log2 VAS the slope is per doubling.

    Raises:
        UsageError, VaslabError: as `correlate`.
    """
    left, right = checked(x, y)
    n = len(left)
    found = scipy.stats.linregress(left, right)
    half = float(scipy.stats.t.ppf((1 + level) / 2, n - 2) * found.stderr)
    rest = right - (found.intercept + found.slope * left)
    return Line(
        slope=float(found.slope),
        low=float(found.slope) - half,
        high=float(found.slope) + half,
        intercept=float(found.intercept),
        level=level,
        n=n,
        x_mean=float(left.mean()),
        x_spread=float(((left - left.mean()) ** 2).sum()),
        residual=float(np.sqrt((rest**2).sum() / (n - 2))),
    )

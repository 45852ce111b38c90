"""A correlation over checkpoints whose points are themselves measured on items: both kinds of uncertainty."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError
from vaslab.statistics.bootstrap import grouped, labels_of
from vaslab.statistics.correlation import checked, coefficient

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TwoLevel:
    """r with percentile intervals: over items with these checkpoints kept, and over both.

    Items are noise on both axes, so resampled r lies below the observed one on average (`bias`): read the intervals as
    spread, the printed interval of `correlate` as the range of r.
    """

    estimate: float
    items_low: float
    items_high: float
    both_low: float
    both_high: float
    bias: float
    level: float
    n: int
    n_clusters: int


def two_level(
    vas: xr.DataArray,
    right: xr.DataArray,
    cluster: xr.DataArray | None = None,
    log2: bool = True,
    level: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> TwoLevel:
    """Correlate mean VAS with accuracy over checkpoints, resampling the items that both are measured on.

    All checkpoints saw the same items, so a resample draws the same items (whole pictures, with `cluster`) for all of
    them; for the second interval it then draws checkpoints too.

    Args:
        vas: VAS of each item, dims (checkpoint, item); NaN is left out.
        right: 1 or 0, dims (checkpoint, item); NaN is left out.
        cluster: picture of each item, dims (item).
        log2: correlate log2 of the mean VAS.
        level, resamples, seed: of the intervals.

    Raises:
        UsageError: the axes differ, or a checkpoint has no item.
        VaslabError: as `correlate`.
    """
    for values in (vas, right):
        if set(values.dims) != {"checkpoint", "item"}:
            raise UsageError(f"axes {tuple(values.dims)}; expected (checkpoint, item)")
    for dim in ("checkpoint", "item"):
        if list(vas[dim].values) != list(right[dim].values):
            raise UsageError(f"VAS and grades name other {dim}s, or in another order; name both alike")
    tables = [each.transpose("item", "checkpoint").values.astype(np.float64) for each in (vas, right)]
    labels = labels_of(vas, "item", cluster)
    n_clusters = int(labels.max()) + 1
    sums = [grouped(np.nan_to_num(each), labels) for each in tables]
    counts = [grouped(np.isfinite(each).astype(float), labels) for each in tables]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), resamples).astype(float)
    everything = np.ones((1, n_clusters))
    x, y = (_means(everything, *each) for each in zip(sums, counts, strict=True))
    xs, ys = (_means(drawn, *each) for each in zip(sums, counts, strict=True))
    if log2:
        with np.errstate(divide="ignore", invalid="ignore"):
            x, xs = np.log2(x), np.log2(xs)
    estimate = float(coefficient(*checked(x[0], y[0])))
    over_items = coefficient(xs, ys)
    n = x.shape[1]
    chosen = rng.integers(0, n, (resamples, n))
    over_both = coefficient(np.take_along_axis(xs, chosen, 1), np.take_along_axis(ys, chosen, 1))
    tails = [(1 - level) / 2, (1 + level) / 2]
    items_low, items_high = np.nanquantile(over_items, tails)
    both_low, both_high = np.nanquantile(over_both, tails)
    return TwoLevel(
        estimate,
        float(items_low),
        float(items_high),
        float(both_low),
        float(both_high),
        float(np.nanmean(over_items)) - estimate,
        level,
        n,
        n_clusters,
    )


def _means(drawn: Floats, sums: Floats, counts: Floats) -> Floats:
    """Means of resamples: draws of each cluster (resample, cluster), its sums and counts (cluster, checkpoint)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((drawn @ sums) / (drawn @ counts))

"""Tests of means over clusters of unequal size: pictures about which many questions are asked, and few."""

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from vaslab.statistics import mean_t, product_t
from vaslab.statistics.bootstrap import degrees

TRIALS = 3000
SIZES = {
    "most questions about one picture": [30, 8, 4, 2, 2, *[1] * 7],
    "half of them": [20, *[4] * 5],
    "a few pictures asked often": [24, 12, 8, 6, 5, 4, 3, 3, 3, *[2] * 7, *[1] * 4],
    "four pictures": [9, 1, 1, 1],
}


def drawn(sizes: list[int], alike: float, seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    """Values around 0, of which items of a picture share a part `alike` of the variance; trials side by side."""
    rng = np.random.default_rng(seed)
    picture = np.repeat(np.arange(len(sizes)), sizes)
    shared, own = rng.normal(size=(len(sizes), TRIALS))[picture], rng.normal(size=(len(picture), TRIALS))
    ids = [f"q{at}" for at in range(len(picture))]
    values = np.sqrt(alike) * shared + np.sqrt(1 - alike) * own
    return (
        xr.DataArray(values, dims=("item", "trial"), coords={"item": ids}),
        xr.DataArray(picture, dims="item", coords={"item": ids}),
    )


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_where_nothing_changed_at_most_one_test_in_twenty_says_so(sizes, alike):
    values, picture = drawn(sizes, alike, 0)
    other, _ = drawn(sizes, alike, 1)
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / TRIALS)
    assert (mean_t(values, picture)["p"] < 0.05).mean() < most
    terms = [(np.exp(0.3 * values), 1), (np.exp(0.3 * other), -1)]
    assert (product_t(terms, cluster=picture)["p"] < 0.05).mean() < most


def test_equal_clusters_are_the_t_test_of_their_means():
    values, picture = drawn([4] * 9, 0.5, 2)
    means = values.values.reshape(9, 4, TRIALS).mean(1)
    found = mean_t(values, picture)
    wanted = scipy.stats.ttest_1samp(means, 0)
    np.testing.assert_allclose(found["p"], wanted.pvalue, rtol=1e-9)
    np.testing.assert_allclose(found["low"], wanted.confidence_interval().low, rtol=1e-9)


def test_effective_clusters_by_hand():
    held = np.array([[4.0, 9, 1, 0, 0], [4, 1, 0, 0, 3], [4, 1, 0, 0, 1], [4, 1, 0, 0, 1]])
    # 16^2 / 64 = 4; 12^2 / 84 = 1.7, which leaves less than one; one cluster; none; 5^2 / 11
    np.testing.assert_allclose(degrees(held), [3, 1, 1, 1, 25 / 11 - 1])

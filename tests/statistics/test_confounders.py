"""Partial correlation, the line, power and both-sided uncertainty, against statsmodels, scipy and simulation."""

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.statistics import (
    checkpoints_needed,
    fit_line,
    items_needed,
    partial_correlation,
    power_of_r,
    reliability,
    two_level,
)
from vaslab.statistics.power import attenuated


def table(n: int = 15, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    length, tokens = rng.normal(200, 50, n), rng.integers(64, 1024, n).astype(float)
    x = 0.01 * length + rng.normal(size=n)
    return x, x + 0.02 * length - 0.002 * tokens + rng.normal(size=n), length, tokens


def test_partial_correlation_is_that_of_the_inverse_covariance_and_of_the_regression() -> None:
    x, y, length, tokens = table()
    found = partial_correlation(x, y, {"response length": length, "image tokens": tokens})
    inverse = np.linalg.inv(np.corrcoef([x, y, length, tokens]))
    assert found.estimate == pytest.approx(-inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1]))
    fit = sm.OLS(y, sm.add_constant(np.stack([x, length, tokens], axis=1))).fit()
    assert found.p == pytest.approx(fit.pvalues[1])
    ends = np.tanh(np.arctanh(found.estimate) + np.array([-1.959964, 1.959964]) / np.sqrt(15 - 2 - 3))
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-6)
    assert found.confounders == ("response length", "image tokens")


def test_a_confounder_can_take_a_correlation_away() -> None:
    rng = np.random.default_rng(1)
    length = rng.normal(size=40)
    x, y = length + 0.2 * rng.normal(size=40), length + 0.2 * rng.normal(size=40)
    assert scipy.stats.pearsonr(x, y).statistic > 0.9
    found = partial_correlation(x, y, {"length": length})
    assert found.low < 0 < found.high


def test_confounders_that_cannot_be_held_still_are_refused() -> None:
    x, y, length, tokens = table(5)
    with pytest.raises(VaslabError, match="5 checkpoints and 2 confounders: expected at least 6"):
        partial_correlation(x, y, {"a": length, "b": tokens})
    x, y, length, tokens = table(9)
    with pytest.raises(VaslabError, match="determine each other"):
        partial_correlation(x, y, {"a": length, "b": 2 * length + 1})
    with pytest.raises(UsageError, match="'a' is the same for all checkpoints"):
        partial_correlation(x, y, {"a": np.ones(9)})
    with pytest.raises(VaslabError, match="explain x wholly"):
        partial_correlation(x, y, {"a": 3 * x})
    with pytest.raises(UsageError, match="no confounder named"):
        partial_correlation(x, y, {})


def test_line_and_band_agree_with_statsmodels() -> None:
    x, y, *_ = table()
    line = fit_line(x, y)
    fit = sm.OLS(y, sm.add_constant(x)).fit()
    assert (line.intercept, line.slope) == pytest.approx(tuple(fit.params))
    assert (line.low, line.high) == pytest.approx(tuple(fit.conf_int()[1]))
    places = np.linspace(-3, 6, 7)
    low, high = line.band(places)
    theirs = fit.get_prediction(sm.add_constant(places)).conf_int()
    np.testing.assert_allclose(np.stack([low, high], 1), theirs, rtol=1e-9)


@pytest.mark.parametrize(("r", "n"), [(0.9, 6), (0.5, 20), (0.3, 60)])
def test_power_agrees_with_simulation(r: float, n: int) -> None:
    rng = np.random.default_rng(n)
    x, e = rng.standard_normal((2, 20_000, n))
    y = r * x + np.sqrt(1 - r * r) * e
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    seen = (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
    told = (np.abs(np.arctanh(seen)) * np.sqrt(n - 3) > 1.959964).mean()
    assert power_of_r(r, n) == pytest.approx(told, abs=0.045)


def test_checkpoints_needed_as_in_the_tables() -> None:
    # exact distribution of r (G*Power 3.1, bivariate normal model): alpha 0.05 two-sided, power 0.8
    assert [checkpoints_needed(r) for r in (0.1, 0.3, 0.5)] == [782, 84, 29]
    assert power_of_r(0.5, 29) >= 0.8 > power_of_r(0.5, 28)
    with pytest.raises(UsageError, match=r"expected 0 < \|r\| < 1"):
        checkpoints_needed(0.0)


def test_items_needed_reach_the_power_and_one_fewer_does_not() -> None:
    n = items_needed(0.9, 10, between=0.03, within=0.5)
    assert n is not None
    powers = [power_of_r(attenuated(0.9, reliability(0.03, 0.5, items)), 10) for items in (n - 1, n)]
    assert powers[0] < 0.8 <= powers[1]
    assert items_needed(0.5, 10, 0.03, 0.5) is None
    # 300 items of 50 % accuracy: noise of 2.9 points against a spread of 3
    assert reliability(0.03, 0.5, 300) == pytest.approx(0.0009 / (0.0009 + 0.25 / 300))


def measured(n_items: int, seed: int, shared: int = 1) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Twelve checkpoints whose accuracy rises with log2 VAS; `shared` questions of one picture go alike."""
    rng = np.random.default_rng(seed)
    level = np.linspace(-1, 1, 12)
    names = {"checkpoint": [f"c{i}" for i in range(12)], "item": [f"i{i}" for i in range(n_items)]}
    luck = np.repeat(rng.random((12, n_items // shared)), shared, axis=1)
    right = (luck < 0.5 + 0.1 * level[:, None]).astype(float)
    vas = 2.0 ** level[:, None] * rng.gamma(8, 1 / 8, (12, n_items))
    dims = ("checkpoint", "item")
    picture = xr.DataArray(np.arange(n_items) // shared, dims="item", coords={"item": names["item"]})
    return xr.DataArray(vas, names, dims), xr.DataArray(right, names, dims), picture


def test_two_level_intervals_narrow_with_items_and_widen_with_clusters() -> None:
    few, many = (two_level(*measured(n, 3)[:2], resamples=500) for n in (60, 1500))
    assert many.items_high - many.items_low < 0.7 * (few.items_high - few.items_low)
    assert many.both_high - many.both_low > many.items_high - many.items_low
    vas, right, picture = measured(600, 5, shared=6)
    alone, clustered = (two_level(vas, right, c, resamples=800) for c in (None, picture))
    assert clustered.items_high - clustered.items_low > 1.3 * (alone.items_high - alone.items_low)
    assert clustered.n_clusters == 100
    expected = scipy.stats.pearsonr(np.log2(vas.mean("item")), right.mean("item")).statistic
    assert alone.estimate == pytest.approx(expected)
    assert few.bias < -0.01  # resampled items add noise to every point


def test_two_level_resamples_are_those_of_a_plain_loop() -> None:
    vas, right, picture = measured(60, 7, shared=3)
    found = two_level(vas, right, picture, log2=False, resamples=3000, seed=1)
    rng, drawn = np.random.default_rng(99), []
    for _ in range(3000):
        pictures = rng.integers(0, 20, 20)
        items = np.concatenate([np.flatnonzero(picture.values == p) for p in pictures])
        drawn.append(np.corrcoef(vas.values[:, items].mean(1), right.values[:, items].mean(1))[0, 1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.items_low, found.items_high) == pytest.approx((low, high), abs=0.02)


def test_two_level_refuses_runs_that_do_not_align() -> None:
    vas, right, _ = measured(60, 1)
    with pytest.raises(UsageError, match="other items"):
        two_level(vas, right.isel(item=slice(None, None, -1)))
    with pytest.raises(VaslabError, match="3 checkpoints: no r"):
        two_level(vas[:3], right[:3])

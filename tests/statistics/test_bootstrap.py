"""Bootstrap intervals against scipy.stats.bootstrap, and their coverage by simulation."""

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from vaslab.errors import UsageError
from vaslab.statistics import difference_interval, mean_interval, ratio_interval


def labelled(table: np.ndarray) -> xr.DataArray:
    dims = ("item", "head")[: table.ndim]
    return xr.DataArray(table, dims=dims, coords={"item": [f"i{k}" for k in range(len(table))]})


@pytest.mark.parametrize("method", ["BCa", "percentile"])
def test_agrees_with_scipy_column_by_column(method: str) -> None:
    table = np.random.default_rng(3).lognormal(sigma=1.2, size=(60, 3))
    ours = mean_interval(labelled(table), method=method, resamples=20_000)
    for column in range(3):
        theirs = scipy.stats.bootstrap(
            (table[:, column],),
            np.mean,
            n_resamples=20_000,
            method=method,
            vectorized=True,
            rng=np.random.default_rng(9),
        )
        # two draws of 20,000: quantile noise is about 1 % of the width
        width = theirs.confidence_interval.high - theirs.confidence_interval.low
        assert abs(ours.low[column] - theirs.confidence_interval.low) < 0.04 * width
        assert abs(ours.high[column] - theirs.confidence_interval.high) < 0.04 * width
        np.testing.assert_allclose(ours.estimate[column], table[:, column].mean(), rtol=1e-12)


def test_covers_the_true_mean_in_about_95_of_100_samples() -> None:
    # 1,500 independent samples of 40 normal values are 1,500 columns
    table = np.random.default_rng(5).normal(2.0, 3.0, size=(40, 1500))
    found = mean_interval(labelled(table), resamples=800)
    covered = ((found.low < 2) & (found.high > 2)).mean().item()
    assert 0.92 < covered < 0.965  # normal theory: the bootstrap's variance is (n-1)/n of the t interval's


def test_same_seed_same_interval_and_labels_kept() -> None:
    values = labelled(np.random.default_rng(0).normal(size=(20, 4)))
    one, two, other = mean_interval(values), mean_interval(values), mean_interval(values, seed=1)
    xr.testing.assert_identical(one, two)
    assert (one.low != other.low).any()
    assert one.estimate.dims == ("head",)
    assert one.attrs["method"] == "BCa bootstrap over items"
    assert (one.n == 20).all()


def test_one_item_has_no_interval_but_an_estimate_and_a_reason() -> None:
    found = mean_interval(labelled(np.array([[1.0, 2.0]])))
    np.testing.assert_array_equal(found.estimate, [1, 2])
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert found.attrs["reason"] == "fewer than 2 items: no interval"


def test_nan_entries_are_left_out_column_by_column() -> None:
    table = np.random.default_rng(1).normal(size=(30, 3))
    holed = table.copy()
    holed[:10, 0] = np.nan
    holed[:, 2] = np.nan
    found = mean_interval(labelled(holed), resamples=8000)
    alone = mean_interval(labelled(table[10:, :1]), resamples=8000)
    assert list(found.n.values) == [20, 30, 0]
    np.testing.assert_allclose(found.estimate[0], table[10:, 0].mean())
    np.testing.assert_allclose(found.low[0], alone.low[0], atol=0.03)
    assert np.isnan(found.estimate[2])
    assert np.isnan(found.low[2])


def test_column_with_two_entries_among_many_holes() -> None:
    holed = np.full(40, np.nan)
    holed[[3, 30]] = [1.0, 2.0]
    found = mean_interval(labelled(holed), method="percentile")
    # resamples of two entries: 1, 1.5 or 2
    assert (found.low.item(), found.estimate.item(), found.high.item()) == pytest.approx((1, 1.5, 2))


def test_equal_values_give_a_point() -> None:
    found = mean_interval(labelled(np.full(9, 0.3)))
    assert (found.low.item(), found.high.item()) == pytest.approx((0.3, 0.3))


def test_large_offset_loses_no_precision() -> None:
    table = np.random.default_rng(2).normal(size=200)
    near, far = mean_interval(labelled(table)), mean_interval(labelled(table + 1e6))
    np.testing.assert_allclose(far.low - 1e6, near.low, atol=1e-5)


def test_difference_is_paired_by_name() -> None:
    rng = np.random.default_rng(4)
    hard = rng.normal(0, 10, 50)
    a, b = labelled(hard), labelled(hard + rng.normal(0.5, 0.1, 50))
    found = difference_interval(a, b.isel(item=slice(None, None, -1)))
    assert 0.4 < found.low < found.estimate < found.high < 0.6
    np.testing.assert_allclose(found.estimate, (b - a).mean())


def test_runs_that_do_not_align_are_refused_by_name() -> None:
    a = labelled(np.ones((3, 2)))
    with pytest.raises(
        UsageError, match=r"1 items are only in the first run and 0 only.*i2 only in the first"
    ):
        difference_interval(a, a.isel(item=[0, 1]))
    with pytest.raises(UsageError, match=r"do not align on head: 2 and 1 entries"):
        difference_interval(a, a.isel(head=[0]))
    with pytest.raises(UsageError, match=r"second run has item i0 more than once"):
        difference_interval(a, a.isel(item=[0, 0, 1]))
    with pytest.raises(UsageError, match=r"first run has no named item axis"):
        difference_interval(a.drop_vars("item"), a)


def test_ratio_of_means_agrees_with_scipy() -> None:
    rng = np.random.default_rng(8)
    top, bottom = rng.gamma(2, size=80), rng.gamma(4, size=80)
    found = ratio_interval(labelled(top), labelled(bottom), resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (top, bottom),
        lambda x, y, axis: x.mean(axis) / y.mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    np.testing.assert_allclose(found.estimate, top.mean() / bottom.mean())
    np.testing.assert_allclose([found.low, found.high], [theirs.low, theirs.high], rtol=0.015)
    one = ratio_interval(labelled(top[:1]), labelled(bottom[:1]))
    assert np.isnan(one.low)


def test_wrong_calls_name_the_choices() -> None:
    values = labelled(np.ones(3))
    with pytest.raises(UsageError, match=r"no axis 'run' to resample; the axes are item"):
        mean_interval(values, dim="run")
    with pytest.raises(UsageError, match=r"unknown interval method 't'; expected 'BCa'"):
        mean_interval(values, method="t")
    with pytest.raises(UsageError, match=r"expected 0 < level < 1"):
        mean_interval(values, level=95.0)
    with pytest.raises(UsageError, match=r"the axis 'item' is empty"):
        mean_interval(values.isel(item=[]))

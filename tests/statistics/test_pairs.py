"""Paired tests, clusters and false discoveries, against statsmodels, scipy and simulation."""

import math
from itertools import permutations

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
import xarray as xr
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from vaslab.errors import UsageError, VaslabError
from vaslab.statistics import (
    correlation_map,
    difference_interval,
    fdr,
    mcnemar_p,
    mean_interval,
    mean_p,
    mean_t,
    paired_accuracy,
    product_t,
    r_over_items,
    ratio_interval,
    share_change,
    share_t,
)
from vaslab.statistics.permutation import needed_together, permutation_p, permutation_ps


def ratio_p(a: xr.DataArray, b: xr.DataArray, cluster: xr.DataArray | None = None) -> xr.DataArray:
    """p of "mean of b over mean of a is 1"."""
    return product_t([(b, 1), (a, -1)], cluster=cluster)["p"]


def items(values: np.ndarray, **coords: object) -> xr.DataArray:
    dims = ("item", "layer", "head")[: values.ndim]
    return xr.DataArray(values, dims=dims, coords={"item": [f"i{k}" for k in range(len(values))], **coords})


def pictured(n_pictures: int, each: int, seed: int, columns: int = 1) -> tuple[xr.DataArray, xr.DataArray]:
    """Questions of one picture share half their variance."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.normal(size=(n_pictures, columns)), each, axis=0)
    values = items(np.squeeze(shared + rng.normal(size=shared.shape)))
    picture = xr.DataArray(
        np.repeat([f"p{i}" for i in range(n_pictures)], each),
        dims="item",
        coords={"item": values["item"]},
        name="picture",
    )
    return values, picture


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (3, 9), (12, 12), (40, 22)])
def test_mcnemar_agrees_with_statsmodels(fixed: int, broken: int) -> None:
    theirs = mcnemar([[50, fixed], [broken, 40]], exact=True).pvalue
    assert mcnemar_p(fixed, broken) == pytest.approx(min(theirs, 1))
    with pytest.raises(UsageError, match="expected counts"):
        mcnemar_p(-1, 2)


def test_paired_accuracy_by_hand() -> None:
    first = items(np.array([1, 1, 0, 0, 1, np.nan, 0, 1]))
    second = items(np.array([1, 0, 1, 1, 1, 1.0, np.nan, 1]))
    found = paired_accuracy(first, second.isel(item=slice(None, None, -1)))
    assert (found.n, found.fixed, found.broken) == (6, 2, 1)
    assert (found.first, found.second) == pytest.approx((4 / 6, 5 / 6))
    assert found.difference == pytest.approx(1 / 6)
    # by bisection of the score whose likeliest shares were found by search: see test_paired_shares
    assert found.low < 0 < 1 / 6 < found.high
    assert found.p_score == pytest.approx(2 * scipy.stats.t.sf(1 / np.sqrt(3), 5))
    assert found.p == 1
    with pytest.raises(UsageError, match="no item was graded for both"):
        paired_accuracy(first * np.nan, second)
    with pytest.raises(UsageError, match="neither right"):
        paired_accuracy(first * 0.5, second)


def test_clustered_errors_agree_with_statsmodels() -> None:
    values, picture = pictured(30, 5, 2)
    codes = np.unique(picture, return_inverse=True)[1]
    fit = sm.OLS(values.values, np.ones(150)).fit(
        cov_type="cluster",
        # the factor (n - 1) / (n - k) of statsmodels is 1 for one constant
        cov_kwds={"groups": codes, "use_correction": True, "df_correction": True},
        use_t=True,
    )
    assert float(mean_p(values, picture)) == pytest.approx(fit.pvalues[0])
    assert float(mean_p(values)) == pytest.approx(scipy.stats.ttest_1samp(values, 0).pvalue)


def test_clustered_bootstrap_is_that_of_a_plain_loop() -> None:
    values, picture = pictured(25, 4, 4)
    values = values.isel(item=slice(3, None))  # clusters of unequal size
    found = mean_interval(values, method="percentile", resamples=6000, cluster=picture)
    rng, drawn = np.random.default_rng(7), []
    labels = picture.sel(item=values["item"]).values
    groups = [values.values[labels == name] for name in np.unique(labels)]
    for _ in range(6000):
        chosen = rng.integers(0, len(groups), len(groups))
        drawn.append(np.concatenate([groups[c] for c in chosen]).mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    width = high - low
    assert abs(float(found.low) - low) < 0.05 * width
    assert abs(float(found.high) - high) < 0.05 * width
    assert found.attrs["method"] == "percentile bootstrap over items, clustered by picture"
    alone = mean_interval(values, method="percentile", resamples=2000)
    assert float(found.high - found.low) > 1.4 * float(alone.high - alone.low)


def test_only_clustered_intervals_cover_clustered_items() -> None:
    values, picture = pictured(40, 5, 11, columns=600)
    covered = [
        float(((found.low < 0) & (found.high > 0)).mean())
        for found in (mean_interval(values, resamples=600, cluster=c) for c in (picture, None))
    ]
    assert 0.90 < covered[0] < 0.975  # 40 clusters; Monte-Carlo error 0.9 %
    assert covered[1] < 0.85


def test_one_cluster_has_no_interval_and_wrong_clusters_are_refused() -> None:
    values, picture = pictured(2, 3, 0)
    found = mean_interval(values, cluster=picture.copy(data=np.full(6, "same")))
    assert np.isnan(found.low)
    assert found.attrs["reason"] == "fewer than 2 clusters: no interval"
    with pytest.raises(UsageError, match="no cluster is named for item i5"):
        mean_interval(values, cluster=picture[:5])
    with pytest.raises(UsageError, match="expected one name for each item"):
        mean_interval(values, cluster=picture.rename(item="other"))


def test_clusters_reach_differences_and_ratios() -> None:
    a, picture = pictured(30, 4, 1)
    b = a + 1 + 0.1 * pictured(30, 4, 5)[0]
    own = difference_interval(a, b, cluster=picture)
    xr.testing.assert_allclose(own, mean_interval(b - a, cluster=picture))
    one, two = np.exp(a), np.exp(b)
    wide, narrow = (ratio_interval(two, one, cluster=c) for c in (picture, None))
    assert float(wide.estimate) == pytest.approx(float(two.mean() / one.mean()))
    assert float(wide.high - wide.low) > float(narrow.high - narrow.low)


def test_ratio_test_holds_its_level_and_finds_changes() -> None:
    rng = np.random.default_rng(3)
    base = rng.lognormal(0, 1, (60, 1, 1500))
    a, b = (items(base * rng.lognormal(0, 0.4, base.shape)) for _ in range(2))
    found = ratio_p(a, b)
    assert 0.03 < float((found < 0.05).mean()) < 0.07
    assert float((ratio_p(a, b * 1.5) < 0.05).mean()) > 0.85
    lost = ratio_p(a * 0, b)
    assert lost.isnull().all()


def test_ratio_test_agrees_with_the_bootstrap_interval() -> None:
    rng = np.random.default_rng(8)
    a = items(rng.gamma(4, size=(80, 1, 200)))
    b = a * items(rng.lognormal(0.1, 0.35, (80, 1, 200)))
    interval = ratio_interval(b, a)
    left_out = (interval.low > 1) | (interval.high < 1)
    agree = (left_out == (ratio_p(a, b) < 0.05)).mean()
    assert float(agree) > 0.93


def test_ratio_test_is_the_jackknife_of_a_plain_loop() -> None:
    rng = np.random.default_rng(4)
    a = items(rng.gamma(2, size=30))
    b = a * items(rng.lognormal(0.2, 0.5, 30))
    picture = xr.DataArray(np.arange(30) // 3, dims="item", coords={"item": a["item"]})
    without = []
    for name in range(10):
        kept = (picture != name).values
        without.append(np.log(b.values[kept].mean() / a.values[kept].mean()))
    se = np.sqrt(9 / 10 * ((without - np.mean(without)) ** 2).sum())
    t = np.log(float(b.mean() / a.mean())) / se
    assert float(ratio_p(a, b, picture)) == pytest.approx(2 * scipy.stats.t.sf(abs(t), 9))


def test_product_of_means_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(6)
    a, b, c, d = (items(rng.gamma(3, size=(40, 1, 2))) for _ in range(4))
    b[3, 0, 0] = np.nan  # left out of all four
    found = product_t([(a, 1), (b, -1), (c, -1), (d, 1)])
    kept = np.delete(np.arange(40), 3)
    for column, rows in ((0, kept), (1, np.arange(40))):
        one, two, three, four = (each.values[rows, 0, column].mean() for each in (a, b, c, d))
        expected = one / two / three * four
        assert float(found.estimate[0, column]) == pytest.approx(expected)
    assert list(found.n.values[0]) == [39, 40]
    with pytest.raises(UsageError, match="a power of 1 or -1"):
        product_t([(a, 2)])
    with pytest.raises(UsageError, match="do not align"):
        product_t([(a, 1), (b[:5], -1)])


def test_fdr_agrees_with_statsmodels_and_leaves_gaps() -> None:
    rng = np.random.default_rng(0)
    p = items(np.concatenate([rng.random(40), rng.random(20) * 0.003]))
    p[5] = np.nan
    found = fdr(p)
    there = p.notnull().values
    np.testing.assert_allclose(found.values[there], multipletests(p.values[there], method="fdr_bh")[1])
    assert np.isnan(found[5])
    with pytest.raises(UsageError, match="outside 0"):
        fdr(items(np.array([0.1, 1.2])))


def test_equal_runs_differ_in_no_head() -> None:
    a = items(np.abs(np.random.default_rng(1).normal(size=(20, 2, 3))) + 0.1)
    assert (ratio_p(a, a) == 1).all()
    assert (mean_p(a - a) == 1).all()


def test_map_of_correlations_agrees_with_scipy_head_by_head() -> None:
    rng = np.random.default_rng(2)
    names = [f"c{i}" for i in range(9)]
    accuracy = xr.DataArray(rng.random(9), dims="checkpoint", coords={"checkpoint": names})
    values = xr.DataArray(
        rng.normal(size=(9, 2, 3)), dims=("checkpoint", "layer", "head"), coords={"checkpoint": names}
    )
    values[:, 1, 1] += 20 * accuracy
    values[:6, 0, 2] = np.nan
    values[:, 0, 1] = 4.2
    found = correlation_map(values, accuracy)
    expected = scipy.stats.pearsonr(values[:, 1, 1], accuracy)
    assert float(found.r[1, 1]) == pytest.approx(expected.statistic)
    # every order of nine, as the scatter figure tests one r
    assert float(found.p[1, 1]) == permutation_p(values[:, 1, 1].values, accuracy.values)[0]
    assert float(found.p[0, 0]) == permutation_p(values[:, 0, 0].values, accuracy.values)[0]
    interval = expected.confidence_interval()
    assert (float(found.low[1, 1]), float(found.high[1, 1])) == pytest.approx((interval.low, interval.high))
    assert np.isnan(found.low[0, 1])
    assert np.isnan(found.r[0, 2])
    assert int(found.n[0, 2]) == 3
    assert np.isnan(found.r[0, 1])
    assert float(found.p_adjusted[1, 1]) <= 0.05
    with pytest.raises(UsageError, match="name other checkpoints"):
        correlation_map(values, accuracy.isel(checkpoint=slice(None, None, -1)))
    with pytest.raises(VaslabError, match="3 checkpoints"):
        correlation_map(values[:3], accuracy[:3])


def test_permutation_of_many_columns_is_that_of_each() -> None:
    rng = np.random.default_rng(3)
    values, y = rng.normal(size=(5, 4)), rng.normal(size=5)
    found = permutation_ps(values, y)
    for column, p in zip(values.T, found, strict=True):
        least = abs(np.corrcoef(column, y)[0, 1]) - 1e-9
        every = [abs(np.corrcoef(column, order)[0, 1]) >= least for order in permutations(y)]
        assert p == pytest.approx(np.mean(every))
    # past nine points orders are drawn, and the same for each
    values, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    assert permutation_ps(values, y).tolist() == [permutation_p(column, y)[0] for column in values.T]


def test_how_many_must_be_that_clear_for_any_to_be_found() -> None:
    for n, tests in ((4, 16), (5, 16), (5, 6), (6, 784), (12, 784)):
        smallest = 1 / math.factorial(n) if n <= 9 else 1e-5
        k = needed_together(n, tests, 0.05)
        p = np.r_[np.full(k, smallest), np.ones(tests - k)]
        assert (fdr(items(p)) <= 0.05).sum() == k
        p[k - 1] = 1
        assert not (fdr(items(p)) <= 0.05).any()


def test_interval_of_a_product_is_the_jackknife_t_of_a_plain_loop() -> None:
    rng = np.random.default_rng(5)
    a = items(rng.gamma(2, size=24))
    b = a * items(rng.lognormal(0.3, 0.4, 24))
    picture = xr.DataArray(np.arange(24) // 3, dims="item", coords={"item": a["item"]})
    without = [np.log(b.values[picture != k].mean() / a.values[picture != k].mean()) for k in range(8)]
    se = np.sqrt(7 / 8 * ((without - np.mean(without)) ** 2).sum())
    middle = np.log(float(b.mean() / a.mean()))
    low, high = scipy.stats.t.interval(0.95, 7, middle, se)
    found = product_t([(b, 1), (a, -1)], cluster=picture)
    assert float(found.low) == pytest.approx(np.exp(low))
    assert float(found.high) == pytest.approx(np.exp(high))
    assert int(found.n) == 24
    # interval and p say the same, column by column
    many = items(rng.lognormal(0.05, 0.4, (30, 1, 300)))
    each = product_t([(many, 1)])
    assert ((each.low > 1) | (each.high < 1)).equals(each.p < 0.05)
    alone = product_t([(b[:1], 1), (a[:1], -1)])
    assert np.isnan(alone.low)
    assert float(alone.estimate) == pytest.approx(float(b[0] / a[0]))


def test_interval_of_a_mean_is_that_of_scipy_and_of_statsmodels() -> None:
    rng = np.random.default_rng(9)
    values = items(rng.normal(0.3, 1, 30))
    found = mean_t(values)
    expected = scipy.stats.ttest_1samp(values.values, 0)
    interval = expected.confidence_interval()
    assert (float(found.low), float(found.high)) == pytest.approx((interval.low, interval.high))
    assert float(found.p) == pytest.approx(expected.pvalue)
    picture = xr.DataArray(np.arange(30) // 3, dims="item", coords={"item": values["item"]})
    fit = sm.OLS(values.values, np.ones(30)).fit(
        cov_type="cluster",
        cov_kwds={"groups": picture.values, "use_correction": True, "df_correction": True},
        use_t=True,
    )
    clustered = mean_t(values, picture)
    # statsmodels also multiplies by (n - 1) / (n - k), which is 1 here
    assert (float(clustered.low), float(clustered.high)) == pytest.approx(tuple(fit.conf_int()[0]))


def test_items_move_r_as_a_plain_jackknife_says() -> None:
    rng = np.random.default_rng(11)
    names, ids = [f"c{i}" for i in range(5)], [f"q{i}" for i in range(24)]
    coords = {"checkpoint": names, "item": ids}
    values = rng.lognormal(np.arange(5)[:, None] * 0.4, 0.6, (5, 24))
    over = rng.gamma(3, size=(5, 24))
    grades = (rng.random((5, 24)) < np.linspace(0.2, 0.8, 5)[:, None]).astype(float)
    top, under, right = (
        xr.DataArray(each, dims=("checkpoint", "item"), coords=coords) for each in (values, over, grades)
    )
    picture = xr.DataArray(np.arange(24) // 2, dims="item", coords={"item": ids})

    def loop(below: np.ndarray) -> tuple[float, float]:
        def z(kept: np.ndarray) -> float:
            x = np.log2(values[:, kept].mean(1) / below[:, kept].mean(1))
            return float(np.arctanh(scipy.stats.pearsonr(x, grades[:, kept].mean(1)).statistic))

        without = np.array([z((picture != k).values) for k in range(12)])
        se = np.sqrt(11 / 12 * ((without - without.mean()) ** 2).sum())
        return tuple(np.tanh(scipy.stats.t.interval(0.95, 11, z(np.ones(24, dtype=bool)), se)))

    found = r_over_items(top, right, picture)
    assert (float(found.low), float(found.high)) == pytest.approx(loop(np.ones((5, 24))))
    divided = r_over_items(top, right, picture, under)
    assert (float(divided.low), float(divided.high)) == pytest.approx(loop(over))
    # each column is its own, and one without a value has none
    heads = xr.concat([top, top * 0], "head")
    both = r_over_items(heads, right, picture)
    np.testing.assert_allclose(both.low, [float(found.low), np.nan])
    with pytest.raises(UsageError, match="name other items"):
        r_over_items(top, right.isel(item=slice(1, None)))


def test_paired_accuracy_has_the_interval_of_a_change_of_a_share() -> None:
    rng = np.random.default_rng(5)
    first, second = (items((rng.random(30) < share).astype(float)) for share in (0.4, 0.6))
    pictures = items(np.arange(30) // 3)
    for cluster in (None, pictures):
        found, share = paired_accuracy(first, second, cluster), share_change(first, second, cluster)
        assert (found.low, found.high, found.p_score) == (share.low, share.high, share.p)
        assert (found.fixed, found.broken, found.n, found.n_clusters) == (
            share.fixed,
            share.broken,
            30,
            30 if cluster is None else 10,
        )
    # where many change it is close to the t interval with clustered errors
    first, second = (items((rng.random(600) < share).astype(float)) for share in (0.4, 0.6))
    pictures = items(np.arange(600) // 3)
    fit = sm.OLS((second - first).values, np.ones(600)).fit(
        cov_type="cluster", cov_kwds={"groups": pictures.values, "use_correction": True}, use_t=True
    )
    found = paired_accuracy(first, second, pictures)
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[0]), abs=0.01)


def test_share_of_a_change_is_the_jackknife_t_of_a_plain_loop() -> None:
    rng = np.random.default_rng(8)
    a, b, c = (rng.lognormal(0, 0.3, 12) for _ in range(3))
    part, whole = [(items(2 * a), 1), (items(b), -1)], [(items(2 * a), 1), (items(b), -1), (items(3 * c), 1)]

    def share(keep: np.ndarray) -> float:
        one = np.log(2 * a[keep].mean() / b[keep].mean())
        return one / (one + np.log(3 * c[keep].mean()))

    every = np.arange(12)
    without = np.array([share(every != at) for at in every])
    half = scipy.stats.t.ppf(0.975, 11) * np.sqrt(11 / 12 * ((without - without.mean()) ** 2).sum())
    found = share_t(part, whole)
    middle = share(every >= 0)
    assert float(found["estimate"]) == pytest.approx(middle)
    assert (float(found["low"]), float(found["high"])) == pytest.approx((middle - half, middle + half))
    one = share_t([(items(2 * a[:1]), 1)], [(items(2 * a[:1]), 1), (items(b[:1]), -1)])
    assert np.isfinite(one["estimate"])
    assert np.isnan(one["low"])

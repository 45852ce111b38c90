"""Levels and changes in a sweep's table: over pictures, interval and p of one test, nothing where nothing is known."""

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from vaslab.studies.sweep_changes import (
    change_of_share,
    number_change,
    perplexity_change,
    share,
    vas_ratios,
)


def each(values):
    ids = [f"i{number}" for number in range(len(values))]
    return xr.DataArray(np.asarray(values, dtype=float), dims="item", coords={"item": ids})


def pictures(n, of=1):
    return xr.DataArray(
        np.array([f"p{number // of}" for number in range(n)], dtype=object),
        dims="item",
        coords={"item": [f"i{number}" for number in range(n)]},
    )


def test_a_change_of_a_share_has_the_interval_and_the_p_of_one_test():
    """The cells of the paper's grid that a bootstrap made narrower than the one where nothing changed."""
    ones, none = each([1] * 200), {}
    for broken, fixed in ((0, 0), (1, 1), (1, 0)):
        first = each([0] * fixed + [1] * (200 - fixed))
        second = each([1] * (200 - broken) + [0] * broken)
        found = change_of_share("x", first, second, pictures(200), "p")
        assert found["x"] == (fixed - broken) / 200
        assert found["p"] > 0.3
        assert found["x_low"] < 0 < found["x_high"]
        none = none or found
        assert found["x_high"] - found["x_low"] >= none["x_high"] - none["x_low"]
    assert none["x_high"] > scipy.stats.binomtest(0, 200).proportion_ci(method="exact").high
    # ten questions a picture are no more than twenty pictures
    found = change_of_share("x", ones, ones, pictures(200, 10), "p")
    assert found["x_high"] > scipy.stats.binomtest(0, 20).proportion_ci(method="exact").high
    # two of 40 mended: not told apart from none, in both
    found = change_of_share("x", each([0, 0] + [1] * 38), each([1] * 40), pictures(40), "p")
    assert found["p"] > 0.05
    assert found["x_low"] < 0
    assert change_of_share("x", ones * np.nan, ones, pictures(200), "p") == {}


def test_a_level_has_its_score_interval():
    found = share("x", each([0] * 98), pictures(98))
    assert (found["x"], found["x_low"]) == (0, 0)
    assert 0.037 < found["x_high"] < 0.041  # Wilson's, with Student's quantile
    assert np.isnan(list(share("x", each([np.nan] * 4), pictures(4)).values())).all()
    one = share("x", each([1, 0, 1, 1]), pictures(4, 4))
    assert one["x"] == 0.75
    assert np.isnan([one["x_low"], one["x_high"]]).all()


@pytest.mark.parametrize("truth", [0.8, 0.97])
@pytest.mark.parametrize("copied", [0.0, 1.0])
def test_a_level_holds_the_truth_where_items_share_pictures(truth, copied):
    """250 draws of 200 items, five a picture that answer alone or all alike; Monte-Carlo error 1.4 points."""
    rng = np.random.default_rng(7)
    place = rng.random((250, 40, 5))
    place = np.where(rng.random((250, 40, 1)) < copied, place[..., :1], place)
    of = pictures(200, 5)
    held, by_items = [], []
    for drawn in (place < truth).reshape(250, 200):
        found = share("x", each(drawn), of)
        held.append(found["x_low"] <= truth <= found["x_high"])
        alone = scipy.stats.binomtest(int(drawn.sum()), 200).proportion_ci(method="wilson")
        by_items.append(alone.low <= truth <= alone.high)
    assert np.mean(held) > 0.93
    if copied:
        assert np.mean(by_items) < 0.75


def test_interval_and_p_of_a_number_are_one_test():
    """Student's t, over pictures: for one item each as scipy's, for five alike as for one fifth of them."""
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.15, 0.4, 1.0):
        first, change = rng.normal(20, 5, 40), rng.normal(shift, 1, 40)
        found = number_change("x", each(first), each(first + change), pictures(40))
        want = scipy.stats.ttest_1samp(change, 0)
        ends = want.confidence_interval()
        assert (found["x_change_low"], found["x_change_high"], found["x_p"]) == pytest.approx(
            (ends.low, ends.high, want.pvalue)
        )
        assert (found["x_change_low"] <= 0 <= found["x_change_high"]) == (found["x_p"] >= 0.05)
        five = number_change("x", each(first.repeat(5)), each((first + change).repeat(5)), pictures(200, 5))
        assert list(five.values()) == pytest.approx(list(found.values()))
    still = number_change("x", each([7.0] * 4), each([7.0] * 4), pictures(4))
    assert still == {"x_change": 0, "x_change_low": 0, "x_change_high": 0, "x_p": 1}


def test_interval_and_p_of_a_ratio_are_one_test():
    rng = np.random.default_rng(5)
    none = each([1.0] * 40)
    for shift in (0.0, 0.05, 0.3):
        first = tuple(each(rng.gamma(9, 0.02, 40)) for _ in range(3))
        second = tuple(
            part * each(np.exp(rng.normal(s, 0.1, 40)))
            for part, s in zip(first, (shift, shift, 0), strict=True)
        )
        found = vas_ratios(first, second, pictures(40))
        for name, p in (("vas_ratio", "vas_p"), ("vas_means_ratio", "vas_means_p")):
            assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
            assert (found[f"{name}_low"] <= 1 <= found[f"{name}_high"]) == (found[p] >= 0.05)
        means = [float(second[1].mean() / second[2].mean()), float(first[1].mean() / first[2].mean())]
        assert found["vas_means_ratio"] == pytest.approx(means[0] / means[1])
    alike = vas_ratios(first, first, pictures(40))
    assert {alike[name] for name in alike if "ratio" in name} == {1}
    gone = vas_ratios(first, tuple(part * 0 for part in first), pictures(40))
    assert (gone["vas_ratio"], gone["vas_means_ratio_high"]) == (0, 0)
    assert gone["vas_p"] == gone["vas_means_p"] < 1e-6
    # perplexity of texts of one length: exp of the mean change a token
    tokens = none * 8
    for shift in (0.0, 0.02, 0.2):
        change = rng.normal(shift, 0.5, 40)
        found = perplexity_change(none * 3, none * 3 + each(change), tokens, pictures(40))
        want = scipy.stats.ttest_1samp(change / 8, 0)
        ends = want.confidence_interval()
        assert [found[f"perplexity_ratio{end}"] for end in ("_low", "_high")] == pytest.approx(
            [np.exp(ends.low), np.exp(ends.high)]
        )
        assert found["perplexity_p"] == pytest.approx(want.pvalue)
    # of several lengths: as the regression through the origin that weighs a text by 1 / its tokens
    tokens = each(rng.integers(2, 30, 40))
    loss = each(0.1 * tokens.values + rng.normal(0, 1, 40))
    found = perplexity_change(none * 0, loss, tokens, pictures(40))
    ratio = float(loss.sum() / tokens.sum())
    assert found["perplexity_ratio"] == pytest.approx(np.exp(ratio))
    error = np.sqrt(((loss - ratio * tokens) ** 2).sum() / (40 * 39)) / tokens.mean()
    half = scipy.stats.t.ppf(0.975, 39) * float(error)
    assert found["perplexity_ratio_high"] == pytest.approx(np.exp(ratio + half))
    assert perplexity_change(none, none, none * 0, pictures(40)) == {}

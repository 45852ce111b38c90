"""The localisation figure: hits laid out by hand, tested by scipy, findings where they are true and where not."""

import numpy as np
import plotly.graph_objects as go
import pytest
import scipy.stats
import xarray as xr
from laid_out import pointed
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

from vaslab.plots import localisation_figure, localisation_table
from vaslab.statistics import share_against


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def test_each_head_is_tested_against_the_area_by_its_score() -> None:
    held = pointed([0.8, 0.1, 0.12, 0.3])
    table = localisation_table(held)
    quantile = scipy.stats.t.ppf(0.975, 39)
    for at in range(4):
        hits = held["hit"].values[:, at]
        assert table["hit_rate"].iloc[at] == pytest.approx(hits.mean())
        # of statsmodels the score, whose variance is that under the area; its quantile is Student's
        score, _ = proportions_ztest(hits.sum(), 40, value=0.1, prop_var=0.1)
        assert table["p"].iloc[at] == pytest.approx(2 * scipy.stats.t.sf(abs(score), 39))
        low, high = proportion_confint(
            hits.sum(), 40, alpha=2 * scipy.stats.norm.sf(quantile), method="wilson"
        )
        assert (table["hit_low"].iloc[at], table["hit_high"].iloc[at]) == pytest.approx((low, high))
    # both tests are passed, or none
    adjusted = scipy.stats.false_discovery_control(table[["p", "p_prior"]].max(axis=1), method="bh")
    np.testing.assert_allclose(table["p_adjusted"], adjusted)
    assert table["found"].iloc[0]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (
            [0.8, 0.1, 0.1, 0.1],
            "1 of 4 heads looks most at the region asked for more often than its area (10%) and the head's usual place "
            "give",
        ),
        ([0.8, 0.7, 0.1, 0.1], "2 of 4 heads look most at the region"),
        (
            [0.1, 0.1, 0.1, 0.1],
            "No head looks most at the region asked for clearly more often than its area (10%) and the head's usual "
            "place give",
        ),
    ],
)
def test_the_title_is_what_the_hits_say(rates: list[float], expected: str) -> None:
    fig = localisation_figure(localisation_table(pointed(rates)), model="base", data="glyph")
    assert expected in title(fig)
    if rates[0] > 0.5:
        assert "layer 0 head 0, in" in title(fig)


def told(fig: go.Figure) -> str:
    return " ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ").replace("\u00a0", " ")


def test_a_head_that_always_looks_at_one_place_is_not_found() -> None:
    """Half of the regions hold the first patch, where the first head always looks; the second follows the region."""
    held = pointed([0.5, 0.9], items=60, area=0.1, heads=1)
    region = np.zeros((60, 10), dtype="float32")
    asked = np.where(np.arange(60) % 2 == 0, 0, 1 + np.arange(60) % 9)
    region[np.arange(60), asked] = 1
    peak = np.stack([np.zeros(60), np.where(np.arange(60) % 10 < 9, asked, (asked + 3) % 10)], axis=1)
    held["region"], held["peak"] = (("item", "patch"), region), (("item", "map"), peak)
    held["hit"] = (("item", "map"), np.take_along_axis(region, peak.astype(int), axis=1).astype(float))
    table = localisation_table(held)
    assert table["hit_rate"].tolist() == pytest.approx([0.5, 0.9])
    assert (table["p"] < 0.001).all()
    assert table["found"].tolist() == [False, True]
    assert table["prior"].iloc[0] == pytest.approx(0.5)
    fig = localisation_figure(table)
    assert "1 of 2 heads looks most" in title(fig)
    assert "usual place" in title(fig)
    assert "1 head of these exceeds the area at p ≤ .05" in told(fig)


def test_where_there_is_no_other_picture_the_area_alone_is_named() -> None:
    held = pointed([0.8, 0.1])
    one = xr.DataArray(["a"] * 40, dims="item", coords={"item": held["item"]})
    fig = localisation_figure(localisation_table(held, one))
    assert "too few items" in title(fig)
    assert "there is no other picture to tell" in told(fig)


def test_a_head_that_shuns_the_region_is_not_found() -> None:
    table = localisation_table(pointed([0.0, 0.5], area=0.5))
    assert table["p_adjusted"].iloc[0] < 0.05
    assert not table["found"].any()


def test_one_item_and_missing_heads_are_gaps() -> None:
    one = localisation_table(pointed([1.0, 0.0], items=1))
    assert "too few items" in title(localisation_figure(one))
    table = localisation_table(pointed([0.8, 0.1, 0.1, 0.1])).iloc[:3]
    fig = localisation_figure(table, theme="dark")
    assert [t for t in fig.data if t.hovertemplate and "no value" in t.hovertemplate]


@pytest.mark.parametrize("items", [2, 5, 40])
def test_heads_that_hit_by_luck_are_seldom_found(items: int) -> None:
    """48 heads that look anywhere, questions about regions of unequal size: a title may name one in 5 % of runs."""
    rng = np.random.default_rng(items)
    runs, ids = 80, [f"q{at}" for at in range(items)]
    area = xr.DataArray(np.resize([0.06, 0.1, 0.25, 0.5], items), dims="item", coords={"item": ids})
    hits = rng.random((items, runs, 48)) < area.values[:, None, None]
    found = share_against(
        xr.DataArray(hits.astype(float), dims=("item", "run", "head"), coords={"item": ids}), area
    )
    adjusted = scipy.stats.false_discovery_control(found["p"], axis=1, method="bh")
    named = ((adjusted <= 0.05) & (found["excess"].values > 0)).any(1)
    assert named.mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_a_head_that_was_measured_on_large_regions_alone_is_held_against_these() -> None:
    held = pointed([0.0, 0.0]).assign(chance=("item", np.repeat([0.7, 0.05], 20)))
    # below the area of its own items, above that of all
    held["hit"][:, 0] = np.where(np.arange(40) < 20, np.arange(40) % 5 < 2, np.nan)
    table = localisation_table(held)
    assert table["hit_rate"].iloc[0] == pytest.approx(0.4)
    assert table["chance"].iloc[0] == pytest.approx(0.375)
    assert table["p"].iloc[0] < 0.05
    assert not table["found"].any()
    assert title(localisation_figure(table)).startswith("<b>No head looks most")


def test_questions_about_one_picture_are_one_witness() -> None:
    """Twenty questions about a place that a head always looks at, and one about each of five others."""
    held = pointed([0.1, 0.1], 25)
    held["hit"][:, 0] = np.arange(25) < 20
    picture = xr.DataArray(["p"] * 20 + list("qrstu"), dims="item", coords={"item": held["item"].values})
    assert (localisation_table(held)["p"] < 0.001).tolist() == [True, False]
    clustered = localisation_table(held, picture)
    assert (scipy.stats.false_discovery_control(clustered["p"]) > 0.05).all()
    assert not clustered["found"].any()


def test_a_head_that_always_hits_has_an_interval() -> None:
    row = localisation_table(pointed([1.0, 0.1])).iloc[0]
    assert row["hit_rate"] == row["hit_high"] == 1
    assert 0.85 < row["hit_low"] < 0.95

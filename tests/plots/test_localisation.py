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
    adjusted = scipy.stats.false_discovery_control(table["p"], method="bh")
    np.testing.assert_allclose(table["p_adjusted"], adjusted)
    assert table["found"].iloc[0]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (
            [0.8, 0.1, 0.1, 0.1],
            "1 of 4 heads looks most at the region asked for more often than its area gives (10%)",
        ),
        ([0.8, 0.7, 0.1, 0.1], "2 of 4 heads look most at the region"),
        (
            [0.1, 0.1, 0.1, 0.1],
            "No head looks most at the region asked for clearly more often than its area gives",
        ),
    ],
)
def test_the_title_is_what_the_hits_say(rates: list[float], expected: str) -> None:
    fig = localisation_figure(localisation_table(pointed(rates)), model="base", data="glyph")
    assert expected in title(fig)
    if rates[0] > 0.5:
        assert "layer 0 head 0, in" in title(fig)


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
    assert localisation_table(held)["found"].tolist() == [True, False]
    assert not localisation_table(held, picture)["found"].any()


def test_a_head_that_always_hits_has_an_interval() -> None:
    row = localisation_table(pointed([1.0, 0.1])).iloc[0]
    assert row["hit_rate"] == row["hit_high"] == 1
    assert 0.85 < row["hit_low"] < 0.95

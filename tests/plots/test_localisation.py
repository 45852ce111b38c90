"""The localisation figure: hits laid out by hand, tested by scipy, findings where they are true and where not."""

import numpy as np
import plotly.graph_objects as go
import pytest
import scipy.stats
from laid_out import pointed

from vaslab.plots import localisation_figure, localisation_table


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def test_each_head_is_tested_against_the_area_as_scipy_does() -> None:
    held = pointed([0.8, 0.1, 0.12, 0.3])
    table = localisation_table(held)
    for at in range(4):
        hits = held["hit"].values[:, at]
        assert table["hit_rate"].iloc[at] == pytest.approx(hits.mean())
        assert table["p"].iloc[at] == pytest.approx(scipy.stats.ttest_1samp(hits, 0.1).pvalue)
        interval = scipy.stats.ttest_1samp(hits, 0).confidence_interval()
        assert table["hit_low"].iloc[at] == pytest.approx(max(interval.low, 0))
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

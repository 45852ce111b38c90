"""The published figure: arithmetic of the printed numbers, checked by hand."""

import numpy as np
import pytest
import scipy.stats

from vaslab.plots.published import published
from vaslab.plots.published_numbers import models_that_fit, published_table


def test_one_printed_average_does_not_recompute() -> None:
    table = published_table()
    wrong = table[~table["agrees"]]
    assert list(wrong["name"]) == ["ThinkLite-VL"]
    # (75.1 + 32.9 + 45.8 + 55.5 + 40.0 + 65.0 + 52.3) / 7 = 366.6 / 7
    assert wrong["recomputed"].iloc[0] == pytest.approx(366.6 / 7)
    assert len(table) == 4 + 11 + 5


def test_the_printed_p_fits_ten_models() -> None:
    assert models_that_fit() == 10
    t = 0.9616 * np.sqrt(8 / (1 - 0.9616**2))
    assert 2 * scipy.stats.t.sf(t, 8) == pytest.approx(9.0e-6, rel=0.02)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_says_that_it_is_published(theme: str) -> None:
    fig = published(theme)
    words = " ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ").replace("\u00a0", " ")
    assert "published, not measured here" in words
    # of log2(7.5, 10.1, 13.8, 18.9) and 49.1, 51.0, 52.6, 56.1; tanh(atanh r -+ 1.96), for n - 3 is 1; 1 of 24 orders
    log_vas, accuracy = np.log2([7.5, 10.1, 13.8, 18.9]), [49.1, 51.0, 52.6, 56.1]
    r = scipy.stats.pearsonr(log_vas, accuracy).statistic
    low, high = np.tanh(np.arctanh(r) + np.array([-1.96, 1.96]))
    assert (round(r, 2), round(low, 2), round(high, 3)) == (0.98, 0.44, 1.0)
    found = "r = 0.98 (95% CI 0.44 to 1.000, Fisher z), n = 4 checkpoints, p = 0.042 (permutation)"
    assert f"Of log₂ VAS and accuracy over the stages, all of one model: {found}." in words
    assert "fits n = 10 models" in words
    title = str(fig.layout.title.text).replace("<br>", " ")
    assert "of ThinkLite-VL the printed average is 53.1, its row's mean 52.4" in title

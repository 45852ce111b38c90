"""The decomposition figure: parts by hand, and a title for each way VAS can change."""

import numpy as np
import plotly.graph_objects as go
import pytest
import synthetic_capture as made
import xarray as xr

from vaslab.plots import changes, changes_table


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def pair(
    image: float = 1.0, system: float = 1.0, ratios: float = 1.0, items: int = 20
) -> tuple[xr.Dataset, xr.Dataset]:
    """Two captures of the same items; masses of the second are multiplied, each with its own noise per item."""
    first, second = (made.realistic(items, 5, 3) for _ in range(2))
    rng = np.random.default_rng(3)
    up, down = rng.lognormal(0, 0.05, (2, items, 1, 1, 1))
    second["mass"][..., 3] *= image * up
    second["mass"][..., :2] *= (system * down)[..., None]
    second["vas"][:] *= image / system * ratios * up / down
    return first, second


def test_parts_by_hand() -> None:
    second = made.hand()
    second["mass"][..., 3] *= 2
    second["mass"][..., :2] /= 2
    table = changes_table(made.hand(), second)
    assert list(table["layer"]) == [0, 1, "all"]
    np.testing.assert_allclose(table["total"], 2, rtol=1e-6)
    np.testing.assert_allclose(table["visual"], 1, rtol=1e-6)
    np.testing.assert_allclose(table["system"], 1, rtol=1e-6)
    assert (table["spread"] == 0).all()
    np.testing.assert_allclose(table["visual_low"], 1, rtol=1e-6)  # the same in every item: no width


@pytest.mark.parametrize("form", ["ratio_of_means", "mean_of_ratios"])
def test_bars_stack_to_the_point(form: str) -> None:
    table = changes_table(*pair(1.4, 0.8, 1.2), form=form)
    np.testing.assert_allclose(table["total"], table[["visual", "system", "spread"]].sum(axis=1), atol=1e-9)
    assert ((table["total_low"] <= table["total"]) & (table["total"] <= table["total_high"])).all()
    fig = changes(*pair(1.4, 0.8, 1.2), form=form, table=table)
    bars = [t for t in fig.data if t.type == "bar"]
    assert len(bars) == (4 if form == "ratio_of_means" else 6)
    assert fig.layout.barmode == "relative"


@pytest.mark.parametrize(
    ("moved", "form", "expected"),
    [
        ({"image": 2.0}, "ratio_of_means", "tuned raises VAS 2.0-fold, because visual attention rises"),
        ({"system": 0.5}, "ratio_of_means", "tuned raises VAS 2.0-fold, because system attention falls"),
        (
            {"image": 2.0, "system": 0.5},
            "ratio_of_means",
            "50% of it because visual attention rises, the rest because",
        ),
        ({"image": 0.5}, "ratio_of_means", "tuned lowers VAS 2.0-fold, because visual attention falls"),
        (
            {"image": 3.0, "system": 1.5},
            "ratio_of_means",
            "because visual attention rises, though system attention rises",
        ),
        ({}, "ratio_of_means", "No clear change of VAS from base to tuned"),
        (
            {"image": 1.5, "system": 1.5},
            "ratio_of_means",
            "not clearly changed: visual attention rises and system",
        ),
        ({"ratios": 3.0}, "mean_of_ratios", "mostly because the ratios spread differently"),
    ],
)
def test_the_title_is_what_the_data_say(moved: dict[str, float], form: str, expected: str) -> None:
    assert expected in title(changes(*pair(**moved), ("base", "tuned"), form=form))


def test_one_item_and_a_layer_without_image_are_gaps_not_numbers() -> None:
    first, second = pair(2.0, items=1)
    assert "one item, too few to tell" in title(changes(first, second))
    first, second = pair(2.0)
    second["mass"][:, 2, :, :, 3] = 0
    table = changes_table(first, second)
    assert table["total"].isna().tolist() == [False, False, True, False, False, False]
    points = [t for t in changes(first, second, table=table).data if t.type == "scatter"]
    assert [list(t.x) for t in points if t.marker.symbol == "x-thin-open"] == [[2]]


def test_names_cannot_inject_markup() -> None:
    text = changes(*pair(2.0), ("<img src=x>", "%{y}")).to_json().replace("\\u003c", "<")
    assert "<img" not in text

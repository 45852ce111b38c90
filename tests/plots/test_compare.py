"""The compare figure: its numbers by hand, its findings on data built to have them, and not to."""

import numpy as np
import plotly.graph_objects as go
import pytest
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import Definition, vas, vas_of
from vaslab.plots import compare, compare_table
from vaslab.plots import theme as themes
from vaslab.plots.compare_numbers import changed_layers
from vaslab.plots.levels import change_terms
from vaslab.plots.text import change_text, text_width
from vaslab.statistics import product_t


def words(fig: go.Figure) -> str:
    return " | ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ").replace("\u00a0", " ")


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def shifted(
    layers: dict[int, float], items: int = 25, n_layers: int = 6, heads: int = 4
) -> tuple[xr.Dataset, xr.Dataset]:
    """A capture, and the same with the VAS of some layers multiplied, both with their own noise."""
    first, second = (made.realistic(items, n_layers, heads, 2, seed=0) for _ in range(2))
    noise = np.random.default_rng(5)
    second["vas"][:] *= noise.lognormal(0, 0.03, second["vas"].shape)
    for layer, factor in layers.items():
        second["vas"][:, layer] *= factor
    return first, second


def test_table_holds_the_hand_numbers() -> None:
    second = made.hand()
    second["vas"][:, 1] *= 3
    found = compare_table(made.hand(), second)
    np.testing.assert_allclose(found["first"], [1.25, 4.25], rtol=1e-6)
    np.testing.assert_allclose(found["second"], [1.25, 12.75], rtol=1e-6)
    np.testing.assert_allclose(found["ratio"], [1, 3], rtol=1e-6)
    assert found["p"].iloc[0] == 1
    means = compare_table(made.hand(), second, Definition(form="ratio_of_means"))
    np.testing.assert_allclose(means["ratio"], [1, 1], rtol=1e-6)  # the masses did not move


def test_heads_that_changed_are_found_and_others_are_pale() -> None:
    first, second = shifted({2: 2.0})
    found = compare_table(first, second)
    assert found.loc[found["layer"] == 2, "changed"].all()
    assert not found.loc[found["layer"] != 2, "changed"].any()
    fig = compare(first, second, table=found)
    drawn, veil = [t for t in fig.data if t.type == "heatmap" and t.xaxis == "x10"]
    assert np.isfinite(np.array(drawn.z, dtype=float)).sum() == 24
    assert np.isfinite(np.array(veil.z, dtype=float)).sum() == 20
    assert veil.hoverinfo == "skip"
    strong = drawn.colorscale[0][1]
    pale = themes.mixed(strong, veil.colorscale[0][1], veil.opacity)
    assert themes.contrast(pale, "#ffffff") < 1.6 < themes.contrast(strong, "#ffffff")


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ({2: 2.0, 3: 2.0}, "tuned raises VAS (mean of ratios) 2.0-fold in layers 2–3"),
        (
            {2: 2.5, 5: 0.5},
            "tuned raises VAS (mean of ratios) 2.5-fold in layer 2 and lowers it 2.0-fold in layer 5",
        ),
        (
            # the larger change first, whichever way it goes
            {2: 1.3, 5: 0.5},
            "tuned lowers VAS (mean of ratios) 2.0-fold in layer 5 and raises it 1.3-fold in layer 2",
        ),
        ({0: 0.25}, "tuned lowers VAS (mean of ratios) 4.0-fold in layer 0"),
        ({}, "No head of tuned differs clearly from base in VAS (mean of ratios)"),
        (dict.fromkeys(range(6), 1.5), "tuned raises VAS (mean of ratios) 1.5-fold in all layers"),
    ],
)
def test_the_title_is_what_the_data_say(moved: dict[int, float], expected: str) -> None:
    assert title(compare(*shifted(moved), ("base", "tuned"))).endswith(f"{expected}</b>")


UNEQUAL = {0: 100.0, 1: 40.0, 2: 1.5, 3: 1.5, 4: 2.0, 5: 1.3}


def test_all_layers_are_said_with_the_least_and_the_most_of_them() -> None:
    """Their geometric mean (6.5) is neither what VAS changed by nor what holds in all of them."""
    first, second = shifted(UNEQUAL)
    whole = float(vas(second) / vas(first))
    said = title(compare(first, second, ("base", "tuned")))
    assert f"tuned raises VAS (mean of ratios) {whole:.0f}-fold, in all layers 1.3- to 1" in said
    assert title(compare(second, first, ("tuned", "base"))).endswith("-fold</b>")
    assert f"base lowers VAS (mean of ratios) {whole:.0f}-fold, in all layers 1.3- to 1" in title(
        compare(second, first, ("tuned", "base"))
    )
    second["clamped"][:, 0] = 0.5
    assert f"at least {whole:.0f}-fold, in all layers 1.3- to 1" in title(compare(first, second))


def test_the_head_that_changed_most_has_a_bound_where_its_layer_rests_on_the_floor() -> None:
    def told() -> str:
        notes = (str(note.text) for note in compare(first, second).layout.annotations)
        return next(note for note in notes if note.startswith("<b>L0 H"))

    first, second = shifted(UNEQUAL)
    assert "≥" not in told()
    second["clamped"][:, 0] = 0.5
    assert " → ≥ " in told()
    assert told().count("≥") == 1


def test_the_foot_says_the_change_over_all_layers_with_its_interval() -> None:
    first, second = shifted({1: 1.2, 4: 0.25})
    change = product_t(change_terms(first, second, over=("layer", "head")))
    ends = " to ".join(f"÷{1 / float(change[end]):.2f}" for end in ("low", "high"))
    assert float(change["estimate"]) == pytest.approx(float(vas(second) / vas(first)))
    foot = " ".join(str(a.text) for a in compare(first, second).layout.annotations).replace("<br>", " ")
    assert f"Over all layers and heads: ÷{1 / float(change['estimate']):.2f} (95% CI {ends})." in foot


def test_some_layers_are_said_with_the_least_and_the_most_of_them() -> None:
    said = title(compare(*shifted({1: 8.0, 2: 2.0, 4: 0.5}), ("base", "tuned")))
    assert (
        "raises VAS (mean of ratios) 2.0- to 8.0-fold in layers 1–2 and lowers it 2.0-fold in layer 4" in said
    )
    said = title(compare(*shifted({0: 3.0, 1: 3.0, 4: 2.0}), ("base", "tuned")))
    assert "3.0-fold in layers 0–1 among others" in said


def test_heads_that_cancel_within_a_layer_are_no_change_of_the_layer() -> None:
    first, second = shifted({})
    first["vas"][:, 3] = 1.0
    second["vas"][:, 3] = np.array([1.5, 1.5, 0.5, 0.5])[None, :, None] * np.random.default_rng(0).lognormal(
        0, 0.05, (25, 4, 1)
    )
    assert (
        "tuned differs from base in VAS (mean of ratios) of 4 of 24 heads, but in no layer as a whole"
        in title(compare(first, second, ("base", "tuned")))
    )


def test_one_item_is_drawn_without_a_test() -> None:
    fig = compare(*shifted({2: 2.0}, items=1), ("base", "tuned"))
    assert "too few items to tell any change" in title(fig)
    assert "One item: no test" in words(fig)
    assert "Square" not in words(fig)


def test_missing_heads_are_hatched_and_zero_is_no_ratio() -> None:
    first, second = shifted({2: 2.0})
    second["vas"][:, 4, 1] = np.nan
    first["vas"][:, 5, 0] = 0.0
    found = compare_table(first, second)
    assert found["ratio"].isna().sum() == 2
    assert "2 heads without a value in one of the two: hatched" in words(compare(first, second, table=found))


def test_runs_that_do_not_align_are_refused() -> None:
    first, second = shifted({})
    with pytest.raises(UsageError, match="do not align: 1 items are only in the first"):
        compare_table(first, second.isel(item=slice(1, None)))
    with pytest.raises(UsageError, match="do not align on layer"):
        compare_table(first, second.isel(layer=[0, 1]))


def test_clusters_widen_what_is_shared() -> None:
    """Items of one picture that move alike are fewer than they look."""
    rng = np.random.default_rng(2)
    first, second = shifted({}, items=40)
    second["vas"][:] *= np.repeat(rng.lognormal(0, 0.4, 8), 5)[:, None, None, None]
    picture = xr.DataArray(np.arange(40) // 5, dims="item", coords={"item": first["item"].values})
    alone, clustered = (compare_table(first, second, cluster=c) for c in (None, picture))
    assert ((clustered["high"] / clustered["low"]) > (alone["high"] / alone["low"])).mean() > 0.9
    assert "over pictures" in words(compare(first, second, table=clustered))


def test_interval_and_test_are_one() -> None:
    """Student's t of the logarithm gives both: an interval that leaves out 1 has p below .05, and the other way."""
    first, second = shifted({2: 1.02, 4: 0.98}, items=9)
    found = compare_table(first, second)
    for table in (found, found.attrs["layers"]):
        apart = (table["low"] > 1) | (table["high"] < 1)
        assert (apart == (table["p"] < 0.05)).all()
        assert 0 < apart.sum() < len(table)
        np.testing.assert_allclose(np.sqrt(table["low"] * table["high"]), table["ratio"])


def test_runs_of_layers_are_joined_by_direction() -> None:
    first, second = shifted({0: 2.0, 1: 2.0, 2: 0.5, 4: 1.5})
    runs = changed_layers(compare_table(first, second).attrs["layers"])
    assert [(a, b) for a, b, _ in runs] == [(0, 1), (2, 2), (4, 4)]
    np.testing.assert_allclose([ratio for *_, ratio in runs], [2, 0.5, 1.5], rtol=0.05)


@pytest.mark.parametrize(("layers", "heads", "kv"), [(4, 1, 1), (28, 28, 4), (80, 64, 8)])
def test_html_stays_small(layers: int, heads: int, kv: int) -> None:
    first, second = made.realistic(3, layers, heads, kv), made.realistic(3, layers, heads, kv, lift=0.5)
    size = len(compare(first, second).to_json())
    assert size < (300_000 if layers * heads <= 784 else 1_000_000)


def test_changes_in_words() -> None:
    assert [change_text(power) for power in (-3, -1, 0, 1, 2, 20)] == [
        "÷8",
        "÷2",
        "1",
        "×2",
        "×4",
        "×2<sup>20</sup>",
    ]


def test_either_end_of_a_scale_says_what_it_means() -> None:
    told = words(compare(*shifted({2: 2.0})))
    for word in ("← more system", "more image →", "← lower VAS", "higher VAS →"):
        assert word in told


def test_a_change_on_the_floor_is_a_bound_in_the_layers_that_rest_on_it() -> None:
    first, second = shifted({2: 2.0, 3: 2.0})
    second["clamped"][:, 2:4] = 0.4
    assert "tuned raises VAS (mean of ratios) at least 2.0-fold in layers 2–3" in title(
        compare(first, second, ("base", "tuned"))
    )
    assert "lowers VAS (mean of ratios) at least 2.0-fold" in title(compare(second, first))
    second["clamped"][:, 2:4] = 0.0
    second["clamped"][:, 5] = 0.9
    fig = compare(first, second)
    assert "at least" not in title(fig)
    assert "so that VAS is a bound: second 15% of rows" in words(fig)


def test_layers_between_that_were_not_measured_are_not_claimed() -> None:
    first, second = (each.isel(layer=[0, 1, 2, 4, 5]) for each in shifted({2: 2.0, 4: 2.0}))
    assert title(compare(first, second)).endswith("in the layers measured from 2 to 4</b>")
    first, second = (each.isel(layer=[0, 2, 4]) for each in shifted(dict.fromkeys(range(6), 1.5)))
    assert title(compare(first, second)).endswith("in all layers measured</b>")


def test_a_head_that_one_side_lacks_does_not_move_its_layer() -> None:
    first, second = shifted({})
    for each in (first, second):
        each["vas"][:, 3, 1] *= 50
    second["vas"][:, 3, 1] = np.nan
    assert "No head of tuned differs clearly from base" in title(compare(first, second, ("base", "tuned")))
    layers = compare_table(first, second).attrs["layers"]
    assert layers["ratio"].between(0.95, 1.05).all()


def test_a_ratio_of_means_stops_at_the_floor_as_vas_itself_does() -> None:
    second = made.hand()
    second["mass"][..., :2] = 1e-9
    found = compare_table(made.hand(), second, Definition(form="ratio_of_means"))
    np.testing.assert_allclose(found["ratio"], found["second"] / found["first"], rtol=1e-6)
    np.testing.assert_allclose(found["second"], [0.45 / 1e-6, 0.525 / 1e-6], rtol=1e-5)


@pytest.mark.parametrize("per_token", [False, True])
def test_the_change_is_the_ratio_of_the_levels_on_the_floor_too(per_token: bool) -> None:
    """Layers and heads below 1e-6 and above it, with a head that one side lacks."""
    first, second = shifted({2: 2.0})
    second["mass"][:, 1:3, 0, :, :2] = 1e-9
    second["mass"][:12, 4, ..., :2] = 1e-8
    second["mass"][:, 3, ..., :2] = 1e-9
    asked = Definition(form="ratio_of_means", per_token=per_token)
    for over in ((), ("head",), ("layer", "head")):
        levels = [vas_of(side, asked, over=("item", *over)) for side in (first, second)]
        found = product_t(change_terms(first, second, asked, over))["estimate"]
        np.testing.assert_allclose(found, levels[1] / levels[0], rtol=1e-9)
    layers = compare_table(first, second, asked).attrs["layers"]
    assert layers["second_floored"].tolist() == [0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("layer", [0, 2, 3, 5])
def test_the_label_of_the_strongest_head_stays_inside_the_map(layer: int) -> None:
    first, second = shifted({})
    second["vas"][:, layer, 1] *= 40_000
    fig = compare(first, second)
    (label,) = [a for a in fig.layout.annotations if a.showarrow]
    axis = fig.layout.xaxis10
    pixels = (axis.domain[1] - axis.domain[0]) * fig.layout.width
    middle = (label.x + 0.5) * pixels / 6 + label.ax
    half = text_width(label.text.replace("<b>", "").replace("</b>", ""), 12, bold=True) / 2
    ends = (middle - half, middle + half)
    assert label.xanchor == "center"
    assert ends[0] > 0
    assert ends[1] < pixels


def test_a_layer_may_be_clear_where_no_head_alone_is() -> None:
    """Heads that change a little, each lost among many, and their mean that is not."""
    rng = np.random.default_rng(1)
    first, second = (made.realistic(8, 3, 60, None) for _ in range(2))
    first["vas"][:] = 1.0
    second["vas"][:] = rng.lognormal(0, 0.5, second["vas"].shape)
    second["vas"][:, 1] *= 1.25
    table = compare_table(first, second)
    assert not table["changed"].any()
    assert table.attrs["layers"]["changed"].tolist()[1]
    said = title(compare(first, second, table=table))
    assert "in layer" in said or "in all layers" in said
    assert said.endswith("though no head alone differs clearly</b>")

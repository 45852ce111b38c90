"""The decomposition figure: parts by hand, and a title for each way VAS can change, true as often as it says."""

import numpy as np
import pytest
import scipy.stats
import synthetic_capture as made
import xarray as xr
from every_figure import title, words

from vaslab.metrics import decomposition, vas
from vaslab.plots import changes, changes_table
from vaslab.plots.changes_words import _rounded, title_of

NAMES = ("ratio_of_means", "mean_of_ratios", "visual", "system", "spread")


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


def unchanged(items: int, trials: int, seed: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    """Two captures in which nothing changed but the noise, once in every layer: items vary, heads do not."""
    rng = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        image, system = (level * rng.lognormal(0, 0.3, (items, trials, 1, 1)) for level in (0.3, 0.2))
        ratio = image / system * rng.lognormal(0, 0.3, image.shape)
        zero = np.zeros_like(image)
        mass = np.stack([system, zero, 1 - image - system, image, zero, zero, zero, zero], axis=-1)
        n = np.full((items, 1), 4)
        keys = np.tile([1, 9, 9, 9, 0, 0, 0, 0], (items, 1))
        sides.append(made.build(mass, ratio, ratio, zero, n, keys, n * 0.0))
    return sides[0], sides[1]


def test_parts_by_hand() -> None:
    second = made.hand()
    second["mass"][..., 3] *= 2
    second["mass"][..., :2] /= 2
    table = changes_table(made.hand(), second)
    assert list(table["layer"]) == [0, 1, "all"]
    np.testing.assert_allclose(table["ratio_of_means"], 2, rtol=1e-6)
    np.testing.assert_allclose(table["visual"], 1, rtol=1e-6)
    np.testing.assert_allclose(table["system"], 1, rtol=1e-6)
    # the stored ratios stayed: their spread makes up for all of it
    np.testing.assert_allclose(table["mean_of_ratios"], 0, atol=1e-7)
    np.testing.assert_allclose(table["spread"], -2, rtol=1e-6)
    np.testing.assert_allclose(table["visual_low"], 1, rtol=1e-6)  # the same in every item: no width


def test_parts_are_those_of_the_metric_and_both_forms_are_vas() -> None:
    first, second = pair(1.4, 0.8, 1.2)
    table = changes_table(first, second)
    for over, rows in ((("head", "item"), table.iloc[:-1]), (("layer", "head", "item"), table.iloc[-1:])):
        for form in ("ratio_of_means", "mean_of_ratios"):
            wanted = np.log2(vas(second, form=form, over=over) / vas(first, form=form, over=over))
            np.testing.assert_allclose(rows[form], np.atleast_1d(wanted), rtol=1e-6)
        parts = decomposition(first, second, form="mean_of_ratios", over=over)
        for name in ("visual", "system", "spread"):
            np.testing.assert_allclose(rows[name], np.atleast_1d(parts[name]), atol=1e-9)
    np.testing.assert_allclose(table["ratio_of_means"], table["visual"] + table["system"], atol=1e-9)
    np.testing.assert_allclose(table["mean_of_ratios"], table["ratio_of_means"] + table["spread"], atol=1e-9)


def test_every_part_has_an_interval_that_agrees_with_its_test() -> None:
    table = changes_table(*pair(1.03, 0.99, 1.0))
    for name in NAMES:
        low, high = table[f"{name}_low"], table[f"{name}_high"]
        assert ((low <= table[name]) & (table[name] <= high)).all()
        assert (((low > 0) | (high < 0)) == (table[f"{name}_p"] < 0.05)).all()
    # left out one of two items, the log ratio is that of the other: the error is half their difference, with one
    # degree of freedom
    first, second = pair(1.5, items=2)
    found = changes_table(first, second).iloc[-1]
    image = [side["mass"][..., 0, 3].mean(("layer", "head")).values for side in (first, second)]
    assert found["visual"] == pytest.approx(np.log2(image[1].mean() / image[0].mean()), rel=1e-5)
    error = abs(np.diff(np.log2(image[1] / image[0]))[0]) / 2
    assert found["visual_p"] == pytest.approx(2 * scipy.stats.t.sf(found["visual"] / error, 1), rel=1e-3)


def test_the_parts_are_drawn_with_their_intervals_and_add_up_step_by_step() -> None:
    table = changes_table(*pair(1.4, 0.8, 1.2))
    fig = changes(*pair(1.4, 0.8, 1.2), table=table)
    stacked = [t for t in fig.data if t.type == "bar" and t.xaxis == "x"]
    assert len(stacked) == 3
    assert fig.layout.barmode == "relative"
    np.testing.assert_allclose(sum(np.array(t.y) for t in stacked), table["mean_of_ratios"][:-1], atol=1e-9)
    steps = [t for t in fig.data if t.type == "bar" and t.xaxis == "x2"]
    row = table.iloc[-1]
    assert [t.y[0] for t in steps] == [row["visual"], row["system"], row["spread"]]
    np.testing.assert_allclose([t.base[0] for t in steps], np.cumsum([0, row["visual"], row["system"]]))
    for trace, name in zip(steps, ("visual", "system", "spread"), strict=True):
        np.testing.assert_allclose(trace.error_y.array[0], row[f"{name}_high"] - row[name])
        np.testing.assert_allclose(trace.error_y.arrayminus[0], row[name] - row[f"{name}_low"])
    sums = {
        t.marker.symbol: t.y[0]
        for t in fig.data
        if t.type == "scatter" and t.marker.symbol and t.xaxis == "x2"
    }
    assert sums == {"diamond": row["ratio_of_means"], "circle": row["mean_of_ratios"]}


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (
            {"image": 2.0},
            "tuned raises VAS (ratio of means) 2.0-fold, because visual attention rises; VAS (mean of ratios) rises",
        ),
        ({"system": 0.5}, "tuned raises VAS (ratio of means) 2.0-fold, because system attention falls"),
        ({"image": 2.0, "system": 0.5}, "50% of it because visual attention rises, the rest because"),
        (
            {"image": 0.5},
            "tuned lowers VAS (ratio of means) 2.0-fold, because visual attention falls; VAS (mean of ratios) falls",
        ),
        ({"image": 3.0, "system": 1.5}, "because visual attention rises, though system attention rises"),
        ({}, "No clear change of VAS from base to tuned, as ratio of means or as mean of ratios"),
        (
            {"image": 1.5, "system": 1.5},
            "VAS of tuned is not clearly changed in either form: visual attention rises and system attention rises",
        ),
        (
            {"ratios": 3.0},
            "tuned raises VAS (mean of ratios) 3.0-fold, mostly because ratios spread differently at the same mean "
            "masses; VAS (ratio of means) is not clearly changed",
        ),
        (
            {"image": 2.0, "ratios": 0.5},
            "raises VAS (ratio of means) 2.0-fold, because visual attention rises; VAS (mean of ratios) is not clearly",
        ),
    ],
)
def test_the_title_is_what_the_data_say(moved: dict[str, float], expected: str) -> None:
    assert expected in title(changes(*pair(**moved), ("base", "tuned")))


@pytest.mark.parametrize("items", [2, 5, 10, 40])
def test_where_nothing_changed_the_title_seldom_says_that_it_did(items: int) -> None:
    """Each layer is a trial of its own; 5 % of them may be called changed, within the error of the simulation."""
    trials = 1200
    table = changes_table(*unchanged(items, trials))
    false = 0
    for at in range(trials):
        row = table.iloc[at : at + 1]
        row.attrs = table.attrs
        false += not title_of(row, ("base", "tuned")).startswith("No clear change")
    assert false / trials < 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_items_of_one_picture_are_one_witness() -> None:
    """Ten questions about each of two pictures that moved apart are two observations, not twenty."""
    first, second = pair(items=20)
    second["mass"][:10, ..., 3] *= 1.5
    second["vas"][:10] *= 1.5
    second["mass"][10:, ..., 3] *= 1.3
    second["vas"][10:] *= 1.3
    picture = xr.DataArray(np.arange(20) // 10, dims="item", coords={"item": first["item"].values})
    assert "raises VAS" in title(changes(first, second))
    clustered = changes(first, second, cluster=picture)
    assert "No clear change of VAS" in title(clustered)
    assert "jackknife t over pictures" in words(clustered)


def test_a_mass_on_the_floor_is_a_bound() -> None:
    first, second = pair(1.5, 0.5)
    second["mass"][..., :2] = 1e-9
    second["clamped"][:] = 1.0
    said = title(changes(first, second, ("base", "tuned")))
    assert "tuned raises VAS (ratio of means) at least" in said
    assert "at most" in said  # the visual share, of a sum that is a lower bound
    assert "VAS (mean of ratios) rises at least" in said
    assert "base lowers VAS (ratio of means) at least" in title(changes(second, first, ("tuned", "base")))
    assert "bound" not in words(changes(*pair(1.5, 0.5)))


def test_a_ratio_of_means_is_a_bound_only_where_the_mean_is_on_the_floor() -> None:
    """Two of five layers on the floor: the mean over all is not, and its ratio is what it is."""
    first, second = pair(1.5, 0.5)
    second["mass"][:, 1:3, ..., :2] = 1e-9
    second["clamped"][:, 1:3] = 1.0
    fig = changes(first, second, ("base", "tuned"))
    assert "tuned raises VAS (ratio of means) 4.9-fold" in title(fig)
    assert "VAS (mean of ratios) rises at least" in title(fig)
    told = "so that VAS is a bound: tuned 40% of query rows, tuned the mean mass of 2 layers."
    assert told in words(fig)


def test_parts_on_the_floor_are_those_of_the_metric() -> None:
    first, second = pair(1.5, 0.5)
    second["mass"][:, 1:3, 0, :, :2] = 1e-9
    second["mass"][:10, 4, ..., :2] = 1e-8
    second["mass"][:, 3, ..., :2] = 1e-9
    table = changes_table(first, second)
    for over, rows in ((("head", "item"), table.iloc[:-1]), (("layer", "head", "item"), table.iloc[-1:])):
        levels = [vas(side, form="ratio_of_means", over=over) for side in (first, second)]
        wanted = np.atleast_1d(np.log2(levels[1] / levels[0]))
        np.testing.assert_allclose(rows["visual"] + rows["system"], wanted, rtol=1e-9)
        parts = decomposition(first, second, over=over)
        np.testing.assert_allclose(rows["system"], np.atleast_1d(parts["system"]), atol=1e-9)


def test_one_item_and_a_layer_without_image_are_gaps_not_numbers() -> None:
    first, second = pair(2.0, items=1)
    assert "too few items to tell" in title(changes(first, second))
    first, second = pair(2.0)
    second["mass"][:, 2, :, :, 3] = 0
    table = changes_table(first, second)
    assert table["ratio_of_means"].isna().tolist() == [False, False, True, False, False, False]
    fig = changes(first, second, table=table)
    assert [list(t.x) for t in fig.data if t.type == "scatter" and t.marker.symbol == "x-thin-open"] == [[2]]
    assert "1 layer without a value: crossed" in words(fig)


def test_a_head_that_one_side_lacks_is_left_out_of_both() -> None:
    first, second = made.realistic(6, 3, 2, None), made.realistic(6, 3, 2, None)
    first["mass"][:, 1, 0, :, 3] *= 3  # a head that looks more; without it, nothing differs
    first["vas"][:, 1, 0] *= 3
    whole = changes_table(first, first)
    second["vas"][:, 1, 0] = np.nan
    table = changes_table(first, second)
    np.testing.assert_allclose(table["ratio_of_means"], 0, atol=1e-7)
    assert "1 head without a value in one of the two: left out of both" in words(changes(first, second))
    assert whole.attrs["lost_heads"] == 0


def test_an_interval_without_bounds_runs_off_the_axis_and_does_not_stretch_it() -> None:
    first, second = pair(2.0, items=2)
    second["mass"][0, ..., 3] *= 40
    second["vas"][0] *= 40
    table = changes_table(first, second)
    assert table["visual_high"].iloc[-1] > 20
    fig = changes(first, second, table=table)
    low, high = fig.layout.yaxis.range
    assert high - low < 4 * table["visual"].abs().max()


def test_names_cannot_inject_markup() -> None:
    text = changes(*pair(2.0), ("<img src=x>", "%{y}")).to_json().replace("\\u003c", "<")
    assert "<img" not in text


def test_the_foot_gives_the_intervals_of_what_the_title_names() -> None:
    first, second = pair(image=2.0, system=0.5)
    table = changes_table(first, second)
    row = table.iloc[-1]
    told = words(changes(first, second))
    for form, name in (("ratio_of_means", "ratio of means"), ("mean_of_ratios", "mean of ratios")):
        middle, low, high = (f"×{2 ** row[f'{form}{end}']:.2f}" for end in ("", "_low", "_high"))
        assert f"VAS ({name}) {middle} (95% CI {low} to {high})" in told
    share, low, high = table.attrs["visual_share"]
    assert share == pytest.approx(row["visual"] / row["ratio_of_means"])
    assert low < share < high
    assert f", {100 * share:.0f}% of it visual ({100 * low:.0f}% to {100 * high:.0f}%);" in told
    # one mass alone: no share to tell
    assert "of it visual" not in words(changes(*pair(image=2.0)))


def test_a_share_is_said_with_the_digits_that_its_interval_allows() -> None:
    assert _rounded((0.692, 0.572, 0.815)) == "about 70%"
    assert _rounded((0.692, 0.66, 0.72)) == "69%"
    assert _rounded((0.03, -0.1, 0.2)) == "3%"

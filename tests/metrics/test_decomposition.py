"""What changed a VAS: hand-computed parts, that close the sum whatever the form."""

import numpy as np
import pytest
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import decomposition, vas, visual_against


def moved(image: float = 0.0, system: float = 0.0) -> xr.Dataset:
    """`hand` with masses added to every query of every head; user text pays."""
    out = made.hand()
    out["mass"][..., 3] += image
    out["mass"][..., 1] += system
    out["mass"][..., 2] -= image + system
    return out


def test_a_rise_of_visual_attention_alone() -> None:
    first, second = made.hand(), made.hand()
    second["mass"][..., 3] *= 2
    found = decomposition(first, second)
    np.testing.assert_allclose(found.total, np.ones((2, 1)), rtol=1e-6)
    np.testing.assert_allclose(found.visual, np.ones((2, 1)), rtol=1e-6)
    np.testing.assert_allclose(found.system, np.zeros((2, 1)), atol=1e-7)
    assert (found.spread == 0).all()


def test_a_fall_of_system_attention_counts_as_a_rise_of_vas() -> None:
    first, second = made.hand(), made.hand()
    second["mass"][..., :2] /= 4
    found = decomposition(first, second)
    np.testing.assert_allclose(found.system, np.full((2, 1), 2), rtol=1e-6)
    np.testing.assert_allclose(found.visual, np.zeros((2, 1)), atol=1e-7)


@pytest.mark.parametrize("over", [(), ("item",), ("head", "item"), ("layer", "head", "item")])
@pytest.mark.parametrize("form", ["ratio_of_means", "mean_log_ratio", "mean_of_ratios"])
def test_parts_close_the_sum(form: str, over: tuple[str, ...]) -> None:
    first, second = made.realistic(6, 4, 3), made.realistic(6, 4, 3, lift=0.6)
    second["vas"][:] *= 1.3
    found = decomposition(first, second, form=form, over=over)
    np.testing.assert_allclose(found.total, found.visual + found.system + found.spread, atol=1e-12)
    if form == "mean_of_ratios":
        assert float(np.abs(found.spread).max()) > 0.1
    else:
        assert (found.spread == 0).all()
    if form != "mean_log_ratio":
        expected = np.log2(vas(second, form=form, over=over) / vas(first, form=form, over=over))
        np.testing.assert_allclose(found.total, expected, rtol=1e-9)


@pytest.mark.parametrize("over", [(), ("item",), ("head", "item"), ("item", "layer", "head")])
@pytest.mark.parametrize("sink", ["include", "exclude"])
def test_the_sum_is_exact_on_the_floor(over: tuple[str, ...], sink: str) -> None:
    """Items, heads and a whole layer below 1e-6, whose means lie above it, and one whose mean does not."""
    first, second = made.realistic(6, 4, 3), made.realistic(6, 4, 3, lift=0.6)
    second["mass"][:3, ..., :2] = 1e-8
    second["mass"][:, 1, 0, ..., :2] = 1e-9
    second["mass"][:, 2, ..., :2] = 1e-9
    found = decomposition(first, second, sink=sink, over=over)
    levels = [vas(side, form="ratio_of_means", sink=sink, over=over) for side in (first, second)]
    np.testing.assert_allclose(found.visual + found.system, np.log2(levels[1] / levels[0]), atol=1e-12)
    np.testing.assert_allclose(found.total, found.visual + found.system, atol=1e-12)


def test_the_floor_is_on_the_mean_once_by_hand() -> None:
    second = made.hand()
    second["mass"][0, ..., :2] = (
        0.0  # item 0 attends to no system token; the mean over both is far above 1e-6
    )
    found = decomposition(made.hand(), second)
    # layer 0: (.3 + .5) / 2 -> (0 + .5) / 2; layer 1: (.5 + .1) / 2 -> (0 + .1) / 2
    np.testing.assert_allclose(found.system[:, 0], np.log2([0.8 / 0.5, 0.6 / 0.1]), rtol=1e-6)


def test_mean_log_ratio_by_hand() -> None:
    found = decomposition(made.hand(), moved(image=0.1), form="mean_log_ratio")
    # layer 0: image .4 -> .5 and .5 -> .6; layer 1: .25 -> .35 and .8 -> .9
    expected = [
        np.mean([np.log2(0.5 / 0.4), np.log2(0.6 / 0.5)]),
        np.mean([np.log2(0.35 / 0.25), np.log2(0.9 / 0.8)]),
    ]
    np.testing.assert_allclose(found.visual[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(found.total[:, 0], expected, rtol=1e-6)


def test_the_papers_form_names_the_part_of_the_spread() -> None:
    """One item's ratios spread wider while its masses stay: only `spread` moves."""
    second = made.hand()
    second["vas"][0, 0, 0] *= 3
    found = decomposition(made.hand(), second, form="mean_of_ratios")
    np.testing.assert_allclose(found.visual, 0, atol=1e-7)
    np.testing.assert_allclose(found.system, 0, atol=1e-7)
    # item 0: 1.5 -> 4.5, item 1: 1 in layer 0
    np.testing.assert_allclose(found.spread[:, 0], [np.log2(5.5 / 2.5), 0], rtol=1e-6)


def test_items_undefined_on_one_side_are_left_out_of_both() -> None:
    first, second = made.hand(), moved(image=0.1)
    found = decomposition(first, made.blank(second, 0, "image"))
    assert found.attrs["n_items"] == 1
    np.testing.assert_allclose(found.visual[:, 0], np.log2([0.6 / 0.5, 0.9 / 0.8]), rtol=1e-6)


def test_a_mass_of_zero_is_a_gap() -> None:
    second = made.hand()
    second["mass"][:, 0, 0, 0, 3] = 0
    found = decomposition(made.hand(), second)
    assert np.isnan(found.total[0, 0])
    assert np.isfinite(found.total[1, 0])


def test_captures_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="differ in items"):
        decomposition(made.hand(), made.hand().isel(item=[1]))
    with pytest.raises(UsageError, match="unknown form 'log'"):
        decomposition(made.hand(), made.hand(), form="log")


def test_visual_against_the_question_by_hand() -> None:
    # item 0: image .4 and .25, user .3 and .25; item 1: image .5 and .8, user 0 and .1
    found = visual_against(made.hand(), over=("item",))
    np.testing.assert_allclose(found[:, 0], [0.9 / 0.3, 1.05 / 0.35], rtol=1e-6)
    np.testing.assert_allclose(visual_against(made.hand()), (0.45 + 0.525) / (0.15 + 0.175), rtol=1e-6)
    per_token = visual_against(made.hand(), per_token=True, over=("item",))
    np.testing.assert_allclose(per_token[0, 0], (0.4 / 8 + 0.5 / 4) / (0.3 / 2 + 0), rtol=1e-6)
    alone = visual_against(made.hand(), over=())
    assert np.isnan(alone[1, 0, 0])  # no attention on the question at all
    both = visual_against(made.hand(), ("user", "system"), over=("item",))
    np.testing.assert_allclose(both[0, 0], 0.9 / (0.3 + 0.15 + 0.4), rtol=1e-6)


def test_visual_against_what_is_not_there() -> None:
    with pytest.raises(UsageError, match="expected some of system_sink, system, user, video"):
        visual_against(made.hand(), ("image",))
    with pytest.raises(VaslabError, match="no item has both an image and history tokens"):
        visual_against(made.hand(), ("history",))

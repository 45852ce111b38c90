"""VAS and its forms against numbers worked out by hand from the attention rows in
`synthetic_capture.hand`.
"""

import numpy as np
import pytest
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import Definition, masses, no_vas_reason, one_query_set, vas, vas_per_head, vas_per_item

CLOSE = {"rtol": 1e-5}


def test_paper_form_is_mean_over_queries_then_layers_and_heads_then_items() -> None:
    # item 0: ((2 + 1) / 2 + 0.5) / 2 = 1;  item 1: (1 + 8) / 2 = 4.5
    value = vas(made.hand())
    assert value.dims == ()
    np.testing.assert_allclose(value, (1 + 4.5) / 2, **CLOSE)
    np.testing.assert_allclose(vas_per_item(made.hand()), [1, 4.5], **CLOSE)
    np.testing.assert_allclose(vas_per_head(made.hand()), [[(1.5 + 1) / 2], [(0.5 + 8) / 2]], **CLOSE)


def test_labels_are_kept() -> None:
    heads = vas_per_head(made.hand())
    assert heads.dims == ("layer", "head")
    assert list(heads["layer"].values) == [0, 1]
    assert list(vas_per_item(made.hand())["item"].values) == ["item-00000", "item-00001"]


def test_ratio_of_means_divides_once_at_the_end() -> None:
    each = vas(made.hand(), form="ratio_of_means", over=())
    # item 0 layer 0: mean image .4, mean S .3
    np.testing.assert_allclose(each.sel(head=0), [[0.4 / 0.3, 0.5], [1, 8]], **CLOSE)
    image, system = (0.4 + 0.25 + 0.5 + 0.8) / 4, (0.3 + 0.5 + 0.5 + 0.1) / 4
    np.testing.assert_allclose(vas(made.hand(), form="ratio_of_means"), image / system, **CLOSE)


def test_sink_out_of_the_denominator() -> None:
    # item 0: (.4/.1 + .4/.2)/2 = 3 and .25/.1 = 2.5;  item 1: .5/.4 = 1.25 and .8/.05 = 16
    np.testing.assert_allclose(
        vas_per_item(made.hand(), Definition(sink="exclude")), [(3 + 2.5) / 2, (1.25 + 16) / 2], **CLOSE
    )
    out = vas(made.hand(), form="ratio_of_means", sink="exclude", over=())
    np.testing.assert_allclose(out.sel(head=0), [[0.4 / 0.15, 2.5], [1.25, 16]], **CLOSE)
    assert "system_sink" not in out.attrs["denominator"]


def test_per_token_divides_each_mass_by_its_keys_in_the_item() -> None:
    # item 0: S 4 keys, V 8 keys; item 1: S 2, V 4: both halve the ratio
    np.testing.assert_allclose(vas_per_item(made.hand(), Definition(per_token=True)), [0.5, 2.25], **CLOSE)
    out = vas(made.hand(), form="ratio_of_means", per_token=True)
    image, system = (0.4 + 0.25) / 8 + (0.5 + 0.8) / 4, (0.3 + 0.5) / 4 + (0.5 + 0.1) / 2
    np.testing.assert_allclose(out, image / system, **CLOSE)
    # without the sink item 0 has 3 system keys, item 1 has 1
    bare = vas_per_item(made.hand(), Definition(sink="exclude", per_token=True))
    np.testing.assert_allclose(bare, [2.75 * 3 / 8, 8.625 * 1 / 4], **CLOSE)


def test_denominator_is_floored_and_the_share_is_told() -> None:
    rows = {(0, 0, 0): [[0, 0, 0.5, 0.5, 0, 0, 0, 0], [0.25, 0.25, 0, 0.5, 0, 0, 0, 0]]}
    capture = made.from_rows(rows, [[1, 1, 1, 4, 0, 0, 0, 0]])
    value = vas(capture)
    np.testing.assert_allclose(value, (0.5 / 1e-6 + 1) / 2, **CLOSE)
    assert value.attrs["clamped_share"] == 0.5
    assert value.attrs["before_image_share"] == 0.25
    np.testing.assert_allclose(vas(capture, form="ratio_of_means"), 0.5 / 0.25, **CLOSE)
    empty = made.from_rows({(0, 0, 0): [[0, 0, 0.5, 0.5, 0, 0, 0, 0]]}, [[1, 1, 1, 4, 0, 0, 0, 0]])
    np.testing.assert_allclose(vas(empty, form="ratio_of_means"), 0.5 / 1e-6, **CLOSE)
    # attention per image token 0.5 / 4 over the floor per system token 1e-6 / 2
    np.testing.assert_allclose(vas(empty, form="ratio_of_means", per_token=True), 0.125 / 5e-7, **CLOSE)


def test_every_value_says_its_form() -> None:
    said = vas(made.hand()).attrs
    assert said["form_words"] == "mean of ratios"
    assert said["numerator"] == "attention mass on image tokens"
    assert said["denominator"] == "max(attention mass on system_sink + system tokens, 1e-06)"
    assert said["averaged"] == "mean over queries of the ratio, then over layers and heads, then over items"
    assert (said["queries"], said["n_items"], said["n_items_without"]) == ("user", 2, 0)
    other = vas(made.hand(), form="ratio_of_means", per_token=True).attrs
    assert other["form_words"] == "ratio of means, per token"
    assert "per token" in other["numerator"]
    assert "per token" in other["denominator"]


@pytest.mark.parametrize(
    ("why", "reason"), [("system", "no system token"), ("image", "no image"), ("query", "no query token")]
)
def test_items_without_vas_are_left_out_with_a_reason(why: str, reason: str) -> None:
    capture = made.blank(made.hand(), 1, why)
    for form in ("mean_of_ratios", "ratio_of_means"):
        value = vas(capture, form=form)
        alone = vas(made.hand().isel(item=[0]), form=form)
        np.testing.assert_allclose(value, alone, **CLOSE)
        assert value.attrs["n_items"] == 1
        assert value.attrs["items_without"] == f"1 x {reason}"
    np.testing.assert_allclose(vas_per_item(capture), [1, np.nan], **CLOSE)
    assert list(no_vas_reason(one_query_set(capture, "user")).values) == ["", reason]


def test_no_item_with_a_system_turn_is_an_error_that_names_the_fix() -> None:
    capture = made.blank(made.blank(made.hand(), 0, "system"), 1, "system")
    with pytest.raises(
        VaslabError, match=r"no system token \(2\); give the prompts a system turn, or use vaslab.masses"
    ):
        vas(capture)
    visual = masses(capture, over=("layer", "head")).sel(role="image")
    np.testing.assert_allclose(visual, [(0.4 + 0.25) / 2, (0.5 + 0.8) / 2], **CLOSE)


def test_mixed_reasons_are_counted() -> None:
    capture = made.blank(made.blank(made.hand(), 0, "system"), 1, "image")
    with pytest.raises(VaslabError, match=r"all 2 items: no system token \(1\), no image \(1\)"):
        vas(capture)


def test_one_undefined_head_is_counted_and_left_out() -> None:
    capture = made.hand()
    capture["vas"][:, 1] = np.nan
    value = vas(capture)
    np.testing.assert_allclose(value, (1.5 + 1) / 2, **CLOSE)
    assert value.attrs["n_undefined_heads"] == 1


def test_unknown_names_are_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"unknown query role 'response': this capture holds user"):
        vas(made.hand(), queries="response")
    with pytest.raises(UsageError, match=r"unknown form 'median'.*mean_of_ratios, ratio_of_means"):
        vas(made.hand(), form="median")
    with pytest.raises(UsageError, match=r"sink is 'both'; expected 'include'"):
        vas(made.hand(), sink="both")
    with pytest.raises(UsageError, match=r"expected each at most once of layer, head, item"):
        vas(made.hand(), over=("token",))
    with pytest.raises(UsageError, match=r"not a capture: it lacks mass"):
        vas(xr.Dataset())


def test_query_sets_are_kept_apart() -> None:
    one, two = made.realistic(3, 4, 4, seed=1), made.realistic(3, 4, 4, seed=2)
    both = xr.concat(
        [one, two.assign_coords(query_role=["response"])],
        dim="query_role",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
    )
    np.testing.assert_allclose(vas(both, "user"), vas(one), **CLOSE)
    np.testing.assert_allclose(vas(both, "response"), vas(two), **CLOSE)

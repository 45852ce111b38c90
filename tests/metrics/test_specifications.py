"""Every definition of VAS against plain numpy on the masses."""

import numpy as np
import pytest
import synthetic_capture as made

from vaslab.errors import UsageError
from vaslab.metrics import Definition, Specification, specifications, vas_as
from vaslab.metrics.specifications import layers_of


def test_the_first_is_the_papers_and_none_stands_twice() -> None:
    found = list(specifications(("user", "response")))
    # ratios of queries; those of heads and the ratio of means, with four floors each
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 4 * 2 * (1 + 4 + 4)
    assert found[0].paper
    assert sum(each.paper for each in found) == 1


def test_thirds_of_layers() -> None:
    layers = list(range(28))
    parts = [layers[layers_of(28, name)] for name in ("first third", "middle third", "last third")]
    assert [part[0] for part in parts] == [0, 9, 19]
    assert [layer for part in parts for layer in part] == layers
    assert [layers[:1][layers_of(1, name)] for name in ("first third", "last third")] == [[0], [0]]
    assert [list(range(2))[layers_of(2, n)] for n in ("first third", "middle third", "last third")] == [
        [0],
        [1],
        [1],
    ]


def test_values_by_hand() -> None:
    hand = made.hand()
    assert vas_as(hand, Specification()) == pytest.approx((1.25 + 4.25) / 2, rel=1e-6)
    assert vas_as(hand, Specification(layers="last third")) == pytest.approx(4.25, rel=1e-6)
    assert vas_as(hand, Specification(Definition(form="ratio_of_means"), "first third")) == pytest.approx(
        0.9 / 0.8, rel=1e-6
    )


def test_the_median_head_is_that_of_all_layers() -> None:
    capture = made.realistic(5, 6, 4)
    per_head = capture["vas"].mean("item").values.ravel()
    assert vas_as(capture, Specification(heads="median head")) == pytest.approx(np.median(per_head), rel=1e-6)
    image = capture["mass"].sel(key_role="image").mean("item").values[2:4].ravel()
    system = capture["mass"].sel(key_role="system").mean("item").values[2:4].ravel()
    wanted = Specification(Definition("user", "ratio_of_means", "exclude"), "middle third", "median head")
    assert vas_as(capture, wanted) == pytest.approx(np.median(image / system), rel=1e-5)


def test_an_undefined_one_is_a_gap_and_a_wrong_one_an_error() -> None:
    capture = made.hand()
    for item in (0, 1):
        capture = made.blank(capture, item, "system")
    assert np.isnan(vas_as(capture, Specification()))
    with pytest.raises(UsageError, match="unknown query role 'response'"):
        vas_as(made.hand(), Specification(Definition(queries="response")))
    with pytest.raises(UsageError, match="layers 'top'"):
        vas_as(made.hand(), Specification(layers="top"))


def test_ratios_of_heads_with_floors_by_hand() -> None:
    """Item 0: image .4 over S .3, and .25 over .5; item 1: .5 over .5, and .8 over .1."""
    hand, means = made.hand(), Definition(form="ratio_of_means")

    def heads(floor: float, **given: str) -> float:
        return vas_as(hand, Specification(ratios="heads", floor=floor, **given))

    assert heads(1e-6) == pytest.approx(((0.4 / 0.3 + 0.5) / 2 + (1 + 8) / 2) / 2, rel=1e-6)
    assert heads(0.4) == pytest.approx(((1 + 0.5) / 2 + (1 + 2) / 2) / 2, rel=1e-6)
    assert heads(0.4, heads="median head") == pytest.approx(((1 + 1) / 2 + (0.5 + 2) / 2) / 2, rel=1e-6)
    # the mean system mass of both items: 0.4 in the first layer, 0.3 in the second
    last = Specification(means, "last third", floor=0.35)
    assert vas_as(hand, last) == pytest.approx((0.25 + 0.8) / 2 / 0.35, rel=1e-6)
    per_token = Specification(Definition(per_token=True), ratios="heads", floor=0.4)
    # 4 system keys and 8 of the image, 2 and 4: the floor is on the mass, before that division
    assert vas_as(hand, per_token) == pytest.approx(heads(0.4) / 2, rel=1e-6)


def test_items_without_a_value_count_for_nothing() -> None:
    capture = made.realistic(5, 6, 4)
    for name in ("vas", "vas_no_sink", "mass"):
        capture[name][1, 2:4] = np.nan
        capture[name][3, :, 0] = np.nan
    for ratios, form in (
        ("queries", "mean_of_ratios"),
        ("heads", "mean_of_ratios"),
        ("heads", "ratio_of_means"),
    ):
        wanted = Specification(Definition(form=form), "middle third", ratios=ratios)
        own = capture.isel(layer=slice(2, 4))
        mass = own["mass"].sel(query_role="user")
        image, system = (
            mass.sel(key_role="image"),
            mass.sel(key_role=["system_sink", "system"]).sum("key_role", skipna=False),
        )
        per_item = own["vas"].sel(query_role="user") if ratios == "queries" else image / system
        expected = float(per_item.mean(("layer", "head")).mean())
        if form == "ratio_of_means":
            expected = float(image.mean(("layer", "head")).mean() / system.mean(("layer", "head")).mean())
        assert vas_as(capture, wanted) == pytest.approx(expected, rel=1e-5)


def test_a_capture_keeps_one_floor_under_its_queries() -> None:
    with pytest.raises(
        UsageError, match=r"a floor of 0\.01 under ratios of queries; a capture holds them with 1e-06"
    ):
        Specification(floor=1e-2)
    assert Specification(Definition(form="ratio_of_means"), floor=1e-2).choices()["floor"] == "1e-2"
    with pytest.raises(UsageError, match="ratios of 'tokens'"):
        Specification(ratios="tokens")

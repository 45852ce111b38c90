"""Every definition of VAS against plain numpy on the masses."""

import numpy as np
import pytest
import synthetic_capture as made

from vaslab.errors import UsageError
from vaslab.metrics import Definition, Specification, specifications, vas_as
from vaslab.metrics.specifications import layers_of


def test_the_first_is_the_papers_and_none_stands_twice() -> None:
    found = list(specifications(("user", "response")))
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 2 * 4 * 2
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

"""Wilson's interval against the published formula's hand numbers."""

import numpy as np
import pytest

from vaslab.errors import UsageError
from vaslab.statistics import accuracy_interval


def test_wilson_by_its_formula() -> None:
    n, p, z = 200, 0.9, 1.959963984540054
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    found = accuracy_interval(180, 200)
    np.testing.assert_allclose([found.low, found.high], [centre - half, centre + half], rtol=1e-9)
    assert found.estimate.item() == 0.9
    assert found.n.item() == 200


def test_all_right_and_none_right_keep_a_width() -> None:
    np.testing.assert_allclose(accuracy_interval(10, 10).low, 1 / (1 + 1.959963984540054**2 / 10), rtol=1e-9)
    assert accuracy_interval(0, 10).high > 0.2


def test_no_items_and_impossible_counts() -> None:
    found = accuracy_interval(0, 0)
    assert np.isnan(found.estimate)
    assert found.attrs["reason"] == "no item was graded"
    with pytest.raises(UsageError, match="11 right of 10 items"):
        accuracy_interval(11, 10)

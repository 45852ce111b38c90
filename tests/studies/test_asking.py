from pathlib import Path

import pytest

from vaslab.benchmarks import Item
from vaslab.studies.asking import _kind_of

ITEM = Item(id="a", question="?", pictures=(Path("data/one.png"),))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("No picture at data/one.png; check the path.", "No picture at its path; check the path."),
        ("data/one.png is truncated; export it again.", "its picture is truncated; export it again."),
    ],
)
def test_an_error_is_counted_without_the_name_of_its_picture(error, kind):
    assert _kind_of(error, ITEM) == kind

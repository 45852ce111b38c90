"""Options in cells, and a guess that depends on nothing but the item."""

from collections import Counter

import pytest

from vaslab.benchmarks import options
from vaslab.benchmarks.item import BrokenItemError
from vaslab.benchmarks.rows import Row


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("['$6', \"it's\"]", ("$6", "it's")),
        (["a", 2, 0.5], ("a", "2", "0.5")),
        ("[]", ()),
        (None, ()),
    ],
)
def test_lists_and_their_texts_are_options(value, expected):
    assert options.option_list(value) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("['a', 'b'", "do not parse"),
        ("A: one, B: two", "do not parse"),
        ("__import__('os')", "do not parse"),
        ("{'A': 'one'}", "are a dict, not a list"),
        (7, "are a int, not a list"),
        ([["a"]], "an option is no text"),
        ([None], "an option is no text"),
        ([str(n) for n in range(27)], "27 options; there are 26 letters"),
    ],
)
def test_what_is_no_list_of_options_is_named(value, said):
    with pytest.raises(BrokenItemError, match=said):
        options.option_list(value)


def test_columns_of_letters_end_at_the_first_empty_one():
    assert options.option_columns(Row("here", {"A": "x", "B": 2, "C": None, "D": "y"})) == ("x", "2")
    assert options.option_columns(Row("here", {})) == ()


@pytest.mark.parametrize("answer", ["E", "AB", "", "?", "1"])
def test_an_answer_that_is_no_option_is_named(answer):
    with pytest.raises(BrokenItemError, match="none of the 4 options"):
        options.answer_letter(answer, "wxyz")


def test_a_guess_is_the_items_own_and_spreads_over_the_letters():
    # sha256sum of "validation_Math_5" begins with f5f3a7d4b2aa68a3, which is 3 modulo 4
    assert options.guessed_letter("validation_Math_5", "wxyz") == "D"
    counts = Counter(options.guessed_letter(f"item-{n}", "wxyz") for n in range(400))
    assert set(counts) == set("ABCD")
    # binomial of 400 at 1/4: five standard deviations are 43
    assert all(abs(count - 100) < 43 for count in counts.values())

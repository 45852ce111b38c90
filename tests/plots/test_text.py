"""Numbers and words as a reader sees them; foreign text stays text."""

import numpy as np
import pytest

from vaslab.plots.text import (
    axis_ticks,
    bound_words,
    escape,
    level_ticks,
    number,
    percent,
    points,
    ratio_text,
    ratio_ticks,
    round_ticks,
    shortened,
    text_width,
    unbroken,
    vas_words,
    wrapped,
)


def test_escape_leaves_no_markup_template_or_mathjax() -> None:
    assert escape('<b>"x"</b> %{y} $a$ &amp;') == '&lt;b&gt;"x"&lt;/b&gt; &#37;{y} &#36;a&#36; &amp;amp;'


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0, "0"),
        (0.0431, "0.043"),
        (0.434, "0.43"),
        (1.04, "1.0"),
        (8.23, "8.2"),
        (12.6, "13"),
        (4321, "4,321"),
        (np.nan, "–"),
        (4e-5, "4e-05"),
    ],
)
def test_number(value: float, word: str) -> None:
    assert number(float(value)) == word


def test_percent_points_and_ratios() -> None:
    assert [percent(v) for v in (0.0, 0.0004, 0.004, 0.14, 1.0)] == ["0%", "<0.1%", "0.4%", "14%", "100%"]
    assert [points(v) for v in (0.0412, -0.003)] == ["+4.1", "−0.3"]
    assert [ratio_text(p) for p in (-3, 0, 3, 12)] == ["1/8", "1", "8", "2<sup>12</sup>"]


def test_ticks() -> None:
    assert ratio_ticks(-3, 3, 9) == [-3, -2, -1, 0, 1, 2, 3]
    assert 0 in ratio_ticks(-7, 7, 6)
    assert axis_ticks(28, 672, 32) == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]
    assert axis_ticks(1, 400) == [0]


def test_wrapped_lines_fit_and_lose_no_word() -> None:
    text = "a finding with a rather long sentence " * 6 + "x" * 300
    lines = wrapped(text, 400, 20)
    assert all(text_width(line, 20) <= 400 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert wrapped("one two", 500, 20) == ["one two"]


def test_shortened_keeps_both_ends() -> None:
    short = shortened("/models/a-very-long-path/" * 5 + "step-400", 200, 14)
    assert text_width(short, 14) <= 200
    assert short.startswith("/mod")
    assert short.endswith("400")


def test_ticks_of_a_level_are_powers_of_two_or_round_ratios() -> None:
    assert level_ticks(-2.2, 1.5, 3) == [-2, 0]
    assert level_ticks(-2.2, 1.5, 5) == [-2, -1, 0, 1]
    np.testing.assert_allclose(2.0 ** np.array(level_ticks(-0.35, 0.3, 4)), [0.8, 1.0, 1.2])
    assert ratio_text(10) == "1,024"


def test_round_ticks_are_round_and_inside() -> None:
    assert round_ticks(14, 95, 4) == [25, 50, 75]
    assert round_ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert round_ticks(-3, 3, 3) == [-2, 0, 2]
    assert round_ticks(7, 7, 4) == [7]


def test_a_vas_is_named_by_its_form() -> None:
    assert vas_words("mean_of_ratios") == "VAS (mean of ratios)"
    assert vas_words("ratio_of_means", True) == "VAS (ratio of means, per token)"


def test_a_change_on_the_floor_is_a_bound() -> None:
    """A floored VAS is a lower bound: of 4 over 2, a floored 4 makes 2-fold the least, a floored 2 the most."""
    assert bound_words(2.0, (0.0, 0.5)) == "at least "
    assert bound_words(2.0, (0.5, 0.0)) == "at most "
    assert bound_words(0.5, (0.0, 0.5)) == "at most "
    assert bound_words(0.5, (0.5, 0.0)) == "at least "
    assert bound_words(2.0, (0.5, 0.5)) == "nominally "
    assert bound_words(2.0, (0.009, 0.0)) == ""


def test_a_long_list_of_runs_breaks_between_names_and_a_short_one_not_at_all() -> None:
    assert " " not in unbroken("Runs base, tuned.")
    names = ", ".join(f"runs-of-the-gallery-{at}" for at in range(12))
    lines = wrapped(unbroken(f"Runs {names}."), 500, 12.5)
    assert len(lines) > 2
    assert all(line.endswith((",", ".")) for line in lines)

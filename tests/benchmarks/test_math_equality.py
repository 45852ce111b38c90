"""Mathematical equality: expected verdicts are school mathematics; what is unbounded is ended."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from vaslab.benchmarks import math_equality
from vaslab.benchmarks.boxed import last_boxed
from vaslab.benchmarks.math_equality import same, value
from vaslab.benchmarks.quantity import Quantity, alike, quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.5", 2.5),
        ("-.5", -0.5),
        ("3/4", 0.75),
        ("1/0", None),
        ("\\frac{3}{4}", 0.75),
        ("\\frac34", 0.75),
        ("2\\sqrt{3}", 3.4641016151377544),
        ("3\\frac{1}{2}", 3.5),
        ("2\\pi", 6.283185307179586),
        ("2π", 6.283185307179586),
        ("50\\%", 0.5),
        ("1,000", 1000.0),
        ("5!", 120.0),
        ("", None),
        ("A", None),
        ("12\\mathrm{m}", None),
        ("2x", None),
        ("1 banana", None),
        ("\\frac{1}{0}", None),
        ("\\infty", None),
        ("9" * 400, None),
        ("9" * 400 + "/7", None),
        ("9" * 9000 + "/7", None),
        ("²", None),
        ("\ud800 1", None),
        ("a}{\\", None),
        ("[1,2]", None),
    ],
)
def test_value_is_the_number_that_a_text_denotes(text, number):
    found = value(text)
    assert found == (number if number is None else pytest.approx(number, rel=1e-12))


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("\\frac{x^2}{81}+\\frac{y^2}{9}=1", "\\frac{y^2}{9} + \\frac{x^2}{81} = 1", True),
        ("\\frac{x^2}{81}+\\frac{y^2}{9}=1", "\\frac{x^2}{9} + \\frac{y^2}{81} = 1", False),
        ("(x+1)^2", "x^2+2x+1", True),
        ("\\frac{1}{2}", "0.5", True),
        ("\\sqrt{8}", "2\\sqrt{2}", True),
        ("(2,-2)", "(2, -2)", True),
        ("(2,-2)", "(-2,2)", False),
        ("(-2,1]", "(-2, 1]", True),
        ("(-2,1]", "(-2,1)", False),
        ("\\{1,2\\}", "\\{2,1\\}", True),
        ("5", "x = 5", True),
        ("14", "14 cm", True),
        ("120^{\\circ}", "120°", True),
        ("25\\%", "0.25", True),
        ("2\\sqrt{3}", "2√3", True),
        ("50", "40 or 50", False),
        ("50", "it is about 50", False),
        ("50", "50 and more", False),
        ("A", "A", True),
        ("A", "B", False),
        ("", "", False),
        ("3", "", False),
        ("3", "I do not know", False),
        ("3", "3" * 5000, False),
    ],
)
def test_same_is_equality_in_mathematics(gold, answer, right):
    assert same(gold, answer) is right


@pytest.mark.parametrize(
    "ask",
    [
        lambda: value("10^{10^{10}}") is None,
        pytest.param(lambda: same("10^{10^{10}}!", "7") is not True, marks=pytest.mark.slow),
    ],
    ids=["value", "same"],
)
def test_what_takes_too_long_is_ended_and_the_next_question_is_answered(monkeypatch, ask):
    monkeypatch.setattr(math_equality, "SECONDS", 1)
    assert ask()
    monkeypatch.undo()
    assert value("\\frac{6}{4}") == 1.5


def test_an_interrupt_leaves_no_answer_behind(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(math_equality.select, "select", interrupted)
        with pytest.raises(KeyboardInterrupt):
            value("\\frac{7}{2}")
    assert value("\\frac{9}{2}") == 4.5


def test_threads_get_their_own_answers():
    """math-verify's own limit needs the main thread; this one does not."""
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(value, [f"\\frac{{{n}}}{{4}}" for n in range(12)])) == [n / 4 for n in range(12)]


def test_the_process_ends_with_the_program():
    told = subprocess.run(
        [sys.executable, "-c", "from vaslab.benchmarks import math_equality as m\n"
         "print(m.value('\\\\frac{1}{2}'), m._worker._process.pid)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    number, pid = told.stdout.split()
    assert (number, told.stderr) == ("0.5", "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0.5 m", Quantity(0.5, 1.0, "length")),
        ("50cm", Quantity(50.0, 0.01, "length")),
        ("$50 \\mathrm{~cm}^{2}$", Quantity(50.0, 1e-4, "length^2")),
        ("12 square units", Quantity(12.0, 1.0, "")),
        ("3 square meters", Quantity(3.0, 1.0, "length^2")),
        ("60^\\circ", Quantity(60.0)),
        ("60°", Quantity(60.0, 1.0, "angle")),
        ("2\\sqrt{3} \\text{ cm}", Quantity(3.4641016151377544, 0.01, "length")),
        ("17", Quantity(17.0)),
        ("17 apples", None),
        ("", None),
        ("cm", None),
    ],
)
def test_quantities_have_units(text, found):
    got = quantity(text)
    assert (got is None) is (found is None)
    if got is not None and found is not None:
        assert got.number == pytest.approx(found.number)
        assert got.unit == pytest.approx(found.unit)
        # a degree sign in LaTeX is part of the number, behind it it is a unit; both are angles of so many degrees
        assert got.dimension == found.dimension


@pytest.mark.parametrize(
    ("one", "other", "right"),
    [
        ("0.5 m", "50 cm", True),
        ("0.5 m", "50 g", False),
        ("1 m^2", "10000 cm^2", True),
        ("1 m^2", "100 cm", False),
        ("14", "14 cm", True),
        ("14", "0.14 m", False),
        ("60 minutes", "1 hour", True),
    ],
)
def test_quantities_are_compared_in_one_unit(one, other, right):
    ours, theirs = quantity(one), quantity(other)
    assert ours is not None
    assert theirs is not None
    assert alike(ours, theirs) is right


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\\boxed{\\frac{1}{2}} and \\boxed{ 3 }.", "3"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{1} but then \\boxed{2", "1"),
        ("\\fbox {x}", "x"),
        ("boxed{1}", None),
        ("", None),
    ],
)
def test_the_last_closed_box_counts(text, found):
    assert last_boxed(text) == found

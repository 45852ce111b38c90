"""A definition of VAS: the paper's where nothing is said, in words where it is printed, refused where it is none."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic_capture as made
from typer.testing import CliRunner

from vaslab.cli.figure import figures
from vaslab.errors import UsageError
from vaslab.metrics import PAPER, Definition, vas, vas_of


def test_the_defaults_are_the_papers() -> None:
    assert Definition() == PAPER
    assert (PAPER.queries, PAPER.form, PAPER.sink, PAPER.per_token) == (
        "user",
        "mean_of_ratios",
        "include",
        False,
    )
    np.testing.assert_array_equal(vas(made.hand()), vas_of(made.hand()))


def test_it_is_said_in_words() -> None:
    assert PAPER.name == "VAS (mean of ratios)"
    assert PAPER.formula == "VAS = attention on image tokens ÷ attention on system tokens"
    other = Definition("response", "ratio_of_means", "exclude", per_token=True)
    assert other.name == "VAS (ratio of means, without the first token, per token)"
    assert other.formula.endswith("system tokens without the first, each divided by its number of tokens")
    assert other.query_words == "response tokens"
    assert other.other_form == replace(other, form="mean_of_ratios")
    assert other.other_form.other_form == other


def test_the_attributes_of_a_vas_give_it_back() -> None:
    asked = Definition("user", "ratio_of_means", "exclude", True)
    assert Definition.of(vas_of(made.hand(), asked).attrs) == asked


def test_what_is_none_is_refused_when_it_is_made() -> None:
    with pytest.raises(UsageError, match=r"unknown form 'median'.*mean_of_ratios, ratio_of_means"):
        Definition(form="median")
    with pytest.raises(UsageError, match=r"sink is 'both'; expected 'include'"):
        Definition(sink="both")


@pytest.mark.parametrize("command", ["heads", "scatter", "correlation", "compare", "items", "training"])
def test_every_command_has_its_options_with_these_defaults(command: str) -> None:
    told = " ".join(CliRunner().invoke(figures, [command, "--help"], env={"COLUMNS": "200"}).output.split())
    for option in ("--queries", "--form", "--sink", "--per-token"):
        assert option in told
    assert f"[default: {PAPER.form}]" in told
    assert f"[default: {PAPER.sink}]" in told

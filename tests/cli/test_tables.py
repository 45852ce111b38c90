import json
import re
import shutil

import pytest

from vaslab.cli.tables import _cell, _failures, items_words
from vaslab.interventions import make_intervention as made


def found(estimate, low, high):
    return {"estimate": estimate, "low": low, "high": high, "n": 3}


@pytest.mark.parametrize(
    ("numbers", "scale", "decimals", "expected"),
    [
        ((2.601981, 2.6019810, 2.6019812), 1, 2, "2.60 [2.60–2.60]"),
        ((2.601981, 2.6018, 2.6022), 1, 2, "2.60198 [2.60180–2.60220]"),
        ((0.5, 0.4, 0.6), 100, 1, "50.0 [40.0–60.0]"),
        ((0.0, 0.0, 0.0), 100, 1, "0.0 [0.0–0.0]"),
        ((0.5, None, None), 100, 1, "50.0 (n = 3)"),
        ((None, None, None), 100, 1, "-"),
    ],
)
def test_an_interval_has_the_digits_that_it_tells_apart(numbers, scale, decimals, expected):
    assert _cell(found(*numbers), scale, decimals) == expected


def test_items_that_were_not_measured_are_counted():
    assert items_words(9, 9) == "9"
    assert items_words(9, 2) == "2 of 9"


def test_failures_are_one_sentence():
    failed = {"its picture is empty; give another.": 2, "no question": 1}
    assert _failures([{"failed": failed}]) == [
        "Not measured: 2 x its picture is empty; give another; 1 x no question."
    ]


@pytest.mark.tiny
def test_tables_say_how_many_items_their_numbers_rest_on(vaslab, a_run, tmp_path):
    shutil.copytree(a_run, tmp_path / "runs" / "six")
    path = tmp_path / "runs" / "six" / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_measured": 2}))
    assert "2 of 6" in vaslab("show", path.parent)[2]
    assert "2 of 6" in vaslab("ls", "runs", tmp_path / "runs")[2]
    row = json.loads(vaslab("ls", "runs", tmp_path / "runs", "--json")[1])[0]
    assert (row["n"], row["n_measured"]) == (6, 2)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "none"),
        ({"name": "blank picture"}, "blank picture"),
        (made("avar").to_dict() | {"name": "avar"}, "avar"),
        (made("vaf", alpha=0.4, layers=[1, 2]).to_dict() | {"name": "vaf"}, "vaf alpha=0.4 layers=1+2"),
        (made("block", heads=[(0, 1), (2, 3)]).to_dict() | {"name": "block"}, "block heads=2"),
        (
            {"name": "steer", "regions": "other", "queries": ["emitting"]},
            "steer queries=emitting regions=other",
        ),
    ],
)
def test_runs_are_listed_with_their_intervention(vaslab, a_run, tmp_path, told, words):
    shutil.copytree(a_run, tmp_path / "runs" / "six")
    path = tmp_path / "runs" / "six" / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intervention": told}))
    row = json.loads(vaslab("ls", "runs", tmp_path / "runs", "--json")[1])[0]
    assert row["intervention"] == told
    err = vaslab("ls", "runs", tmp_path / "runs")[2]
    cells = [cell.strip() for line in err.splitlines() for cell in re.split("[│┃]", line)]
    assert "intervention" in cells
    assert words in cells


def test_a_piped_table_does_not_fold(capfd):
    from vaslab.cli.console import table

    table("", ["a", "b"], [["x" * 100, "y" * 100]])
    assert "x" * 100 + " │ " + "y" * 100 in capfd.readouterr().err


@pytest.mark.tiny
@pytest.mark.parametrize("width", [200, 80])
def test_on_a_narrow_terminal_a_run_is_a_column_and_no_number_is_torn(a_run, capfd, monkeypatch, width):
    from rich.console import Console

    from vaslab.cli import console, tables
    from vaslab.studies.run import read_summary

    narrow = Console(stderr=True, highlight=False, width=width)
    monkeypatch.setattr(console, "console", lambda: narrow)
    monkeypatch.setattr(tables, "console", lambda: narrow)
    # at 80 columns two runs stand beside each other, and the third below them
    tables.runs_table([read_summary(a_run) | {"model": name} for name in ("one", "two", "three")])
    told = capfd.readouterr().err
    for number in ("accuracy %", "chance %", "VAS (ratio of means)", "visual mass %"):
        assert number in told
    shown = [line for line in told.splitlines() if line.startswith("│")]
    assert len(shown) == (3 if width == 200 else 20)
    chance = f"{100 * read_summary(a_run)['chance']:.1f}"
    assert sum(line.count(f" {chance} ") for line in shown) == 3
    assert told.count("With 95 % intervals") == 1

"""`vaslab compare`, `vaslab report` and the figures of several runs, on real runs and on copies that were changed."""

import json
import shutil

import pytest

pytestmark = pytest.mark.tiny


@pytest.fixture
def four(a_run, tmp_path):
    """The run, and copies whose answers were graded otherwise: 0 to 3 of 6 right."""
    folders = []
    for right in range(4):
        folder = tmp_path / f"run-{right}"
        shutil.copytree(a_run, folder)
        rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
        for number, row in enumerate(rows):
            row["right"] = number < right
        (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        folders.append(folder)
    return folders


def test_two_runs_side_by_side(vaslab, four, tmp_path):
    out = tmp_path / "figures"
    code, told, err = vaslab("compare", four[0], four[2], "--out", out, "--format", "html")
    assert (code, told) == (0, f"{out}/compare.html\n")
    assert "+33.3 points" in err
    assert "2 fixed, 0 broken" in err
    assert "x1.00 [1.00–1.00]" in err
    assert "0 heads changed their VAS" in err
    assert {path.name for path in out.glob("*.csv")} == {"compare.csv", "decomposition.csv"}


def test_runs_that_do_not_align_are_refused_before_anything_is_written(vaslab, four, tmp_path, tiny):
    other = tmp_path / "other"
    assert (
        vaslab("measure", "-m", tiny, "-d", "glyph", "-n", "3", "-o", other, "--max-new-tokens", "2")[0] == 0
    )
    code, told, err = vaslab("compare", four[0], other, "--out", tmp_path / "none")
    assert (code, told) == (2, "")
    assert "the runs do not align: 3 items are only in the first" in err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("figure", ["compare", "decomposition"])
def test_figures_of_two_runs(vaslab, four, tmp_path, figure):
    code, told, _ = vaslab("figure", figure, four[0], four[1], "--out", tmp_path, "--format", "html")
    assert (code, told) == (0, f"{tmp_path}/{figure}.html\n")
    assert (tmp_path / f"{figure}.csv").is_file()


def test_scatter_of_runs_without_spread_in_vas_says_so(vaslab, four, tmp_path):
    code, told, _ = vaslab("figure", "scatter", *four, "--out", tmp_path, "--format", "html")
    assert (code, told) == (0, f"{tmp_path}/scatter.html\n")
    assert "These checkpoints do not differ" in (tmp_path / "scatter.html").read_text()


def test_sensitivity_needs_four_runs(vaslab, four):
    code, _, err = vaslab("figure", "sensitivity", *four[:3])
    assert code == 1
    assert "no r is given for fewer than 4" in err


def test_a_report_on_one_page(vaslab, four, tmp_path):
    page = tmp_path / "reports" / "all.html"
    code, told, _ = vaslab("report", *four, "--out", page)
    assert (code, told) == (0, f"{page}\n")
    text = page.read_text()
    assert "run-3" in text
    assert "Provenance" in text
    code, _, err = vaslab("report", *four, "--out", tmp_path)
    assert code == 2
    assert "name a file" in err


def test_a_damaged_run_is_named(vaslab, four):
    (four[0] / "items.jsonl").write_text("{torn\n")
    code, _, err = vaslab("compare", four[0], four[1])
    assert code == 1
    assert f"{four[0]}/items.jsonl cannot be read" in err

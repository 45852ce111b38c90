"""`vaslab compare`, `vaslab report` and the figures of several runs, on real runs and on copies that were changed."""

import json
import re
import shutil

import pandas as pd
import pytest

pytestmark = pytest.mark.tiny


def of_revision(folder, revision, **more):
    """Let a copy of a run say that its checkpoint has this hash."""
    path = folder / "capture.zarr" / "zarr.json"
    held = json.loads(path.read_text())
    held["attributes"] |= {"revision": revision, **more}
    path.write_text(json.dumps(held))


@pytest.fixture
def four(a_run, tmp_path):
    """The run as four checkpoints, whose answers were graded otherwise: 0 to 3 of 6 right."""
    folders = []
    for right in range(4):
        folder = tmp_path / f"run-{right}"
        shutil.copytree(a_run, folder)
        rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
        for number, row in enumerate(rows):
            row["right"] = number < right
        (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        of_revision(folder, f"sha256:{right}")
        folders.append(folder)
    return folders


def test_two_runs_side_by_side(vaslab, four, tmp_path):
    out = tmp_path / "figures"
    code, told, err = vaslab("compare", four[0], four[2], "--out", out, "--format", "html")
    assert (code, told) == (0, f"{out}/compare.html\n")
    assert "+33.3 points" in err
    assert "2 fixed, 0 broken" in err
    assert "x1.00 [1.00–1.00]" in err
    assert "VAS (mean of ratios)" in err
    assert "VAS (ratio of means)" in err
    assert "0 heads changed their VAS" in err
    # both levels of each form and mass with their intervals, beside the change with its own
    for row in ("VAS (mean of ratios)", "VAS (ratio of means)", "visual mass %", "system mass %"):
        (line,) = [line for line in err.splitlines() if row in line]
        assert len(re.findall(r" [\d.,]+ \[[\d.,]+–[\d.,]+\]", line)) == 2, line
    assert {path.name for path in out.glob("*.csv")} == {"compare.csv", "decomposition.csv"}


def test_one_item_has_changes_and_no_test(tiny, vaslab, tmp_path):
    runs = [tmp_path / name for name in ("one", "two")]
    for place in runs:
        words = ["-m", tiny, "-d", "glyph", "-n", "1", "-o", place, "--max-new-tokens", "3"]
        assert vaslab("measure", *words)[0] == 0
    of_revision(runs[1], "sha256:other")
    code, _, err = vaslab("compare", *runs, "--format", "html")
    assert code == 0
    assert err.count("(too few items)") == 5
    assert "nan" not in err


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


def test_the_same_checkpoint_under_two_names_is_refused(vaslab, four):
    of_revision(four[3], "sha256:1")
    for command in (("figure", "scatter"), ("figure", "sensitivity"), ("figure", "correlation"), ("report",)):
        code, told, err = vaslab(*command, *four)
        assert (code, told) == (2, "")
        assert "run-1 and run-3 are the same checkpoint (revision sha256:1)" in err
        assert err.count("\n") == 1
    of_revision(four[3], "sha256:3", data="easy-vqa")
    code, _, err = vaslab("figure", "scatter", *four)
    assert code == 2
    assert "run-3 on easy-vqa: r would compare data sets, not checkpoints" in err


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
    # a confounder by name, though one model in four copies has as many in each
    assert "The same for all checkpoints, so that r cannot come of it: " in text
    assert "parameters" in text.split("so that r cannot come of it: ")[1].split(".")[0]
    path = four[0] / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "parameters": None}))
    assert vaslab("report", four[0], four[1], "--out", page)[0] == 0
    code, _, err = vaslab("report", *four, "--out", tmp_path)
    assert code == 2
    assert "name a file" in err


def test_a_report_measures_answers_again_where_it_is_asked_to(vaslab, a_run, tmp_path):
    page = tmp_path / "report.html"
    code, _, err = vaslab("report", a_run, "--answers", "3", "--out", page)
    assert code == 0, err
    text = page.read_text()
    assert "Does attention on the image decay along the answer?" in text
    assert "Which heads look at what was asked for?" in text


def test_attention_along_answers_and_on_what_is_asked_for(vaslab, a_run, tmp_path):
    words = (a_run, "--limit", "3", "--out", tmp_path, "--format", "html")
    code, told, err = vaslab("figure", "forgetting", *words)
    assert (code, told) == (0, f"{tmp_path}/forgetting.html\n"), err
    table = pd.read_csv(tmp_path / "forgetting.csv")
    assert table["n"].max() == 3
    assert table["share"].dropna().between(0, 1).all()
    code, told, err = vaslab("figure", "localisation", *words)
    assert (code, told) == (0, f"{tmp_path}/localisation.html\n"), err
    table = pd.read_csv(tmp_path / "localisation.csv")
    assert len(table) == 2 * 4
    assert table["n_items"].unique().tolist() == [3]


def test_a_damaged_run_is_named(vaslab, four):
    (four[0] / "items.jsonl").write_text("{torn\n")
    code, _, err = vaslab("compare", four[0], four[1])
    assert code == 1
    assert f"{four[0]}/items.jsonl cannot be read" in err


def test_a_table_of_items_of_two_runs(vaslab, four, tmp_path):
    code, told, err = vaslab("figure", "items", four[0], four[2], "--out", tmp_path, "--format", "html")
    assert (code, told) == (0, f"{tmp_path}/items.html\n"), err
    page = (tmp_path / "items.html").read_text()
    assert "fixes 2 and breaks 0 of 6 items" in page
    assert "data:image" in page
    table = pd.read_csv(tmp_path / "items.csv")
    assert table["outcome"].value_counts().to_dict() == {"wrong in both": 4, "fixed": 2}
    code, _, err = vaslab("figure", "items", four[0], four[2], "--filter", "best")
    assert code == 2
    assert "expected one of largest, fixed, broken" in err


def test_the_tokens_of_an_answer(vaslab, a_run, tmp_path):
    code, told, err = vaslab("figure", "tokens", a_run, "--out", tmp_path, "--format", "html")
    assert (code, told) == (0, f"{tmp_path}/tokens.html\n"), err
    rows = [json.loads(line) for line in (a_run / "items.jsonl").read_text().splitlines()]
    table = pd.read_csv(tmp_path / "tokens.csv")
    assert table["layer"].nunique() == 2
    assert len(table) == 2 * rows[0]["n_tokens"] or "were generated" in err
    code, _, err = vaslab("figure", "tokens", a_run, "--item", "nobody")
    assert code == 3
    assert "holds no item 'nobody'" in err


def at_step(folder, step):
    """Let a copy of a run say that its checkpoint was at this training step."""
    summary = json.loads((folder / "summary.json").read_text())
    summary["model"] = f"sft/state/checkpoint-{step}"
    (folder / "summary.json").write_text(json.dumps(summary))


def test_a_training_run_of_its_checkpoints(vaslab, four, tmp_path):
    for number, folder in enumerate(four[1:], start=1):
        at_step(folder, 100 * number)
    code, told, err = vaslab("figure", "training", *four, "--out", tmp_path, "--format", "html")
    assert (code, told) == (0, f"{tmp_path}/training.html\n"), err
    assert sorted(set(pd.read_csv(tmp_path / "training.csv")["step"])) == [0, 100, 200, 300]
    words = ("figure", "training", *four, "--out", tmp_path, "--format", "html", "--steps")
    assert vaslab(*words, "0,1,2,8")[0] == 0
    assert sorted(set(pd.read_csv(tmp_path / "training.csv")["step"])) == [0, 1, 2, 8]
    code, _, err = vaslab(*words, "0,1")
    assert code == 2
    assert "expected 4 whole numbers by commas" in err
    code, _, err = vaslab(*words, "0,1,2,2")
    assert "two runs are of one training step" in err


def test_a_run_without_a_step_is_asked_for_it(vaslab, four):
    code, _, err = vaslab("figure", "training", four[0], four[1])
    assert code == 2
    assert "does not say at which training step" in err


def test_the_log_of_a_trainer(vaslab, tmp_path):
    state = tmp_path / "sft" / "state"
    for step in (9, 10):
        (state / f"checkpoint-{step}").mkdir(parents=True)
        log = [
            {"step": at, "agto/vas": 1.0 + at * step, "agto/visual_mass": 0.2} for at in range(1, step + 1)
        ]
        (state / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps({"log_history": log}))
    code, told, err = vaslab("figure", "training-log", tmp_path / "sft", "--format", "html")
    assert (code, told) == (0, f"{tmp_path}/sft/figures/training-log.html\n"), err
    table = pd.read_csv(tmp_path / "sft" / "figures" / "training-log.csv")
    assert table["vas"].iloc[-1] == 101  # of the newest state, by number and not by name
    code, _, err = vaslab("figure", "training-log", tmp_path)
    assert code == 3
    (state / "checkpoint-10" / "trainer_state.json").write_text("{}")
    code, _, err = vaslab("figure", "training-log", tmp_path / "sft")
    assert code == 1
    assert "is no state of a trainer" in err

"""A study of system prompts, drawn and reported, on a real study."""

import pytest

from vaslab.cli.app import app
from vaslab.cli.exits import run

pytestmark = pytest.mark.tiny

SYSTEMS = """
systems:
  - {label: own}
  - {label: empty, text: ""}
  - {label: look, text: "Look at the image before you answer, and look at it again when you are done."}
"""


@pytest.fixture(scope="module")
def a_study(tiny, tmp_path_factory):
    """One model, three system prompts, four items."""
    folder = tmp_path_factory.mktemp("study")
    file = folder / "prompts.yaml"
    file.write_text(
        f"models: [{{name: {tiny}, label: tiny}}]\ndata: [glyph]\nlimit: 4\nmax_new_tokens: 2\nout: {folder / 'out'}\n"
        + SYSTEMS
    )
    assert run(app, ["study", str(file)]) == 0
    return folder / "out"


def test_vas_and_accuracy_by_system_prompt(vaslab, a_study, tmp_path):
    import pandas as pd

    code, told, err = vaslab("figure", "system-prompts", a_study, "--out", tmp_path, "--format", "html")
    assert (code, told) == (0, f"{tmp_path}/system-prompts.html\n"), err
    table = pd.read_csv(tmp_path / "system-prompts.csv")
    assert table["prompt"].tolist() == ["own", "empty", "look"]
    assert table["checkpoint"].unique().tolist() == ["tiny"]
    tokens = dict(zip(table["prompt"], table["system_tokens"], strict=True))
    assert tokens["empty"] < tokens["own"] < tokens["look"]
    assert table["vas_ratio"].iloc[0] == 1
    words = ("figure", "system-prompts", a_study, "--out", tmp_path, "--format", "html", "--reference")
    assert vaslab(*words, "look")[0] == 0
    assert pd.read_csv(tmp_path / "system-prompts.csv")["prompt"].iloc[0] == "look"
    code, _, err = vaslab(*words, "long")
    assert code == 2
    assert "was not measured under the system prompt 'long'" in err


def test_the_report_answers_for_system_prompts(vaslab, a_study, tmp_path):
    page = tmp_path / "report.html"
    code, _, err = vaslab("report", a_study, "--out", page)
    assert code == 0, err
    text = page.read_text()
    assert "What do other system prompts change?" in text
    assert "system-prompt" in text or "system prompt moves" in text or "No system prompt clearly" in text


def test_runs_of_one_study_are_named_by_prompt_too(vaslab, a_study):
    runs = sorted((a_study / "runs").iterdir())
    code, _, err = vaslab("report", *runs, runs[0])
    assert code == 2
    assert "a run is named twice" in err


def test_a_run_that_is_not_finished_is_left_out(vaslab, a_study, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(a_study, copy)
    (copy / "runs" / "tiny-glyph-look" / "summary.json").unlink()
    code, _, err = vaslab("figure", "system-prompts", copy, "--out", tmp_path, "--format", "html")
    assert code == 0
    assert "tiny-glyph-look is not finished, and is left out" in err

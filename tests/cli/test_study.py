import json
import os
from pathlib import Path

import pandas as pd
import pytest

from vaslab.errors import VaslabError

HERE = Path(__file__).parent

pytestmark = pytest.mark.tiny


@pytest.fixture
def study(tmp_path):
    """Write a study file into a folder of its own."""

    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text + f"\nout: {tmp_path / 'out'}\nmax_new_tokens: 2\n")
        return path

    return write


def test_a_study_makes_run_folders_and_one_table(vaslab, study, tiny, tmp_path):
    out = tmp_path / "out"
    file = study(f"models: [{{name: {tiny}, label: tiny}}]\ndata: [glyph, easy-vqa]\nlimit: 3")
    code, told, err = vaslab("study", file, "--dry-run")
    assert code == 0, err
    assert not out.exists()
    plan = {run["run"]: run for run in json.loads(told)["runs"]}
    assert list(plan) == ["tiny-glyph", "tiny-easy-vqa"]
    glyph = plan["tiny-glyph"]
    assert (glyph["n_items"], glyph["n_done"], glyph["n_batches"]) == (3, 0, 1)
    # of 2 layers and 4 heads: mass on 8 key roles, and three more numbers, as float32
    assert glyph["capture_bytes"] == 3 * 2 * 4 * (8 + 3) * 4
    assert glyph["answer_tokens_at_most"] == 3 * 2
    assert glyph["prompt_tokens_items"] == 3
    # no rate was measured, so none is told
    assert glyph["seconds"] is None
    assert "No rate is known of 2 runs" in err

    code, told, err = vaslab("study", file)
    assert (code, told) == (0, f"{out}\n"), err
    assert {path.name for path in out.iterdir()} == {"runs", "study.yaml", "table.csv", "table.parquet"}
    table = pd.read_csv(out / "table.csv")
    assert table["run"].tolist() == ["tiny-glyph", "tiny-easy-vqa"]
    assert table["n"].tolist() == [3, 3]
    assert (table["chance"] > 0.1).all()
    assert "chance %" in err
    rows = [
        json.loads(line) for line in (out / "runs" / "tiny-glyph" / "items.jsonl").read_text().splitlines()
    ]
    # what was encoded for the estimate is what the model was asked
    assert [row["error"] for row in rows] == ["", "", ""]

    before = (out / "table.parquet").read_bytes()
    code, _, err = vaslab("study", file)
    assert code == 0
    assert err.count("is complete; nothing to do") == 2
    assert (out / "table.parquet").read_bytes() == before
    plan = json.loads(vaslab("study", file, "--dry-run")[1])["runs"]
    assert [(run["n_done"], run["seconds"]) for run in plan] == [(3, 0.0), (3, 0.0)]

    # other items are another study: nothing of this one is written over
    settled = (out / "study.yaml").read_bytes()
    code, told, err = vaslab("study", file, "--limit", "4")
    assert (code, told) == (2, "")
    assert "holds a run of another config: limit is 3 there and 4 here" in err
    assert "1 more runs likewise" in err
    assert (out / "study.yaml").read_bytes() == settled
    assert (out / "table.parquet").read_bytes() == before


def test_rows_of_complete_runs_stay_while_a_new_one_is_tried(vaslab, study, tiny, tmp_path, monkeypatch):
    tables = tmp_path / "out" / "table.csv"
    assert vaslab("study", study(f"models: [{{name: {tiny}, label: tiny}}]\ndata: [glyph]\nlimit: 1"))[0] == 0
    seen = []

    def tried(run, **_):
        seen.append(pd.read_csv(tables)["run"].tolist())
        raise KeyboardInterrupt

    monkeypatch.setattr("vaslab.studies.study.measure", tried)
    more = f"models: [{{name: {tiny}, label: other}}, {{name: {tiny}, label: tiny}}]\ndata: [glyph]\nlimit: 1"
    assert vaslab("study", study(more))[0] == 130
    assert seen == [["tiny-glyph"]]
    assert pd.read_csv(tables)["accuracy"].notna().tolist() == [True]

    def failed(run, **_):
        raise VaslabError("no room")

    monkeypatch.setattr("vaslab.studies.study.measure", failed)
    assert vaslab("study", study(more))[0] == 1
    table = pd.read_csv(tables).set_index("run")
    assert table.loc["tiny-glyph", "accuracy"] >= 0
    assert table["error"].tolist() == ["no room", "no room"]
    assert pd.isna(table.loc["other-glyph", "accuracy"])


def test_a_run_that_fails_is_named_and_the_others_go_on(vaslab, study, tiny, tmp_path):
    models = f"models: [{{name: ./nowhere, label: gone}}, {{name: {tiny}, label: tiny}}]"
    systems = "systems: [{label: own}, {label: short, text: Be brief.}]"
    code, told, err = vaslab("study", study(f"{models}\ndata: [{{name: glyph, limit: 2}}]\n{systems}"))
    assert (code, told) == (1, "")
    assert "there is no model folder ./nowhere" in err
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: 2 of 4 runs failed (gone-glyph-own, gone-glyph-short)")
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert table["accuracy"].notna().tolist() == [False, False, True, True]
    assert table["error"].notna().tolist() == [True, True, False, False]
    asked = [
        json.loads((tmp_path / "out" / "runs" / name / "items.jsonl").read_text().splitlines()[0])["system"]
        for name in ("tiny-glyph-own", "tiny-glyph-short")
    ]
    assert asked == [None, "Be brief."]


@pytest.mark.parametrize(
    ("text", "words", "code", "said"),
    [
        ("modles: [a]\ndata: [glyph]", (), 2, "did you mean 'models'?"),
        ("models: [a]\ndata: [glyphs]", (), 2, "did you mean 'glyph'?"),
        ("models: [a]\ndata: [gone.jsonl]", (), 3, "no data file at gone.jsonl"),
        ("models: [a]\ndata: [glyph]", ("--limit", "0"), 2, "--limit"),
        ("models: [a]\ndata: [glyph]", ("--out", __file__), 2, "is a file"),
        ("models: [a]\ndata: [glyph]", ("--out", str(HERE)), 2, "holds other files"),
    ],
)
def test_a_wrong_study_ends_before_anything_is_loaded(vaslab, study, tmp_path, text, words, code, said):
    got, told, err = vaslab("study", study(text), *words)
    assert (got, told) == (code, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "out").exists()


def test_several_processes_do_not_overwrite(vaslab, monkeypatch, tiny, tmp_path):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = vaslab("measure", "-m", tiny, "-d", "glyph", "-n", 2, "-o", tmp_path / "x", "--overwrite")
    assert code == 2
    assert "one would delete what another has begun" in err


def test_a_rate_is_what_was_measured(tmp_path):
    from vaslab.studies.cost import measured_rate

    assert measured_rate(tmp_path, 4) is None
    shards = tmp_path / "shards"
    shards.mkdir()
    # batches of four items: 2 s, 2 s, a pause of 100 s between two calls, 4 s
    for number, second in enumerate((10, 12, 14, 114, 118)):
        (shards / f"{number:05d}.npz").touch()
        os.utime(shards / f"{number:05d}.npz", (second, second))
    rate, words = measured_rate(tmp_path, 4)
    assert rate == 3 / 4
    assert "median of 4 batches" in words
    for name in ("config.yaml", "summary.json"):
        (tmp_path / name).touch()
    (tmp_path / "capture.zarr").mkdir()
    sessions = [{"seconds": 10.0, "items": {"0": 3, "1": 1}}, {}, {"seconds": 2.0, "items": {"0": 4}}]
    (tmp_path / "environment.json").write_text(json.dumps({"sessions": sessions}))
    assert measured_rate(tmp_path, 4)[0] == 12 / 8

"""`vaslab intervene` as a user meets it."""

import json


def test_a_file_that_is_not_there(vaslab, tmp_path):
    code, told, err = vaslab("intervene", tmp_path / "none.yaml")
    assert (code, told) == (3, "")
    assert "cannot be read" in err


def test_an_unknown_intervention_is_a_wrong_call(vaslab, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text("models: [organism:base]\ndata: [glyph]\ninterventions: [blok]\n")
    code, told, err = vaslab("intervene", file)
    assert (code, told) == (2, "")
    assert "did you mean 'block'?" in err


def test_interventions_are_listed_with_their_defaults(vaslab):
    code, told, err = vaslab("ls", "interventions", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(told)}
    assert rows["avar"]["defaults"]["beta"] == 0.05
    assert rows["enhance"]["defaults"]["beta"] == 0
    assert rows["vaf"]["defaults"]["layers"] == "middle"
    assert rows["avar"]["none"] == rows["reweight"]["none"] == {"alpha": 0, "beta": 0}
    assert rows["pai"]["none"] == {"alpha": 0, "gamma": 1}
    assert rows["steer"]["defaults"]["bias"] == 1e4
    assert rows["block"]["defaults"]["keys"] == ["image", "video"]
    assert "all heads or those given" in rows["ablate"]["changes"]
    code, told, err = vaslab("ls", "interventions")
    words = " ".join(err.split())
    assert "defaults" in words


def test_a_sweep_prints_its_folder_and_its_verdicts(vaslab, tmp_path, tiny, monkeypatch):
    """Without a browser: figures are HTML then, and told so."""
    monkeypatch.setattr("vaslab.plots.export.browser", lambda: None)
    monkeypatch.setattr("vaslab.plots.export._server_path", None)
    file = tmp_path / "sweep.yaml"
    file.write_text(
        f"models: [{{name: {tiny}, label: tiny}}]\n"
        "data: [{name: easy-vqa, limit: 4, max_new_tokens: 2}]\n"
        "interventions: [{name: enhance, vary: {alpha: [0.5]}}]\n"
        "side_items: 0\n"
    )
    code, told, err = vaslab("intervene", file, "--out", tmp_path / "out")
    assert (code, told.strip()) == (0, str(tmp_path / "out"))
    assert "tiny on easy-vqa" in err
    assert "enhance alpha=0.5: no change of accuracy shown" in err
    assert "tiny on easy-vqa: side effects" in err
    # none of 4 pictures changed: t^2 / (4 + t^2) with Student's quantile 3.182 is 71.7 %
    assert "0.0; +0.0 [-71.7, +71.7]" in err
    drawn = {path.name for path in (tmp_path / "out/figures").iterdir()}
    assert drawn == {f"{stem}.{kind}" for stem in ("sweep", "dose", "sides") for kind in ("html", "csv")} | {
        "plotly.min.js"
    }
    code, told, err = vaslab(
        "figure", "sweep", tmp_path / "out", "--out", tmp_path / "again", "--dark", "-f", "html"
    )
    assert (code, told.strip()) == (0, str(tmp_path / "again/sweep.html"))
    first, again = ((tmp_path / folder / "dose.csv").read_text() for folder in ("out/figures", "again"))
    assert first == again


def test_a_folder_that_is_no_sweep(vaslab, tmp_path):
    code, told, err = vaslab("figure", "sweep", tmp_path)
    assert (code, told) == (3, "")
    assert "holds no table.parquet" in err

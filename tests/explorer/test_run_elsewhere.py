"""A run of own data or of a local model is explored from another folder, and after it was moved."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from vaslab.explorer.pictures import from_data_uri
from vaslab.explorer.runs import open_run
from vaslab.explorer.view import State, View
from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import measure

from .conftest import picture

pytestmark = pytest.mark.tiny

STATE = State(0, "user", "item", (1, 2))


@pytest.fixture(scope="module")
def made(models, tmp_path_factory):
    """A folder with a model, data and a run, all named relative to it."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(models[0], folder / "m")
    picture(56, 56, folder / "red.png")
    row = {"id": "one", "image": "red.png", "question": "what is red?"}
    (folder / "own.jsonl").write_text(json.dumps(row) + "\n")
    before = Path.cwd()
    os.chdir(folder)
    try:
        measure(MeasureConfig(model="m", out="run", data="own.jsonl", max_new_tokens=2))
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def mine(made, tmp_path):
    """The same, to be changed; the run says it was measured there."""
    folder = Path(shutil.copytree(made, tmp_path / "mine"))
    noted(folder / "run", measured_in=str(folder))
    return folder


def noted(run, **resolved):
    path = run / "config.yaml"
    held = yaml.safe_load(path.read_text())
    held["resolved"] = {
        name: value for name, value in {**held["resolved"], **resolved}.items() if value is not None
    }
    path.write_text(yaml.safe_dump(held))


def told(run):
    view = View([open_run(run)])
    return view.attention(STATE)["attention"][0], view.pictures(0)["pictures"][0]


def test_relative_names_start_where_the_run_was_measured(made, elsewhere):
    held = yaml.safe_load((made / "run" / "config.yaml").read_text())
    assert (held["data"], held["model"]) == ("own.jsonl", "m")
    assert held["resolved"]["measured_in"] == str(made)
    found, shown = told(made / "run")
    assert found["state"] == "full"
    assert found["agreement"].startswith("agrees")
    assert shown["src"].startswith("data:image/png")


def test_namesakes_in_the_working_folder_hide_nothing(made, models, elsewhere):
    """Another model, other data and another picture under the run's own names."""
    shutil.copytree(models[1], elsewhere / "m")
    Image.new("RGB", (56, 56), (0, 90, 0)).save(elsewhere / "red.png")
    row = {"id": "one", "image": "red.png", "question": "what is red?"}
    (elsewhere / "own.jsonl").write_text(json.dumps(row) + "\n")
    own = told(made / "run")
    assert own[0]["agreement"].startswith("agrees")
    assert np.asarray(from_data_uri(own[1]["src"]))[20, 39].tolist() == [200, 30, 40]


@pytest.mark.parametrize("changed", [{"question": "what is green?"}, {"image": "green.png"}])
def test_data_that_are_not_the_runs_are_said_to_be_none_of_it(mine, elsewhere, changed):
    """The run's own are gone, and others of their name lie in the working folder."""
    noted(mine / "run", measured_in="/nowhere/at/all")
    shutil.copytree(mine / "m", elsewhere / "m")
    row = {"id": "one", "image": "red.png", "question": "what is red?"} | changed
    picture(56, 56, elsewhere / row["image"])
    (elsewhere / "own.jsonl").write_text(json.dumps(row) + "\n")
    found, shown = told(mine / "run")
    assert found["state"] == "none"
    words = "own.jsonl on this disk holds no item one with this question and picture"
    assert words in found["note"]
    assert words in shown["name"]
    assert shown["src"] == ""


def test_a_picture_that_was_painted_over_is_told_by_its_masses(mine, elsewhere):
    Image.new("RGB", (56, 56), (0, 90, 0)).save(mine / "red.png")
    found, _ = told(mine / "run")
    assert found["state"] == "full"
    assert found["differs"]
    assert found["agreement"].startswith("DIFFERS from the stored mass of this head")


def test_a_moved_run_still_finds_them(made, elsewhere):
    shutil.copytree(made / "run", elsewhere / "copy")
    assert told("copy")[0]["state"] == "full"


def test_a_project_moved_as_a_whole_is_explored_from_its_folder(mine, monkeypatch):
    noted(mine / "run", measured_in="/nowhere/at/all")
    monkeypatch.chdir(mine)
    assert told("run")[0]["state"] == "full"


def test_what_is_in_neither_folder_is_said_with_both(mine, elsewhere):
    (mine / "own.jsonl").rename(mine / "other.jsonl")
    found, shown = told(mine / "run")
    assert found["state"] == "none"
    where = f"it was looked for in {elsewhere} and in {mine}, where the run was measured"
    assert f"no data file at own.jsonl; {where}" in found["note"]
    assert shown["name"].startswith("picture not there: no data file at own.jsonl")
    (mine / "other.jsonl").rename(mine / "own.jsonl")
    (mine / "m").rename(mine / "gone")
    found, _ = told(mine / "run")
    assert found["state"] == "none"
    assert "there is no model folder m; it was looked for in" in found["note"]


def test_a_run_of_before_says_that_its_folder_is_not_known(mine, elsewhere, monkeypatch):
    noted(mine / "run", measured_in=None)
    found, _ = told(mine / "run")
    assert found["state"] == "none"
    assert "start where the run was measured" in found["note"]
    monkeypatch.chdir(mine)
    assert told("run")[0]["state"] == "full"


def test_names_of_benchmarks_models_and_pictures(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    there = tmp_path / "there"
    for name in ("glyph", "organism:base", "table.tsv", "own.jsonl", "a.png", "m"):
        path = there / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    Path("own.jsonl").touch()

    def seen(**options):
        config = MeasureConfig(**{"model": "organism:base", "out": "x", **options})
        return config.seen_from(there)

    # names that come with vaslab stay, whatever a folder holds
    assert (seen(data="glyph").model, seen(data="glyph").data) == ("organism:base", "glyph")
    assert seen(data="mathvista:table.tsv").data == f"mathvista:{there}/table.tsv"
    assert seen(data="mathvista:hub:a/b").data == "mathvista:hub:a/b"
    assert seen(data="mathvista").data == "mathvista"
    # what lies where the run was measured is its own, whatever lies here; else what lies here is left as it is
    assert seen(data="own.jsonl").data == f"{there}/own.jsonl"
    Path("here.jsonl").touch()
    assert seen(data="here.jsonl").data == "here.jsonl"
    assert seen(data="glyph", model="m").model == f"{there}/m"
    assert seen(data="glyph", model="a/b").model == "a/b"
    assert seen(image=("a.png", "/b.png"), question="?").image == (f"{there}/a.png", "/b.png")

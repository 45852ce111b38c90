"""A run that is to be replaced stays until the new one has something to show."""

import json
import subprocess
import sys

import pytest

from vaslab.errors import UsageError
from vaslab.studies.config import MeasureConfig
from vaslab.studies.run import RunFolder

CONFIG = MeasureConfig("m", "out", data="glyph").to_dict()
ENVIRONMENT = {"fixed": {}, "sessions": []}


def create(folder, command="old", overwrite=False):
    folder.create(CONFIG, {}, ENVIRONMENT | {"sessions": [command]}, None, overwrite)


@pytest.fixture
def old(tmp_path):
    folder = RunFolder(tmp_path / "run")
    create(folder)
    return folder


def command_of(folder):
    return json.loads((folder.path / "environment.json").read_text())["sessions"][0]


def beside(folder):
    return [path.name for path in folder.path.parent.iterdir() if path != folder.path]


def test_a_new_run_that_fails_brings_the_old_one_back(old):
    def fail():
        create(old, "new", overwrite=True)
        assert command_of(old) == "new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), old.replacing():
        fail()
    assert command_of(old) == "old"
    assert beside(old) == []


def test_with_a_batch_to_show_the_new_one_stays(old):
    with old.replacing():
        create(old, "new", overwrite=True)
        old.drop_replaced()
        assert beside(old) == []
    assert command_of(old) == "new"


def test_a_run_that_another_process_writes_is_not_touched(old):
    hold = "import sys; from vaslab.studies.run import RunFolder\nwith RunFolder(sys.argv[1]).locked():\n"
    hold += "    print('held', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", hold, str(old.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match="another process is writing into"), old.replacing():
        create(old, "new", overwrite=True)
    process.communicate("\n", timeout=60)
    assert command_of(old) == "old"
    assert beside(old) == []


def test_a_kill_before_the_first_batch_loses_nothing(old):
    killed = "import os, sys; from vaslab.studies.run import RunFolder\nfolder = RunFolder(sys.argv[1])\n"
    killed += f"with folder.replacing():\n    folder.create({CONFIG!r}, {{}}, {{'sessions': ['new']}}, None, True)\n"
    killed += "    os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", killed, str(old.path)], check=False).returncode == -9
    assert command_of(old) == "new"
    old.recover()
    assert command_of(old) == "old"
    assert beside(old) == []


def test_a_run_that_is_being_replaced_is_not_brought_back(old):
    with old.replacing():
        create(old, "new", overwrite=True)
        with pytest.raises(UsageError, match="another process"):
            RunFolder(old.path).recover()
        old.drop_replaced()
    assert command_of(old) == "new"


def test_what_cannot_be_written_leaves_nothing_beside(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(TypeError):
        folder.create(CONFIG, {}, {"fixed": object()}, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tiny
def test_a_measurement_that_measures_nothing_leaves_the_finished_run(tiny_model, tmp_path):
    from vaslab.errors import VaslabError
    from vaslab.studies.measure import measure
    from vaslab.studies.run import read_summary

    short = {"batch_size": 2, "max_new_tokens": 2}
    config = MeasureConfig(str(tiny_model), str(tmp_path / "run"), data="glyph", limit=2, **short)
    path = measure(config)
    before = (path / "items.jsonl").read_bytes()
    (tmp_path / "mine.jsonl").write_text('{"id": 1, "question": "?", "image": "gone.png"}\n')
    broken = MeasureConfig(str(tiny_model), str(path), data=str(tmp_path / "mine.jsonl"), **short)
    with pytest.raises(VaslabError, match="no item could be measured"):
        measure(broken, overwrite=True)
    assert (path / "items.jsonl").read_bytes() == before
    assert read_summary(path)["n"] == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine.jsonl", "run"]
    other = MeasureConfig(str(tiny_model), str(path), data="glyph", limit=3, **short)
    assert read_summary(measure(other, overwrite=True))["n"] == 3
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine.jsonl", "run"]


def test_a_run_that_is_set_aside_is_not_listed(old):
    from vaslab.cli.ls import _runs

    with old.replacing():
        create(old, "new", overwrite=True)
        assert beside(old) == [".run.old"]
        assert [row["run"] for row in _runs(old.path.parent)] == [str(old.path)]

"""`avar` as it is typed: what it needs, what it never loads, and that its package is the one under test."""

import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

import trainers
from tests.trainers.chats import ASKED, RECORDS
from tests.trainers.conftest import SHORT_GRPO, SHORT_SFT
from trainers.cli import app
from trainers.data.record import write_records
from vaslab.cli.exits import run

ROOT = Path(__file__).parents[2]


def words(command, options, **given):
    told = [command]
    for name, value in {**options, **given}.items():
        flag = name.replace("_", "-")
        told += (
            [f"--{flag}" if value else f"--no-{flag}"]
            if isinstance(value, bool)
            else [f"--{flag}", str(value)]
        )
    return told


def test_the_package_under_test_is_the_projects_and_not_this_folder():
    assert [Path(each).parent for each in trainers.__path__] == [ROOT]
    assert not (Path(__file__).parent / "__init__.py").exists()


class Refused(PathFinder):
    """Ends the test where the package is asked for, by whichever way."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname.partition(".")[0] == "nnsight":
            pytest.fail("nnsight is imported")


@pytest.mark.tiny
def test_training_never_loads_nnsight(tiny_folder, tmp_path, monkeypatch, capfd):
    """Both commands from the first word to the checkpoint, in a process in which nobody has loaded it yet."""
    for name in [each for each in sys.modules if each.startswith(("nnsight", "vaslab.capture"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Refused, *sys.meta_path])
    with pytest.raises(pytest.fail.Exception):
        import nnsight  # noqa: F401
    write_records(RECORDS * 2, tmp_path / "chats")
    write_records(ASKED * 2, tmp_path / "prompts")
    shared = {"model": tiny_folder, "max_steps": 1, "save_steps": 1}
    for command, options, data in (("sft", SHORT_SFT, "chats"), ("grpo", SHORT_GRPO, "prompts")):
        given = {**shared, "data": tmp_path / data, "out": tmp_path / command}
        assert run(app, words(command, options, **given), "avar") == 0, capfd.readouterr().err
        assert capfd.readouterr().out.strip() == str(tmp_path / command / "checkpoint")


@pytest.mark.parametrize(
    ("command", "absent", "told"),
    [
        (["sft"], "trl", r"trl is not installed; install vaslab\[train\]"),
        (["grpo"], "peft", r"peft is not installed; install vaslab\[train\]"),
        (["grpo", "--vllm"], "vllm", "vllm is not installed; give --no-vllm"),
    ],
)
def test_a_package_that_is_not_there_is_named_before_anything_is_written(
    tmp_path, monkeypatch, capfd, command, absent, told
):
    monkeypatch.setattr("trainers.refusals.find_spec", lambda name: None if name == absent else object())
    out = tmp_path / "out"
    assert run(app, [*command, "--model", "m", "--data", "d", "--out", str(out)], "avar") == 3
    assert re.search(told, capfd.readouterr().err)
    assert not out.exists()


@pytest.mark.parametrize("command", ["sft", "grpo"])
def test_a_model_that_is_not_there_is_named_before_anything_is_loaded_or_written(
    tmp_path, monkeypatch, capfd, command
):
    for name in ("_run_sft", "_run_grpo"):
        monkeypatch.setattr(f"trainers.commands.train.{name}", lambda _: pytest.fail("TRL is loaded"))
    out = tmp_path / "out"
    words = [command, "--model", str(tmp_path / "gone"), "--data", "d", "--out", str(out)]
    assert run(app, words, "avar") == 3
    assert "there is no model folder" in capfd.readouterr().err
    assert not out.exists()

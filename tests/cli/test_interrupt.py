"""Ctrl-C, as a signal: exit 130 and one line, wherever it falls."""

import os
import signal
import subprocess
import sys
import time

import pytest

from trainers.cli import app as avar
from vaslab.cli.exits import run

WAIT = """
import sys, time
from vaslab.cli.exits import run
import {module} as module
from {command} import app

def wait(*_, **__):
    print("ready", flush=True)
    time.sleep(60)

module.{name} = wait
sys.exit(run(app, sys.argv[1:]))
"""
MEASURE = ["measure", "-m", "organism:base", "-d", "glyph"]


@pytest.mark.parametrize(
    ("module", "name", "command", "words"),
    [
        ("vaslab.studies.config", "find_benchmark", "vaslab.cli.app", MEASURE),
        ("trainers.commands.options", "read_yaml", "trainers.cli", ["sft", "--config", "none.yaml"]),
    ],
)
def test_a_process_that_is_interrupted_says_so_and_ends_with_130(module, name, command, words):
    program = WAIT.format(module=module, name=name, command=command)
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    process.send_signal(signal.SIGINT)
    try:
        told, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, told, err) == (130, "", "error: interrupted\n")


@pytest.fixture
def interrupted(monkeypatch):
    """Let the signal fall where a function would begin."""

    def at(name):
        def begin(*_, **__):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)

        monkeypatch.setattr(name, begin)

    return at


def test_an_interrupt_that_no_command_catches_is_said(vaslab, interrupted):
    interrupted("vaslab.capture.load.load")
    assert vaslab("doctor") == (130, "", "error: interrupted\n")


def test_an_interrupt_of_training_names_its_folder(interrupted, tmp_path, capfd):
    interrupted("trainers.organism.Pretraining.run")
    assert run(avar, ["organism", "--out", str(tmp_path / "base")], "avar") == 130
    told, err = capfd.readouterr()
    assert told == ""
    assert err == f"error: interrupted; the same command goes on from the last state in {tmp_path}/base\n"


def test_an_interrupt_that_a_command_explains_is_said_once(vaslab, interrupted, tmp_path):
    interrupted("vaslab.studies.measure.load_for")
    code, told, err = vaslab(*MEASURE, "--out", tmp_path / "run")
    assert (code, told) == (130, "")
    assert err == "error: interrupted before the first batch was done; nothing was kept\n"


def test_an_interrupt_before_a_run_is_replaced_says_that_it_stands(vaslab, interrupted, a_run):
    interrupted("vaslab.studies.measure.load_for")
    before = (a_run / "items.jsonl").read_bytes()
    code, told, err = vaslab(*MEASURE, "--out", a_run, "--overwrite")
    assert (code, told) == (130, "")
    assert err == f"error: interrupted before the first batch was done; {a_run} is as it was\n"
    assert (a_run / "items.jsonl").read_bytes() == before


def test_an_interrupted_study_says_that_what_is_done_stays(vaslab, interrupted, tmp_path):
    interrupted("vaslab.studies.study.load_for")
    (tmp_path / "mine.yaml").write_text(
        f"models: [organism:base]\ndata: [glyph]\nlimit: 2\nout: {tmp_path}/out"
    )
    code, told, err = vaslab("study", tmp_path / "mine.yaml")
    assert (code, told) == (130, "")
    assert err.splitlines() == [
        "note: run 1 of 1: organism-base-glyph",
        f"error: interrupted; what is done stays in {tmp_path}/out, the same command goes on from there",
    ]

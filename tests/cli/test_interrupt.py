"""Ctrl-C, as a signal to a real process: exit 130 and one line, wherever it falls."""

import signal
import subprocess
import sys

import pytest

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


def interrupted(program, *words):
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    process.send_signal(signal.SIGINT)
    try:
        told, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, told, err


@pytest.mark.parametrize(
    ("module", "name", "command", "words"),
    [
        ("vaslab.capture.load", "load", "vaslab.cli.app", ["doctor"]),
        ("vaslab.studies.config", "find_benchmark", "vaslab.cli.app", MEASURE),
        ("trainers.cli", "keep_to", "trainers.cli", ["organism", "--out", "none"]),
    ],
)
def test_an_interrupt_that_no_command_catches_is_said(module, name, command, words):
    code, told, err = interrupted(WAIT.format(module=module, name=name, command=command), *words)
    assert (code, told, err) == (130, "", "error: interrupted\n")


def test_an_interrupt_that_a_command_explains_is_said_once(tmp_path):
    program = WAIT.format(module="vaslab.studies.measure", name="load_for", command="vaslab.cli.app")
    code, told, err = interrupted(program, *MEASURE, "--out", tmp_path / "run")
    assert (code, told) == (130, "")
    assert err == "error: interrupted before the first batch was done; nothing was kept\n"


def test_an_interrupt_before_a_run_is_replaced_says_that_it_stands(a_run):
    program = WAIT.format(module="vaslab.studies.measure", name="load_for", command="vaslab.cli.app")
    before = (a_run / "items.jsonl").read_bytes()
    code, told, err = interrupted(program, *MEASURE, "--out", a_run, "--overwrite")
    assert (code, told) == (130, "")
    assert err == f"error: interrupted before the first batch was done; {a_run} is as it was\n"
    assert (a_run / "items.jsonl").read_bytes() == before


def test_an_interrupted_study_says_that_what_is_done_stays(tmp_path):
    program = WAIT.format(module="vaslab.studies.study", name="load_for", command="vaslab.cli.app")
    (tmp_path / "mine.yaml").write_text(
        f"models: [organism:base]\ndata: [glyph]\nlimit: 2\nout: {tmp_path}/out"
    )
    code, told, err = interrupted(program, "study", tmp_path / "mine.yaml")
    assert (code, told) == (130, "")
    assert err.splitlines() == [
        "note: run 1 of 1: organism-base-glyph",
        f"error: interrupted; what is done stays in {tmp_path}/out, the same command goes on from there",
    ]

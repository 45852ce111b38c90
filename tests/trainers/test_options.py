"""The help of `avar`: every field of a run is an option under some heading, and says what it is when left out."""

import re

import pytest

from trainers.cli import app
from trainers.commands.panels import GRPO, SFT, STAGES, SYNTHESIZE
from trainers.runs import GrpoRun, SftRun, StagesRun, SynthesizeRun
from vaslab.cli.exits import run

RUNS = {
    "sft": (SftRun, SFT, set()),
    "grpo": (GrpoRun, GRPO, set()),
    "synthesize": (SynthesizeRun, SYNTHESIZE, set()),
    "stages": (StagesRun, STAGES, {"study", "stages"}),  # mappings, for the file alone
}


@pytest.mark.parametrize("command", RUNS)
def test_every_field_stands_under_one_heading(command):
    kind, panels, of_the_file = RUNS[command]
    shown = [name for names in panels.values() for name in names]
    assert len(shown) == len(set(shown))
    assert set(shown) == set(kind.__dataclass_fields__) - of_the_file


def shown_by(command, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert run(app, [command, "--help"], "avar") == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", capfd.readouterr().out)


@pytest.mark.parametrize(
    ("command", "option", "told"),
    [
        ("sft", "--model", r"organism:NAME, a folder, or a hub id\. \[required, here or in --config\]"),
        ("sft", "--alpha", r"Weight of L_enh, .* 0 leaves it out\. \[default: 0\.15\]"),
        ("sft", "--layers", r"counted from 0\. Left out: all\. May be given several times\."),
        ("sft", "--checkpointing", r"\[default: checkpointing\]"),
        ("grpo", "--vllm", r"\[default: no-vllm\]"),
        ("grpo", "--kl", r"beta in TRL.*\[default: 0\.0\]"),
        ("grpo", "--keep", r"all, each a model that can be measured, or the last two\. Left out: last\."),
        ("stages", "--seeds", r"May be given several times\. \[default: 0\]"),
        ("synthesize", "--kind", r"text-cold-start, multimodal-cold-start, vard or rl\. \[default: vard\]"),
        ("organism", "--steps", r"Optimiser steps\. \[default: 3600\]"),
    ],
)
def test_an_option_says_what_it_takes_and_its_default(capfd, monkeypatch, command, option, told):
    lines = shown_by(command, capfd, monkeypatch).splitlines()
    line = next(line for line in lines if line.strip("│ *").startswith(f"{option} "))
    assert re.search(told, line)


def test_a_command_shows_how_it_is_called(capfd, monkeypatch):
    said = shown_by("sft", capfd, monkeypatch)
    assert "avar sft --model organism:base --data data/vard --out runs/agto" in said
    assert "`" not in said

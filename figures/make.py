"""Regenerate the gallery: the shipped models, system prompts, a short training run, the published numbers; numbers
beside each figure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from vaslab.cli.app import app
from vaslab.cli.exits import run

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs"
LIMIT = 200
STAGES, PROMPTS, TRAINING = (RUNS / f"gallery-{name}" for name in ("stages", "system-prompts", "training"))
RECORDS = 480
"""Of the training run: 60 steps of 8."""


def commands() -> list[list[str]]:
    """The commands that make the gallery, in order: of vaslab, or of avar where the first word says so."""
    made = []
    for data, ending in (("easy-vqa", ""), ("glyph", "-glyph")):
        folder = str(RUNS / f"gallery-{data}")
        options = ["--data", data, "--limit", str(LIMIT), "--out", folder, "--overwrite"]
        made.append(["measure", "--model", "organism:base", *options])
        made += [_figure(name, [folder], f"{name}{ending}") for name in ("heads", "lazy")]
    made += [_figure(name, [str(RUNS / "gallery-glyph")]) for name in ("tokens", "localisation")]
    made.append(_study("system-prompts.yaml", PROMPTS))
    made.append(_figure("system-prompts", [str(PROMPTS)]))
    made.append(_study("stages.yaml", STAGES))
    several = ("scatter", "sensitivity", "correlation", "forgetting")
    made += [_figure(name, [str(STAGES)]) for name in several]
    made.append(_figure("lazy", [str(STAGES)], "lazy-stages"))
    base, agto, vars_ = (str(STAGES / "runs" / f"{name}-glyph") for name in ("base", "AGTO", "VARS"))
    made += [_figure(name, [base, agto]) for name in ("compare", "decomposition")]
    made.append([*_figure("items", [base, vars_]), "--filter", "fixed"])
    data = ["--kind", "vard", "--count", str(RECORDS), "--out", str(TRAINING / "data")]
    made.append(["avar", "synthesize", *data])
    made.append(["avar", "sft", "--config", str(HERE / "agto.yaml")])
    made.append(_study("training.yaml", TRAINING / "measured"))
    made.append(_figure("training", [str(TRAINING / "measured")]))
    made.append(_figure("training-log", [str(TRAINING / "agto")]))
    made.append(["figure", "published", "--out", str(HERE)])
    return made


def _figure(name: str, runs: list[str], stem: str = "") -> list[str]:
    return ["figure", name, *runs, "--out", str(HERE), "--stem", stem or name]


def _study(file: str, out: Path) -> list[str]:
    return ["study", str(HERE / file), "--out", str(out), "--overwrite"]


def done(command: list[str]) -> int:
    """Run one of the commands; a training run in a process of its own, for what it leaves behind."""
    if command[0] == "avar":
        return subprocess.run([sys.executable, "-m", "trainers", *command[1:]], stdout=sys.stderr).returncode
    return run(app, command)


if __name__ == "__main__":
    # a training folder goes on where it was; the gallery begins anew
    shutil.rmtree(TRAINING, ignore_errors=True)
    for command in commands():
        code = done(command)
        if code:
            raise SystemExit(code)

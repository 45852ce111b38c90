"""The command line `avar`: training whose checkpoints `vaslab measure` takes as they are."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from vaslab.cli.exits import INTERRUPTED, fail, run
from vaslab.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ASKED = "asked.json"


@app.callback()
def root() -> None:
    """Train models, the organism first."""


@app.command()
def organism(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run; its checkpoint/ is the model.")
    ],
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Lessons in a step.")] = None,
    lr: Annotated[float | None, typer.Option(min=0, help="Highest learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and lessons.")] = None,
    exam_every: Annotated[int | None, typer.Option(min=1, help="Steps between exams.")] = None,
) -> int:
    """Train the organism's base from nothing, on one CPU thread; the same command goes on after a kill."""
    from trainers.organism import PretrainConfig, Pretraining

    given: dict[str, Any] = {"steps": steps, "batch": batch, "lr": lr, "seed": seed, "exam_every": exam_every}
    config = replace(PretrainConfig(), **{name: value for name, value in given.items() if value is not None})
    _keep_to_config(out, asdict(config), [field.name for field in fields(PretrainConfig)])
    try:
        # the log is for people; stdout carries the path alone
        with redirect_stdout(sys.stderr):
            checkpoint = Pretraining(out, config).run()
    except KeyboardInterrupt:
        return fail(f"interrupted; the same command goes on from the last state in {out}", INTERRUPTED)
    print(checkpoint)
    return 0


def _keep_to_config(out: Path, config: dict[str, Any], names: list[str]) -> None:
    """Write what was asked, or raise UsageError where the folder holds a run of another config."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; choose another --out")
    path = out / ASKED
    if path.is_file():
        held = json.loads(path.read_text(encoding="utf-8"))
        differing = [
            f"{name} is {held.get(name)} there and {config[name]} here"
            for name in names
            if held.get(name) != config[name]
        ]
        if differing:
            raise UsageError(
                f"{out} holds a run of another config: {'; '.join(differing)}; choose another --out"
            )
        return
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} holds other files; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def main() -> None:
    """Run the command line."""
    sys.exit(run(app, name="avar"))

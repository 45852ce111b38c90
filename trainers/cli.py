"""The command line `avar`: training whose checkpoints `vaslab measure` takes as they are."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from trainers.commands.options import command
from trainers.commands.stages import stages
from trainers.commands.synthesize import synthesize
from trainers.commands.train import grpo, sft
from trainers.config import keep_to
from trainers.runs import GrpoRun, SftRun, StagesRun, SynthesizeRun
from vaslab.cli.exits import INTERRUPTED, fail, run

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    keep_to(out, asdict(config))
    try:
        # the log is for people; stdout carries the path alone
        with redirect_stdout(sys.stderr):
            checkpoint = Pretraining(out, config).run()
    except KeyboardInterrupt:
        return fail(f"interrupted; the same command goes on from the last state in {out}", INTERRUPTED)
    print(checkpoint)
    return 0


app.command("sft")(
    command(
        SftRun, sft, "Train on chats with guided attention (AGTO): cold starts, VARD; goes on after a kill."
    )
)
app.command("grpo")(
    command(GrpoRun, grpo, "Train on prompts with the visual-anchored reward (VARS); goes on after a kill.")
)
app.command("stages")(
    command(
        StagesRun, stages, "Run the paper's stages on the organism, and measure each; goes on after a kill."
    )
)
app.command("synthesize")(
    command(
        SynthesizeRun,
        synthesize,
        "Write records of the glyph world: description, reasoning, anchors, answer.",
    )
)


def main() -> None:
    """Run the command line."""
    sys.exit(run(app, name="avar"))

"""The command line `avar`: training whose checkpoints `vaslab measure` takes as they are."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trainers.commands.options import command
from trainers.commands.panels import GRPO, SFT, STAGES, SYNTHESIZE
from trainers.commands.stages import stages
from trainers.commands.synthesize import synthesize
from trainers.commands.train import grpo, sft
from trainers.config import keep_to, occupied
from trainers.runs import GrpoRun, PretrainConfig, SftRun, StagesRun, SynthesizeRun
from vaslab.cli.exits import INTERRUPTED, fail, run

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """Train vision-language models to look; what is written, `vaslab measure` takes as it is."""


app.command("synthesize")(
    command(
        SynthesizeRun,
        synthesize,
        SYNTHESIZE,
        """Write records to train on: exact ones of the glyph world, or VARD chains by a model.

        avar synthesize --kind vard --count 64 --out data/vard

        avar synthesize --data PROMPTS.parquet --model MODEL_FOLDER --out data/chains

        Killed or interrupted, the same command asks no model twice.
        """,
    )
)
app.command("sft")(
    command(
        SftRun,
        sft,
        SFT,
        """Train on chats, with guided attention (AGTO) or, at --alpha 0 --beta 0, without.

        avar sft --model organism:base --data data/vard --out runs/agto --batch 16 --per-device 16 --max-steps 4

        The defaults are the paper's. Killed or interrupted, the same command goes on from the last state.
        """,
    )
)
app.command("grpo")(
    command(
        GrpoRun,
        grpo,
        GRPO,
        """Train by reinforcement on prompts, with the visual-anchored reward (VARS).

        avar grpo --model runs/agto/checkpoint --data data/rl --out runs/vars --prompts 2 --max-steps 2

        The defaults are the paper's. Killed or interrupted, the same command goes on from the last state.
        """,
    )
)
app.command("stages")(
    command(
        StagesRun,
        stages,
        STAGES,
        """Run stages one after another on the glyph world's records, and measure each.

        avar stages --config trainers/configs/organism.yaml --out runs/stages --workers 2

        The file lists the stages (name, method, kind of records, parent, and any option of the method) and, under
        study, what they are measured on. All is checked before the first stage begins. Killed or interrupted, the same
        command goes on.
        """,
    )
)


@app.command()
def organism(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run; its checkpoint/ is the model.")
    ],
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = PretrainConfig.steps,
    batch: Annotated[int, typer.Option(help="Chats of one step.")] = PretrainConfig.batch,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = PretrainConfig.lr,
    seed: Annotated[int, typer.Option(help="Seed of first weights and chats.")] = PretrainConfig.seed,
    exam_every: Annotated[
        int, typer.Option(help="Steps between exams; a killed run goes on from the last.")
    ] = PretrainConfig.exam_every,
) -> int:
    """Train the organism's base from nothing, on one CPU thread.

    avar organism --out runs/base

    Killed or interrupted, the same command goes on from the last exam.
    """
    config = PretrainConfig(steps=steps, batch=batch, lr=lr, seed=seed, exam_every=exam_every)
    from trainers.organism import Pretraining

    keep_to(out, asdict(config))
    try:
        # the log is for people; stdout carries the path alone
        with redirect_stdout(sys.stderr), occupied(out):
            checkpoint = Pretraining(out, config).run()
    except KeyboardInterrupt:
        return fail(f"interrupted; the same command goes on from the last state in {out}", INTERRUPTED)
    print(checkpoint)
    return 0


def main() -> None:
    """Run the command line."""
    sys.exit(run(app, name="avar"))

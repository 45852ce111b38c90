"""`vaslab figure NAME RUN...`: figures of several checkpoints, of one training run, and of the published numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from vaslab.cli.figure_command import (
    Asked,
    DataOption,
    Drawn,
    FormOption,
    QueriesOption,
    Runs,
    RunsArgument,
    SinkOption,
    figure_command,
)
from vaslab.cli.finished import Finished
from vaslab.errors import MissingError, UsageError, VaslabError

STEP = re.compile(r"(?:checkpoint|step)[-_]?(\d+)")
STATE = "trainer_state.json"


@figure_command("lazy")
def lazy_command(
    runs: RunsArgument,
    theme: str,
    data: DataOption = None,
    queries: QueriesOption = None,
    base: Annotated[str | None, typer.Option(help="Model that others are compared with.")] = None,
) -> Drawn:
    """Draw the share of attention per layer on image, system prompt and question."""
    found = Runs.read(runs, data)
    from vaslab.plots import lazy, lazy_table

    asked = found.queries(queries)
    table = lazy_table(found.captures, asked, base, cluster=found.pictures)
    figure = lazy(found.captures, asked, base, theme=theme, run=found.words["run"], table=table)
    return Drawn(figure, table, runs[0])


@figure_command("scatter")
def scatter_command(
    runs: RunsArgument,
    theme: str,
    asked: Asked,
    data: DataOption = None,
) -> Drawn:
    """Draw VAS against accuracy, one point a checkpoint, with r and its interval."""
    found = Runs.read(runs, data)
    from vaslab.plots import scatter, scatter_table

    table = scatter_table(found.captures, found.right, asked.of(found), found.pictures)
    return Drawn(scatter(table, theme, **found.words), table, runs[0])


@figure_command("sensitivity")
def sensitivity_command(runs: RunsArgument, theme: str, data: DataOption = None) -> Drawn:
    """Draw r of VAS and accuracy under every definition of VAS; four runs or more."""
    found = Runs.read(runs, data)
    from vaslab.plots import sensitivity, sensitivity_table

    table = sensitivity_table(found.captures, found.right)
    return Drawn(sensitivity(table, theme, found.words["data"], found.words["run"]), table, runs[0])


@figure_command("correlation")
def correlation_command(
    runs: RunsArgument,
    theme: str,
    asked: Asked,
    data: DataOption = None,
) -> Drawn:
    """Draw which heads' and layers' VAS tracks accuracy, with FDR; four runs or more."""
    found = Runs.read(runs, data)
    from vaslab.plots import correlation, correlation_table

    table = correlation_table(found.captures, found.right, asked.of(found), found.pictures)
    return Drawn(correlation(table, theme, **found.words), table, runs[0])


@figure_command("system-prompts")
def system_prompts_command(
    runs: RunsArgument,
    theme: str,
    data: DataOption = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Prompt that others are compared with. \\[default: the first]", show_default=False),
    ] = None,
    queries: QueriesOption = None,
    form: FormOption = None,
    sink: SinkOption = None,
) -> Drawn:
    """Draw how VAS and accuracy move with the system prompt: a study with `systems`, or runs of one model each."""
    found = Runs.read(runs, data)
    from vaslab.plots import Prompted, system_prompts, system_prompts_table

    every = [
        Prompted(run.model, run.prompt, run.capture, run.right if run.graded else None) for run in found.every
    ]
    asked = Asked(queries, form, sink).of(found)
    table = system_prompts_table(every, reference, asked, found.pictures)
    return Drawn(system_prompts(table, theme, **found.words), table, runs[0])


@figure_command("training")
def training_command(
    runs: RunsArgument,
    theme: str,
    asked: Asked,
    steps: Annotated[
        str | None,
        typer.Option(
            help="Training step of each run, by commas. \\[default: as its checkpoint's folder or card says]",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
) -> Drawn:
    """Draw how VAS of each layer changed along one training run: its checkpoints, each measured as a run."""
    found = Runs.read(runs, data)
    numbers = steps_of(found.every, steps)
    from vaslab.plots import training, training_table

    captures = dict(zip(numbers, found.captures.values(), strict=True))
    right = {step: run.right for step, run in zip(numbers, found.every, strict=True) if run.graded}
    table = training_table(captures, right, asked.of(found), found.pictures)
    return Drawn(training(table, theme, found.every[-1].model, **found.words), table, runs[0])


@figure_command("training-log")
def training_log_command(
    folder: Annotated[
        Path, typer.Argument(metavar="TRAINING", help="Folder of a training run, or its trainer_state.json.")
    ],
    theme: str,
) -> Drawn:
    """Draw what a trainer logged while it trained: VAS and the two masses of its batches, step by step."""
    path = _state_of(folder)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))["log_history"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VaslabError(f"{path} is no state of a trainer; name the folder that avar trained in") from error
    from vaslab.plots import training_log, training_log_table

    table = training_log_table(held)
    return Drawn(
        training_log(table, theme, run=folder.name), table, folder if folder.is_dir() else folder.parent
    )


@figure_command("published")
def published_command(theme: str) -> Drawn:
    """Draw the numbers printed in the paper, and whether they agree with each other. Nothing is measured."""
    from vaslab.plots.published import published
    from vaslab.plots.published_numbers import published_table

    return Drawn(published(theme), published_table(), Path())


def steps_of(runs: Sequence[Finished], given: str | None) -> list[int]:
    """The training step of each run: as given, or as the folder or the card of its checkpoint says; a first run that
    says nothing is step 0.

    Raises:
        UsageError: a step that is no number, that is not known, or that two runs have.
    """
    if given is None:
        found = [_step(run, first=at == 0) for at, run in enumerate(runs)]
    else:
        words = [word.strip() for word in given.split(",")]
        if len(words) != len(runs) or not all(word.isdecimal() for word in words):
            raise UsageError(f"--steps is {given!r}; expected {len(runs)} whole numbers by commas, one a run")
        found = [int(word) for word in words]
    if len(set(found)) < len(found):
        raise UsageError(
            f"two runs are of one training step ({', '.join(map(str, found))}); give --steps 0,100,..."
        )
    return found


def _step(run: Finished, first: bool) -> int:
    model = str(run.summary["model"])
    named = STEP.findall(Path(model).name) or STEP.findall(run.folder.name)
    if named:
        return int(named[-1])
    card = Path(model) / "card.json"
    steps = json.loads(card.read_text(encoding="utf-8")).get("steps") if card.is_file() else None
    if isinstance(steps, int):
        return steps
    if first:
        return 0
    raise UsageError(
        f"{run.folder} does not say at which training step its checkpoint is; give --steps 0,100,..."
    )


def _state_of(folder: Path) -> Path:
    """The newest trainer_state.json of a training folder."""
    if folder.name == STATE:
        return folder
    states = [
        *folder.glob(f"state/checkpoint-*/{STATE}"),
        *folder.glob(f"checkpoint-*/{STATE}"),
        *folder.glob(STATE),
    ]
    numbered: list[tuple[int, Any]] = [
        (int(match[1]) if (match := STEP.search(state.parent.name)) else -1, state) for state in states
    ]
    if not numbered:
        raise MissingError(
            f"{folder} holds no {STATE}; name the folder that avar sft or avar grpo trained in"
        )
    return Path(max(numbered)[1])

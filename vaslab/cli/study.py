"""`vaslab study`: from a YAML file of models and benchmarks to run folders and one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaslab.cli.console import console, print_json, quiet_libraries
from vaslab.cli.exits import INTERRUPTED, fail
from vaslab.cli.measure_cost import costs_of
from vaslab.cli.tables import costs_table, runs_table
from vaslab.studies.study_file import read_study

if TYPE_CHECKING:
    from vaslab.studies.study import Outcome
    from vaslab.studies.study_config import StudyConfig


def study(
    file: Annotated[
        Path, typer.Argument(metavar="STUDY.yaml", help="Models, data, and how they are measured.")
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Study folder. \\[default: runs/STUDY]", show_default=False),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help="Items of every benchmark, spread over pictures."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be measured, and what it would cost.")
    ] = False,
    timed: Annotated[
        bool, typer.Option("--timed", help="With --dry-run: ask a batch of each run, and tell the time.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Measure every run anew.")] = False,
    offline: Annotated[
        bool | None,
        typer.Option("--offline/--online", help="May a hub id be downloaded?", show_default=False),
    ] = None,
) -> int:
    """Measure models on benchmarks, each pair into a run folder, and all of them into one table.

    vaslab study studies/demo.yaml

    accelerate launch --multi_gpu --num_processes 4 -m vaslab.cli study mine.yaml

    The file lists models and data, and may list seeds and systems (system prompts); every combination is a
    run. Killed or interrupted, the same command goes on where it stopped. In the study folder: study.yaml,
    runs/, table.parquet and table.csv.

    \b
    models:
      - organism:base
      - {name: runs/sft, label: tuned, dtype: bfloat16}
    data:
      - easy-vqa
      - {name: glyph, limit: 200, max_new_tokens: 96}
    seeds: [0]
    limit: 500
    """
    config = read_study(file, out=out, limit=limit, offline=offline)
    quiet_libraries()
    return _dry_run(config, timed) if dry_run else _studied(config, overwrite)


def _studied(config: StudyConfig, overwrite: bool) -> int:
    from vaslab.cli.progress import StudyBar
    from vaslab.studies.processes import this_process
    from vaslab.studies.study import study as run_study

    try:
        with StudyBar(console(), this_process().main) as bar:
            outcomes = run_study(config, watch=bar, overwrite=overwrite)
    except KeyboardInterrupt:
        return fail(
            f"interrupted; what is done stays in {config.out}, the same command goes on from there",
            INTERRUPTED,
        )
    if not outcomes:
        return 0
    return _told(config, outcomes)


def _told(config: StudyConfig, outcomes: list[Outcome]) -> int:
    """Print the table of what is done, then the folder, or what failed."""
    done = [each for each in outcomes if each.summary is not None]
    if done:
        runs_table([_labelled(each, config) for each in done])
    failed = [each for each in outcomes if each.summary is None]
    if failed:
        names = ", ".join(each.run.name for each in failed)
        return fail(
            f"{len(failed)} of {len(outcomes)} runs failed ({names}), for the reasons above; correct them and give "
            f"the same command again: what is done stays in {config.out}",
            1,
        )
    print(config.out)
    return 0


def _labelled(outcome: Outcome, config: StudyConfig) -> dict[str, Any]:
    """Name model and data as the study does, with what else tells its rows apart."""
    run, summary = outcome.run, dict(outcome.summary or {})
    more = [run.system] * (len(config.systems) > 1) + [f"seed {run.seed}"] * (len(config.seeds) > 1)
    return summary | {"model": ", ".join([run.model, *more]), "data": run.data}


def _dry_run(config: StudyConfig, timed: bool) -> int:
    runs = config.runs()
    costs = costs_of([run.config for run in runs], timed)
    found = [{"run": run.name, **each} for run, each in zip(runs, costs, strict=True)]
    costs_table(found)
    print_json({"out": config.out, "runs": found})
    return 0

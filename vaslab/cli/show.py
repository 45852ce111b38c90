"""`vaslab show RUN...`: what runs found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vaslab.cli.console import print_json
from vaslab.cli.tables import runs_table
from vaslab.studies.run import read_summary


def show(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    queries: Annotated[
        str | None, typer.Option(help="Query set. \\[default: the run's first]", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line on stdout in place of the table.")
    ] = False,
) -> None:
    """Show accuracy, VAS and attention masses of runs, each with its 95 % interval."""
    summaries = [read_summary(run) for run in runs]
    if as_json:
        print_json(summaries[0] if len(summaries) == 1 else summaries)
    else:
        runs_table(summaries, queries)

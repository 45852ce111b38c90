"""`vaslab figure NAME RUN...`: figures of what runs do not keep, for which items are measured again."""

from __future__ import annotations

from typing import Annotated

import typer

from vaslab.cli.figure_command import DataOption, Drawn, RunArgument, Runs, RunsArgument, figure_command
from vaslab.cli.finished import read_run, same_pictures
from vaslab.cli.measured_again import answers_of, pointed_of
from vaslab.errors import MissingError

LimitOption = Annotated[int, typer.Option(min=2, help="Items measured again, of each run.")]


@figure_command("forgetting")
def forgetting_command(
    runs: RunsArgument, theme: str, data: DataOption = None, limit: LimitOption = 40
) -> Drawn:
    """Draw attention on the image along the answers, through thinking and answering. Loads the runs' models."""
    found = Runs.read(runs, data)
    from vaslab.plots import forgetting_figure, forgetting_table

    answers = {name: answers_of(run.folder, limit) for name, run in found.found.items()}
    table = forgetting_table(answers, cluster=found.pictures)
    return Drawn(forgetting_figure(table, theme, **found.words), table, runs[0])


@figure_command("localisation")
def localisation_command(run: RunArgument, theme: str, limit: LimitOption = 40) -> Drawn:
    """Draw which heads point at the place that a question asks for. Loads the run's model."""
    found = read_run(run)
    from vaslab.plots import localisation_figure, localisation_table

    pointed = pointed_of(run, limit)
    if pointed is None:
        raise MissingError(
            f"no item of {found.summary['data']} says where its answer is seen; measure glyph, or data with boxes"
        )
    table = localisation_table(pointed, same_pictures([found]))
    words = {key: str(found.summary[key]) for key in ("model", "data")}
    return Drawn(localisation_figure(table, theme, **words, run=run.name), table, run)

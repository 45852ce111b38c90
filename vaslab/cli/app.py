"""The command `vaslab` and its sub-commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import vaslab
from vaslab.cli.compare import compare
from vaslab.cli.contamination import contamination
from vaslab.cli.doctor import doctor
from vaslab.cli.exits import run
from vaslab.cli.explore import explore
from vaslab.cli.figure import figures
from vaslab.cli.grade import grade
from vaslab.cli.intervene import intervene
from vaslab.cli.ls import ls
from vaslab.cli.measure import measure
from vaslab.cli.notebook import notebook
from vaslab.cli.report import report
from vaslab.cli.show import show
from vaslab.cli.study import study

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(measure)
app.command()(study)
app.command()(intervene)
app.command()(grade)
app.add_typer(figures, name="figure")
app.command()(show)
app.command()(compare)
app.command()(report)
app.command()(explore)
app.command()(doctor)
app.command()(ls)
app.command()(contamination)
app.command()(notebook)


def _version(asked: bool) -> bool:
    if asked:
        print(vaslab.__version__)
        raise typer.Exit
    return asked


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Where does a vision-language model look while it reasons, does that cause its answers, can training move it?"""
    del version


def main() -> None:
    """Run the command line."""
    sys.exit(run(app))

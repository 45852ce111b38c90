"""`vaslab figure sweep FOLDER`: what a sweep found, as `vaslab intervene` draws it at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaslab.cli.console import note, warnings_as_notes
from vaslab.cli.figure_command import DarkOption, FormatOption, FormOption, OutOption, figures, formats_of

if TYPE_CHECKING:
    import pandas as pd


@figures.command("sweep")
def sweep_command(
    folder: Annotated[Path, typer.Argument(metavar="SWEEP", help="Folder of `vaslab intervene`.")],
    out: OutOption = None,
    formats: FormatOption = None,
    dark: DarkOption = False,
    form: FormOption = None,
) -> None:
    """Draw changes of accuracy, VAS and masses by strength, side effects, and response against dose."""
    kinds = formats_of(formats)
    from vaslab.studies.sweep_table import read_sweep_table

    table = read_sweep_table(folder)
    written = draw(table, folder.resolve().name, out or folder / "figures", kinds, dark, form)
    for path in written:
        note(f"wrote {path}")
    print(written[0])


def draw(
    table: pd.DataFrame,
    run: str,
    out: Path,
    kinds: list[str],
    dark: bool = False,
    form: str | None = None,
) -> list[Path]:
    """Write the figures for each model, benchmark, system prompt and seed, with their numbers; return the paths."""
    from vaslab.plots import dose_response, sweep, sweep_cells, sweep_sides, write_figure
    from vaslab.plots.sweep_numbers import group_name, sides

    parts = sweep_cells(table) if form is None else sweep_cells(table, form)
    theme = "dark" if dark else "light"
    written = []
    with warnings_as_notes():
        for cells in parts:
            tail = f"-{group_name(cells, parts)}" if len(parts) > 1 else ""
            for stem, figure in (("sweep", sweep), ("dose", dose_response), ("sides", sweep_sides)):
                if figure is sweep_sides and not sides(cells):
                    continue  # a table of an older vaslab
                written += write_figure(figure(cells, theme, run), cells, out / f"{stem}{tail}", kinds)
    return written

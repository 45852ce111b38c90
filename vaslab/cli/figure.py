"""`vaslab figure heads RUN`, `vaslab figure lazy RUN...`: figures of finished runs, with their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaslab.cli.console import note, warnings_as_notes
from vaslab.errors import UsageError
from vaslab.studies.run import CAPTURE, read_summary

if TYPE_CHECKING:
    import xarray as xr

figures = typer.Typer(
    no_args_is_help=True, help="Draw a figure of runs: HTML, PNG where a browser is, and CSV."
)

OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder to write into. \\[default: RUN/figures]", show_default=False),
]
FormatOption = Annotated[
    list[str] | None,
    typer.Option("--format", "-f", help="html, png, svg, pdf; several by commas. \\[default: html,png]"),
]
QueriesOption = Annotated[
    str | None, typer.Option(help="Query set. \\[default: the run's first]", show_default=False)
]
StemOption = Annotated[str | None, typer.Option(help="File name without its ending.", show_default=False)]
DarkOption = Annotated[bool, typer.Option("--dark", help="Dark theme.")]


@figures.command("heads")
def heads_command(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: OutOption = None,
    stem: StemOption = None,
    formats: FormatOption = None,
    queries: QueriesOption = None,
    dark: DarkOption = False,
    form: Annotated[
        str, typer.Option(help="mean_of_ratios (the paper) or ratio_of_means.")
    ] = "mean_of_ratios",
    sink: Annotated[str, typer.Option(help="include (the paper) or exclude the first position.")] = "include",
    per_token: Annotated[bool, typer.Option("--per-token", help="Masses per key token.")] = False,
) -> None:
    """Draw the VAS of every head of every layer."""
    kinds, name = _formats(formats), _stem(stem, "heads")
    capture = _capture(run)
    from vaslab.plots import heads, heads_table, write_figure

    asked = queries or _first_queries(capture)
    table = heads_table(capture, asked, form, sink, per_token)
    figure = heads(
        capture, asked, form, sink, per_token, theme="dark" if dark else "light", run=run.name, table=table
    )
    with warnings_as_notes():
        written = write_figure(figure, table, (out or run / "figures") / name, kinds)
    _tell(written)


@figures.command("lazy")
def lazy_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, on the same items; the base first.")],
    out: OutOption = None,
    stem: StemOption = None,
    formats: FormatOption = None,
    queries: QueriesOption = None,
    dark: DarkOption = False,
    base: Annotated[str | None, typer.Option(help="Model that others are compared with.")] = None,
) -> None:
    """Draw the share of attention per layer on image, system prompt and question."""
    kinds, name = _formats(formats), _stem(stem, "lazy")
    captures = _named_captures(runs)
    from vaslab.plots import lazy, lazy_table, write_figure

    asked = queries or _first_queries(next(iter(captures.values())))
    table = lazy_table(captures, asked, base)
    figure = lazy(
        captures,
        asked,
        base,
        theme="dark" if dark else "light",
        run=", ".join(run.name for run in runs),
        table=table,
    )
    with warnings_as_notes():
        written = write_figure(figure, table, (out or runs[0] / "figures") / name, kinds)
    _tell(written)


def _capture(run: Path) -> xr.Dataset:
    read_summary(run)
    from vaslab.capture.files import load_capture

    return load_capture(run / CAPTURE)


def _named_captures(runs: list[Path]) -> dict[str, xr.Dataset]:
    """Name each capture by its model, or by its folder where two runs are of one model."""
    if len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is named twice; give each run folder once")
    found = {run: _capture(run) for run in runs}
    models = [str(capture.attrs.get("model", run.name)) for run, capture in found.items()]
    names = models if len(set(models)) == len(models) else [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run) for run in runs]
    return dict(zip(names, found.values(), strict=True))


def _first_queries(capture: xr.Dataset) -> str:
    return str(capture["query_role"].values[0])


def _formats(given: list[str] | None) -> list[str]:
    """Read --format, before anything is drawn or written."""
    from vaslab.plots.export import FORMATS

    asked = [name.strip() for each in given or ["html,png"] for name in each.split(",")]
    for name in asked:
        if name not in FORMATS:
            raise UsageError(f"unknown figure format {name!r}; expected some of {', '.join(FORMATS)}")
    return asked


def _stem(given: str | None, default: str) -> str:
    if given is not None and (not given.strip(".") or Path(given).name != given):
        raise UsageError(f"--stem is {given!r}; expected a file name, and the folder in --out")
    return given or default


def _tell(written: list[Path]) -> None:
    """Say every file on stderr, and the one to open on stdout."""
    for path in written[1:]:
        note(f"wrote {path}")
    print(written[0])

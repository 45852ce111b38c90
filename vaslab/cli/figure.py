"""`vaslab figure NAME RUN...`: figures of finished runs, with their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaslab.cli.console import note, warnings_as_notes
from vaslab.cli.finished import Finished, data_words, read_run, read_runs, same_pictures
from vaslab.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
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
FormOption = Annotated[str, typer.Option(help="mean_of_ratios (the paper) or ratio_of_means.")]
SinkOption = Annotated[str, typer.Option(help="include (the paper) or exclude the first position.")]
PerTokenOption = Annotated[bool, typer.Option("--per-token", help="Masses per key token.")]


@figures.command("heads")
def heads_command(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: OutOption = None,
    stem: StemOption = None,
    formats: FormatOption = None,
    queries: QueriesOption = None,
    dark: DarkOption = False,
    form: FormOption = "mean_of_ratios",
    sink: SinkOption = "include",
    per_token: PerTokenOption = False,
) -> None:
    """Draw the VAS of every head of every layer."""
    kinds, name = formats_of(formats), _stem(stem, "heads")
    capture = read_run(run).capture
    from vaslab.plots import heads, heads_table

    asked = queries or queries_of(capture)
    table = heads_table(capture, asked, form, sink, per_token)
    figure = heads(capture, asked, form, sink, per_token, theme=_theme(dark), run=run.name, table=table)
    _write(figure, table, (out or run / "figures") / name, kinds)


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
    kinds, name = formats_of(formats), _stem(stem, "lazy")
    captures = {key: run.capture for key, run in read_runs(runs).items()}
    from vaslab.plots import lazy, lazy_table

    asked = queries or queries_of(next(iter(captures.values())))
    table = lazy_table(captures, asked, base)
    figure = lazy(
        captures,
        asked,
        base,
        theme=_theme(dark),
        run=", ".join(run.name for run in runs),
        table=table,
    )
    _write(figure, table, (out or runs[0] / "figures") / name, kinds)


@figures.command("scatter")
def scatter_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, one a checkpoint.")],
    out: OutOption = None,
    stem: StemOption = None,
    formats: FormatOption = None,
    queries: QueriesOption = None,
    dark: DarkOption = False,
    form: FormOption = "mean_of_ratios",
    sink: SinkOption = "include",
    per_token: PerTokenOption = False,
) -> None:
    """Draw VAS against accuracy, one point a checkpoint, with r and its interval."""
    kinds, name = formats_of(formats), _stem(stem, "scatter")
    found = read_runs(runs)
    from vaslab.plots import scatter, scatter_table

    captures = {key: run.capture for key, run in found.items()}
    asked = queries or queries_of(next(iter(captures.values())))
    right = {key: run.right for key, run in found.items()}
    pictures = same_pictures(list(found.values()))
    table = scatter_table(captures, right, asked, form, sink, per_token, pictures)
    figure = scatter(
        table,
        _theme(dark),
        data_words(list(found.values())),
        _decoding(found),
        ", ".join(r.name for r in runs),
    )
    _write(figure, table, (out or runs[0] / "figures") / name, kinds)


@figures.command("compare")
def compare_command(
    first: Annotated[Path, typer.Argument(help="Run folder.")],
    second: Annotated[Path, typer.Argument(help="Run folder, on the same items.")],
    out: OutOption = None,
    stem: StemOption = None,
    formats: FormatOption = None,
    queries: QueriesOption = None,
    dark: DarkOption = False,
    form: FormOption = "mean_of_ratios",
    sink: SinkOption = "include",
    per_token: PerTokenOption = False,
) -> None:
    """Draw the VAS of every head in two checkpoints, and the change between them."""
    kinds, name = formats_of(formats), _stem(stem, "compare")
    found = read_runs([first, second])
    from vaslab.plots import compare, compare_table

    (one, two), names = found.values(), tuple(found)
    asked = queries or queries_of(one.capture)
    pictures = same_pictures([one, two])
    table = compare_table(one.capture, two.capture, asked, form, sink, per_token, pictures)
    figure = compare(
        one.capture,
        two.capture,
        (names[0], names[1]),
        theme=_theme(dark),
        data=data_words([one]),
        run=f"{first.name}, {second.name}",
        table=table,
    )
    _write(figure, table, (out or second / "figures") / name, kinds)


@figures.command("decomposition")
def decomposition_command(
    first: Annotated[Path, typer.Argument(help="Run folder.")],
    second: Annotated[Path, typer.Argument(help="Run folder, on the same items.")],
    out: OutOption = None,
    stem: StemOption = None,
    formats: FormatOption = None,
    queries: QueriesOption = None,
    dark: DarkOption = False,
    form: Annotated[
        str, typer.Option(help="ratio_of_means (its parts are exact) or mean_of_ratios (the paper).")
    ] = "ratio_of_means",
    sink: SinkOption = "include",
) -> None:
    """Draw what changed VAS, layer by layer: a rise of visual or a fall of system attention."""
    kinds, name = formats_of(formats), _stem(stem, "decomposition")
    found = read_runs([first, second])
    from vaslab.plots import changes, changes_table

    (one, two), names = found.values(), tuple(found)
    asked = queries or queries_of(one.capture)
    table = changes_table(one.capture, two.capture, asked, form, sink, same_pictures([one, two]))
    figure = changes(
        one.capture,
        two.capture,
        (names[0], names[1]),
        theme=_theme(dark),
        data=data_words([one]),
        run=f"{first.name}, {second.name}",
        table=table,
    )
    _write(figure, table, (out or second / "figures") / name, kinds)


@figures.command("sensitivity")
def sensitivity_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, one a checkpoint; four or more.")],
    out: OutOption = None,
    stem: StemOption = None,
    formats: FormatOption = None,
    dark: DarkOption = False,
) -> None:
    """Draw r of VAS and accuracy under every definition of VAS."""
    kinds, name = formats_of(formats), _stem(stem, "sensitivity")
    found = read_runs(runs)
    from vaslab.plots import sensitivity, sensitivity_table

    accuracy = {key: float(run.right.mean()) for key, run in found.items()}
    table = sensitivity_table({key: run.capture for key, run in found.items()}, accuracy)
    figure = sensitivity(
        table, _theme(dark), data_words(list(found.values())), ", ".join(run.name for run in runs)
    )
    _write(figure, table, (out or runs[0] / "figures") / name, kinds)


@figures.command("published")
def published_command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write into.")] = Path("figures"),
    stem: StemOption = None,
    formats: FormatOption = None,
    dark: DarkOption = False,
) -> None:
    """Draw the numbers printed in the paper, and whether they agree with each other. Nothing is measured."""
    kinds, name = formats_of(formats), _stem(stem, "published")
    from vaslab.plots.published import published
    from vaslab.plots.published_numbers import published_table

    _write(published(_theme(dark)), published_table(), out / name, kinds)


def _theme(dark: bool) -> str:
    return "dark" if dark else "light"


def _decoding(found: dict[str, Finished]) -> str | None:
    """How all runs were decoded; None where they differ."""
    said = {str(run.summary.get("decoding")) for run in found.values()}
    return said.pop() if len(said) == 1 else None


def _write(figure: Any, table: pd.DataFrame, stem: Path, kinds: list[str]) -> None:
    from vaslab.plots import write_figure

    with warnings_as_notes():
        written = write_figure(figure, table, stem, kinds)
    _tell(written)


def queries_of(capture: xr.Dataset) -> str:
    """Return the first query set of a run, which figures show unless told otherwise."""
    return str(capture["query_role"].values[0])


def formats_of(given: list[str] | None) -> list[str]:
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

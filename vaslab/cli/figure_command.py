"""What every `vaslab figure` command shares: the runs it reads, where it writes, in which formats and theme."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from vaslab.cli.console import note, warnings_as_notes
from vaslab.cli.finished import Finished, data_words, read_runs, same_pictures
from vaslab.errors import UsageError

if TYPE_CHECKING:
    import xarray as xr

    from vaslab.metrics import Definition

figures = typer.Typer(
    no_args_is_help=True, help="Draw a figure of runs: HTML, PNG where a browser is, and CSV."
)

RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
SecondArgument = Annotated[Path, typer.Argument(help="Run folder, on the same items.")]
RunsArgument = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Run folders, one a checkpoint, or a study folder.")
]
DataOption = Annotated[
    str | None, typer.Option("--data", "-d", help="Only runs of this data set.", show_default=False)
]
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
FormOption = Annotated[
    str | None,
    typer.Option(
        help="mean_of_ratios (the paper) or ratio_of_means. \\[default: mean_of_ratios]", show_default=False
    ),
]
SinkOption = Annotated[
    str | None,
    typer.Option(
        help="include (the paper) or exclude the first position. \\[default: include]", show_default=False
    ),
]
PerTokenOption = Annotated[bool, typer.Option("--per-token", help="Masses per key token.")]


@dataclass(frozen=True)
class Asked:
    """What a command line says of the definition of VAS; what it leaves out is the paper's, or the first run's."""

    queries: str | None = None
    form: str | None = None
    sink: str | None = None
    per_token: bool = False

    def of(self, runs: Runs) -> Definition:
        """The definition for these runs: their first query set unless one was named.

        Raises:
            UsageError: an unknown form or sink.
        """
        from vaslab.metrics import Definition

        given = {name: value for name, value in asdict(self).items() if value is not None}
        return Definition(**given | {"queries": runs.queries(self.queries)})


class Drawn(NamedTuple):
    """A figure, its numbers, and the run beside which it is written unless told otherwise."""

    figure: Any
    table: Any
    run: Path


def figure_command(name: str) -> Callable[[Callable[..., Drawn]], Callable[..., None]]:
    """Register a function that draws as `vaslab figure NAME`.

    The function takes `theme` and the options of its own; the command has --out, --stem, --format and --dark besides,
    which are checked before anything is read. One that takes `asked`, of type `Asked`, has --queries, --form, --sink
    and --per-token.
    """

    def register(draw: Callable[..., Drawn]) -> Callable[..., None]:
        @wraps(draw)
        def command(
            out: Path | None, stem: str | None, formats: list[str] | None, dark: bool, **given: Any
        ) -> None:
            kinds, file = formats_of(formats), _stem(stem, name)
            if "asked" in own:
                given["asked"] = Asked(**{option: given.pop(option) for option, _, _ in DEFINITION})
            drawn = draw(theme="dark" if dark else "light", **given)
            write([(drawn, file)], out, kinds)

        own = inspect.signature(draw, eval_str=True).parameters
        every = [each for each in own.values() if each.name not in ("theme", "asked")]
        every += _options(*(DEFINITION if "asked" in own else ()), *SHARED)
        signature = inspect.Signature([each.replace(kind=each.KEYWORD_ONLY) for each in every])
        command.__signature__ = signature  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in every}
        figures.command(name)(command)
        return command

    return register


DEFINITION: tuple[tuple[str, Any, Any], ...] = (
    ("queries", QueriesOption, None),
    ("form", FormOption, None),
    ("sink", SinkOption, None),
    ("per_token", PerTokenOption, False),
)
"""Options that define VAS: the fields of `Asked`."""
SHARED: tuple[tuple[str, Any, Any], ...] = (
    ("out", OutOption, None),
    ("stem", StemOption, None),
    ("formats", FormatOption, None),
    ("dark", DarkOption, False),
)
"""The options of every figure."""


def _options(*options: tuple[str, Any, Any]) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, annotation, default in options
    ]


@dataclass(frozen=True)
class Runs:
    """Finished runs by name, and what figures say of them together."""

    found: dict[str, Finished]

    @classmethod
    def read(cls, folders: Sequence[Path], data: str | None = None) -> Runs:
        """Read run folders, or all finished runs of a study folder. Arguments and errors as `read_runs`."""
        return cls(read_runs(folders, data))

    @property
    def every(self) -> list[Finished]:
        """The runs in order."""
        return list(self.found.values())

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return list(self.found)

    @property
    def pair(self) -> tuple[str, str]:
        """The names of two."""
        first, second = self.found
        return first, second

    @cached_property
    def captures(self) -> dict[str, xr.Dataset]:
        """Name -> Capture."""
        return {name: run.capture for name, run in self.found.items()}

    @cached_property
    def right(self) -> dict[str, xr.DataArray]:
        """Name -> who was right."""
        return {name: run.right for name, run in self.found.items()}

    @cached_property
    def pictures(self) -> xr.DataArray | None:
        """Which picture each item is about, where all runs agree on it."""
        return same_pictures(self.every)

    def queries(self, asked: str | None) -> str:
        """The query set asked for, or the first of the first run."""
        return asked or str(self.every[0].capture["query_role"].values[0])

    @property
    def words(self) -> dict[str, Any]:
        """Data, decoding (None where runs differ) and run names, for subtitle and foot."""
        decodings = {str(run.summary.get("decoding")) for run in self.every}
        return {
            "data": data_words(self.every),
            "decoding": decodings.pop() if len(decodings) == 1 else None,
            "run": ", ".join(run.folder.name for run in self.every),
        }


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


def write(drawn: Sequence[tuple[Drawn, str]], out: Path | None, kinds: list[str]) -> None:
    """Write figures with their numbers; say every file on stderr, and the last figure's to open on stdout."""
    from vaslab.plots import write_figure

    written: list[Path] = []
    with warnings_as_notes():
        for each, stem in drawn:
            for path in written:
                note(f"wrote {path}")
            written = write_figure(each.figure, each.table, (out or each.run / "figures") / stem, kinds)
    for path in written[1:]:
        note(f"wrote {path}")
    print(written[0])

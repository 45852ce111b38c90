"""`vaslab figure NAME RUN...`: figures of one run, and of two on the same items, with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vaslab.cli.figure_command import (
    Asked,
    Drawn,
    QueriesOption,
    RunArgument,
    Runs,
    SecondArgument,
    SinkOption,
    figure_command,
)
from vaslab.cli.finished import read_run
from vaslab.errors import UsageError

if TYPE_CHECKING:
    from vaslab.metrics import Definition


@figure_command("heads")
def heads_command(
    run: RunArgument,
    theme: str,
    asked: Asked,
) -> Drawn:
    """Draw the VAS of every head of every layer."""
    found = Runs({"": read_run(run)})
    from vaslab.plots import heads, heads_table

    (capture,), definition = found.captures.values(), asked.of(found)
    table = heads_table(capture, definition)
    figure = heads(capture, definition, theme=theme, run=run.name, table=table)
    return Drawn(figure, table, run)


@figure_command("compare")
def compare_command(
    first: RunArgument,
    second: SecondArgument,
    theme: str,
    asked: Asked,
) -> Drawn:
    """Draw the VAS of every head in two checkpoints, and the change between them."""
    runs = Runs.read([first, second])
    return drawn_compare(runs, asked.of(runs), theme)


def drawn_compare(runs: Runs, definition: Definition, theme: str = "light") -> Drawn:
    """The compare figure of two runs."""
    from vaslab.plots import compare, compare_table

    one, two = runs.captures.values()
    table = compare_table(one, two, definition, runs.pictures)
    figure = compare(one, two, runs.pair, theme=theme, **runs.words, table=table)
    return Drawn(figure, table, runs.every[1].folder)


@figure_command("decomposition")
def decomposition_command(
    first: RunArgument,
    second: SecondArgument,
    theme: str,
    queries: QueriesOption = None,
    sink: SinkOption = None,
) -> Drawn:
    """Draw what changed VAS in both of its forms: a rise of visual or a fall of system attention, or neither."""
    runs = Runs.read([first, second])
    return drawn_decomposition(runs, Asked(queries, sink=sink).of(runs), theme)


def drawn_decomposition(runs: Runs, definition: Definition, theme: str = "light") -> Drawn:
    """The decomposition figure of two runs, of both forms of VAS."""
    from vaslab.plots import changes, changes_table

    one, two = runs.captures.values()
    table = changes_table(one, two, definition.queries, definition.sink, runs.pictures)
    words = {name: runs.words[name] for name in ("data", "run")}
    figure = changes(one, two, runs.pair, theme=theme, **words, table=table)
    return Drawn(figure, table, runs.every[1].folder)


@figure_command("items")
def items_command(
    first: RunArgument,
    second: SecondArgument,
    theme: str,
    asked: Asked,
    which: Annotated[
        str,
        typer.Option(
            "--filter", help="Shown first: largest (change of VAS), fixed or broken (by the second)."
        ),
    ] = "largest",
    rows: Annotated[int, typer.Option(min=1, help="Items shown at once.")] = 12,
) -> Drawn:
    """Draw a table of items: right or wrong in two checkpoints, and how the VAS of each changed."""
    runs = Runs.read([first, second])
    from vaslab.cli.figure_asked import item_words, pictures_of
    from vaslab.plots import items, items_table
    from vaslab.plots.items_numbers import chosen, known_filter

    known_filter(which)
    (one, two), words = runs.every, item_words(*runs.every)
    right = (one.right, two.right) if one.graded and two.graded else None
    table = items_table(one.capture, two.capture, right, words, asked.of(runs), runs.pictures)
    shown = {name for each in ("largest", "fixed", "broken") for name in chosen(table, each)["item"][:rows]}
    figure = items(table, runs.pair, pictures_of(first, shown), which, rows, theme, **runs.words)
    return Drawn(figure, table, second)


@figure_command("tokens")
def tokens_command(
    run: RunArgument,
    theme: str,
    item: Annotated[
        str | None,
        typer.Option(help="Id of the item. \\[default: the first with an answer]", show_default=False),
    ] = None,
    value: Annotated[str, typer.Option(help="vas, or share: attention on the image.")] = "vas",
    rows: Annotated[str, typer.Option(help="emitting (rows that produced a token) or own.")] = "emitting",
    window: Annotated[int, typer.Option(min=0, help="Which 500 tokens of a longer answer.")] = 0,
) -> Drawn:
    """Draw where each token of one answer looks, layer by layer. Loads the run's model."""
    if value not in ("vas", "share"):
        raise UsageError(f"--value is {value!r}; expected vas or share")
    if rows not in ("emitting", "own"):
        raise UsageError(f"--rows is {rows!r}; expected emitting or own")
    from vaslab.cli.figure_asked import answer_capture
    from vaslab.plots import tokens, tokens_table

    capture, name, texts = answer_capture(run, item)
    found = read_run(run)
    words = {key: str(found.summary[key]) for key in ("model", "data", "decoding")}
    table = tokens_table(capture, name, texts, rows)
    figure = tokens(capture, name, texts, value, rows, window, theme, **words, run=run.name, table=table)
    return Drawn(figure, table, run)

"""`vaslab contamination TRAIN BENCHMARK`: which items of a benchmark stand, or nearly stand, in a training set?"""

from __future__ import annotations

import csv
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaslab.cli.console import console, note, print_json, table

if TYPE_CHECKING:
    from vaslab.benchmarks.contamination import Overlap

_SHOWN = 40


def contamination(
    train: Annotated[
        str,
        typer.Argument(help="A table, a folder of tables, hub:OWNER/NAME, or a benchmark, as for --data."),
    ],
    benchmark: Annotated[str, typer.Argument(help="A benchmark, as for --data: NAME[/VARIANT][:PATH].")],
    out: Annotated[Path | None, typer.Option(help="Write every match to this CSV file.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line on stdout in place of the table.")
    ] = False,
) -> None:
    """Report near-duplicates between a training set and a benchmark, by picture and by question."""
    from vaslab.benchmarks import find_benchmark
    from vaslab.benchmarks.contamination import EVIDENCE, find_overlap
    from vaslab.benchmarks.training_rows import training_rows
    from vaslab.cli.progress import Bar

    items = find_benchmark(benchmark).select().items
    rows = training_rows(train)
    with Bar(console(), "compared", shown=not as_json) as bar:
        bar.start(len(rows), 0)
        overlap = find_overlap(rows, items, bar.advance)
    if out is not None:
        _write(overlap, out)
        note(f"{len(overlap.matches)} matches are in {out}")
    counts = {evidence: overlap.items(evidence) for evidence in EVIDENCE}
    if as_json:
        told = {"items": overlap.n_items, "rows": overlap.n_rows, "items_with_a_match": counts}
        print_json(
            {**told, "unread": overlap.unread, "matches": [asdict(match) for match in overlap.matches]}
        )
        return
    _show(overlap, counts)


def _show(overlap: Overlap, counts: dict[str, int]) -> None:
    strongest = overlap.strongest()
    of_item = [match.item for match in overlap.matches]
    shown: list[list[Any]] = [
        [m.item, m.row, m.evidence, _percent(m.picture), _percent(m.text), of_item.count(m.item)]
        for m in strongest[:_SHOWN]
    ]
    if shown:
        columns = ("item", "training row", "same", "ink in place %", "word pairs %", "rows like it")
        table("", columns, shown)
    if len(strongest) > _SHOWN:
        note(f"{len(strongest) - _SHOWN} more items have a match; --out FILE.csv holds all")
    parts = ", ".join(f"{count} by {evidence}" for evidence, count in counts.items())
    share = len(strongest) / max(overlap.n_items, 1)
    print(
        f"{len(strongest)} of {overlap.n_items} items ({share:.1%}) have a near-duplicate among {overlap.n_rows} "
        f"training rows: {parts}"
    )
    for reason, count in sorted(overlap.unread.items(), key=lambda pair: -pair[1])[:_SHOWN]:
        note(f"not compared, {count} x: {reason}")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}"


def _write(overlap: Overlap, path: Path) -> None:
    from vaslab.benchmarks.contamination import Match

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Match)])
        writer.writeheader()
        writer.writerows(asdict(match) for match in overlap.matches)

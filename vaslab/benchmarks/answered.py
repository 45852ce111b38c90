"""Responses that are on disk already, each with the item it answers: an official output file, or a run's rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vaslab.benchmarks.item import Benchmark, Item
from vaslab.benchmarks.rows import Row, read_rows
from vaslab.benchmarks.table import TableBenchmark
from vaslab.errors import UsageError

_IDS = ("id", "pid", "index", "question_id")
_RESPONSES = ("response", "prediction")


@dataclass(frozen=True)
class Answered:
    """A response to grade.

    Args:
        item: what was asked.
        response: what the model said; "" where it said nothing.
        broken: why there is nothing to grade; "" where there is.
        broken_kind: the same without what only this item has in it, for counting; "" where that is no other.
        before: the verdict that the file itself holds, where it is a run's.
    """

    item: Item
    response: str
    broken: str = ""
    broken_kind: str = ""
    before: bool | None = None


@dataclass(frozen=True)
class Answers:
    """All responses of a file, in its order.

    Args:
        responses: one a row.
        missing: items of the benchmark's data that have none; None where the data were not read.
        differing: rows of a run whose reference answer is not the item's: the data have changed since, or are others.
    """

    responses: tuple[Answered, ...]
    missing: int | None = None
    differing: int = 0


def read_answers(benchmark: Benchmark, paths: Sequence[Path]) -> Answers:
    """Read output files (json, jsonl, xlsx, csv, tsv or parquet) that together are one model's answers.

    A benchmark that is read from disk but named without a path takes its items from the files themselves, as
    official outputs repeat them; any other finds them by id.

    Raises UsageError for a file without responses, or of which no id is the benchmark's; what `read_rows` raises.
    """
    if isinstance(benchmark, TableBenchmark) and not benchmark.where:
        pairs = [pair for path in paths for pair in benchmark.answered(path)]
        return Answers(_once(Answered(item, response, item.broken) for item, response in pairs))
    return join(benchmark, benchmark.select().items, [row for path in paths for row in read_rows(path)])


def join(benchmark: Benchmark, items: Sequence[Item], rows: Sequence[Row]) -> Answers:
    """Give every row with a response its item, by id. Raises as `read_answers`."""
    official = benchmark.answers_in if isinstance(benchmark, TableBenchmark) else ()
    columns = dict.fromkeys((*official, *_RESPONSES))
    if not any(column in row.values for row in rows for column in columns):
        raise UsageError(f"{rows[0].where} has no response; expected a column {' or '.join(columns)}")
    by_id = {item.id: item for item in items}
    found, differing = [], 0
    for number, row in enumerate(rows, start=1):
        name = _id(benchmark, row) or f"row-{number}"
        item = by_id.get(name) or Item(name, "", broken=f"no item of {benchmark.name} has this id")
        differing += _of_run(row) and name in by_id and row.values.get("answer") != item.answer
        said = _response(benchmark, row)
        # a run says why it could not ask an item
        error, kind = (row.values.get(key) if said is None else None for key in ("error", "error_kind"))
        found.append(
            Answered(
                item,
                said or "",
                str(error or item.broken),
                str(kind or ""),
                _verdict(row),
            )
        )
    if not any(answered.item.id in by_id for answered in found):
        raise UsageError(
            f"{rows[0].where} answers {found[0].item.id!r}, and no item of {benchmark.name} has an id of this file; "
            f"is it the output of another benchmark? ids there are such as {items[0].id!r}"
        )
    answered_ids = {answered.item.id for answered in found}
    return Answers(_once(found), sum(item.id not in answered_ids for item in items), differing)


def _once(found: Iterable[Answered]) -> tuple[Answered, ...]:
    """Mark every response to an item after its first as broken: it would count twice."""
    seen: set[str] = set()
    kept = []
    for answered in found:
        name = answered.item.id
        if name in seen and not answered.broken:
            answered = replace(answered, broken=f"duplicate id {name!r}", broken_kind="duplicate id")
        seen.add(name)
        kept.append(answered)
    return tuple(kept)


def _id(benchmark: Benchmark, row: Row) -> str:
    if isinstance(benchmark, TableBenchmark) and not _of_run(row):
        return benchmark.row_id(row)
    return next((str(row.values[name]) for name in _IDS if row.values.get(name) is not None), row.key)


def _response(benchmark: Benchmark, row: Row) -> str | None:
    if isinstance(benchmark, TableBenchmark) and not _of_run(row):
        return benchmark.response(row)
    said = next((row.values[name] for name in _RESPONSES if row.values.get(name) is not None), None)
    return None if said is None else str(said)


def _of_run(row: Row) -> bool:
    """Whether vaslab wrote the row: its id is the item's, whatever columns the benchmark's own rows have."""
    return "error_kind" in row.values


def _verdict(row: Row) -> bool | None:
    right = row.values.get("right")
    return right if isinstance(right, bool) else None

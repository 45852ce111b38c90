"""Rows of a table that a user has on disk: JSON, JSON Lines, TSV, CSV, XLSX or Parquet."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaslab.errors import MissingError, UsageError, one_line

ENDINGS = (".jsonl", ".json", ".tsv", ".csv", ".xlsx", ".parquet")


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        where: file and place, as messages name it.
        values: by column; None where the cell is empty. Pictures are as the table holds them.
        key: the key of the row where the file is one JSON object of rows; "" elsewhere.
        part: the file in the folder, or the split, that holds the row where there may be several; "" elsewhere.
    """

    where: str
    values: Mapping[str, Any]
    key: str = ""
    part: str = ""


def read_rows(path: Path) -> list[Row]:
    """Read every row of a file, in its order.

    Raises MissingError for a file that is not there or cannot be opened; UsageError, naming the place, for an
    ending that is none of ENDINGS and for contents that are not what the ending says.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path} is no table of rows; expected a file that ends in {', '.join(ENDINGS)}")
    try:
        rows = list(_READERS[path.suffix.lower()](path))
    except FileNotFoundError as error:
        raise MissingError(f"no data file at {path}; check the path") from error
    except OSError as error:
        raise MissingError(f"{path} cannot be read ({error.strerror or one_line(error)})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    if not rows:
        raise UsageError(f"{path} holds no row")
    return rows


def rows_of(values: Iterable[Mapping[str, Any]], named: str, part: str = "") -> Iterator[Row]:
    """Turn mappings into rows, empty cells into None."""
    for number, row in enumerate(values, start=1):
        yield _row(f"{named} row {number}", row, part=part)


def _row(where: str, values: Mapping[str, Any], key: str = "", part: str = "") -> Row:
    return Row(where, {str(name): None if _empty(cell) else cell for name, cell in values.items()}, key, part)


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _json(path: Path) -> Iterator[Row]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        loaded = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        # some official files hold an object a line in spite of their ending
        if "Extra data" in str(error) and text.lstrip().startswith("{"):
            yield from _json_lines(path)
            return
        raise UsageError(f"{path} is not JSON ({one_line(error)}); is it cut off?") from error
    if isinstance(loaded, dict) and loaded and all(isinstance(each, dict) for each in loaded.values()):
        for key, row in loaded.items():
            yield _row(f"{path.name} {key!r}", row, key)
    elif isinstance(loaded, list):
        for number, row in enumerate(loaded, start=1):
            yield _row(f"{path.name} row {number}", _object(row, f"{path} row {number}"))
    else:
        raise UsageError(f"{path} holds a {type(loaded).__name__}; expected a list or an object of rows")


def _json_lines(path: Path) -> Iterator[Row]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UsageError(
                f"{path}:{number}: not JSON ({one_line(error)}); write one object a line"
            ) from error
        yield _row(f"{path.name}:{number}", _object(row, f"{path}:{number}"))


def _object(row: object, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise UsageError(f"{where}: a {type(row).__name__}, not an object")
    return row


def _separated(path: Path) -> Iterator[Row]:
    # a cell may be a whole picture in base64
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        try:
            yield from rows_of(
                ({k: v or None for k, v in row.items() if k is not None} for row in reader), path.name
            )
        except csv.Error as error:
            raise UsageError(f"{path}:{reader.line_num}: {one_line(error)}") from error


def _sheet(path: Path) -> Iterator[Row]:
    import pandas as pd

    try:
        frame = pd.read_excel(path, dtype=object)
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is no workbook ({one_line(error)})") from error
    # the time of an empty cell is NaT, no float
    frame = frame.where(frame.notna(), None)
    yield from rows_of(
        (dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False)), path.name
    )


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow.parquet import read_table

    try:
        table = read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise UsageError(f"{path} is no Parquet file ({one_line(error)}); is it cut off?") from error
    yield from rows_of(table.to_pylist(), path.name)


_READERS = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".tsv": _separated,
    ".csv": _separated,
    ".xlsx": _sheet,
    ".parquet": _parquet,
}

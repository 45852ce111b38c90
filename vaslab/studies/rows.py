"""Rows of a run, one JSON object a line: written in one piece that has reached the disk, read with what is torn."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]


def line_of(row: Row) -> str:
    """Return a row as its line."""
    return json.dumps(row, allow_nan=False) + "\n"


def parsed(line: str, ids: Collection[str]) -> Row | None:
    """Return the row of a line; None where it is none of an item of `ids`."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    known = isinstance(row, dict) and "error" in row and row.get("id") in ids
    return row if known else None


def measured(row: Row) -> bool:
    """Whether the row's item was asked and measured."""
    return not row["error"]


def append_rows(path: Path, rows: Sequence[Row]) -> None:
    """Add rows in one write, and bring them to the disk."""
    text = "".join(map(line_of, rows))
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows under a temporary name, bring them to the disk, and rename."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as file:
        file.writelines(map(line_of, rows))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_rows(path: Path, ids: Collection[str]) -> tuple[list[Row], list[int]]:
    """Return the rows of a file that are of items of `ids`, and the numbers of all other lines.

    A last line without its end is torn, whatever it holds.
    """
    text = path.read_bytes().decode("utf-8", errors="replace") if path.exists() else ""
    *whole, rest = text.split("\n")
    rows, torn = [], []
    for count, line in enumerate(whole, start=1):
        row = parsed(line, ids)
        if row is None:
            torn.append(count)
        else:
            rows.append(row)
    return rows, torn + [len(whole) + 1] * bool(rest)


class Tail:
    """What another process adds to its file of rows, read as it comes."""

    def __init__(self, path: Path, ids: Collection[str]) -> None:
        self.path = path
        self._ids = ids
        self._file, self._offset = 0, 0

    def new(self) -> list[Row]:
        """Return the rows added since the last call; a line that is not there whole waits."""
        if not self.path.exists():
            return []
        # opened anew each time: on a network file system that is what brings another machine's lines
        with self.path.open("rb") as file:
            number = os.fstat(file.fileno()).st_ino
            if number != self._file:
                self._file, self._offset = number, 0
            file.seek(self._offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._offset += end
        found = (parsed(line, self._ids) for line in data[:end].decode("utf-8", errors="replace").split("\n"))
        return [row for row in found if row is not None]

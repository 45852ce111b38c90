"""What of a run is done: lines of items.jsonl and shards of its capture; a kill costs one batch at most."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import xarray as xr

from vaslab.capture.dataset import join_captures
from vaslab.capture.files import load_capture, save_capture
from vaslab.errors import VaslabError
from vaslab.studies.run import CAPTURE, ITEMS, SHARDS
from vaslab.studies.shards import read_shard, write_shard

Row: TypeAlias = dict[str, Any]


class Ledger:
    """The rows and shards of a run whose batches are fixed by its item list.

    Args:
        folder: the run folder.
        ids: item ids of each batch, in order.

    A batch is done when its rows stand in items.jsonl and, unless all of them failed, its shard does as well.
    The shard comes first: rows are the seal.
    """

    def __init__(self, folder: Path, ids: Sequence[Sequence[str]]) -> None:
        self.folder = folder
        self.ids = [list(batch) for batch in ids]
        self.notes: list[str] = []
        self._rows: dict[int, list[Row]] = {}
        (folder / SHARDS).mkdir(exist_ok=True)
        self._recover()

    @property
    def pending(self) -> list[int]:
        """Numbers of the batches still to do."""
        return [number for number in range(len(self.ids)) if number not in self._rows]

    @property
    def rows(self) -> list[Row]:
        """Rows of the batches that are done, in the order of the items."""
        return [row for number in sorted(self._rows) for row in self._rows[number]]

    def commit(self, number: int, rows: Sequence[Row], shard: xr.Dataset | None) -> None:
        """Keep a batch: its shard, then its rows in one write that has reached the disk."""
        if [row["id"] for row in rows] != self.ids[number]:
            raise VaslabError(f"batch {number} has rows of other items than its own; please report this")
        if shard is not None:
            write_shard(shard, self._shard(number))
        text = "".join(_line(row) for row in rows)
        with (self.folder / ITEMS).open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._rows[number] = list(rows)

    def close(self, attrs: dict[str, Any]) -> xr.Dataset:
        """Join the shards into capture.zarr with more attributes, put the rows in order, and return the capture.

        Raises VaslabError where no item could be measured.
        """
        if not any(_measured(row) for row in self.rows):
            reason = min(str(row["error"]) for row in self.rows).rstrip(".")
            raise VaslabError(f"no item could be measured: {reason}; correct the data and measure again")
        lines = "".join(_line(row) for row in self.rows)
        if lines != (self.folder / ITEMS).read_text(encoding="utf-8"):
            self._rewrite(lines)
        target = self.folder / CAPTURE
        if target.is_dir():
            return load_capture(target)
        numbers = [number for number, rows in sorted(self._rows.items()) if any(map(_measured, rows))]
        joined = join_captures([read_shard(self._shard(number)) for number in numbers])
        joined.attrs |= attrs
        save_capture(joined, target)
        return joined

    def _shard(self, number: int) -> Path:
        return self.folder / SHARDS / f"{number:05d}.npz"

    def _recover(self) -> None:
        """Read what is there; drop, and name, what is torn."""
        for left in [*self.folder.glob(".*.part"), *(self.folder / SHARDS).glob(".*.part")]:
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        found, torn = self._read()
        joined = not torn and (self.folder / CAPTURE).is_dir()
        for number, rows in found.items():
            wrong = self._wrong(number, rows, joined)
            if wrong:
                torn.append(f"batch {number}: {wrong}")
            else:
                self._rows[number] = rows
        for shard in sorted((self.folder / SHARDS).glob("*.npz")):
            if shard.stem not in {f"{number:05d}" for number in self._rows}:
                shard.unlink()
                if int(shard.stem) not in found:
                    torn.append(f"batch {int(shard.stem)}: a shard without rows")
        if torn:
            self.notes = [f"{each}; this batch is measured again" for each in torn]
            shutil.rmtree(self.folder / CAPTURE, ignore_errors=True)
            self._rewrite("".join(_line(row) for row in self.rows))

    def _read(self) -> tuple[dict[int, list[Row]], list[str]]:
        """Return the rows of each batch, and what of items.jsonl cannot be read."""
        place = {name: number for number, batch in enumerate(self.ids) for name in batch}
        found: dict[int, list[Row]] = {}
        torn = []
        path = self.folder / ITEMS
        text = path.read_bytes().decode("utf-8", errors="replace") if path.exists() else ""
        lines = text.split("\n")
        # After a complete last line the split leaves an empty string; anything else there was torn off.
        for count, line in enumerate(lines, start=1):
            if count == len(lines) and not line:
                continue
            row = None if count == len(lines) else _parsed(line)
            if row is None or row.get("id") not in place:
                torn.append(f"{ITEMS}:{count} is torn")
            else:
                found.setdefault(place[row["id"]], []).append(row)
        return found, torn

    def _wrong(self, number: int, rows: list[Row], joined: bool) -> str:
        """Say what keeps a batch from being done; "" where it is."""
        if [row["id"] for row in rows] != self.ids[number]:
            return f"{len(rows)} of its {len(self.ids[number])} rows"
        measured = [row["id"] for row in rows if _measured(row)]
        if not measured or joined:
            return ""
        if not self._shard(number).is_file():
            return "rows without a shard"
        try:
            held = read_shard(self._shard(number))
        except VaslabError as error:
            return str(error)
        return "" if list(held["item"].values) == measured else "its shard is of other items"

    def _rewrite(self, text: str) -> None:
        part = self.folder / f".{ITEMS}.{os.getpid()}.part"
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / ITEMS)


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _parsed(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and {"id", "error"} <= set(row) else None


def _measured(row: Row) -> bool:
    return not row["error"]

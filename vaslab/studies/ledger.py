"""What of a run is done: lines of rows and shards of its capture; a kill costs one batch at most."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from vaslab.capture.dataset import join_captures
from vaslab.capture.files import load_capture, save_capture
from vaslab.errors import VaslabError
from vaslab.studies.rows import Row, Tail, append_rows, measured, read_rows, replace_rows
from vaslab.studies.run import CAPTURE, ITEMS, SHARDS
from vaslab.studies.shards import read_shard, write_shard


class Ledger:
    """The rows and shards of a run whose batches are fixed by its item list.

    Args:
        folder: the run folder.
        ids: item ids of each batch, in order.
        rank: of the process. Each writes rows into a file of its own; that of rank 0, the main one, is
            items.jsonl. It alone recovers what an earlier session left, before others begin, and closes.

    A batch is done when all of its rows stand in one file and, unless all of them failed, its shard does as
    well. The shard comes first: rows are the seal.
    """

    def __init__(self, folder: Path, ids: Sequence[Sequence[str]], rank: int = 0) -> None:
        self.folder = folder
        self.ids = [list(batch) for batch in ids]
        self.rank = rank
        self.notes: list[str] = []
        self.asked: Counter[int] = Counter()
        self._place = {name: number for number, batch in enumerate(self.ids) for name in batch}
        self._rows: dict[int, list[Row]] = {}
        self._tails: dict[Path, Tail] = {}
        self._unfinished: dict[Path, list[Row]] = {}
        if rank == 0:
            (folder / SHARDS).mkdir(exist_ok=True)
            self._recover()
        else:
            self.refresh()

    @property
    def pending(self) -> list[int]:
        """Numbers of the batches still to do, as far as this process knows."""
        return [number for number in range(len(self.ids)) if number not in self._rows]

    def lacks(self, number: int) -> bool:
        """Whether a batch is still to do."""
        return number not in self._rows

    @property
    def rows(self) -> list[Row]:
        """Rows of the batches that are done, in the order of the items."""
        return [row for number in sorted(self._rows) for row in self._rows[number]]

    def commit(self, number: int, rows: Sequence[Row], shard: xr.Dataset | None) -> None:
        """Keep a batch: its shard, then its rows in one write that has reached the disk."""
        if _ids(rows) != self.ids[number]:
            raise VaslabError(f"batch {number} has rows of other items than its own; please report this")
        if shard is not None:
            write_shard(shard, self._shard(number))
        append_rows(self._file(self.rank), rows)
        self._rows[number] = list(rows)
        self.asked[self.rank] += len(rows)

    def refresh(self) -> int:
        """Learn which batches other processes have done since; return how many items those hold."""
        gained = 0
        main = [] if self.rank == 0 else [self._file(0)]
        for path in [*main, *self._others()]:
            if path == self._file(self.rank):
                continue
            tail = self._tails.setdefault(path, Tail(path, self._place))
            seen = self._by_batch([*self._unfinished.pop(path, []), *tail.new()])
            for number, rows in seen.items():
                if number in self._rows:
                    continue
                if _ids(rows) == self.ids[number]:
                    self._rows[number] = rows
                    self.asked[_rank_of(path)] += len(rows)
                    gained += len(rows)
                else:
                    self._unfinished.setdefault(path, []).extend(rows)
        return gained

    def close(self, attrs: dict[str, Any]) -> xr.Dataset:
        """Join the shards into capture.zarr with more attributes, put all rows in order into items.jsonl, and
        return the capture.

        Raises VaslabError where no item could be measured.
        """
        if not any(map(measured, self.rows)):
            reason = min(str(row["error"]) for row in self.rows).rstrip(".")
            raise VaslabError(f"no item could be measured: {reason}; correct the data and measure again")
        if read_rows(self.folder / ITEMS, self._place) != (self.rows, []):
            replace_rows(self.folder / ITEMS, self.rows)
        target = self.folder / CAPTURE
        if target.is_dir():
            return load_capture(target)
        numbers = [number for number, rows in sorted(self._rows.items()) if any(map(measured, rows))]
        joined = join_captures([read_shard(self._shard(number)) for number in numbers])
        joined.attrs |= attrs
        save_capture(joined, target)
        return joined

    def _shard(self, number: int) -> Path:
        return self.folder / SHARDS / f"{number:05d}.npz"

    def _file(self, rank: int) -> Path:
        return self.folder / SHARDS / f"rows-{rank}.jsonl" if rank else self.folder / ITEMS

    def _others(self) -> list[Path]:
        return sorted((self.folder / SHARDS).glob("rows-*.jsonl"))

    def _recover(self) -> None:
        """Read what is there into items.jsonl; drop, and name, what is torn."""
        for left in [*self.folder.glob(".*.part"), *(self.folder / SHARDS).glob(".*.part")]:
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        found: dict[int, list[list[Row]]] = {}
        torn = []
        others = self._others()
        for path in [self._file(0), *others]:
            rows, broken = read_rows(path, self._place)
            torn += [f"{path.name}:{count} is torn" for count in broken]
            for number, batch in self._by_batch(rows).items():
                found.setdefault(number, []).append(batch)
        joined = not torn and (self.folder / CAPTURE).is_dir()
        for number, versions in found.items():
            wrong = [self._wrong(number, rows, joined) for rows in versions]
            if all(wrong):
                torn.append(f"batch {number}: {wrong[0]}")
            else:
                self._rows[number] = versions[wrong.index("")]
        torn += self._drop_shards_without_rows(set(found))
        if torn:
            self.notes = [f"{each}; this batch is measured again" for each in torn]
            shutil.rmtree(self.folder / CAPTURE, ignore_errors=True)
        if torn or others:
            replace_rows(self.folder / ITEMS, self.rows)
        for path in others:
            path.unlink()

    def _drop_shards_without_rows(self, found: set[int]) -> list[str]:
        """Delete the shards of batches that are not done; return what to say of those without any row."""
        said = []
        for shard in sorted((self.folder / SHARDS).glob("*.npz")):
            if int(shard.stem) not in self._rows:
                shard.unlink()
                if int(shard.stem) not in found:
                    said.append(f"batch {int(shard.stem)}: a shard without rows")
        return said

    def _by_batch(self, rows: Sequence[Row]) -> dict[int, list[Row]]:
        found: dict[int, list[Row]] = {}
        for row in rows:
            found.setdefault(self._place[row["id"]], []).append(row)
        return found

    def _wrong(self, number: int, rows: list[Row], joined: bool) -> str:
        """Say what keeps a batch from being done; "" where it is."""
        if _ids(rows) != self.ids[number]:
            return f"{len(rows)} of its {len(self.ids[number])} rows"
        expected = [row["id"] for row in rows if measured(row)]
        if not expected or joined:
            return ""
        if not self._shard(number).is_file():
            return "rows without a shard"
        try:
            held = read_shard(self._shard(number))
        except VaslabError as error:
            return str(error)
        return "" if list(held["item"].values) == expected else "its shard is of other items"


def _ids(rows: Sequence[Row]) -> list[str]:
    return [row["id"] for row in rows]


def _rank_of(path: Path) -> int:
    return 0 if path.name == ITEMS else int(path.stem.removeprefix("rows-"))

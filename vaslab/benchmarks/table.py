"""A benchmark whose rows a user has on disk: what its modules share, so that each holds its own rule alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from vaslab.benchmarks.hub import MARK, is_saved_folder, read_hub, read_saved
from vaslab.benchmarks.item import BrokenItemError, Grade, Item, Selection, Source
from vaslab.benchmarks.pictures import inside, picture, shared_pictures
from vaslab.benchmarks.rows import ENDINGS, Row, read_rows
from vaslab.benchmarks.spread import spread
from vaslab.errors import MissingError, UsageError


class TableBenchmark(ABC):
    """A benchmark read from a table: `read` turns a row into an item, `grade` is its published rule.

    Args:
        where: a file, a folder that holds one of `files`, a folder that `datasets` saved, or `hub:OWNER/NAME`.
        variant: one of `variants`; "" takes the first.
    """

    name: str
    title: str
    source: str
    licence: str
    forbidden: str = ""
    rule: str
    get: str
    """How a user gets the data, in one line."""
    files: tuple[str, ...]
    """Patterns of the files that hold the rows in the official layout of a folder, the first that fits wins."""
    image_folders: tuple[str, ...] = ("images",)
    """Folders beside the rows in which pictures named without one may lie."""
    variants: Mapping[str, str] = MappingProxyType({})
    """Names of what may be asked of the same rows, with words for each; the first is the default."""
    every_split: bool = False
    """Whether the splits of the official data set are parts of the benchmark, to be read together."""
    answers_in: tuple[str, ...] = ("response", "prediction")
    """Columns of official output files that hold the model's response."""

    def __init__(self, where: str, variant: str = "") -> None:
        if variant and variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise UsageError(f"{self.name} has no variant {variant!r}; it has: {known}")
        self.variant = variant or next(iter(self.variants), "")
        self.where = where

    @abstractmethod
    def read(self, row: Row) -> Item:
        """Turn a row into an item without its pictures; the id is set by the caller.

        Rows of official output files are read too: what only asking needs may be absent there. Raises
        BrokenItemError, with the reason, for a row that cannot be asked.
        """

    @abstractmethod
    def grade(self, item: Item, response: str) -> Grade:
        """Grade a response by the published rule."""

    def pictures(self, row: Row) -> Sequence[object]:
        """Return the cells that hold the row's pictures, in order; by default the column `image`."""
        return [row.values.get("image")]

    def response(self, row: Row) -> str | None:
        """Return what a row of an official output file says the model answered; None where the cell is empty."""
        found = next((row.values[name] for name in self.answers_in if row.values.get(name) is not None), None)
        return None if found is None else str(found)

    def row_id(self, row: Row) -> str:
        """Return the published id of a row; "" where it has none."""
        for column in ("id", "pid", "index", "question_id"):
            if row.values.get(column) is not None:
                return str(row.values[column])
        return row.key

    def wanted(self, row: Row) -> bool:  # noqa: ARG002
        """Whether the row belongs to the variant."""
        return True

    def select(self, limit: int | None = None, seed: int = 0) -> Selection:
        """Select all items, or `limit` of them spread over the pictures."""
        return spread(self.items, limit, seed)

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:  # noqa: ARG002
        """Accuracy over items is all there is to say, unless a benchmark says more."""
        return {}

    def chance(self, items: Sequence[Item]) -> float | None:
        """One over the number of options where every item has options."""
        if not items or not all(item.options for item in items):
            return None
        return sum(1 / len(item.options) for item in items) / len(items)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Every item, in the order of the table; what is wrong with a row is the item's `broken`."""
        path, rows = self._rows
        found: list[Item] = []
        first: dict[str, str] = {}
        for number, row in enumerate((row for row in rows if self.wanted(row)), start=1):
            item = self._seen(self._item(row, self.row_id(row) or f"row-{number}", first), row)
            first[item.id] = row.where
            found.append(item)
        if not found:
            raise UsageError(f"{path} holds no row of {self.name} {self.variant}".rstrip())
        return tuple(found)

    def is_output(self, row: Row) -> bool:
        """Whether the row is of an official output file."""
        return any(column in row.values for column in self.answers_in)

    def answered(self, path: Path) -> list[tuple[Item, str]]:
        """Read an official output file: items as its rows say, each with the model's response.

        Raises UsageError where a row has no response.
        """
        found = []
        part = "/".join(path.parts[-2:])
        for number, row in enumerate((replace(row, part=part) for row in read_rows(path)), start=1):
            if not self.is_output(row):
                raise UsageError(
                    f"{row.where} has no response; expected a column {' or '.join(self.answers_in)}"
                )
            item = self._item(row, self.row_id(row) or f"row-{number}", {})
            found.append((item, self.response(row) or ""))
        return found

    def _item(self, row: Row, key: str, first: Mapping[str, str]) -> Item:
        """Read one row; an id that was there before, and what `read` refuses, make a broken item."""
        if key in first:
            broken = f"duplicate id {key!r}, first in {first[key]}"
            while key in first:
                key += "'"
            return Item(key, "", picture_id=key, broken=broken)
        try:
            item = self.read(row)
        except BrokenItemError as error:
            return Item(key, "", picture_id=key, broken=str(error))
        return replace(item, id=key, picture_id=item.picture_id or key)

    def _seen(self, item: Item, row: Row) -> Item:
        """Give an item its pictures, or say what is wrong with them."""
        if item.broken:
            return item
        try:
            sources = [self._source(value, row) for value in self.pictures(row)]
        except BrokenItemError as error:
            return replace(item, broken=str(error))
        return replace(item, pictures=tuple(sources))

    def _source(self, value: object, row: Row) -> Source:
        base = self._rows[0]
        found = picture(value, base, row.where)
        if not isinstance(found, Path) or not isinstance(value, str):
            return found
        beside = Path(row.part).parent
        tried = [inside(f"{beside}/{value}", base), found]
        tried += [inside(f"{folder}/{value}", base) for folder in self.image_folders]
        return next((each for each in tried if each.is_file()), found)

    @cached_property
    def _rows(self) -> tuple[Path, list[Row]]:
        """Return the folder that pictures lie in, and the rows."""
        if self.where.startswith(MARK):
            return Path(), read_hub(self.where.removeprefix(MARK), self.every_split)
        path, split = Path(self.where), ""
        if not path.exists() and ":" in self.where:
            before, _, split = self.where.rpartition(":")
            path = Path(before)
        if not self.where or not path.exists():
            said = f"there is nothing at {path}" if self.where else "its data are not shipped with vaslab"
            raise MissingError(f"{self.name}: {said}; get them ({self.get}) and say --data {self.name}:PATH")
        if path.is_file():
            return path.parent, shared_pictures(read_rows(path))
        if is_saved_folder(path):
            return path, read_saved(path, split, self.every_split)
        for pattern in self.files:
            matched = sorted(path.glob(pattern))
            if matched:
                return path, [row for file in matched for row in _part(path, file)]
        raise MissingError(
            f"{path} holds none of {', '.join(self.files)}; name the file itself "
            f"({', '.join(ENDINGS)}): --data {self.name}:FILE"
        )


def _part(folder: Path, file: Path) -> list[Row]:
    """Read one of a folder's files; its rows say which."""
    part = str(file.relative_to(folder))
    return [replace(row, part=part) for row in shared_pictures(read_rows(file))]


def text(row: Row, column: str) -> str:
    """Return a cell as text. Raises BrokenItemError where it is empty or no text."""
    value = row.values.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BrokenItemError(f"no {column}")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BrokenItemError(f"{column} is a {type(value).__name__}, not text")
    return str(value)

"""Read records of the formats people have; every row is checked, and what is wrong with it is said.

.jsonl, .json   a chat a row, as LLaMA-Factory has it: `messages` (role, content) or `conversations` (from, value),
                with `images` (or `image`): paths relative to the file. A dataset_info.json beside the file is
                followed where it names other columns and tags. AVAR-ColdStart is written for LLaMA-Factory.
.parquet        `problem`, `images` (bytes or path) and `answer` a row, as geometry3k has it: prompts for RL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainers.data.pictures import Source, unreadable
from trainers.data.record import PLACE, Record, RecordError
from vaslab.errors import MissingError, UsageError, VaslabError, one_line

_ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
_SHOWN = 3


@dataclass(frozen=True)
class Reading:
    """What a file holds: the records that can be used, and for every other row the reason."""

    path: Path
    records: tuple[Record, ...]
    problems: tuple[str, ...]

    def require(self, needs: str) -> tuple[Record, ...]:
        """Return the records where all rows can be used for this training.

        Args:
            needs: `response` (supervised) or `answer` (reinforcement learning).

        Raises:
            RecordError: some row cannot; the message names the first of them.
        """
        problems = [*self.problems, *(text for record in self.records if (text := _lacks(record, needs)))]
        if problems:
            more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
            raise RecordError(
                f"{self.path}: {len(problems)} of {len(self.records) + len(self.problems)} rows cannot be used: "
                f"{'; '.join(problems[:_SHOWN])}{more}"
            )
        if not self.records:
            raise RecordError(f"{self.path} holds no records")
        return self.records


def _lacks(record: Record, needs: str) -> str:
    if needs == "response" and record.response is None:
        return f"{record.id}: no assistant turn at its end; supervised training needs one"
    if needs == "answer" and record.answer is None:
        return f"{record.id}: no answer; reinforcement learning needs one"
    if needs == "answer" and record.response is not None:
        return f"{record.id}: ends with an assistant turn; reinforcement learning needs a prompt"
    return ""


def read_records(path: Path, *, pictures: bool = True) -> Reading:
    """Read a file of records, or the records.jsonl of a folder; the format is told by suffix and columns.

    `pictures` decodes every distinct picture once, on all cores, so that one that is damaged, or that no model can be
    shown, is found here.

    Raises:
        MissingError: no such file.
        UsageError: a suffix that is not read.
        RecordError: a file that is not what its suffix says.
    """
    path = path / "records.jsonl" if path.is_dir() else path
    if not path.is_file():
        raise MissingError(
            f"no records at {path}; give a .jsonl, .json or .parquet file, or a folder with records.jsonl"
        )
    if path.suffix not in _ROWS:
        raise UsageError(f"{path} is of no format that is read; expected {', '.join(_ROWS)}")
    layout = _layout(path)
    read: dict[str, Record | VaslabError] = {}
    for number, row in enumerate(_ROWS[path.suffix](path), start=1):
        name = f"row {number}"
        try:
            if isinstance(row, VaslabError):
                raise row
            read[name] = _record(row, name, path.parent, layout)
        except VaslabError as error:
            read[name] = error
    records = {name: each for name, each in read.items() if isinstance(each, Record)}
    broken = unreadable(source for each in records.values() for source in each.images) if pictures else {}
    reasons = {name: str(each) for name, each in read.items() if not isinstance(each, Record)}
    for name, record in records.items():
        found = [broken[source] for source in record.images if source in broken]
        if found:
            reasons[name] = found[0]
    return Reading(
        path,
        tuple(record for name, record in records.items() if name not in reasons),
        tuple(f"{name}: {reasons[name]}" for name in read if name in reasons),
    )


@dataclass(frozen=True)
class _Layout:
    """Which columns and tags hold what."""

    messages: tuple[str, ...] = ("messages", "conversations")
    images: tuple[str, ...] = ("images", "image")
    system: str = "system"
    role: tuple[str, ...] = ("role", "from")
    content: tuple[str, ...] = ("content", "value")
    roles: Mapping[str, str] = field(default_factory=lambda: _ROLES)


def _layout(path: Path) -> _Layout:
    """Read the layout that a dataset_info.json beside the file gives it."""
    info = path.parent / "dataset_info.json"
    if not info.is_file():
        return _Layout()
    try:
        entries = json.loads(info.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{info} is no JSON ({one_line(error)}); correct it or take it away") from error
    if not isinstance(entries, dict):
        raise RecordError(
            f"{info} holds a {type(entries).__name__}; expected an object, a data set a key: correct it or take it away"
        )
    entry = next(
        (each for each in entries.values() if isinstance(each, dict) and each.get("file_name") == path.name),
        {},
    )
    columns, tags = entry.get("columns", {}), entry.get("tags", {})
    if not isinstance(columns, dict) or not isinstance(tags, dict):
        raise RecordError(
            f"{info}: columns and tags of {path.name} are no objects; correct it or take it away"
        )
    plain = _Layout()
    own = {tags[f"{role}_tag"]: role for role in ("system", "user", "assistant") if f"{role}_tag" in tags}
    return _Layout(
        messages=(columns["messages"],) if "messages" in columns else plain.messages,
        images=(columns["images"],) if "images" in columns else plain.images,
        system=columns.get("system", plain.system),
        role=(tags["role_tag"],) if "role_tag" in tags else plain.role,
        content=(tags["content_tag"],) if "content_tag" in tags else plain.content,
        roles={**_ROLES, **own},
    )


def _record(row: Any, name: str, folder: Path, layout: _Layout) -> Record:
    if not isinstance(row, dict):
        raise RecordError(f"is a {type(row).__name__}; expected an object with messages")
    images = tuple(_source(each, folder) for each in _list(_first(row, layout.images)))
    answer = row.get("answer", row.get("ground_truth"))
    turns = _first(row, layout.messages)
    kind = str(row.get("kind") or "")
    messages: tuple[tuple[str, str], ...]
    if turns is None and isinstance(row.get("problem"), str):
        messages = (("user", row["problem"]),)
        kind = kind or "rl"
    elif isinstance(turns, list) and turns:
        messages = tuple(_turn(turn, number, layout) for number, turn in enumerate(turns))
        if row.get(layout.system):
            messages = (("system", str(row[layout.system])), *messages)
    else:
        raise RecordError(
            f"has no {' or '.join(layout.messages)}; its columns are {', '.join(row) or 'none'}"
        )
    return Record(str(row.get("id") or name), messages, images, kind, None if answer is None else str(answer))


def _turn(turn: Any, number: int, layout: _Layout) -> tuple[str, str]:
    role = str(_first(turn, layout.role)) if isinstance(turn, dict) else ""
    if role not in layout.roles:
        raise RecordError(f"turn {number} has the role {role!r}; expected one of {', '.join(layout.roles)}")
    content = _first(turn, layout.content)
    if isinstance(content, list):
        content = "".join(_block(block, number) for block in content)
    if not isinstance(content, str):
        raise RecordError(f"turn {number} holds {type(content).__name__}; expected text")
    return layout.roles[role], content


def _block(block: Any, number: int) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "image":
        return PLACE
    if kind == "text" and isinstance(block.get("text"), str):
        return str(block["text"])
    raise RecordError(f"turn {number} holds a block of type {kind!r}; expected text or image")


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _source(value: Any, folder: Path) -> Source:
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return bytes(value["bytes"])
    name = value.get("path") if isinstance(value, dict) else value
    if not isinstance(name, str):
        raise RecordError(f"an image is a {type(value).__name__}; expected a path, or bytes")
    path = folder / name
    if not path.is_file():
        raise RecordError(f"no picture at {path}")
    return path


def _json_lines(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield _parsed(line)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        return RecordError(f"is no JSON ({one_line(error)})")


def _json_list(path: Path) -> Iterator[Any]:
    try:
        rows = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError(
            f"{path} is no JSON ({one_line(error)}); one object a line has the suffix .jsonl"
        ) from error
    if not isinstance(rows, list):
        raise RecordError(f"{path} holds one {type(rows).__name__}; expected a list of records")
    yield from rows


def _parquet(path: Path) -> Iterator[Any]:
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        table = ParquetFile(path)
    except ArrowInvalid as error:
        raise RecordError(f"{path} is no parquet file ({one_line(error)})") from error
    for batch in table.iter_batches(batch_size=64):
        yield from batch.to_pylist()


_ROWS: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": _json_lines,
    ".json": _json_list,
    ".parquet": _parquet,
}

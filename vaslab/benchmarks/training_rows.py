"""Questions and pictures of training sets as people have them, read for comparison: what cannot be read is said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vaslab.benchmarks.hub import MARK, is_saved_folder, read_hub, read_saved
from vaslab.benchmarks.item import BrokenItemError, Source
from vaslab.benchmarks.pictures import picture
from vaslab.benchmarks.registry import BENCHMARKS, find_benchmark
from vaslab.benchmarks.rows import ENDINGS, Row, read_rows
from vaslab.errors import MissingError

_CHATS = ("messages", "conversations", "prompt")
_TEXTS = ("question", "problem", "prompt", "query", "instruction", "text")
_PICTURES = ("images", "image", "decoded_image", "image_path", *(f"image_{number}" for number in range(1, 8)))
_LAYOUT = "dataset_info.json"


@dataclass(frozen=True)
class TrainingRow:
    """What of a training row is compared.

    Args:
        where: names the row: its id, or file and place.
        question: what the user's turns say.
        pictures: where its pictures come from; read when they are compared.
        broken: what of the row cannot be read; "" where all can.
    """

    where: str
    question: str
    pictures: tuple[Source, ...] = ()
    broken: str = ""


def training_rows(where: str) -> list[TrainingRow]:
    """Read a training set: a table, a folder of tables or one that `datasets` saved, hub:OWNER/NAME, or a benchmark.

    A row holds a chat in `messages`, `conversations` or `prompt` (role and content, or from and value), or a question
    in a column of its own; its pictures stand in `images` or `image`, or in the chat. Paths are relative to the file.

    Raises MissingError where there is nothing, and what `read_rows` raises.
    """
    # a folder of the user's may be called like a benchmark
    if not Path(where).exists() and where.partition(":")[0].partition("/")[0] in BENCHMARKS:
        items = find_benchmark(where).select().items
        return [TrainingRow(item.id, item.question, item.pictures, item.broken) for item in items]
    if where.startswith(MARK):
        return [_read(row, Path()) for row in read_hub(where.removeprefix(MARK), every_split=True)]
    path = Path(where)
    if path.is_dir() and is_saved_folder(path):
        return [_read(row, path) for row in read_saved(path, every_split=True)]
    if path.is_dir():
        return [_read(row, file.parent) for file in _tables(path) for row in read_rows(file)]
    return [_read(row, path.parent) for row in read_rows(path)]


def _tables(folder: Path) -> list[Path]:
    """Return the tables of a folder; of a folder with splits, those for training."""
    found = [
        file
        for file in sorted([*folder.glob("*"), *folder.glob("data/*")])
        if file.suffix.lower() in ENDINGS and file.name != _LAYOUT
    ]
    if not found:
        raise MissingError(f"{folder} holds no table; expected files that end in {', '.join(ENDINGS)}")
    return [file for file in found if file.name.startswith("train")] or found


def _read(row: Row, folder: Path) -> TrainingRow:
    turns = _turns(row)
    text = "\n".join(turn for turn, _ in turns) if turns else _text(row)
    cells = [each for name in _PICTURES for each in _listed(row.values.get(name))]
    cells += [each for _, pictures in turns for each in pictures]
    name = row.values.get("id")
    read = TrainingRow(row.where if name is None else f"{row.where} (id {name})", text)
    sources, problems = [], [] if text.strip() else ["no question"]
    for cell in cells:
        try:
            sources.append(picture(cell, folder, row.where))
        except BrokenItemError as error:
            problems.append(str(error))
    return replace(read, pictures=tuple(sources), broken="; ".join(problems))


def _listed(value: object) -> list[object]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _text(row: Row) -> str:
    for name in _TEXTS:
        value = row.values.get(name)
        if isinstance(value, str) and value.strip():
            more = row.values.get("input") if name == "instruction" else None
            return f"{value}\n{more}" if isinstance(more, str) else value
    return ""


def _turns(row: Row) -> list[tuple[str, list[object]]]:
    """Return text and pictures of each of the user's turns; [] where the row holds no chat."""
    for name in _CHATS:
        chat = row.values.get(name)
        if isinstance(chat, str) and chat.lstrip().startswith("[{"):
            try:
                chat = json.loads(chat)
            except json.JSONDecodeError:
                continue
        if isinstance(chat, list) and chat and all(isinstance(turn, Mapping) for turn in chat):
            return list(_user_turns(chat))
    return []


def _user_turns(chat: list[Mapping[str, Any]]) -> Iterator[tuple[str, list[object]]]:
    for turn in chat:
        if turn.get("role", turn.get("from")) not in ("user", "human"):
            continue
        content = turn.get("content", turn.get("value"))
        if isinstance(content, str):
            yield content, []
            continue
        parts = [part for part in _listed(content) if isinstance(part, Mapping)]
        pictures = [part["image"] for part in parts if part.get("image") is not None]
        yield "\n".join(str(part["text"]) for part in parts if part.get("text") is not None), pictures

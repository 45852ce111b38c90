"""One training record: a chat, its pictures, and the answer it should come to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from trainers.data.pictures import Source
from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.errors import UsageError, VaslabError
from vaslab.prompts.images import open_image
from vaslab.prompts.prompt import Piece, Prompt, Turn

PLACE = "<image>"
"""Stands in a text where a picture is; LLaMA-Factory's convention."""

KINDS = ("text-cold-start", "multimodal-cold-start", "vard", "rl")
"""Text-only and multimodal cold start, visual-anchored reflection, prompts for reinforcement learning."""


class RecordError(VaslabError):
    """A record cannot be trained on; the message says why."""


@dataclass(frozen=True)
class Record:
    """A chat to train on.

    Args:
        id: names it in messages.
        messages: role (system, user, assistant) and text of each turn; PLACE stands where a picture is.
        images: the pictures, in the order of their places.
        kind: one of KINDS, or "" where that is not known.
        answer: the reference answer; None where there is none.

    Raises:
        RecordError: turns out of order, pictures and places that do not match, a response whose tagged answer is not
            the reference answer.
    """

    id: str
    messages: tuple[tuple[str, str], ...]
    images: tuple[Source, ...] = ()
    kind: str = ""
    answer: str | None = None

    def __post_init__(self) -> None:
        if self.kind and self.kind not in KINDS:
            raise RecordError(f"kind is {self.kind!r}; expected one of {', '.join(KINDS)}")
        elsewhere = [role for role, text in self.messages if role != "user" and PLACE in text]
        if elsewhere:
            raise RecordError(f"{PLACE} stands in a {elsewhere[0]} turn; pictures belong to user turns")
        places = sum(text.count(PLACE) for _, text in self.messages)
        if places != len(self.images):
            raise RecordError(
                f"{places} {PLACE} in the texts and {len(self.images)} images; expected as many of each"
            )
        try:
            # pictures are checked by their number here, and read when they are needed
            chat(self.messages, [Path("picture")] * len(self.images))
        except UsageError as error:
            raise RecordError(str(error)) from error
        told = tagged_answer(self.response) if self.response else None
        if told is not None and self.answer is not None and told != self.answer.strip():
            raise RecordError(f"the response answers {told!r}, the record's answer is {self.answer!r}")

    @property
    def response(self) -> str | None:
        """Text of the last turn where it is the assistant's: what is trained on."""
        role, text = self.messages[-1]
        return text if role == "assistant" else None

    def prompt(self) -> Prompt:
        """Read the pictures and build the chat. Raises what `open_image` raises of a picture."""
        return chat(self.messages, [open_image(source) for source in self.images])

    def blocks(self) -> list[dict[str, Any]]:
        """The turns as transformers and TRL take them: `content` is a list of {"type": ...} blocks."""
        return [
            {
                "role": role,
                "content": [
                    {"type": "image"} if piece is None else {"type": "text", "text": piece}
                    for piece in _pieces(text)
                ],
            }
            for role, text in self.messages
        ]


def chat(messages: Sequence[tuple[str, str]], pictures: Sequence[Piece]) -> Prompt:
    """Build a prompt from roles and texts, a picture at each PLACE. Raises UsageError as `Prompt.chat` does."""
    left = iter(pictures)
    return Prompt.chat(
        Turn(role, [next(left) if piece is None else piece for piece in _pieces(text)])
        for role, text in messages
    )


def _pieces(text: str) -> list[str | None]:
    """Texts in order, None where a picture stands."""
    found: list[str | None] = []
    for number, part in enumerate(text.split(PLACE)):
        found += [None] * (number > 0) + [part] * bool(part)
    return found


def digest(records: Iterable[Record]) -> str:
    """Hash of everything that training sees of the records: texts, answers, and the contents of the pictures."""
    total = sha256()
    for record in records:
        total.update(json.dumps([record.messages, record.kind, record.answer]).encode())
        for source in record.images:
            total.update(sha256(_contents(source)).digest())
    return f"sha256:{total.hexdigest()[:16]}"


def _contents(source: Source) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def new_records(folder: Path) -> Path:
    """Path of the records that a folder is to hold.

    Raises UsageError where it holds records already, or is a file.
    """
    path = folder / "records.jsonl"
    if path.exists() or folder.is_file():
        raise UsageError(f"{path if path.exists() else folder} is there already; choose another --out")
    return path


def write_records(records: Iterable[Record], folder: Path) -> Path:
    """Write `records.jsonl` into a folder, pictures as files under `images/` named by their contents; return its path.

    The file is there whole or not at all. Raises UsageError as `new_records` does.
    """
    path = new_records(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        for record in records:
            row = {
                "id": record.id,
                "kind": record.kind,
                "messages": [{"role": role, "content": text} for role, text in record.messages],
                "images": [_write_picture(source, folder) for source in record.images],
                "answer": record.answer,
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    part.replace(path)
    return path


def _write_picture(source: Source, folder: Path) -> str:
    contents = _contents(source)
    suffix = (
        source.suffix
        if isinstance(source, Path)
        else f".{(Image.open(BytesIO(contents)).format or 'png').lower()}"
    )
    name = f"images/{sha256(contents).hexdigest()[:20]}{suffix}"
    if not (folder / name).exists():
        (folder / name).write_bytes(contents)
    return name

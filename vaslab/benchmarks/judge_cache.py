"""Answers of judge models on disk, so that a rerun asks nothing twice."""

from __future__ import annotations

import fcntl
import json
import os
import re
from hashlib import sha256
from pathlib import Path


def cache_folder() -> Path:
    """Return where answers are kept unless another folder is named: the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vaslab" / "judge"


class AnswerCache:
    """One JSON Lines file a model; lines are only ever added, by any number of processes.

    Args:
        folder: made with the first answer.
        model: the judge; answers are keyed by it and the prompt.

    A line that a kill or a full disk has cut is passed over, and its prompt asked again.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.path = folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', model).strip('-.') or 'judge'}.jsonl"
        self._model = model
        self._answers: dict[str, str] = {}
        if self.path.is_file():
            for line in self.path.read_bytes().split(b"\n"):
                self._take(line)

    def get(self, prompt: str) -> str | None:
        """Return the answer to a prompt; None where it was never given."""
        return self._answers.get(self._key(prompt))

    def put(self, prompt: str, answer: str) -> None:
        """Keep an answer; it has reached the disk when this returns."""
        key = self._key(prompt)
        line = json.dumps({"key": key, "model": self._model, "prompt": prompt, "answer": answer})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write((b"\n" if _cut(file.fileno()) else b"") + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._answers[key] = answer

    def _key(self, prompt: str) -> str:
        return sha256(json.dumps([self._model, prompt]).encode()).hexdigest()

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return
        if isinstance(said, dict) and isinstance(said.get("answer"), str):
            self._answers[str(said.get("key"))] = said["answer"]


def _cut(handle: int) -> bool:
    """Whether a file ends within a line."""
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"

"""A user's own questions: a JSON Lines file with pictures beside it, or one picture and one question."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Grade, Item, Selection
from vaslab.benchmarks.spread import check_limit
from vaslab.errors import MissingError, UsageError

KEYS = ("id", "image", "images", "question", "system", "answer")
"""What a row may say; other keys are the user's own and are left alone."""


class _OwnRule:
    """The rule for questions of a user's own."""

    rule = "exact match of the whole answer, case, spacing and a final full stop aside"

    def grade(self, item: Item, response: str) -> Grade:
        """Compare the whole answer with the user's."""
        tagged = tagged_answer(response)
        told = _plain(response if tagged is None else tagged)
        if item.answer is None:
            return Grade(None, told or None, "no reference answer")
        if not told:
            return Grade(False, None, "empty response")
        return Grade(told == _plain(item.answer), told)

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:  # noqa: ARG002
        """Accuracy is all there is."""
        return {}

    def chance(self, items: Sequence[Item]) -> float | None:  # noqa: ARG002
        """Not known: answers are free."""
        return None


class OwnFile(_OwnRule):
    """A file with one JSON object a line: `id`, `image` (or `images`), `question`; `system`, `answer`.

    Pictures are named relative to the file and lie in its folder. Raises UsageError, naming file and line,
    for a line that is no JSON object; all else that is wrong with a row becomes a row with a reason.
    """

    title = "your own questions"
    source = "a JSON Lines file of your own"
    licence = "yours"
    forbidden = ""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem

    def select(self, limit: int | None = None, seed: int = 0) -> Selection:  # noqa: ARG002
        """Select all rows, or the first `limit` of them: the order of an own file is meant."""
        check_limit(limit)
        rows = _rows(self.path)
        if not rows:
            raise UsageError(f"{self.path} holds no row; write one JSON object a line: id, image, question")
        items: list[Item] = []
        first_line: dict[str, int] = {}
        for line, row in rows:
            items.append(_item(row, line, self.path.parent, first_line))
        if limit is None or limit >= len(items):
            return Selection(tuple(items), len(items), f"all {len(items)} rows of {self.path.name}")
        return Selection(
            tuple(items[:limit]), len(items), f"first {limit} of {len(items)} rows of {self.path.name}"
        )


class OwnPicture(_OwnRule):
    """One question about pictures named on the command line."""

    name = "picture"
    title = "your own picture"
    source = "--image and --question"
    licence = "yours"
    forbidden = ""

    def __init__(self, images: Sequence[str], question: str, system: str | None = None) -> None:
        if not images:
            raise UsageError("a question needs a picture to look at; add --image PICTURE")
        if not question.strip():
            raise UsageError('a picture needs a question; add --question "..."')
        pictures = tuple(Path(image) for image in images)
        self._item = Item("picture", question, pictures, None, system, picture_id=pictures[0].name)

    def select(self, limit: int | None = None, seed: int = 0) -> Selection:  # noqa: ARG002
        """Select the one item. Reads its pictures first, so that a bad one is met here and not in the run."""
        self._item.prompt()
        return Selection((self._item,), 1, "one question of your own")


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).removesuffix(".").rstrip()


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return (line number, object) of every line that is not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8 JSON Lines") from error
    except OSError as error:
        raise MissingError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}:{number}: not JSON ({error}); write one object a line") from error
        if not isinstance(row, dict):
            raise UsageError(f"{path}:{number}: a {type(row).__name__}, not an object; write {{...}} a line")
        rows.append((number, row))
    return rows


def _item(row: dict[str, Any], line: int, folder: Path, first_line: dict[str, int]) -> Item:
    """Read one row; what is wrong with it becomes the item's `broken`."""
    name = row.get("id", f"line-{line}")
    # 1 and "1" are one id wherever ids are text: in the capture, in a table
    key = str(name) if isinstance(name, str | int) and str(name).strip() else f"line-{line}"
    problem = ""
    if key != str(name):
        problem = "id is no text or number"
    elif key in first_line:
        problem, key = f"duplicate id {key!r}, first on line {first_line[key]}", f"{key} (line {line})"
    # a made-up name can meet a later or earlier id of the user's
    while key in first_line:
        key += "'"
    first_line[key] = line
    for field in ("question", "system", "answer"):
        value = row.get(field)
        if field == "answer" and isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                problem = problem or "answer is not a number that can be compared"
            value = str(value)
        if value is not None and not isinstance(value, str):
            problem = problem or f"{field} is a {type(value).__name__}, not text"
            value = None
        row[field] = value
    question = row["question"] or ""
    if not question.strip():
        problem = problem or f"no question{_nearest(row, 'question')}"
    pictures, wrong = _pictures(row, folder)
    problem = problem or wrong
    return Item(
        id=key,
        question=question,
        pictures=() if problem else pictures,
        answer=row["answer"],
        system=row["system"],
        picture_id=str(pictures[0].name) if pictures else key,
        broken=problem,
    )


def _pictures(row: dict[str, Any], folder: Path) -> tuple[tuple[Path, ...], str]:
    """Return the pictures of a row and what is wrong with them."""
    named = row.get("images", row.get("image"))
    named = [named] if isinstance(named, str) else named
    if not named:
        return (), f"no image{_nearest(row, 'image')}"
    if not isinstance(named, list) or not all(isinstance(each, str) and each for each in named):
        return (), "image is no path or list of paths"
    root = folder.resolve()
    found = []
    for each in named:
        try:
            path = (root / each).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            return (), f"image path cannot be followed ({error})"
        if not path.is_relative_to(root):
            return (), f"image path leaves the folder of the file: {each}"
        found.append(path)
    return tuple(found), ""


def _nearest(row: dict[str, Any], key: str) -> str:
    close = get_close_matches(key, [str(each) for each in row if each not in KEYS], n=1)
    return f" (did you mean {key!r} by {close[0]!r}?)" if close else ""

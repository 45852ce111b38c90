"""What every benchmark is made of: items to ask, and grades of what was answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, runtime_checkable

from PIL import Image

from vaslab.errors import VaslabError, one_line
from vaslab.prompts.images import open_image
from vaslab.prompts.prompt import Prompt, Turn

Box: TypeAlias = tuple[float, float, float, float]
Source: TypeAlias = Path | Callable[[], Image.Image]
"""Where a picture comes from: a file, or a function that draws or decodes it."""
_PLACE = re.compile(r"<image ?(\d+)>")


class BrokenItemError(VaslabError):
    """An item cannot be asked; the message is the reason its row carries."""


@dataclass(frozen=True)
class Item:
    """One question about one or more pictures.

    Args:
        id: unique within the benchmark.
        question: the user's text.
        pictures: files, or functions that draw; read when the item is asked, not before.
        answer: the reference answer; None where there is none to grade by.
        system: the system prompt; None leaves it to the chat template.
        picture_id: names the picture, so that questions about the same one can be told to be clustered.
        kind: what is asked, for reports by kind.
        boxes: (x0, y0, x1, y1) in pixels of the picture: where the answer is seen, if that is known.
        options: the options to choose from, in order and without letters; () where the answer is free.
        facts: what else the grading rule needs, by name: strings, numbers, or tuples of them.
        placed: whether "<image 1>", "<image 2>" in the question say where its pictures stand; pictures that are
            not named, and all of them otherwise, stand before the question.
        broken: why the item cannot be asked at all; "" where it can.
    """

    id: str
    question: str
    pictures: tuple[Source, ...] = ()
    answer: str | None = None
    system: str | None = None
    picture_id: str = ""
    kind: str = ""
    boxes: tuple[Box, ...] = ()
    options: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    placed: bool = False
    broken: str = ""

    def prompt(self) -> Prompt:
        """Read the pictures and build the prompt.

        Raises BrokenItemError with the reason of an item that cannot be asked, and what `open_image` raises
        of a picture.
        """
        if self.broken:
            raise BrokenItemError(self.broken)
        images = [
            open_image(picture if isinstance(picture, Path) else picture()) for picture in self.pictures
        ]
        if not self.placed:
            return Prompt(system=self.system, user=self.question, images=images)
        turns = [] if self.system is None else [Turn("system", self.system)]
        return Prompt.chat([*turns, Turn("user", _in_place(self.question, images))])

    def fingerprint(self) -> str:
        """Everything of the item that decides what is measured, except for the contents of its pictures."""
        # not the whole path: the package, or a user's folder, may stand elsewhere when a run goes on
        files = ["/".join(picture.parts[-3:]) for picture in self.pictures if isinstance(picture, Path)]
        asked = (self.id, self.question, files, self.answer, self.system, self.picture_id, self.broken)
        rule = (self.options, sorted(self.facts.items()), self.placed)
        return repr(asked if rule == ((), [], False) else (*asked, *rule))


def _in_place(question: str, images: Sequence[Image.Image]) -> list[str | Image.Image]:
    """Put pictures where the question names them; a picture named again stands at its first place alone."""
    pieces: list[str | Image.Image] = []
    left = dict(enumerate(images, start=1))
    # split by one group: texts and numbers take turns
    for at, part in enumerate(_PLACE.split(question)):
        if at % 2 == 0:
            pieces.append(part)
        elif int(part) in left:
            pieces.append(left.pop(int(part)))
    return [*left.values(), *(piece for piece in pieces if piece != "")]


@dataclass(frozen=True)
class Grade:
    """What an answer is worth.

    Args:
        right: None where there is nothing to grade by; an answer that cannot be extracted is wrong.
        extracted: the answer found in the response, as compared; None where none was found.
        reason: why there is no verdict, or why nothing was extracted; "" otherwise.
        guessed: whether the rule drew `extracted` at random, as some do when nothing can be found in a response.
        by: who judged: "rule", or the name of a judge model.
    """

    right: bool | None
    extracted: str | None
    reason: str = ""
    guessed: bool = False
    by: str = "rule"


@dataclass(frozen=True)
class Selection:
    """The items of one run, in their fixed order, and in words which they are."""

    items: tuple[Item, ...]
    total: int
    words: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        joined = "\n".join(item.fingerprint() for item in self.items)
        object.__setattr__(self, "digest", sha256(joined.encode()).hexdigest()[:16])


@runtime_checkable
class Benchmark(Protocol):
    """A set of items with its published rule of grading.

    `source` says where it comes from, `licence` on what terms, `forbidden` what must not be done with it ("" where
    nothing stands out), `rule` how answers are graded.
    """

    name: str
    title: str
    source: str
    licence: str
    forbidden: str
    rule: str

    def select(self, limit: int | None = None, seed: int = 0) -> Selection:
        """Return the items of a run: all, or `limit` of them drawn with `seed`."""
        ...

    def grade(self, item: Item, response: str) -> Grade:
        """Grade a response by the benchmark's rule."""
        ...

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """Return the benchmark's own headline numbers, in parts of one, where accuracy over items is not all of
        them; `items` and `grades` are aligned and hold the answered items."""
        ...

    def chance(self, items: Sequence[Item]) -> float | None:
        """Return the accuracy expected of guessing, in parts of one; None where answers are free."""
        ...


UNFIT = (VaslabError, ValueError, ArithmeticError, RecursionError)
"""What a rule may raise on a response that it cannot take."""


def graded(benchmark: Benchmark, item: Item, response: str) -> Grade:
    """Grade a response; one that the rule cannot take has no verdict, and why."""
    try:
        return benchmark.grade(item, response)
    except UNFIT as error:
        return not_graded(error)


def not_graded(error: Exception) -> Grade:
    """Return no verdict, and why."""
    return Grade(None, None, f"not graded: {type(error).__name__}: {one_line(error)}")


Ask: TypeAlias = Callable[[str], str]
"""Put a prompt before a judge model and return what it says."""


@runtime_checkable
class JudgedBenchmark(Benchmark, Protocol):
    """A benchmark whose published protocol lets a model extract or grade answers."""

    def judge(self, item: Item, response: str, ask: Ask) -> Grade:
        """Grade a response by the published protocol, with a judge."""
        ...

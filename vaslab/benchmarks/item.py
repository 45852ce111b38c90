"""What every benchmark is made of: items to ask, and grades of what was answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from PIL import Image

from vaslab.errors import VaslabError
from vaslab.prompts.images import open_image
from vaslab.prompts.prompt import Prompt

Box: TypeAlias = tuple[float, float, float, float]
Source: TypeAlias = Path | Callable[[], Image.Image]
"""Where a picture comes from: a file, or a function that draws it."""


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
        return Prompt(system=self.system, user=self.question, images=images)

    def fingerprint(self) -> str:
        """Everything of the item that decides what is measured, except for the contents of its pictures."""
        # not the whole path: the package, or a user's folder, may stand elsewhere when a run goes on
        files = ["/".join(picture.parts[-3:]) for picture in self.pictures if isinstance(picture, Path)]
        return repr((self.id, self.question, files, self.answer, self.system, self.picture_id, self.broken))


@dataclass(frozen=True)
class Grade:
    """What an answer is worth.

    Args:
        right: None where there is nothing to grade by; an answer that cannot be extracted is wrong.
        extracted: the answer found in the response, as compared; None where none was found.
        reason: why there is no verdict, or why nothing was extracted; "" otherwise.
    """

    right: bool | None
    extracted: str | None
    reason: str = ""


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
    """A set of items with its published rule of grading."""

    name: str
    title: str
    source: str
    licence: str
    rule: str

    def select(self, limit: int | None = None, seed: int = 0) -> Selection:
        """Return the items of a run: all, or `limit` of them drawn with `seed`."""
        ...

    def grade(self, item: Item, response: str) -> Grade:
        """Grade a response by the benchmark's rule."""
        ...

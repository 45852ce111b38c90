"""What is asked of a model: turns of text and pictures, before any tokenizer has seen them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from PIL.Image import Image

from vaslab.errors import UsageError

Picture: TypeAlias = Image | Path
Piece: TypeAlias = str | Image | Path

TURN_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Turn:
    """One turn of a chat.

    `role` is system, user or assistant. `content` is a text, or a list of texts and pictures in the order in
    which they are to stand; a `str` in the list is text, a `Path` or a PIL image is a picture. Pictures
    belong to user turns. Raises UsageError otherwise. A turn compares by identity of its PIL images and by
    value of everything else.
    """

    role: str
    content: str | Sequence[Piece]

    def __post_init__(self) -> None:
        if self.role not in TURN_ROLES:
            raise UsageError(f"Unknown turn role {self.role!r}; the roles are {', '.join(TURN_ROLES)}.")
        pieces = (self.content,) if isinstance(self.content, str | Path | Image) else tuple(self.content)
        for piece in pieces:
            check_piece(piece, self.role)
        object.__setattr__(self, "content", pieces)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Texts and pictures of the turn, in order."""
        return tuple(self.content)

    @property
    def images(self) -> tuple[Picture, ...]:
        """Pictures of the turn, in order."""
        return tuple(piece for piece in self.pieces if not isinstance(piece, str))


@dataclass(frozen=True, init=False)
class Prompt:
    """A chat to put before a model: `Prompt(user="What is left of the cup?", images=["cup.png"])`.

    One user turn is built, its pictures before its text; `Prompt.chat` takes turns in any order of text and
    pictures. `system=None` leaves the system message to the chat template (its default, if it has one);
    `system=""` asks for an empty one, whose markers remain. A last assistant turn is the response. Raises
    UsageError for a chat that has no user turn, or a user turn with no content.
    """

    turns: tuple[Turn, ...]

    def __init__(
        self, *, system: str | None = None, user: str = "", images: Sequence[Picture | str] = ()
    ) -> None:
        if isinstance(images, str | Path | Image):
            raise UsageError("`images` is a list of pictures; write images=[picture].")
        pictures = [Path(image) if isinstance(image, str) else image for image in images]
        turns = [Turn("user", [*pictures, *([user] if user else [])])]
        if system is not None:
            turns.insert(0, Turn("system", system))
        self._set(turns)

    @classmethod
    def chat(cls, turns: Iterable[Turn]) -> Prompt:
        """Build a prompt from turns: an optional system turn, then user and assistant turns beginning with a
        user turn.
        """
        prompt = cls.__new__(cls)
        prompt._set(list(turns))
        return prompt

    def _set(self, turns: list[Turn]) -> None:
        _check_order(turns)
        object.__setattr__(self, "turns", tuple(turns))

    @property
    def images(self) -> tuple[Picture, ...]:
        """All pictures of the prompt, in the order of the turns."""
        return tuple(image for turn in self.turns for image in turn.images)

    @property
    def answered(self) -> bool:
        """Whether the last turn is the assistant's, so that it is the response."""
        return self.turns[-1].role == "assistant"


def check_piece(piece: object, role: str) -> None:
    """Raise UsageError unless a turn of that role may hold the piece: well-formed text, or a picture in a user turn."""
    if isinstance(piece, str):
        _encodable(piece, role)
    elif not isinstance(piece, Image | Path):
        raise UsageError(
            f"A {role} turn holds a {type(piece).__name__}; give a str for text, and a PIL image or a "
            "pathlib.Path for a picture."
        )
    elif role != "user":
        raise UsageError(f"A {role} turn holds a picture; move the picture into a user turn.")


def _encodable(text: str, role: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"The text of a {role} turn has a lone surrogate at character {error.start}, which is no text; "
            "read the file as UTF-8, or clean it with text.encode('utf-8', 'replace').decode()."
        ) from error


def _check_order(turns: list[Turn]) -> None:
    roles = [turn.role for turn in turns]
    if "user" not in roles:
        raise UsageError(
            f"The chat has no user turn (its turns: {', '.join(roles) or 'none'}); add Turn('user', ...)."
        )
    if "system" in roles[1:]:
        raise UsageError("A system turn stands only first; put later instructions into a user turn.")
    first = roles[1] if roles[0] == "system" else roles[0]
    if first != "user":
        raise UsageError(
            f"The chat begins with an {first} turn; the first turn after the system message is the user's."
        )
    for number, turn in enumerate(turns):
        if turn.role != "system" and not any(turn.pieces):
            fix = "give it text or a picture" if turn.role == "user" else "give it text, or leave it out"
            raise UsageError(f"Turn {number} ({turn.role}) has no content; {fix}.")

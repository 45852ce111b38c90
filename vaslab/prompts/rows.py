"""Tokens of one prompt, each with its role and with what it shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vaslab.errors import UsageError, VaslabError
from vaslab.prompts.patches import PatchGrid
from vaslab.prompts.roles import Role
from vaslab.prompts.spans import Span
from vaslab.prompts.tokens import Tokens
from vaslab.prompts.vocabulary import Vocabulary


@dataclass
class Row:
    """One sequence before padding: id, role, user turn, picture and patch of every position (-1: none)."""

    ids: list[int] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)
    turn: list[int] = field(default_factory=list)
    image: list[int] = field(default_factory=list)
    patch: list[int] = field(default_factory=list)

    def add(self, number: int, role: Role, turn: int = -1, image: int = -1, patch: int = -1) -> None:
        """Append one position."""
        self.ids.append(number)
        self.roles.append(int(role))
        self.turn.append(turn)
        self.image.append(image)
        self.patch.append(patch)


def label(vocabulary: Vocabulary, text: str, tokens: Tokens, spans: list[Span]) -> Row:
    """Give every token the role of its characters.

    A token that takes characters of two spans has the role of the one that was written, not the template's.
    The first position is system_sink when it is system. Raises UsageError where a written text became a
    special token all the same.
    """
    before, after = vocabulary.around(text)
    owner = np.repeat(np.arange(len(spans)), [span.end - span.start for span in spans])
    row, seen = Row(), [0] * len(spans)
    for number in before:
        row.add(number, Role.marker)
    for number, (start, end) in zip(tokens.ids, tokens.offsets, strict=True):
        # A token of no width, such as a prefix space, stands before the character at its start.
        touched = dict.fromkeys(owner[min(start, len(owner) - 1) : max(end, start + 1)].tolist())
        index = next((index for index in touched if spans[index].written), next(iter(touched)))
        span = spans[index]
        if span.written and number in vocabulary.special_ids:
            raise UsageError(
                f"The tokenizer reads {text[start:end]!r} in a {span.role.name} text as a special token; "
                "take it out of the prompt's text."
            )
        if span.role not in (Role.image, Role.video):
            row.add(number, span.role, span.turn)
        elif number in vocabulary.visual_ids:
            row.add(number, span.role, span.turn, span.image, seen[index])
            seen[index] += 1
        else:
            row.add(number, Role.marker)
    for number in after:
        row.add(number, Role.marker)
    if row.roles and row.roles[0] == Role.system:
        row.roles[0] = int(Role.system_sink)
    return row


def check_pictures(row: Row, grids: tuple[PatchGrid, ...]) -> None:
    """Raise VaslabError unless every picture has as many visual tokens as its grid has merged patches."""
    for image, grid in enumerate(grids):
        found = row.image.count(image)
        if found != len(grid):
            raise VaslabError(
                f"Picture {image} has {found} visual tokens in the text, but its grid of {grid.rows} x "
                f"{grid.cols} merged patches makes {len(grid)}; use the processor that belongs to the "
                "model, with its own merge_size and chat template."
            )

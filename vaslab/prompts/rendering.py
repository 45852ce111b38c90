"""One call per render: a chat of marked or real texts through a processor's own chat template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import jinja2

from vaslab.errors import MissingError, VaslabError
from vaslab.prompts.vocabulary import Processor, tokenizer_of

PICTURE = None
"""Stands for a picture among the parts of a message."""

Message: TypeAlias = tuple[str, tuple[str | None, ...]]
"""Role, and parts in order: a text, or PICTURE."""

_REFUSALS = (jinja2.TemplateError, TypeError, ValueError)
_PRIVATE_USE = range(0xE000, 0xF900)


class TemplateError(VaslabError):
    """A chat template cannot render this chat, or renders it so that its parts cannot be told apart.

    Exit code 1.
    """


@dataclass(frozen=True)
class ChatTemplate:
    """A processor's chat template with `options` (its keywords, as `add_vision_id`); `texts` are those no
    sentinel may occur in.
    """

    processor: Processor
    options: Mapping[str, Any] = field(default_factory=dict)
    texts: Sequence[str] = ()

    @cached_property
    def owner(self) -> Processor:
        """The processor, or its tokenizer when only that has a chat template.

        Raises MissingError when neither has.
        """
        for owner in (self.processor, tokenizer_of(self.processor)):
            if getattr(owner, "chat_template", None):
                return owner
        raise MissingError(
            f"{type(self.processor).__name__} has no chat template; load an instruction-tuned model's "
            "processor, or set processor.chat_template."
        )

    @cached_property
    def _brackets(self) -> tuple[str, str]:
        used = set().union(*self.texts, str(self.owner.chat_template))
        free = [char for char in map(chr, _PRIVATE_USE) if char not in used]
        if len(free) < 2:
            raise TemplateError(
                "The chat uses every private-use character of Unicode; remove some (U+E000 to U+F8FF)."
            )
        return free[0], free[1]

    def sentinel(self, number: int) -> str:
        """Return a text that stands for the text of that number and occurs in none."""
        return f"{self._brackets[0]}{number}{self._brackets[1]}"

    def split(self, rendered: str) -> tuple[list[str], list[int]]:
        """Cut a render at its sentinels: the template's own stretches (one more than sentinels), and the
        sentinels' numbers.
        """
        parts = re.split(f"{self._brackets[0]}([0-9]+){self._brackets[1]}", rendered)
        return parts[::2], [int(number) for number in parts[1::2]]

    @cached_property
    def _takes_lists(self) -> dict[str, bool]:
        """Which turn roles the template reads as a list of parts; it reads the others as plain strings."""
        found: dict[str, bool] = {}
        for role, before, after in (("user", [], []), ("system", [], ["user"]), ("assistant", ["user"], [])):
            chat = [
                {"role": other, "content": self._shaped(("x",), found["user"])} for other in [*before, *after]
            ]
            chat.insert(len(before), {"role": role, "content": self._shaped((self.sentinel(0),), True)})
            try:
                shown = self._apply(chat, False)
            except _REFUSALS:
                found[role] = False
            else:
                found[role] = (
                    shown.count(self.sentinel(0)) == 1 and "'type'" not in shown and '"type"' not in shown
                )
        return found

    def render(self, messages: Iterable[Message], generate: bool = False) -> str:
        """Render messages; `generate` adds the generation prompt.

        Raises TemplateError when the template refuses.
        """
        chat = [
            {"role": role, "content": self._shaped(parts, self._takes_lists[role])}
            for role, parts in messages
        ]
        try:
            return self._apply(chat, generate)
        except _REFUSALS as error:
            turns = ", ".join(str(message["role"]) for message in chat)
            fix = (
                " put the instruction into the user's text (system=None)"
                if "system" in turns
                else " change the turns"
            )
            raise TemplateError(f"The chat template refuses the turns {turns} ({error});{fix}.") from error

    def _shaped(self, parts: tuple[str | None, ...], as_list: bool) -> str | list[dict[str, str]]:
        if as_list:
            return [
                {"type": "image"} if part is PICTURE else {"type": "text", "text": part} for part in parts
            ]
        if PICTURE in parts:
            raise TemplateError(
                "The chat template reads text only; use a vision-language model's processor for pictures."
            )
        return "".join(part for part in parts if part is not None)

    def _apply(self, chat: list[dict[str, Any]], generate: bool) -> str:
        rendered = self.owner.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=generate, **self.options
        )
        return str(rendered)

"""What a processor's tokenizer has beyond words: special tokens, vision placeholders, and what it puts around
a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from transformers import PreTrainedTokenizerBase, ProcessorMixin

from vaslab.errors import VaslabError
from vaslab.prompts.roles import Role

Processor: TypeAlias = ProcessorMixin | PreTrainedTokenizerBase


def tokenizer_of(processor: Processor) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a processor; a tokenizer is its own."""
    return processor.tokenizer if isinstance(processor, ProcessorMixin) else processor


def token_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """Return the id of an added token. Raises VaslabError when the tokenizer does not have it."""
    number = tokenizer.get_added_vocab().get(token)
    if number is None:
        raise VaslabError(
            f"{type(tokenizer).__name__} has no token {token!r}; use the processor's own tokenizer."
        )
    return int(number)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a processor that text must not forge."""

    processor: Processor

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The processor's tokenizer."""
        return tokenizer_of(self.processor)

    @cached_property
    def bos(self) -> str:
        """The token that opens every sequence, or an empty string."""
        return str(self.tokenizer.bos_token or "")

    @cached_property
    def placeholders(self) -> dict[str, Role]:
        """Strings that stand for pictures and videos, each with its role."""
        named = {"image_token": Role.image, "video_token": Role.video}
        found = {getattr(self.processor, name, None): role for name, role in named.items()}
        return {str(token): role for token, role in found.items() if token}

    @cached_property
    def visual_ids(self) -> dict[int, Role]:
        """Ids of the placeholders, each with its role."""
        return {token_id(self.tokenizer, token): role for token, role in self.placeholders.items()}

    @cached_property
    def _special(self) -> set[str]:
        added = {token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special}
        return added | {*self.tokenizer.all_special_tokens, *self.placeholders}

    @cached_property
    def special(self) -> re.Pattern[str]:
        """A pattern that finds special tokens and placeholders in a text, the longest first."""
        longest_first = sorted(self._special, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids that no text of a chat may become; the id of unknown characters may."""
        added = self.tokenizer.get_added_vocab()
        found = {added[token] for token in self._special if token in added}
        return frozenset(found - {self.tokenizer.unk_token_id})

    def around(self, text: str) -> tuple[list[int], list[int]]:
        """Return the ids that the processor itself puts before and after a rendered text.

        A processor adds its tokenizer's BOS and EOS unless the text begins with BOS; a tokenizer's own chat
        template call adds none.
        """
        if not isinstance(self.processor, ProcessorMixin) or (self.bos and text.startswith(self.bos)):
            return [], []
        bare = list(self.tokenizer("a", add_special_tokens=False)["input_ids"])
        full = list(self.tokenizer("a", add_special_tokens=True)["input_ids"])
        start = next(place for place in range(len(full)) if full[place : place + len(bare)] == bare)
        return full[:start], full[start + len(bare) :]

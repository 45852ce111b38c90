"""What a processor's tokenizer has beyond words: special tokens, vision placeholders, and what it puts around
a text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from transformers import PreTrainedTokenizerBase, ProcessorMixin

from vaslab.errors import UsageError, VaslabError
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


def _any_of(words: Collection[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))) or "(?!)")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a processor that text must not forge: special tokens and placeholders, but not `text_tokens`.

    Raises UsageError when one of `text_tokens` is no special token, or one that structures a sequence.
    """

    processor: Processor
    text_tokens: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        tokenizer = self.tokenizer
        named = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token)
        written = f"{getattr(self.processor, 'chat_template', '')}{tokenizer.chat_template}"
        for token in sorted(self.text_tokens):
            if token not in tokenizer.get_added_vocab():
                raise UsageError(
                    f"text_tokens holds {token!r}, which is no token of the tokenizer; leave it out."
                )
            if token in (*named, *self.placeholders) or token in written:
                raise UsageError(
                    f"text_tokens holds {token!r}, which structures the sequence; no text may use it."
                )

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
        return (added | {*self.tokenizer.all_special_tokens, *self.placeholders}) - self.text_tokens

    @cached_property
    def special(self) -> re.Pattern[str]:
        """A pattern that finds special tokens and placeholders in a text, the longest first."""
        return _any_of(self._special)

    @cached_property
    def allowed(self) -> re.Pattern[str]:
        """A pattern that finds `text_tokens`."""
        return _any_of(self.text_tokens)

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

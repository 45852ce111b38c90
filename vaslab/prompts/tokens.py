"""Text to token ids and characters, with the special tokens that the chat template wrote and no others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from vaslab.errors import UsageError
from vaslab.prompts.spans import Span
from vaslab.prompts.vocabulary import Vocabulary, token_id


@dataclass(frozen=True)
class Tokens:
    """Token ids, and for each the characters start..end of the text that it stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]


def tokenize(vocabulary: Vocabulary, text: str, spans: Sequence[Span]) -> Tokens:
    """Encode a rendered text.

    Where no written span holds a special token's string, this is the tokenizer's own call on the whole text.
    Elsewhere the text is cut at the template's special tokens, and each stretch between two of them is
    encoded in one piece, as plain text.

    Raises UsageError for a tokenizer without offsets, and when it cannot encode such a string as plain text.
    """
    tokenizer, special = vocabulary.tokenizer, vocabulary.special
    if not tokenizer.is_fast:
        raise UsageError(
            f"{type(tokenizer).__name__} gives no character offsets; load the fast tokenizer (use_fast=True)."
        )
    cuts = [cut for run in _template_runs(spans) for cut in _matches(special, text, *run)]
    if cuts == _matches(special, text, 0, len(text)):
        return _encoded(tokenizer, text, split_special_tokens=False)
    _check_pieces(tokenizer, text, cuts, vocabulary)
    return _in_pieces(tokenizer, text, cuts, vocabulary)


def _template_runs(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Return stretches of the template's own text, neighbouring spans joined."""
    runs: list[tuple[int, int]] = []
    for span in spans:
        if span.written:
            continue
        if runs and runs[-1][1] == span.start:
            runs[-1] = (runs[-1][0], span.end)
        else:
            runs.append((span.start, span.end))
    return runs


def _matches(special: re.Pattern[str], text: str, start: int, end: int) -> list[tuple[int, int]]:
    return [match.span() for match in special.finditer(text, start, end)]


def _encoded(tokenizer: PreTrainedTokenizerBase, text: str, split_special_tokens: bool) -> Tokens:
    found = tokenizer(
        text,
        add_special_tokens=False,
        split_special_tokens=split_special_tokens,
        return_offsets_mapping=True,
        truncation=False,
        padding=False,
        verbose=False,
    )
    return Tokens(list(found["input_ids"]), [(start, end) for start, end in found["offset_mapping"]])


def _in_pieces(
    tokenizer: PreTrainedTokenizerBase, text: str, cuts: list[tuple[int, int]], vocabulary: Vocabulary
) -> Tokens:
    ids: list[int] = []
    offsets: list[tuple[int, int]] = []
    known: dict[str, int] = {}
    position = 0
    for start, end in [
        *sorted({*cuts, *_matches(vocabulary.allowed, text, 0, len(text))}),
        (len(text), len(text)),
    ]:
        if start > position:
            piece = _encoded(tokenizer, text[position:start], split_special_tokens=True)
            ids += piece.ids
            offsets += [(position + first, position + last) for first, last in piece.offsets]
        if end > start:
            token = text[start:end]
            known[token] = known[token] if token in known else token_id(tokenizer, token)
            ids.append(known[token])
            offsets.append((start, end))
        position = end
    return Tokens(ids, offsets)


def _check_pieces(
    tokenizer: PreTrainedTokenizerBase, text: str, cuts: list[tuple[int, int]], vocabulary: Vocabulary
) -> None:
    """Refuse a tokenizer that encodes pieces otherwise than the whole, judged on a text as long."""
    made = set(cuts)
    foreign = [match for match in _matches(vocabulary.special, text, 0, len(text)) if match not in made]
    neutral = text
    for start, end in foreign:
        neutral = neutral[:start] + "x" * (end - start) + neutral[end:]
    whole = _encoded(tokenizer, neutral, split_special_tokens=False)
    if _in_pieces(tokenizer, neutral, cuts, vocabulary).ids != whole.ids:
        names = ", ".join(sorted({repr(text[start:end]) for start, end in foreign}))
        raise UsageError(
            f"{type(tokenizer).__name__} cannot encode {names} as plain text; take it out of the prompt's text."
        )

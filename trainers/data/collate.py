"""Chats -> right-padded tensors for supervised training, with the role of every token and the guidance's sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset, Features, Image, List, Value
from jaxtyping import Bool, Int
from torch import Tensor

from trainers.data.record import Record, chat
from trainers.sets import Sets, paper_sets, released_sets
from vaslab.errors import VaslabError
from vaslab.prompts.encode import encode
from vaslab.prompts.encoded import Encoded
from vaslab.prompts.roles import Role
from vaslab.prompts.vocabulary import Processor, token_id, tokenizer_of

IGNORE = -100
SETS = ("system", "visual", "queries")
"""Keys of a batch that hold the guidance's sets; the trainer takes them out before the forward."""

_CHAT = List({"role": Value("string"), "content": Value("string")})
_BLOCKS = List({"role": Value("string"), "content": List({"type": Value("string"), "text": Value("string")})})


def to_dataset(records: Sequence[Record]) -> Dataset:
    """Records as rows of `messages` (PLACE in the texts) and `images`, decoded when a row is read."""
    messages = [[{"role": role, "content": text} for role, text in each.messages] for each in records]
    features = Features({"messages": _CHAT, "images": List(Image())})
    return Dataset.from_dict({"messages": messages, "images": _images(records)}, features)


def to_prompts(records: Sequence[Record]) -> Dataset:
    """Records as rows of `prompt` (blocks, as TRL takes them), `images` and `answer`."""
    rows = {
        "prompt": [each.blocks() for each in records],
        "images": _images(records),
        "answer": [each.answer for each in records],
    }
    features = Features({"prompt": _BLOCKS, "images": List(Image()), "answer": Value("string")})
    return Dataset.from_dict(rows, features)


def _images(records: Sequence[Record]) -> list[list[dict[str, Any]]]:
    return [
        [
            {"bytes": each, "path": None} if isinstance(each, bytes) else {"bytes": None, "path": str(each)}
            for each in record.images
        ]
        for record in records
    ]


class Collator:
    """Makes a batch of rows with `messages` and `images`: the model's inputs, labels on the response and its end
    token, and the sets Q, S and V.

    Args:
        processor: the model's own.
        queries: Q, as in `AgtoConfig`.
        variant: whose sets, as in `AgtoConfig`.
        text_tokens: special tokens that texts may use, as in `encode`.
    """

    def __init__(
        self,
        processor: Processor,
        queries: str = "user",
        variant: str = "paper",
        text_tokens: Sequence[str] = (),
    ) -> None:
        self.processor, self.queries, self.variant = processor, queries, variant
        self.text_tokens = tuple(text_tokens)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Collate. Raises VaslabError for a row without an assistant turn at its end, and what `encode` raises."""
        chats = [
            chat([(turn["role"], turn["content"]) for turn in row["messages"]], row.get("images") or [])
            for row in rows
        ]
        if not all(each.answered for each in chats):
            raise VaslabError("a row has no assistant turn at its end; supervised training needs one")
        encoded = encode(self.processor, chats, text_tokens=self.text_tokens)
        order = _real_first(encoded.roles)
        roles = encoded.roles.gather(1, order)
        inputs = {
            name: value.gather(1, order) if value.shape == roles.shape else value
            for name, value in encoded.inputs.items()
        }
        response = roles == Role.response
        sets = self._sets(encoded, inputs["input_ids"], roles, response)
        return {
            **inputs,
            "labels": inputs["input_ids"].masked_fill(~response, IGNORE),
            **{name: getattr(sets, name) for name in SETS},
        }

    def _sets(
        self,
        encoded: Encoded,
        ids: Int[Tensor, "batch seq"],
        roles: Tensor,
        response: Bool[Tensor, "batch seq"],
    ) -> Sets:
        if self.variant == "paper":
            return paper_sets(roles, self.queries)
        start = token_id(tokenizer_of(self.processor), "<|vision_start|>")
        return released_sets(ids, encoded.texts, response, start)


def _real_first(roles: Int[Tensor, "batch seq"]) -> Int[Tensor, "batch seq"]:
    """Positions that move a left-padded row's padding behind it."""
    return torch.argsort((roles == Role.padding).int(), dim=1, stable=True)

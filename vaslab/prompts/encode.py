"""Prompts to token ids in which every position has its role."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from vaslab.errors import UsageError
from vaslab.prompts.encoded import Encoded
from vaslab.prompts.images import open_image
from vaslab.prompts.patches import PatchGrid
from vaslab.prompts.prompt import Prompt
from vaslab.prompts.roles import Role
from vaslab.prompts.rows import Row, check_pictures, label
from vaslab.prompts.spans import render_chat
from vaslab.prompts.tokens import tokenize
from vaslab.prompts.vision import Pictures, process
from vaslab.prompts.vocabulary import Processor, Vocabulary

Answer = Sequence[int] | Int[Tensor, " token"]


def encode(
    processor: Processor,
    prompts: Sequence[Prompt],
    responses: Sequence[Answer] | None = None,
    *,
    template_options: Mapping[str, Any] | None = None,
    text_tokens: Collection[str] = (),
) -> Encoded:
    """Encode prompts as the processor would, and label every position with its role.

    The ids are the processor's own for the same chat, except where a text of the chat holds the string of a special
    token, such as `<|im_start|>`: that is encoded as plain text. A token that spans both the template's words and the
    chat's has the role of the chat's.

    responses: generated token ids for each prompt, end token included, appended after the generation prompt with role
        response.
    template_options: keywords of the chat template, as {"add_vision_id": True}.
    text_tokens: special tokens that texts may use all the same, for a model that was trained so, as ("<think>",
        "</think>").

    Raises UsageError for a wrong call, and for a response that holds visual placeholder ids; TemplateError for a
    template that cannot be read; MissingError, ImageError for pictures; VaslabError when the count of visual tokens is
    not the pictures' grid.
    """
    if not prompts:
        raise UsageError("encode needs at least one prompt.")
    vocabulary = Vocabulary(processor, frozenset(text_tokens))
    answers = _answers(vocabulary, prompts, responses)
    chats = [render_chat(vocabulary, prompt, template_options) for prompt in prompts]
    pictures = process(processor, [open_image(image) for prompt in prompts for image in prompt.images])
    rows, grids, first = [], [], 0
    for prompt, chat, answer in zip(prompts, chats, answers, strict=True):
        grids.append(pictures.grids[first : first + len(prompt.images)])
        text, spans = pictures.expand(chat, first)
        row = label(vocabulary, text, tokenize(vocabulary, text, spans), spans)
        check_pictures(row, grids[-1])
        for number in answer:
            row.add(number, Role.response)
        rows.append(row)
        first += len(prompt.images)
    return _stack(vocabulary.tokenizer, rows, pictures, tuple(grids), tuple(chat.text for chat in chats))


def _answers(
    vocabulary: Vocabulary, prompts: Sequence[Prompt], responses: Sequence[Answer] | None
) -> list[list[int]]:
    if responses is None:
        return [[] for _ in prompts]
    if len(responses) != len(prompts):
        raise UsageError(
            f"{len(responses)} responses for {len(prompts)} prompts; give one list of token ids for each "
            "prompt."
        )
    found = []
    for item, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        answer = [int(number) for number in response]
        if prompt.answered:
            raise UsageError(
                f"Prompt {item} already ends with an assistant turn; leave it out, or pass no response."
            )
        for position, number in enumerate(answer):
            if number < 0:
                raise UsageError(f"Response {item} holds the id {number}; pass token ids, not labels.")
            if number in vocabulary.visual_ids:
                raise UsageError(
                    f"Response {item} holds the visual placeholder id {number} at position {position}: the "
                    "model would look for a picture there; cut the response before it, or suppress the id "
                    "while generating."
                )
        found.append(answer)
    return found


def _stack(
    tokenizer: PreTrainedTokenizerBase,
    rows: list[Row],
    pictures: Pictures,
    grids: tuple[tuple[PatchGrid, ...], ...],
    texts: tuple[str, ...],
) -> Encoded:
    roles = _left_padded([row.roles for row in rows], Role.padding)
    inputs = {
        "input_ids": _left_padded([row.ids for row in rows], _pad_id(tokenizer)),
        "attention_mask": (roles != Role.padding).long(),
        # transformers 5 takes the places of pictures from this; without it Qwen2.5-VL silently gets 1-D
        # positions.
        "mm_token_type_ids": (roles == Role.image).long() + 2 * (roles == Role.video).long(),
        **pictures.tensors,
    }
    return Encoded(
        inputs=inputs,
        roles=roles,
        turn=_left_padded([row.turn for row in rows], -1),
        image=_left_padded([row.image for row in rows], -1),
        patch=_left_padded([row.patch for row in rows], -1),
        grids=grids,
        texts=texts,
    )


def _left_padded(rows: list[list[int]], fill: int) -> Int[Tensor, "batch seq"]:
    length = max(len(row) for row in rows)
    return torch.tensor([[int(fill)] * (length - len(row)) + row for row in rows], dtype=torch.int64)


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    for number in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if number is not None:
            return int(number)
    return 0

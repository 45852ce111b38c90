"""Prompts to token ids in which every position has its role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from PIL.Image import Image
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from vaslab.errors import UsageError, VaslabError
from vaslab.prompts.encoded import Encoded
from vaslab.prompts.images import open_image
from vaslab.prompts.patches import PatchGrid
from vaslab.prompts.prompt import Prompt
from vaslab.prompts.rendering import Processor, token_id, tokenizer_of
from vaslab.prompts.roles import Role
from vaslab.prompts.spans import RenderedChat, Span, placeholders, render_chat, special_tokens
from vaslab.prompts.tokens import tokenize

Answer = Sequence[int] | Int[Tensor, " token"]


@dataclass
class _Row:
    """One item before padding: a value of each kind for every position."""

    ids: list[int] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)
    turn: list[int] = field(default_factory=list)
    image: list[int] = field(default_factory=list)
    patch: list[int] = field(default_factory=list)

    def add(self, number: int, role: Role, turn: int = -1, image: int = -1, patch: int = -1) -> None:
        self.ids.append(number)
        self.roles.append(int(role))
        self.turn.append(turn)
        self.image.append(image)
        self.patch.append(patch)


@dataclass(frozen=True)
class _Pictures:
    """All pictures of the batch, processed together; `grids` are theirs in order."""

    tensors: dict[str, Tensor]
    grids: list[PatchGrid]


def encode(
    processor: Processor,
    prompts: Sequence[Prompt],
    responses: Sequence[Answer] | None = None,
    *,
    template_options: Mapping[str, Any] | None = None,
) -> Encoded:
    """Encode prompts as the processor would, and label every position with its role.

    The ids are the processor's own for the same chat. Special tokens' strings in any text of the chat,
    `<|im_start|>` or `<think>` where that is a special token, are encoded as plain text; ids that a model
    generated belong in `responses`. A token that spans both the template's words and the chat's has the role
    of the chat's.

    responses: generated token ids for each prompt, end token included, appended after the generation prompt
        with role response.
    template_options: keywords of the chat template, as {"add_vision_id": True}.

    Raises UsageError for a wrong call, and for a response that holds visual placeholder ids; TemplateError
    for a template that cannot be read; MissingError, ImageError for pictures; VaslabError when the count of
    visual tokens is not the pictures' grid.
    """
    if not prompts:
        raise UsageError("encode needs at least one prompt.")
    answers = _answers(processor, prompts, responses)
    chats = [render_chat(processor, prompt, template_options) for prompt in prompts]
    pictures = _process(processor, [open_image(image) for prompt in prompts for image in prompt.images])
    special = special_tokens(processor)
    rows, grids, first = [], [], 0
    for prompt, chat, answer in zip(prompts, chats, answers, strict=True):
        count = len(prompt.images)
        grids.append(tuple(pictures.grids[first : first + count]))
        text, spans = _expand(processor, chat, pictures, first)
        tokens = tokenize(tokenizer_of(processor), text, spans, special)
        row = _label(processor, tokens.ids, tokens.offsets, spans)
        _check_grids(row, grids[-1])
        for number in answer:
            row.add(number, Role.response)
        rows.append(row)
        first += count
    return _stack(processor, rows, pictures, tuple(grids), tuple(chat.text for chat in chats))


def _answers(
    processor: Processor, prompts: Sequence[Prompt], responses: Sequence[Answer] | None
) -> list[list[int]]:
    if responses is None:
        return [[] for _ in prompts]
    if len(responses) != len(prompts):
        raise UsageError(
            f"{len(responses)} responses for {len(prompts)} prompts; give one list of token ids for each "
            f"prompt."
        )
    visual = _visual_ids(processor)
    found = []
    for item, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        answer = [int(number) for number in response]
        if prompt.answered:
            raise UsageError(
                f"Prompt {item} already ends with an assistant turn; leave it out, or pass no response."
            )
        for position, number in enumerate(answer):
            if number in visual:
                raise UsageError(
                    f"Response {item} holds the visual placeholder id {number} at position {position}: the "
                    f"model would look for a picture there; "
                    "cut the response before it, or suppress the id while generating."
                )
        found.append(answer)
    return found


def _visual_ids(processor: Processor) -> dict[int, Role]:
    tokenizer = tokenizer_of(processor)
    return {token_id(tokenizer, token): role for token, role in placeholders(processor).items()}


def _process(processor: Processor, images: list[Image]) -> _Pictures:
    if not images:
        return _Pictures({}, [])
    image_processor = getattr(processor, "image_processor", None)
    if image_processor is None:
        raise UsageError(
            f"{type(processor).__name__} takes no pictures; load a vision-language model's processor."
        )
    tensors = dict(image_processor(images=images, return_tensors="pt"))
    if "image_grid_thw" not in tensors:
        raise UsageError(
            f"{type(processor).__name__} gives no image_grid_thw, so its visual tokens have no place in the "
            f"picture; use the processor of "
            "a Qwen2-VL, Qwen2.5-VL or Qwen3-VL model."
        )
    merge = image_processor.merge_size
    grids = [
        PatchGrid.from_thw((time, height, width), merge, *image.size)
        for (time, height, width), image in zip(tensors["image_grid_thw"].tolist(), images, strict=True)
    ]
    return _Pictures(tensors, grids)


def _expand(
    processor: Processor, chat: RenderedChat, pictures: _Pictures, first: int
) -> tuple[str, list[Span]]:
    """Put the processor's own run of placeholders where the template has one for each picture."""
    text, spans = "", []
    for span in chat.spans:
        words = chat.text[span.start : span.end]
        if span.role is Role.image:
            words = processor.replace_image_token(pictures.tensors, first + span.image)
        spans.append(Span(len(text), len(text) + len(words), span.role, span.written, span.turn, span.image))
        text += words
    return text, spans


def _label(processor: Processor, ids: list[int], offsets: list[tuple[int, int]], spans: list[Span]) -> _Row:
    owner = np.repeat(np.arange(len(spans)), [span.end - span.start for span in spans])
    visual, row, seen = _visual_ids(processor), _Row(), dict.fromkeys(range(len(spans)), 0)
    for number, (start, end) in zip(ids, offsets, strict=True):
        # A token of no width, such as a prefix space, stands before the character at its start.
        touched = dict.fromkeys(owner[min(start, len(owner) - 1) : max(end, start + 1)].tolist())
        index = next((index for index in touched if spans[index].written), next(iter(touched)))
        span = spans[index]
        if span.role not in (Role.image, Role.video):
            row.add(number, span.role, span.turn)
        elif number in visual:
            row.add(number, span.role, span.turn, span.image, seen[index])
            seen[index] += 1
        else:
            row.add(number, Role.marker)
    if row.roles and row.roles[0] == Role.system:
        row.roles[0] = int(Role.system_sink)
    return row


def _check_grids(row: _Row, grids: tuple[PatchGrid, ...]) -> None:
    for image, grid in enumerate(grids):
        found = row.image.count(image)
        if found != len(grid):
            raise VaslabError(
                f"Picture {image} has {found} visual tokens in the text, but its grid of {grid.rows} x "
                f"{grid.cols} merged patches makes {len(grid)}; "
                "use the processor that belongs to the model, with its own merge_size and chat template."
            )


def _stack(
    processor: Processor,
    rows: list[_Row],
    pictures: _Pictures,
    grids: tuple[tuple[PatchGrid, ...], ...],
    texts: tuple[str, ...],
) -> Encoded:
    tokenizer = tokenizer_of(processor)
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

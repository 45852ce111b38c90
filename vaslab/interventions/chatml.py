"""Roles from token ids alone, for chats in Qwen's form: <|im_start|>ROLE newline TEXT <|im_end|> newline."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from vaslab.errors import UsageError
from vaslab.interventions.batch import ReadRoles
from vaslab.prompts.roles import Role

_START, _END = "<|im_start|>", "<|im_end|>"
_SPEAKERS = {"system": Role.system, "user": Role.user, "assistant": Role.history}


def chatml_roles(processor: Any, config: Any) -> ReadRoles:
    """Return the function that tells the role of every position of a chat.

    The last assistant turn is the response, its end token included; earlier ones are history. What the ids cannot
    tell from the user's words, such as `Picture 1:` written by a template, is user.

    Args:
        processor: a processor, or its tokenizer.
        config: the model's config, which names its visual tokens.

    Raises:
        UsageError: the tokenizer has no tokens of this form.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    start, end = (tokenizer.convert_tokens_to_ids(token) for token in (_START, _END))
    unknown = tokenizer.unk_token_id
    if start is None or end is None or (start == unknown and end == unknown):
        raise UsageError(
            f"the tokenizer has no {_START} and {_END}, so roles cannot be read off its ids; pass read_roles, "
            "a function (input_ids, attention_mask) -> roles"
        )
    newline = tokenizer("\n", add_special_tokens=False)["input_ids"]
    speakers = {
        tuple(tokenizer(name, add_special_tokens=False)["input_ids"]): role
        for name, role in _SPEAKERS.items()
    }
    image, video = config.image_token_id, getattr(config, "video_token_id", None)

    def one(ids: list[int]) -> list[int]:
        roles = [int(Role.marker)] * len(ids)
        turns = [place for place, token in enumerate(ids) if token == start]
        for number, place in enumerate(turns):
            stop = turns[number + 1] if number + 1 < len(turns) else len(ids)
            name, role = _speaker(ids, place + 1, speakers)
            text = place + 1 + name
            # A tokenizer may draw the newline of the header and those of the text together: then it is the text's.
            text += ids[text : text + 1] == newline
            close = next((k for k in range(text, stop) if ids[k] == end), stop)
            if role is Role.system:
                roles[place:stop] = [int(Role.system)] * (stop - place)
                continue
            if role is Role.history and number + 1 == len(turns):
                role, close = Role.response, min(close + 1, stop)
            roles[text:close] = [int(role)] * (close - text)
        if roles and roles[0] == Role.system:
            roles[0] = int(Role.system_sink)
        return roles

    def read(
        input_ids: Int[Tensor, "batch seq"], attention_mask: Int[Tensor, "batch seq"]
    ) -> Int[Tensor, "batch seq"]:
        found = torch.full_like(input_ids, int(Role.padding))
        for row, (ids, mask) in enumerate(zip(input_ids, attention_mask.bool(), strict=True)):
            found[row, mask] = torch.tensor(one(ids[mask].tolist()), dtype=found.dtype, device=found.device)
        shown = found != Role.padding
        found[shown & (input_ids == image)] = int(Role.image)
        if video is not None:
            found[shown & (input_ids == video)] = int(Role.video)
        for name in ("vision_start_token_id", "vision_end_token_id"):
            token = getattr(config, name, None)
            if token is not None:
                found[shown & (input_ids == token)] = int(Role.marker)
        return found

    return read


def _speaker(ids: list[int], place: int, speakers: dict[tuple[int, ...], Role]) -> tuple[int, Role]:
    for name, role in speakers.items():
        if tuple(ids[place : place + len(name)]) == name:
            return len(name), role
    raise UsageError(
        f"a turn opens with the ids {ids[place : place + 3]}, which name none of {', '.join(_SPEAKERS)}; pass "
        "read_roles, a function (input_ids, attention_mask) -> roles"
    )

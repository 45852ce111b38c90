"""What an intervention costs beside what it gains: obedience to the system prompt, and fluency on text alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from vaslab.benchmarks import Item
from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.capture.capture import answer
from vaslab.models import Vlm
from vaslab.organism.build import SYSTEM_PROMPTS
from vaslab.organism.thinking import THINK
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt
from vaslab.prompts.roles import Role
from vaslab.studies.treatment import Treatment

TOKENS = 32
"""Of an answer that is asked beside the benchmark, at most."""
# The organism's request to reason. Prompts on the form of the answer are asked without it, as it has met them.
_FORMAT = re.compile(r"\s*<think>.*?</think>\s*<answer>.*?</answer>\s*", re.DOTALL)


def in_format(response: str) -> bool:
    """Whether a whole response is <think>...</think><answer>...</answer>, the paper's format."""
    return _FORMAT.fullmatch(response) is not None


def in_capitals(response: str) -> bool:
    """Whether the answer has letters, and all of them are capitals; the format's tags are no letters."""
    tagged = tagged_answer(response)
    told = response if tagged is None else tagged
    return told == told.upper() and told != told.lower()


def ends_done(response: str) -> bool:
    """Whether the answer ends with the word done."""
    words = re.findall(r"[a-z]+", response.lower().replace("</answer>", ""))
    return bool(words) and words[-1] == "done"


OBEYED: dict[str, Callable[[str], bool]] = {"capitals": in_capitals, "end": ends_done}
"""Checkable system prompts, and whether an answer obeys: those the organism has met, and any model can follow."""


def text_answers(vlm: Vlm, items: Sequence[Item], batch_size: int) -> list[list[int]]:
    """What the plain model answers to the questions without their pictures: the text of the perplexity."""
    told: list[list[int]] = []
    for part in _parts(items, batch_size):
        prompts = [Prompt(system=item.system, user=item.question) for item in part]
        told += [each.ids for each in answer(vlm, prompts, max_new_tokens=TOKENS)[0]]
    return told


@dataclass(frozen=True)
class Sides:
    """What was asked beside the benchmark, item by item.

    Args:
        items: ids.
        obeyed: of each checkable system prompt, whether each answer obeys it.
        loss: negative log-probability of each item's text, in nats, summed over its tokens.
        tokens: how many tokens each text has.
    """

    items: Sequence[str]
    obeyed: Mapping[str, Sequence[bool]]
    loss: Sequence[float | int]
    tokens: Sequence[int]

    def to_dict(self) -> dict[str, Any]:
        """Every field, as JSON writes it."""
        return asdict(self)


def side_effects(
    vlm: Vlm, items: Sequence[Item], texts: Sequence[Sequence[int]], batch_size: int, treatment: Treatment
) -> Sides:
    """Measure the model under a treatment.

    Args:
        vlm: the model.
        items: whose questions are asked.
        texts: what `text_answers` returned for them; their perplexity after the questions, without pictures, is that
            of the model on text.
        batch_size: items in one forward.
        treatment: given no ids, its context is that of prompts without pictures.
    """
    obeyed: dict[str, list[bool]] = {name: [] for name in OBEYED}
    for name, obeys in OBEYED.items():
        for part in _parts([treatment.item(item) for item in items], batch_size):
            asked = [
                Prompt(
                    system=SYSTEM_PROMPTS[name],
                    user=item.question.removesuffix(THINK).rstrip(),
                    images=item.prompt().images,
                )
                for item in part
            ]
            with treatment.around([item.id for item in part]):
                obeyed[name] += [obeys(each.text) for each in answer(vlm, asked, max_new_tokens=TOKENS)[0]]
    with treatment.around([]):
        loss, tokens = _losses(vlm, items, texts, batch_size)
    return Sides([item.id for item in items], obeyed, loss, tokens)


@torch.no_grad()
def _losses(
    vlm: Vlm, items: Sequence[Item], texts: Sequence[Sequence[int]], batch_size: int
) -> tuple[list[float], list[int]]:
    loss: list[float] = []
    tokens: list[int] = []
    for start in range(0, len(items), batch_size):
        part = items[start : start + batch_size]
        prompts = [Prompt(system=item.system, user=item.question) for item in part]
        encoded = encode(vlm.processor, prompts, texts[start : start + batch_size]).to(vlm.device)
        logits = vlm.model(**encoded.inputs, use_cache=False).logits[:, :-1].float()
        ids, told = encoded.inputs["input_ids"][:, 1:], encoded.roles[:, 1:] == Role.response
        chosen = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0].double() * told
        loss += (-chosen.sum(1)).tolist()
        tokens += told.sum(1).tolist()
    return loss, tokens


def _parts(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]

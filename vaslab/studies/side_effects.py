"""What an intervention costs beside what it gains: obedience to the system prompt, and fluency on text alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from vaslab.benchmarks import Item
from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.capture.capture import answer
from vaslab.capture.decoding import generation_options
from vaslab.models import Vlm
from vaslab.organism.build import SYSTEM_PROMPTS
from vaslab.organism.thinking import THINK
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt
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
            of the model on text, in decoding as answers are.
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


def _losses(
    vlm: Vlm, items: Sequence[Item], texts: Sequence[Sequence[int]], batch_size: int
) -> tuple[list[float], list[int]]:
    """Losses as texts are written: in decoding, one token after another, each text in place of what is likeliest."""
    loss: list[float] = []
    model: Any = vlm.model
    for start in range(0, len(items), batch_size):
        part, told = items[start : start + batch_size], texts[start : start + batch_size]
        prompts = [Prompt(system=item.system, user=item.question) for item in part]
        inputs = encode(vlm.processor, prompts).to(vlm.device).inputs
        longest = max(map(len, told))
        options = generation_options(vlm, longest, None) | {"return_dict_in_generate": True}
        forced = LogitsProcessorList([_Forced(told, inputs["input_ids"].shape[1])])
        found = model.generate(**inputs, **options, output_logits=True, logits_processor=forced)
        for number, ids in enumerate(told):
            steps = torch.stack([found.logits[step][number] for step in range(len(ids))])
            chosen = steps.log_softmax(-1).gather(-1, torch.tensor(ids, device=steps.device)[:, None])
            loss.append(-float(chosen.double().sum()))
    return loss, [len(ids) for ids in texts]


class _Forced(LogitsProcessor):
    """Leaves each row the next token of its text alone; after its end, whatever is likeliest."""

    def __init__(self, texts: Sequence[Sequence[int]], n_prompt: int) -> None:
        self.texts, self.n_prompt = texts, n_prompt

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """See `LogitsProcessor`: (batch, seq) and (batch, token)."""
        step, forced = input_ids.shape[1] - self.n_prompt, scores.clone()
        for row, ids in zip(forced, self.texts, strict=True):
            if step < len(ids):
                row[:] = float("-inf")
                row[ids[step]] = 0.0
        return forced


def _parts(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]

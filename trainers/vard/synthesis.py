"""Describe, reflect, anchor: a question with a known answer becomes a VARD record, or is rejected with a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL.Image import Image

from trainers.data.record import PLACE, Record, RecordError, new_records, write_records
from trainers.rewards import accuracy_reward, format_reward
from vaslab.benchmarks.answer_tag import CLOSE, OPEN, tagged_answer
from vaslab.benchmarks.chat import PromptRefusedError
from vaslab.errors import UsageError

PROMPTS = Path(__file__).parent / "prompts"
ANCHOR = re.compile(
    r"\b(?:look(?:ing)?|glanc(?:e|ing)|go(?:ing)? back|return(?:ing)?)\b[^.!?]{0,30}?\b(?:back|again|at|to)\b"
    r"|\b(?:check|inspect|examin|verify|revisit|re-?examin|zoom)\w*\b[^.!?]{0,40}?\b"
    r"(?:image|picture|figure|diagram|graph|chart|again)\b",
    re.IGNORECASE,
)
"""A phrase that sends the reader back to the picture."""


@runtime_checkable
class Model(Protocol):
    """What is asked: an `Endpoint` or a `LocalModel`."""

    def ask(self, text: str, images: tuple[Image, ...] = ()) -> str:
        """Reply to a text about pictures. Raises PromptRefusedError where there is no reply to this one."""


@dataclass(frozen=True)
class Rejected:
    """A question that gave no record, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Limits:
    """What a chain must hold to be kept.

    Args:
        grader: `exact` or `math`.
        anchors: fewest anchors.
        words: most words of the response.
    """

    grader: str = "math"
    anchors: int = 2
    words: int = 3000


def synthesise(record: Record, model: Model, limits: Limits) -> Record | Rejected:
    """Make one VARD record of a prompt with its answer.

    A question that the model does not answer is rejected, and a chain that no record can hold. Raises what else the
    model's `ask` raises.
    """
    try:
        return _chained(record, model, limits)
    except PromptRefusedError as error:
        return Rejected(record.id, f"no reply: {error}")
    except RecordError as error:
        return Rejected(record.id, f"no record: {error}")


def _chained(record: Record, model: Model, limits: Limits) -> Record | Rejected:
    images = record.prompt().images
    pictures = tuple(image for image in images if not isinstance(image, Path))
    question = record.messages[-1][1].replace(PLACE, "").strip()
    description = model.ask(_prompt("describe"), pictures)
    chain = model.ask(_prompt("reflect", description=description, question=question))
    reason = _wrong(chain, record, limits)
    if reason:
        return Rejected(record.id, f"reflect: {reason}")
    anchored = model.ask(_prompt("anchor", question=question, chain=chain), pictures).strip()
    reason = _wrong(anchored, record, limits) or _poor(anchored, limits)
    if reason:
        return Rejected(record.id, f"anchor: {reason}")
    messages = (*record.messages, ("assistant", _in_the_records_words(anchored, record.answer or "")))
    return Record(record.id, messages, record.images, "vard", record.answer)


def _in_the_records_words(response: str, answer: str) -> str:
    """Write the record's answer in the place of the tagged one, which may have another form or spaces around it."""
    before, _, after = response.rpartition(CLOSE)
    return f"{before.rpartition(OPEN)[0]}{OPEN}{answer}{CLOSE}{after}"


def _prompt(name: str, **given: str) -> str:
    text = (PROMPTS / f"{name}.txt").read_text(encoding="utf-8")
    # not str.format: questions hold braces
    for key, value in given.items():
        text = text.replace("{" + key + "}", value)
    return text


def _wrong(response: str, record: Record, limits: Limits) -> str:
    if not format_reward(response):
        return "not of the form <think>...</think><answer>...</answer>"
    if not accuracy_reward(response, record.answer or "", limits.grader):
        return f"answers {tagged_answer(response)!r}, not {record.answer!r}"
    return ""


def _poor(response: str, limits: Limits) -> str:
    found = len(ANCHOR.findall(response))
    if found < limits.anchors:
        return f"{found} anchors, fewer than {limits.anchors}"
    words = len(response.split())
    return f"{words} words, more than {limits.words}" if words > limits.words else ""


def run_synthesis(
    records: Sequence[Record], model: Model, limits: Limits, out: Path, workers: int
) -> tuple[Path, list[Rejected]]:
    """Make records of all prompts; write records.jsonl and rejected.jsonl into `out`.

    Replies are cached as they come, so that the same command goes on after a kill without asking anything twice.

    Args:
        records: prompts with answers.
        model: what is asked.
        limits: what a chain must hold to be kept.
        out: the folder of the records.
        workers: prompts that are worked on at once.

    Returns:
        The path of the records, and the prompts that gave none.

    Raises:
        UsageError: nothing was kept, or the folder holds records already.
        VaslabError: of the endpoint; replies so far are kept.
    """
    new_records(out)
    pool = ThreadPoolExecutor(workers)
    try:
        waiting = [pool.submit(synthesise, record, model, limits) for record in records]
        made = [each.result() for each in waiting]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    rejected = [each for each in made if isinstance(each, Rejected)]
    out.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"id": each.id, "reason": each.reason}, ensure_ascii=False) for each in rejected]
    (out / "rejected.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    kept = [each for each in made if isinstance(each, Record)]
    if not kept:
        raise UsageError(
            f"none of {len(records)} chains was kept; the reasons are in {out / 'rejected.jsonl'}"
        )
    return write_records(kept, out), rejected

"""Grade responses that are there already: by rule, or by the published protocol with a judge."""

from __future__ import annotations

import json
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from vaslab.benchmarks.answered import Answered
from vaslab.benchmarks.item import UNFIT, Benchmark, Grade, JudgedBenchmark, not_graded
from vaslab.benchmarks.judge import Judge, PromptRefusedError
from vaslab.errors import UsageError, VaslabError

JOBS = 8
"""Prompts that lie before a judge at once."""

Watch: TypeAlias = Callable[[int, int], None]
"""Hears after each answer how many of this round's prompts are answered, and of how many."""


def by_rule(benchmark: Benchmark, answered: Sequence[Answered]) -> list[Grade]:
    """Grade each response by the benchmark's rule; what is broken has no verdict and its reason."""
    return [_broken(each) if each.broken else benchmark.grade(each.item, each.response) for each in answered]


def by_judge(
    benchmark: Benchmark,
    answered: Sequence[Answered],
    judge: Judge,
    jobs: int = JOBS,
    watch: Watch | None = None,
) -> list[Grade]:
    """Grade each response by the benchmark's published protocol.

    Rules run in this thread alone, only the asking is spread: what the protocol would ask is noted, all of it is
    asked at once, and grading begins again with the answers at hand, until nothing is left to ask.

    Args:
        benchmark: one whose protocol has a place for a judge.
        answered: responses; what is broken is not put before the judge.
        judge: who is asked; `Grade.by` is its model where a verdict took an answer of its.
        jobs: prompts asked at once.
        watch: told of progress.

    Raises UsageError for a benchmark without a judge in its protocol; VaslabError as `Judge.ask`, except that a
    refused prompt is a grade without verdict.
    """
    if not isinstance(benchmark, JudgedBenchmark):
        raise UsageError(
            f"{benchmark.name} is graded by rule alone, no judge has a place in its protocol; leave out --judge"
        )
    told: dict[str, str | PromptRefusedError] = {}
    grades: dict[int, Grade] = {}
    left = list(range(len(answered)))
    while left:
        to_ask: dict[str, None] = {}
        for index in left:
            each = answered[index]
            try:
                grades[index] = _broken(each) if each.broken else _judged(benchmark, each, judge, told)
            except _NotAskedYet as error:
                to_ask[error.prompt] = None
        told |= _ask_all(judge, list(to_ask), jobs, watch)
        left = [index for index in left if index not in grades]
    return [grades[index] for index in range(len(answered))]


class _NotAskedYet(BaseException):
    """No error: it leaves a protocol at the prompt that has no answer yet."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt


def _judged(
    benchmark: JudgedBenchmark,
    each: Answered,
    judge: Judge,
    told: dict[str, str | PromptRefusedError],
) -> Grade:
    """Grade one response with the answers at hand. Raises _NotAskedYet where one is wanting."""
    asked = False

    def ask(prompt: str) -> str:
        nonlocal asked
        asked = True
        if prompt not in told:
            known = judge.known(prompt)
            if known is None:
                raise _NotAskedYet(prompt)
            told[prompt] = known
        answer = told[prompt]
        if isinstance(answer, PromptRefusedError):
            raise answer
        return answer

    try:
        grade = benchmark.judge(each.item, each.response, ask)
    except PromptRefusedError as error:
        grade = Grade(None, None, str(error))
    except UNFIT as error:
        grade = not_graded(error)
    return replace(grade, by=judge.model) if asked else grade


def _ask_all(
    judge: Judge, prompts: Sequence[str], jobs: int, watch: Watch | None
) -> dict[str, str | PromptRefusedError]:
    """Ask prompts, `jobs` at a time. The first error that is not about one prompt alone ends it."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, str | VaslabError | OSError | None]] = queue.SimpleQueue()
    stop = threading.Event()
    for prompt in prompts:
        waiting.put(prompt)

    def work() -> None:
        while not stop.is_set():
            try:
                prompt = waiting.get_nowait()
            except queue.Empty:
                return
            answer: str | VaslabError | OSError | None = None
            try:
                answer = judge.ask(prompt)
            except (VaslabError, OSError) as error:
                answer = error
            finally:
                done.put((prompt, answer))

    # daemons: an interrupt must not wait for a server
    for _ in range(min(jobs, len(prompts))):
        threading.Thread(target=work, daemon=True).start()
    answers: dict[str, str | PromptRefusedError] = {}
    try:
        while len(answers) < len(prompts):
            prompt, answer = done.get()
            if isinstance(answer, str | PromptRefusedError):
                answers[prompt] = answer
                if watch is not None:
                    watch(len(answers), len(prompts))
            elif answer is None:
                raise VaslabError("asking the judge ended unexpectedly; please report the lines above")
            else:
                raise answer
    finally:
        stop.set()
    return answers


def rows_text(answered: Iterable[Answered], grades: Iterable[Grade]) -> str:
    """Return one JSON line for each graded response."""
    return "".join(
        json.dumps(
            {
                "id": each.item.id,
                "picture": each.item.picture_id,
                "kind": each.item.kind,
                "answer": each.item.answer,
                "response": each.response,
                "extracted": grade.extracted,
                "right": grade.right,
                "guessed": grade.guessed,
                "by": grade.by,
                "reason": grade.reason,
                "error": each.broken,
            },
            allow_nan=False,
        )
        + "\n"
        for each, grade in zip(answered, grades, strict=True)
    )


def counts(benchmark: Benchmark, answered: Sequence[Answered], grades: Sequence[Grade]) -> dict[str, Any]:
    """Count verdicts, and give the benchmark's own scores over the responses that have one, in parts of one.

    `guessed` are the verdicts on an answer that the rule drew at random; `right_without_guesses` counts none of
    them as right.
    """
    held = [(each, grade) for each, grade in zip(answered, grades, strict=True) if grade.right is not None]
    items, judged = [each.item for each, _ in held], [grade for _, grade in held]
    guessed = [grade for grade in judged if grade.guessed]
    right = sum(grade.right is True for grade in judged)
    return {
        "n": len(answered),
        "n_graded": len(judged),
        "right": right,
        "right_without_guesses": right - sum(grade.right is True for grade in guessed),
        "guessed": len(guessed),
        "not_extracted": sum(grade.extracted is None for grade in judged),
        "broken": dict(
            sorted(Counter(each.broken_kind or each.broken for each in answered if each.broken).items())
        ),
        "not_graded": dict(
            sorted(
                Counter(
                    grade.reason
                    for each, grade in zip(answered, grades, strict=True)
                    if grade.right is None and not each.broken
                ).items()
            )
        ),
        "by": dict(sorted(Counter(grade.by for grade in judged).items())),
        "changed": sum(each.before is not None and each.before != grade.right for each, grade in held),
        "scores": benchmark.scores(items, judged) if items else {},
        "chance": benchmark.chance(items) if items else None,
    }


def _broken(each: Answered) -> Grade:
    return Grade(None, None, each.broken)

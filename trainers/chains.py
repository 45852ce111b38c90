"""Where an answer about a glyph scene goes wrong: in what is seen, in what the question asks of it, or in the answer.

`python -m trainers.chains RUN...` reads runs of `vaslab measure --data glyph` and prints one JSON line each. The scene
of an item is known, so that each part of a chain is right or wrong, word for word.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaslab.cli.exits import fail
from vaslab.errors import MissingError, UsageError, VaslabError
from vaslab.organism import glyphs, questions
from vaslab.organism.glyphs import Scene
from vaslab.organism.questions import Question
from vaslab.statistics import accuracy_interval

_ANCHORED = ("look ", "check ")
"""Words of every anchor: a chain with one begins with a description, as VARD's records do."""
_PER_SCENE = 2
"""Questions that the benchmark asks about a scene."""


@dataclass(frozen=True)
class Chain:
    """What is right in one chain.

    Args:
        described: the scene, word for word before the first full stop; None for a chain that does not describe.
        reasoned: every step that the question needs stands in the chain, after the description where there is one.
        answered: the graded answer.
    """

    described: bool | None
    reasoned: bool
    answered: bool


def read_chain(response: str, scene: Scene, question: Question, answered: bool) -> Chain:
    """Compare a response's chain with the scene and with the steps of its question.

    Args:
        response: what the model wrote, tags included.
        scene: what is on the picture.
        question: what was asked about it.
        answered: whether the graded answer is right.
    """
    told = response.partition("<think>")[2].partition("</think>")[0]
    described = None
    if any(word in told for word in _ANCHORED):
        seen, _, told = told.partition(". ")
        described = seen == scene.description()
    return Chain(described, all(step in told for step in question.steps), answered)


def chains_of(rows: Iterable[Mapping[str, Any]]) -> list[Chain]:
    """Read the rows of a run on `glyph`. Raises UsageError for a row of another benchmark."""
    found = []
    for row in rows:
        name, _, place = str(row["id"]).removeprefix("glyph-").partition("-")
        if not str(row["id"]).startswith("glyph-"):
            raise UsageError(f"{row['id']} is no item of glyph; give runs of vaslab measure --data glyph")
        scene = glyphs.scene(int(name))
        question = questions.questions(scene, _PER_SCENE, seed=0)[int(place)]
        found.append(read_chain(row["response"], scene, question, bool(row["right"])))
    return found


def report(chains: list[Chain]) -> dict[str, Any]:
    """Shares, each with its 95 % Wilson interval and count: parts that are right, and given that the part before is."""
    parts = {
        "described": [chain.described for chain in chains if chain.described is not None],
        "reasoned": [chain.reasoned for chain in chains],
        "reasoned, where described": [chain.reasoned for chain in chains if chain.described],
        "answered": [chain.answered for chain in chains],
        "answered, where reasoned": [chain.answered for chain in chains if chain.reasoned],
    }
    return {name: _share([bool(value) for value in values]) for name, values in parts.items() if values}


def _share(right: list[bool]) -> dict[str, float | int]:
    interval = accuracy_interval(sum(right), len(right))
    return {**{name: float(interval[name]) for name in ("estimate", "low", "high")}, "n": len(right)}


def main(runs: list[str]) -> None:
    """Print the report of each run, a JSON line each.

    Raises:
        MissingError: a folder that holds no run.
        UsageError: no run, or one of another benchmark than `glyph`.
    """
    if not runs:
        raise UsageError("no run is named; give folders of vaslab measure --data glyph")
    for run in runs:
        path = Path(run) / "items.jsonl"
        if not path.is_file():
            raise MissingError(f"there is no run at {run}; give a folder of vaslab measure")
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        print(json.dumps({"run": run, **report(chains_of(rows))}))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except VaslabError as error:
        sys.exit(fail(str(error), error.exit_code))

"""Glyph: questions about held-out scenes of the organism's own picture world."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Grade, Item, Selection
from vaslab.benchmarks.spread import spread
from vaslab.organism import glyphs, questions

SCENES = 1000
QUESTIONS_PER_SCENE = 2
_ANSWERS = {
    "locate": len(glyphs.PLACES),
    "identify": len(glyphs.SHAPES) * len(glyphs.COLORS),
    "count": 7,  # no more than six glyphs in a scene
    "compare": 2,
    "relate": 2,
    "two-step": len(glyphs.COLORS),
}
"""How many answers a question of each kind can have."""


class Glyph:
    """Two questions about each of the first 1,000 held-out scenes, each asking to think first.

    Pictures are drawn when asked about.
    """

    name = "glyph"
    title = "glyph scenes, held out"
    source = f"drawn by vaslab from seeds {glyphs.TEST_SEEDS.start} to {glyphs.TEST_SEEDS.start + SCENES - 1}"
    licence = "Apache-2.0"
    forbidden = ""
    rule = "exact match of the whole answer, case, spacing and a final full stop aside"

    def select(self, limit: int | None = None, seed: int = 0) -> Selection:
        """Select all questions, or `limit` of them spread over the scenes."""
        return spread(_items(), limit, seed)

    def grade(self, item: Item, response: str) -> Grade:
        """Compare the whole answer: a place, a coloured shape, a colour, a number, or yes or no."""
        tagged = tagged_answer(response)
        told = " ".join((response if tagged is None else tagged).lower().split())
        told = told.removesuffix(".").rstrip()
        if not told:
            return Grade(False, None, "empty response")
        return Grade(told == item.answer, told)

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """Accuracy by kind of question."""
        kinds: dict[str, list[bool]] = {}
        for item, grade in zip(items, grades, strict=True):
            kinds.setdefault(item.kind, []).append(bool(grade.right))
        return {kind: sum(right) / len(right) for kind, right in sorted(kinds.items())}

    def chance(self, items: Sequence[Item]) -> float | None:
        """Chance of a guesser who knows the kind of each question and the answers it can have."""
        if not items:
            return None
        return sum(1 / _ANSWERS[item.kind] for item in items) / len(items)


@cache
def _items() -> tuple[Item, ...]:
    """All questions, drawn once in a process."""
    found = []
    for seed in glyphs.TEST_SEEDS[:SCENES]:
        scene = glyphs.scene(seed)
        for number, question in enumerate(questions.questions(scene, QUESTIONS_PER_SCENE, seed=0)):
            found.append(
                Item(
                    id=f"glyph-{seed}-{number}",
                    question=question.thoughtful(),
                    pictures=(scene.picture,),
                    answer=question.answer,
                    picture_id=str(seed),
                    kind=question.kind,
                    boxes=tuple(glyph.box for glyph in question.region),
                )
            )
    return tuple(found)

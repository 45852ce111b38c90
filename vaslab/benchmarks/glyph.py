"""Glyph: questions about held-out scenes of the organism's own picture world."""

from __future__ import annotations

from functools import cached_property

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Grade, Item, Selection
from vaslab.benchmarks.spread import spread
from vaslab.organism import glyphs, questions

SCENES = 1000
QUESTIONS_PER_SCENE = 2


class Glyph:
    """Two questions about each of the first 1,000 held-out scenes, each asking to think first.

    Pictures are drawn when asked about.
    """

    name = "glyph"
    title = "glyph scenes, held out"
    source = f"drawn by vaslab from seeds {glyphs.TEST_SEEDS.start} to {glyphs.TEST_SEEDS.start + SCENES - 1}"
    licence = "Apache-2.0"
    rule = "exact match of the whole answer, case, spacing and a final full stop aside"

    @cached_property
    def _items(self) -> tuple[Item, ...]:
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

    def select(self, limit: int | None = None, seed: int = 0) -> Selection:
        """Select all questions, or `limit` of them spread over the scenes."""
        return spread(self._items, limit, seed)

    def grade(self, item: Item, response: str) -> Grade:
        """Compare the whole answer: a place, a coloured shape, a colour, a number, or yes or no."""
        tagged = tagged_answer(response)
        told = " ".join((response if tagged is None else tagged).lower().split())
        told = told.removesuffix(".").rstrip()
        if not told:
            return Grade(False, None, "empty response")
        return Grade(told == item.answer, told)

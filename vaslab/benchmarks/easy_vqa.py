"""easy-VQA: 9,673 official test questions about 1,000 pictures of one shape, answered by one of 13 words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Grade, Item, Selection
from vaslab.benchmarks.spread import spread
from vaslab.organism import easy_vqa

_ANSWERS = {"yes-no": 2, "shape": len(easy_vqa.SHAPES), "color": len(easy_vqa.COLORS)}


class EasyVqa:
    """The official test split, in the published order, read from the installed package."""

    name = "easy-vqa"
    title = "easy-VQA, official test split"
    source = "the package easy-vqa (Victor Zhou), installed with vaslab"
    licence = "MIT"
    forbidden = ""
    rule = "exact match of the single answer word, case and a final full stop aside"

    def select(self, limit: int | None = None, seed: int = 0) -> Selection:
        """Select all questions, or `limit` of them spread over the pictures."""
        return spread(_items(), limit, seed)

    def grade(self, item: Item, response: str) -> Grade:
        """Compare the answer word; a response that is none of the 13 words is wrong."""
        tagged = tagged_answer(response)
        word = (response if tagged is None else tagged).strip().lower().removesuffix(".").rstrip()
        if word not in easy_vqa.ANSWERS:
            return Grade(False, None, "no answer word alone in the response")
        return Grade(word == item.answer, word)

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:  # noqa: ARG002
        """Accuracy is all there is."""
        return {}

    def chance(self, items: Sequence[Item]) -> float | None:
        """Chance of a guesser who knows the kind of each question: two, three or eight answers."""
        if not items:
            return None
        return sum(1 / _ANSWERS[item.kind] for item in items) / len(items)


@cache
def _items() -> tuple[Item, ...]:
    """All questions, read once in a process."""
    return tuple(
        Item(
            id=f"easy-vqa-test-{number:04d}",
            question=row.text,
            pictures=(row.picture,),
            answer=row.answer,
            picture_id=row.picture.stem,
            kind=_kind(row.answer),
        )
        for number, row in enumerate(easy_vqa.official("test"))
    )


def _kind(answer: str) -> str:
    if answer in easy_vqa.SHAPES:
        return "shape"
    return "color" if answer in easy_vqa.COLORS else "yes-no"

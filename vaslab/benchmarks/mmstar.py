"""MMStar: 1,500 multiple-choice questions that cannot be answered without their picture, in six categories."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import BrokenItemError, Grade, Item
from vaslab.benchmarks.options import LETTERS, letters, option_columns
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.table import TableBenchmark, text

CATEGORIES = (
    "coarse perception",
    "fine-grained perception",
    "instance reasoning",
    "logical reasoning",
    "science & technology",
    "math",
)
_USUAL = 4
_INSTRUCTION = "Answer with the option's letter from the given choices directly."
_OPENINGS = ("(", "option ", "the answer is ")
_OPTIONS = "Options:"
_CHOICES = re.compile(r"\n\(([A-Z])\) ")


class MmStar(TableBenchmark):
    """The val split, asked and graded as the MMStar repository does.

    Chen et al., "Are We on the Right Way for Evaluating Large Vision-Language Models?", NeurIPS 2024;
    `eval/vlmeval/evaluate/mmstar.py` of MMStar-Benchmark/MMStar.
    """

    name = "mmstar"
    title = "MMStar"
    source = "Lin-Chen/MMStar on the hub (Chen et al., NeurIPS 2024)"
    licence = "none stated"
    forbidden = "no licence is stated: do not pass rows or pictures on"
    rule = "the letter that the response begins with, bare or after '(', 'option' or 'the answer is'"
    get = "mmstar.parquet of Lin-Chen/MMStar on the hub, or VLMEvalKit's MMStar.tsv"
    files = ("mmstar.parquet", "*/val-*.parquet", "MMStar*.tsv", "*.parquet")

    def read(self, row: Row) -> Item:
        """Read a row of the data set, of VLMEvalKit's table, or of an output file.

        Options stand in the question or in columns of their own. The rule needs only letters, so that a question
        whose options do not parse is asked all the same.
        """
        asked = text(row, "question")
        options = _options(asked)
        if not options:
            options = option_columns(row)
            asked += "".join(
                f"\n{letter}. {option}" for letter, option in zip(letters(options), options, strict=True)
            )
        answer = text(row, "answer").strip().upper()
        if answer not in (letters(options) or LETTERS):
            raise BrokenItemError(f"answer is no option's letter: {answer[:40]!r}")
        category = text(row, "category")
        return Item("", f"{asked}\n{_INSTRUCTION}", answer=answer, kind=category, options=options)

    def grade(self, item: Item, response: str) -> Grade:
        """Grade by the published rule; an answer in tags is graded alone."""
        tagged = tagged_answer(response)
        letter = _first_letter(response if tagged is None else tagged)
        if letter not in (letters(item.options) or LETTERS):
            return Grade(False, None, "the response begins with no option's letter")
        return Grade(letter == item.answer, letter)

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """Accuracy of each of the six categories, in the published order."""
        right: dict[str, list[bool]] = {}
        for item, grade in zip(items, grades, strict=True):
            right.setdefault(item.kind, []).append(bool(grade.right))
        return {name: sum(right[name]) / len(right[name]) for name in CATEGORIES if name in right}

    def chance(self, items: Sequence[Item]) -> float | None:
        """One over the number of options; four where they do not parse."""
        if not items:
            return None
        return sum(1 / (len(item.options) or _USUAL) for item in items) / len(items)


def _first_letter(response: str) -> str:
    """Return the character that stands where the rule looks for a letter, as a capital; "?" where none does."""
    said = response.lower().strip().replace("\n", " ")
    opening = next((each for each in _OPENINGS if said.startswith(each)), "")
    return said[len(opening) : len(opening) + 1].upper() or "?"


def _options(question: str) -> tuple[str, ...]:
    """Return the options that stand in a question: "Options: A: ..., B: ..." or lines "(A) ..."; () for neither."""
    _, marked, written = question.rpartition(_OPTIONS)
    if marked:
        return _in_turn(written)
    found = _CHOICES.split(question)[1:]
    named, texts = tuple(found[::2]), tuple(each.strip() for each in found[1::2])
    return texts if len(texts) > 1 and named == letters(texts) else ()


def _in_turn(written: str) -> tuple[str, ...]:
    """Split "A: one, B: two" at its letters in turn; a comma, or a colon after another letter, parts nothing."""
    places, at = [], 0
    for letter in LETTERS:
        match = re.compile(rf"(?:^|,|\n)\s*{letter}:").search(written, at)
        if match is None:
            break
        places.append((match.start(), match.end()))
        at = match.end()
    ends = [start for start, _ in places[1:]] + [len(written)]
    texts = tuple(written[end:stop].strip() for (_, end), stop in zip(places, ends, strict=True))
    return texts if len(texts) > 1 else ()

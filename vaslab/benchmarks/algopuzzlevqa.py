"""AlgoPuzzleVQA: puzzles drawn by programs, answered by one of two to four options.

Ghosal et al. 2024, arXiv 2403.03864.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Ask, BrokenItemError, Grade, Item
from vaslab.benchmarks.options import option_list
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.table import TableBenchmark, text

_LETTERS = "ABCD"
_NUMBER = re.compile(r"_\d+$")


class AlgoPuzzleVqa(TableBenchmark):
    """Asked without the line against direct answers, which the official evaluation leaves out for some models too: what
    is not answered in its one turn here would never be."""

    name = "algopuzzlevqa"
    title = "AlgoPuzzleVQA, 18 puzzles, 100 questions each"
    source = "declare-lab/AlgoPuzzleVQA on the Hugging Face hub; github.com/declare-lab/LLM-PuzzleTest"
    licence = "MIT (GitHub), Apache-2.0 (hub)"
    rule = "the last (A) to (D), else the last capital A to D, of <answer> or the whole response; equal to the answer"
    get = (
        "hub:declare-lab/AlgoPuzzleVQA, or the folder AlgoPuzzleVQA of github.com/declare-lab/LLM-PuzzleTest"
    )
    # data first: the official folders hold other .json beside it
    files = ("data/*.json", "*.json", "*.jsonl", "data/*.parquet", "*.parquet")
    answers_in = ("raw_output", "response", "prediction")

    def read(self, row: Row) -> Item:
        """Read a row of any official form; the puzzle is told by the name of the picture."""
        options = option_list(row.values.get("options"))
        answer = text(row, "answer")
        if not 2 <= len(options) <= len(_LETTERS):
            raise BrokenItemError(f"{len(options)} options; expected 2 to {len(_LETTERS)}")
        if answer not in options:
            raise BrokenItemError(f"answer {answer[:40]!r} is none of the options")
        return Item(
            "",
            _prompt(text(row, "question"), options),
            answer=answer,
            kind=_NUMBER.sub("", self.row_id(row)),
            options=options,
        )

    def row_id(self, row: Row) -> str:
        """The published rows have no id: the name of the picture is one."""
        image = row.values.get("image")
        named = image.get("path") if isinstance(image, Mapping) else image
        known = super().row_id(row)
        return known or (Path(named).stem if isinstance(named, str) else "")

    def grade(self, item: Item, response: str) -> Grade:
        """Grade by the official extraction: a letter without an option counts as the first, as it does there."""
        tagged = tagged_answer(response)
        if tagged in item.options:
            return Grade(tagged == item.answer, tagged)
        said = response if tagged is None else tagged
        found = re.findall(rf"\(([{_LETTERS}])\)", said) or re.findall(f"[{_LETTERS}]", said)
        if not found:
            return Grade(False, None, "no letter A to D" if said.strip() else "empty response")
        at = _LETTERS.index(found[-1])
        option = item.options[at if at < len(item.options) else 0]
        return Grade(option == item.answer, option)

    def judge(self, item: Item, response: str, ask: Ask) -> Grade:
        """Ask a second time where the rule finds no letter, as the official evaluation asks the model itself."""
        grade = self.grade(item, response)
        if grade.extracted is not None:
            return grade
        among = " ".join(f"({letter})" for letter in _LETTERS[: len(item.options)])
        return self.grade(
            item, ask(f"{item.question}\n{response}\n\nTherefore, among {among}, the answer is:")
        )


def _prompt(question: str, options: tuple[str, ...]) -> str:
    """Build the official prompt, whose two-option form leaves the lines of C and D blank."""
    listed_options = [f"({letter}) {option}" for letter, option in zip(_LETTERS, options, strict=False)]
    blank = [""] * (3 if len(options) == 2 else 1)
    lead = "Answer: Let's describe the image first and think step by step."
    return "\n".join([f"Question: {question.rstrip()}", "Options:", *listed_options, *blank, lead])

"""MathVision (MATH-V): 3,040 competition problems in 16 subjects, and its 304 of testmini.

Wang et al., "Measuring Multimodal Mathematical Reasoning with the MATH-Vision Dataset", NeurIPS 2024,
arXiv 2402.14804.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import BrokenItemError, Grade, Item
from vaslab.benchmarks.mathvision_answer import equal, extracted
from vaslab.benchmarks.options import LETTERS, chance_by_options, option_list
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.table import TableBenchmark, text

_INSTRUCTION = (
    'Please solve the problem step by step and put your answer in one "\\boxed{}". If it is a multiple choice '
    'question, only one letter is allowed in the "\\boxed{}".'
)
"""The instruction of the published runs with chain of thought (github.com/mathllm/MATH-V, MIT)."""


class MathVision(TableBenchmark):
    """Questions with one merged picture; five options, or a free answer. Its `<image1>` stays text, as published."""

    name = "mathvision"
    title = "MathVision (MATH-V)"
    source = "github.com/mathllm/MATH-V and MathLLMs/MathVision on the Hugging Face hub"
    licence = "MIT"
    rule = (
        "the authors' extraction (last \\boxed, 'the answer is', a letter at either end), then equal text, or equal "
        "numbers at two decimals, with the letter or the text of the right option"
    )
    get = "github.com/mathllm/MATH-V holds data/*.jsonl and images/; or hub:MathLLMs/MathVision:testmini"
    variants = MappingProxyType({"testmini": "304 problems, 19 a subject", "test": "all 3,040 problems"})

    def __init__(self, where: str, variant: str = "") -> None:
        super().__init__(where, variant)
        split = self.variant
        short = "MathVision_MINI" if split == "testmini" else "MathVision"
        self.files = (f"{split}.jsonl", f"data/{split}.jsonl", f"data/{split}-*.parquet", f"{short}.tsv")

    def pictures(self, row: Row) -> Sequence[object]:
        """Return the decoded picture where the table holds one beside its path."""
        decoded = row.values.get("decoded_image")
        return [row.values.get("image") if decoded is None else decoded]

    def read(self, row: Row) -> Item:
        """Read a row of the official files, of the hub, or of VLMEvalKit."""
        options = option_list(row.values.get("options", row.values.get("choices")))
        answer = text(row, "answer").strip()
        if options and answer not in LETTERS[: len(options)]:
            raise BrokenItemError(f"answer {answer!r} is no letter of {len(options)} options")
        facts = {name: str(row.values[name]) for name in ("level",) if row.values.get(name) is not None}
        return Item(
            id="",
            question=self._asked(row, options),
            answer=answer,
            kind=str(row.values.get("subject") or row.values.get("category") or ""),
            options=options,
            facts=MappingProxyType(facts),
        )

    def _asked(self, row: Row, options: Sequence[str]) -> str:
        if row.values.get("question") is None and self.is_output(row):
            return ""
        question = text(row, "question")
        if question.startswith("Hint:"):  # VLMEvalKit's table holds whole prompts
            return question
        listed = [] if list(options) == list(LETTERS[: len(options)]) else options
        lines = [f"({letter}) {option}" for letter, option in zip(LETTERS, listed, strict=False)]
        return "\n".join([_INSTRUCTION, question, *lines])

    def grade(self, item: Item, response: str) -> Grade:
        """Compare the extracted answer with the letter, and with the text of the option it stands for."""
        tagged = tagged_answer(response)
        told = extracted(response if tagged is None else tagged)
        if item.answer is None:
            return Grade(None, told or None, "no reference answer")
        if not told:
            return Grade(
                False, None, "empty response" if not response.strip() else "no answer in the response"
            )
        right = [item.answer]
        if item.options:
            right.append(item.options[LETTERS.index(item.answer)])
        return Grade(any(equal(each, told) for each in right), told)

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """Accuracy by subject and by level, as published."""
        groups: dict[str, list[bool]] = {}
        for item, grade in zip(items, grades, strict=True):
            for group in filter(
                None, (item.kind, f"level {item.facts['level']}" if "level" in item.facts else "")
            ):
                groups.setdefault(group, []).append(bool(grade.right))
        return {group: sum(right) / len(right) for group, right in sorted(groups.items())}

    def chance(self, items: Sequence[Item]) -> float | None:
        """Chance of a guesser who picks an option and gets no free answer right."""
        return chance_by_options(items)

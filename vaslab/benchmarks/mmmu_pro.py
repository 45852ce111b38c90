"""MMMU-Pro: 1,730 questions of MMMU that need their picture, with ten options, with four, or as one screenshot."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import BrokenItemError, Grade, Item
from vaslab.benchmarks.mmmu import by_discipline, numbered_pictures, subject
from vaslab.benchmarks.mmmu_choice import by_text, guessed, last, padded
from vaslab.benchmarks.options import answer_letter, letters, option_list
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.table import TableBenchmark, text

# as in mmmu-pro/prompts.yaml of MMMU-Benchmark/MMMU, Apache-2.0
_DIRECT = "Answer with the option letter from the given choices directly."
_LAST_LINE = (
    "The last line of your response should be of the following format: 'Answer: $LETTER' (without quotes) where "
    "LETTER is one of options."
)
_INSTRUCTIONS = {
    ("standard", "direct"): _DIRECT,
    ("vision", "direct"): f"{_DIRECT} {_LAST_LINE}",
    ("standard", "cot"): (
        f"Answer the preceding multiple choice question. {_LAST_LINE} Think step by step before answering."
    ),
    ("vision", "cot"): (
        "Write out the multiple-choice question in the image and then solve it. "
        f"{_LAST_LINE} Think step by step before answering."
    ),
}
_FOLDERS = {
    "standard-10": "standard (10 options)",
    "standard-4": "standard (4 options)",
    "vision": "vision",
}
_MARK = "Answer:"


class MmmuPro(TableBenchmark):
    """The three settings, asked directly or step by step, graded as the MMMU repository does.

    Yue et al., "MMMU-Pro", ACL 2025; `mmmu-pro/evaluate.py` and `prompts.yaml` of MMMU-Benchmark/MMMU. The overall
    score that is published for a model is the mean of standard-10 and vision, each in the better of its two ways.
    """

    name = "mmmu-pro"
    title = "MMMU-Pro"
    source = "MMMU/MMMU_Pro on the hub (Yue et al., ACL 2025)"
    licence = "Apache-2.0"
    rule = (
        "the one option letter after the last 'Answer:', else the last option letter, else the last option text, "
        "else a guess seeded by the item"
    )
    get = "the folders of MMMU/MMMU_Pro on the hub"
    variants = MappingProxyType(
        {
            "standard-10": "ten options, answered directly",
            "standard-10-cot": "ten options, step by step",
            "standard-4": "four options, answered directly",
            "standard-4-cot": "four options, step by step",
            "vision": "a screenshot of the question, answered directly",
            "vision-cot": "a screenshot of the question, step by step",
        }
    )

    def __init__(self, where: str, variant: str = "") -> None:
        super().__init__(where, variant)
        self._setting = self.variant.removesuffix("-cot")
        self.files = (f"{_FOLDERS[self._setting]}/test-*.parquet", "test-*.parquet", "data.jsonl")

    def read(self, row: Row) -> Item:
        """Read a row of the data set or of an official output file."""
        options = option_list(row.values.get("options"))
        if not options:
            raise BrokenItemError("no options")
        seen = self._setting == "vision"
        asked = _INSTRUCTIONS["vision" if seen else "standard", self._way]
        if not seen:
            lettered = "\n".join(
                f"{letter}. {option}" for letter, option in zip(letters(options), options, strict=True)
            )
            asked = f"{text(row, 'question')}\n{lettered}\n{asked}"
        return Item(
            "",
            asked,
            answer=answer_letter(text(row, "answer"), options),
            kind=subject(row),
            options=options,
            placed=not seen,
        )

    @property
    def _way(self) -> str:
        return "cot" if self.variant.endswith("-cot") else "direct"

    def pictures(self, row: Row) -> Sequence[object]:
        """Return image_1 to image_7, or the screenshot."""
        return [row.values.get("image")] if self._setting == "vision" else numbered_pictures(row)

    def grade(self, item: Item, response: str) -> Grade:
        """Grade by the published rule; an answer in tags is graded alone."""
        tagged = tagged_answer(response)
        letter = _chosen(response if tagged is None else tagged, item.options)
        return guessed(item) if letter is None else Grade(letter == item.answer, letter)

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """Accuracy of each of the six disciplines, and over all items with every guess counted as wrong."""
        return by_discipline(items, grades)


def _chosen(response: str, options: Sequence[str]) -> str | None:
    """Return the letter that a response chooses; None where it chooses none.

    As published, a letter counts where a space or a full stop follows it, so that the word "A" and the "I" of "I
    can't" are found too, and of several such letters the last with a space on both sides is taken.
    """
    before, _, after = response.rpartition(_MARK)
    if before or response.startswith(_MARK):
        named = [letter for letter in letters(options) if letter in after]
        if len(named) == 1:
            return named[0]
    said = padded(response)
    bracketed = last({letter: said.rfind(f"({letter})") for letter in letters(options)})
    if bracketed is not None:
        return bracketed
    for end in (" ", "."):
        found = [letter for letter in letters(options) if letter + end in said]
        if found:
            return max(found, key=lambda letter: said.rfind(f" {letter} "))
    return by_text(said, options)

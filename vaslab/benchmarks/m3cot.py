"""M3CoT: science, commonsense and mathematics in several steps, answered by a letter.

Chen et al. 2024, arXiv 2405.16473.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Ask, BrokenItemError, Grade, Item
from vaslab.benchmarks.options import option_list
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.table import TableBenchmark, text

_LETTERS = "ABCDEF"
_STOPS = re.compile(r"[\n.,!?]")


class M3Cot(TableBenchmark):
    """The test split, asked in one turn."""

    name = "m3cot"
    title = "M3CoT, test split"
    source = "LightChen2333/M3CoT on the Hugging Face hub; github.com/LightChen233/M3CoT"
    licence = "CC BY-SA 4.0"
    forbidden = (
        "its train split is a source of training sets: check a set with vaslab contamination before you train"
    )
    rule = (
        "of <answer> or the whole response: the last letter in round brackets, else the last option whose text "
        "stands there, else the last option whose letter stands alone, a capital before a small one"
    )
    get = "hub:LightChen2333/M3CoT:test, or the official data folder with test.jsonl"
    files = ("test.jsonl", "data/test.jsonl", "data/test-*.parquet")
    variants = MappingProxyType(
        {"direct": "question and choices alone", "cot": "followed by the official line that asks for steps"}
    )
    answers_in = ("messages", "response", "prediction")

    def read(self, row: Row) -> Item:
        """Read a row of the data, or of an official output file, whose question may stand in its dialogue alone."""
        options = option_list(row.values.get("choices"))
        if not 2 <= len(options) <= len(_LETTERS) or not all(option.strip() for option in options):
            raise BrokenItemError(f"choices are {options!r:.60}; expected 2 to {len(_LETTERS)} with text")
        answer = row.values.get("answer")
        letter = (
            _LETTERS[answer]
            if isinstance(answer, int) and 0 <= answer < len(options)
            else text(row, "answer")
        )
        if letter not in tuple(_LETTERS[: len(options)]):
            raise BrokenItemError(f"answer {letter[:40]!r} is none of the letters of {len(options)} choices")
        question = "" if self.is_output(row) else text(row, "question")
        context = str(row.values.get("context") or "")
        return Item(
            "",
            self._prompt(question, context, options),
            answer=letter,
            kind=str(row.values.get("topic") or row.values.get("domain") or ""),
            options=options,
        )

    def response(self, row: Row) -> str | None:
        """The official output files hold whole dialogues; the last turn is the answer."""
        said = row.values.get("messages")
        return str(said[-1]) if isinstance(said, list) and said else super().response(row)

    def grade(self, item: Item, response: str) -> Grade:
        """Grade by the official steps."""
        tagged = tagged_answer(response)
        letter = _letter(response if tagged is None else tagged, item.options)
        if letter is None:
            return Grade(False, None, "no option found" if response.strip() else "empty response")
        return Grade(letter == item.answer, letter)

    def judge(self, item: Item, response: str, ask: Ask) -> Grade:
        """Ask for the letter in a second turn where the rule finds none, as the official runs ask the model itself."""
        grade = self.grade(item, response)
        if grade.extracted is not None:
            return grade
        among = ", ".join(f"({letter})" for letter in _LETTERS[: len(item.options)])
        return self.grade(
            item,
            ask(f"{item.question}\n\n{response}\n\nWhich of {among} is that answer? Reply with it alone."),
        )

    def _prompt(self, question: str, context: str, options: tuple[str, ...]) -> str:
        parts = [f"[Context]\n{context}"] if context.strip() else []
        choices = [f"({letter}) {option}" for letter, option in zip(_LETTERS, options, strict=False)]
        parts += [f"[Question]\n{question}", "\n".join(["[Choices]", *choices])]
        return "\n".join(parts) + ("\n\nLet's think step-by-step!" if self.variant == "cot" else "")


def _letter(said: str, options: tuple[str, ...]) -> str | None:
    """Find the letter of the option that a response names.

    In the later steps the last option in the order of the choices is taken, not the last in the text.
    """
    if "[Answer]" in said:
        said = said.rpartition("[Answer]")[2].partition("[Rationale]")[0].partition("[Context]")[0]
    bracketed = re.findall(r"\(([A-Za-z])\)", said)
    if bracketed:
        return bracketed[-1].upper()
    known = _LETTERS[: len(options)]
    named = [letter for letter, option in zip(known, options, strict=True) if option.lower() in said.lower()]
    words = _STOPS.sub(" ", said).split(" ")
    alone = [letter for letter in known if letter in words]
    small = [letter for letter in known if letter.lower() in words]
    return next((found[-1] for found in (named, alone, small) if found), None)

"""MathVista: 6,141 questions about figures, geometry and scenes; its testmini of 1,000 has public answers.

Lu et al., "MathVista: Evaluating Mathematical Reasoning of Foundation Models in Visual Contexts", ICLR 2024,
arXiv 2310.02255.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Ask, BrokenItemError, Grade, Item
from vaslab.benchmarks.mathvista_answer import extracted, normalized, quick
from vaslab.benchmarks.options import LETTERS, chance_by_options, option_list
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.table import TableBenchmark, text

_HINTS = {
    "text": "and provide the correct option letter, e.g., A, B, C, D, at the end.",
    "integer": "requiring an integer answer and provide the final value, e.g., 1, 2, 3, at the end.",
    "float": "requiring a floating-point number with {places} and provide the final value, e.g., {such}, at the end.",
    "list": "requiring a Python list as an answer and provide the final list, e.g., [1, 2, 3], [1.2, 1.3, 1.4], at "
    "the end.",
}
"""The published instructions (github.com/lupantech/MathVista, evaluation/build_query.py)."""
_PLACES = {1: ("one decimal place", "1.2, 1.3, 1.4"), 2: ("two decimal places", "1.23, 1.34, 1.45")}
_MOST_PLACES = 15
_FILE = "extraction in the file"
_TASKS = {
    "figure question answering": "FQA",
    "geometry problem solving": "GPS",
    "math word problem": "MWP",
    "textbook question answering": "TQA",
    "visual question answering": "VQA",
}
_JUDGE = """Below are a question, with a hint about the form of its answer, and what a model wrote in reply.
Copy out the final answer that the reply gives, in the form that the hint asks for: the letter of an option, an integer,
a decimal number, or a Python list. Do not solve the question and do not correct the reply. If the reply gives no
answer, write nothing after "Extracted answer:".

Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, 2, 3, at the end.
Question: How many red marbles are left?
Reply: There were nine, and two rolled away, which leaves seven marbles.
Extracted answer: 7

Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.
Question: Which shape has the largest area?
Choices:
(A) circle
(B) square
Reply: Its side is longer than the diameter, so the square.
Extracted answer: B

{query}
Reply: {response}
Extracted answer:"""
"""vaslab's own words for the authors' step of extraction by a model."""


class MathVista(TableBenchmark):
    """Multiple-choice and free questions; answers are whole numbers, decimals, lists or options."""

    name = "mathvista"
    title = "MathVista"
    source = "github.com/lupantech/MathVista and AI4Math/MathVista on the Hugging Face hub"
    licence = "CC BY-SA 4.0"
    forbidden = "training on it: its authors allow its use as a test set alone"
    rule = (
        "answer found by vaslab's own extraction (published: by a judge), then as published: an option's letter or "
        "the nearest option by edit distance, a whole number, or a number rounded to the row's decimals, equal to the "
        "reference"
    )
    get = "hub:AI4Math/MathVista:testmini, or testmini.json (github.com/lupantech/MathVista) beside images/ of the hub"
    variants = MappingProxyType(
        {"testmini": "1,000 questions with answers", "test": "5,141 questions, answers not public"}
    )

    def __init__(self, where: str, variant: str = "") -> None:
        super().__init__(where, variant)
        split = self.variant
        tables = [f"{split}.json", f"data/{split}.json", f"annot_{split}.json", f"data/annot_{split}.json"]
        self.files = (
            *tables,
            f"data/{split}-*.parquet",
            *(["MathVista_MINI.tsv"] if split == "testmini" else []),
        )

    def pictures(self, row: Row) -> Sequence[object]:
        """Return the decoded picture where the table holds one beside its path."""
        decoded = row.values.get("decoded_image")
        return [row.values.get("image") if decoded is None else decoded]

    def read(self, row: Row) -> Item:
        """Read a row of the official files and outputs, of the hub, or of VLMEvalKit."""
        options = option_list(row.values.get("choices"))
        kind = "text" if options else text(row, "answer_type")
        if kind not in _HINTS or (kind == "text" and not options):
            raise BrokenItemError(
                f"answer type {kind!r}; expected integer, float, list, or text with choices"
            )
        answer = row.values.get("answer")
        answer = None if answer is None or not str(answer).strip() else str(answer)
        if answer is None and self.variant == "testmini":
            raise BrokenItemError("no answer")
        if answer is not None and options and answer not in options:
            # VLMEvalKit's table may give the letter alone
            if answer not in LETTERS[: len(options)]:
                raise BrokenItemError(f"answer {answer!r} is none of the choices")
            answer = options[LETTERS.index(answer)]
        task, skills = _metadata(row)
        facts: dict[str, str | int | tuple[str, ...]] = {
            "answer_type": kind,
            "precision": _precision(row, answer),
            "skills": skills,
        }
        if row.values.get("extraction") is not None:
            facts["extraction"] = str(row.values["extraction"])
        question = self._asked(row, kind, options, int(str(facts["precision"])))
        return Item("", question, answer=answer, kind=task, options=options, facts=MappingProxyType(facts))

    def _asked(self, row: Row, kind: str, options: Sequence[str], precision: int) -> str:
        """Return the published prompt: as the row holds it, or built of its parts."""
        query = row.values.get("query")
        if isinstance(query, str) and query.strip():
            return query
        if row.values.get("question") is None and self.is_output(row):
            return ""
        question = text(row, "question")
        if question.startswith("Hint:"):  # VLMEvalKit's table holds whole prompts
            return question
        places, such = _PLACES.get(precision, (f"{precision} decimal places", f"{1.2:.{precision}f}"))
        hint = _HINTS[kind].replace("{places}", places).replace("{such}", such)
        unit = row.values.get("unit")
        lines = [f"Hint: Please answer the question {hint}", f"Question: {question}"]
        lines[1] += f" (Unit: {unit})" if unit else ""
        if options:
            lines += [
                "Choices:",
                *(f"({letter}) {each}" for letter, each in zip(LETTERS, options, strict=False)),
            ]
        return "\n".join(lines)

    def grade(self, item: Item, response: str) -> Grade:
        """Grade by rule. An official output that holds its authors' extraction is graded on that."""
        if "extraction" in item.facts:
            return _graded(item, item.facts["extraction"], by=_FILE)
        tagged = tagged_answer(response)
        told = response if tagged is None else tagged
        return _graded(item, extracted(told, item.facts["answer_type"], item.options))

    def judge(self, item: Item, response: str, ask: Ask) -> Grade:
        """Grade as published: what is no plain answer already, a model extracts."""
        found = quick(response, item.facts["answer_type"], item.options) if response.strip() else ""
        if found is None:
            prompt = _JUDGE.replace("{query}", item.question).replace("{response}", response)
            found = ask(prompt).replace("Extracted answer:", "").strip()
        return _graded(item, found)

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """Accuracy by task and by mathematical skill, as published."""
        groups: dict[str, list[bool]] = {}
        for item, grade in zip(items, grades, strict=True):
            for group in (item.kind, *item.facts.get("skills", ())):
                if group:
                    groups.setdefault(group, []).append(bool(grade.right))
        return {group: sum(right) / len(right) for group, right in sorted(groups.items())}

    def chance(self, items: Sequence[Item]) -> float | None:
        """Chance of a guesser who picks an option and gets no free answer right."""
        return chance_by_options(items)


def _graded(item: Item, found: str, by: str = "rule") -> Grade:
    """Normalise what was extracted, and compare."""
    told = normalized(found, item.facts["answer_type"], item.options, item.facts["precision"])
    nothing = not found.strip()
    if item.answer is None:
        return Grade(None, told, "no reference answer", by=by)
    if told is None or (nothing and not item.options):
        return Grade(False, None, "no answer of the asked form in the response", by=by)
    # nothing is nearest to the shortest option: the published rule takes it
    return Grade(told == item.answer, told, guessed=nothing, by=by)


def _precision(row: Row, answer: str | None) -> int:
    """Return the decimals of a row; those of its answer where the table does not say."""
    told = row.values.get("precision")
    if isinstance(told, str | int | float) and not isinstance(told, bool):
        try:
            places = int(float(told))
        except (ValueError, OverflowError) as error:
            raise BrokenItemError(f"precision {told!r} is no number of decimals") from error
        if not 0 <= places <= _MOST_PLACES:
            raise BrokenItemError(f"precision {told!r} is no number of decimals")
        return places
    return len((answer or "").partition(".")[2])


def _metadata(row: Row) -> tuple[str, tuple[str, ...]]:
    """Return the task, by its short name, and the skills."""
    told = row.values.get("metadata")
    more = told if isinstance(told, Mapping) else row.values
    skills = more.get("skills")
    if isinstance(skills, str):
        try:
            skills = ast.literal_eval(skills)
        except (ValueError, SyntaxError):
            skills = [skills]
    task = str(more.get("task") or "")
    named = tuple(str(each) for each in skills) if isinstance(skills, Sequence) else ()
    return _TASKS.get(task, task), named

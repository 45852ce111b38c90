"""MathVerse: 788 problems of testmini, each in six versions that move its information from the text to the picture.

Zhang et al., "MathVerse: Does Your Multi-modal LLM Truly See the Diagrams in Visual Math Problems?", ECCV 2024,
arXiv 2403.14624.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Ask, BrokenItemError, Grade, Item
from vaslab.benchmarks.mathverse_answer import consistent, extracted
from vaslab.benchmarks.options import chance_by_options
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.table import TableBenchmark, text

_VERSIONS = MappingProxyType(
    {
        "vision-only": "the question stands in the picture, there is no text",
        "vision-dominant": "conditions stand in the picture, the text asks",
        "vision-intensive": "the text leaves out what the picture shows of the figure",
        "text-lite": "the text leaves out what the picture describes",
        "text-dominant": "the whole question is text",
        "text-only": "the whole question is text, without a picture",
        "all": "the five versions with a picture",
    }
)
_LETTER = "the correct option letter, e.g., A, B, C, D"
_VALUE = "the final value, e.g., 1, 2.5, 300"
_FILE = "extraction in the file"
_CHOICES = re.compile(r"Choices:(.*)\Z", re.DOTALL)
_CHOICE = re.compile(r"^\s*\(?([A-H])\)?\s*[:.)]\s*(.*?)\s*$", re.MULTILINE)

_EXTRACT = """Below is the reply of a model to a mathematical problem. Copy out its final answer and nothing else:
the letter of an option, a value with its unit, an interval, an equation, or each part of an answer of several parts.
If the reply gives no final answer, write null.

Reply: 'The two lines meet where x = 3, hence y = -1, so they cross at:\\n\\n(3, -1)'
Answer: (3, -1)

Reply: 'All four sides are equal. The right choice is therefore:\\n\\nC. a rhombus'
Answer: C

Reply: 'Nothing in the picture gives the radius, so I cannot tell.'
Answer: null

Reply: '{response}'
Answer:"""
_SCORE = """Decide whether two answers to a mathematical problem agree. The second is a model's, the first is the
reference. They agree only if the second is the reference wholly: every part, the same ends of an interval open and
closed. Another way to write the same value agrees (0.5 m and 50 cm), and so does the text of the option whose letter
is the reference. Write 1 if they agree and 0 if they do not, and nothing else.

Problem: Which values of x does the graph cover?
Reference: [1, 5)
Model: (1, 5)
Verdict: 0

Problem: What is the height of the cone?\\nChoices:\\nA:3 cm\\nB:4 cm
Reference: B
Model: 40 mm
Verdict: 1

Problem: {question}
Reference: {reference}
Model: {found}
Verdict:"""
"""vaslab's own words for the two steps that the authors give to a model: extract, then score."""
_AGAIN = "\n(Write only the digit 0 or the digit 1.)"


class MathVerse(TableBenchmark):
    """One problem version of testmini, or the five with a picture."""

    name = "mathverse"
    title = "MathVerse testmini"
    source = "github.com/ZrrSkywalker/MathVerse and AI4Math/MathVerse on the Hugging Face hub"
    licence = "CC BY-SA 4.0 (data), MIT (code)"
    rule = (
        "without a judge vaslab's own rule: answer at the end of the response, equal by text, quantity or "
        "math-verify; with a judge the published two steps, extract and score"
    )
    get = "hub:AI4Math/MathVerse:testmini:testmini, or testmini.json and images.zip from there"
    variants = _VERSIONS
    answers_in = ("model_answer", "response", "prediction")

    def __init__(self, where: str, variant: str = "") -> None:
        super().__init__(where, variant)
        words = self.variant.replace("-", "_")
        short = {"all": "MathVerse_MINI"}.get(self.variant, f"MathVerse_MINI_{words.title()}")
        split = "testmini_text_only" if self.variant == "text-only" else "testmini"
        self.files = (
            f"{split}.json",
            f"{split}*.parquet",
            f"data/{split}*.parquet",
            f"{short}.tsv",
            "MathVerse_MINI.tsv",
        )

    def wanted(self, row: Row) -> bool:
        """Whether the row is of the version; rows without one are taken for it."""
        version = _version(row)
        return self.variant == "all" or not version or version == self.variant

    def row_id(self, row: Row) -> str:
        """Return the index of the sample."""
        sample = row.values.get("sample_index")
        return super().row_id(row) if sample is None else str(sample)

    def pictures(self, row: Row) -> Sequence[object]:
        """Return the picture; Text Only has none."""
        return [] if _version(row) == "text-only" else super().pictures(row)

    def answered(self, path: Path) -> list[tuple[Item, str]]:
        """Read an official output file; of a file of all versions, the rows of this one."""
        pairs = super().answered(path)
        wanted = [
            pair for pair in pairs if self.variant in ("all", pair[0].facts.get("version") or self.variant)
        ]
        return wanted or pairs

    def read(self, row: Row) -> Item:
        """Read a row of the official files and outputs, of the hub, or of VLMEvalKit."""
        version = _version(row) or ("" if self.variant == "all" else self.variant)
        question = str(row.values.get("question") or "").strip()
        asked = self._asked(row, version, question)
        answer = text(row, "answer").strip()
        about = str(row.values.get("question_for_eval") or question)
        letters = str(row.values.get("question_type") or "").startswith("multi")
        options = _options(about) if letters else ()
        more = _metadata(row)
        facts = {"version": version, "letters": int(letters), "question": about, "subfield": more["subfield"]}
        if row.values.get("extraction") is not None:
            facts["extraction"] = str(row.values["extraction"])
        return Item(
            "",
            asked,
            answer=answer,
            picture_id=str(row.values.get("problem_index") or ""),
            kind=more["subject"],
            options=options,
            facts=MappingProxyType(facts),
        )

    def _asked(self, row: Row, version: str, question: str) -> str:
        """Return the published prompt that asks for reasoning first: as the row holds it, or built of its parts."""
        query = row.values.get("query_cot")
        if isinstance(query, str) and query.strip():
            return query
        if not question and version != "vision-only" and not self.is_output(row):
            raise BrokenItemError("no question")
        asks = _LETTER if str(row.values.get("question_type") or "").startswith("multi") else _VALUE
        if version == "vision-only":
            return (
                "According to the question shown in the image, please first conduct reasoning, and then answer "
                f"the question and provide {asks}, at the end."
            )
        return (
            f"Please first conduct reasoning, and then answer the question and provide {asks}, at the end.\n"
            f"Question: {question}"
        )

    def grade(self, item: Item, response: str) -> Grade:
        """Grade by vaslab's own rule. An official output that holds its authors' extraction is graded on that."""
        if "extraction" in item.facts:
            return _graded(item, item.facts["extraction"], by=_FILE)
        tagged = tagged_answer(response)
        told = response if tagged is None else tagged
        return _graded(item, extracted(told, item.options, bool(item.facts["letters"])))

    def judge(self, item: Item, response: str, ask: Ask) -> Grade:
        """Grade by the published protocol: a model extracts, then scores."""
        if item.answer is None:
            return Grade(None, None, "no reference answer")
        if not response.strip():
            return Grade(False, None, "empty response")
        found = ask(_EXTRACT.replace("{response}", response)).replace("Answer:", "").strip()
        told = None if found in ("", "null") else found
        question = item.facts["question"]
        score = (
            _SCORE.replace("{question}", question)
            .replace("{reference}", item.answer)
            .replace("{found}", found)
        )
        for prompt in (score, score + _AGAIN):
            verdict = ask(prompt).replace("Verdict:", "").strip()
            if verdict in ("0", "1"):
                return Grade(verdict == "1", told, "" if told else "no answer in the response")
        return Grade(None, told, "the judge gave neither 0 nor 1")

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """Accuracy by version, subject and subfield, as published."""
        groups: dict[str, list[bool]] = {}
        for item, grade in zip(items, grades, strict=True):
            for group in (item.facts.get("version"), item.kind, item.facts.get("subfield")):
                if group:
                    groups.setdefault(group, []).append(bool(grade.right))
        return {group: sum(right) / len(right) for group, right in sorted(groups.items())}

    def chance(self, items: Sequence[Item]) -> float | None:
        """Chance of a guesser who picks an option and gets no free answer right; None where options are not known."""
        if any(item.facts.get("letters") and not item.options for item in items):
            return None
        return chance_by_options(items)


def _graded(item: Item, found: str, by: str = "rule") -> Grade:
    if item.answer is None:
        return Grade(None, found or None, "no reference answer", by=by)
    if not found.strip() or found.strip() == "null":
        return Grade(False, None, "no answer in the response", by=by)
    return Grade(consistent(item.answer, found, item.options), found, by=by)


def _version(row: Row) -> str:
    told = row.values.get("problem_version") or _mapping(row).get("problem_version") or ""
    return "-".join(str(told).lower().replace("_", " ").replace("-", " ").split())


def _mapping(row: Row) -> Mapping[str, object]:
    told = row.values.get("metadata")
    if isinstance(told, str):
        try:
            told = ast.literal_eval(told)
        except (ValueError, SyntaxError):
            return {}
    return told if isinstance(told, Mapping) else {}


def _metadata(row: Row) -> dict[str, str]:
    """Return subject and subfield; the website's rows write them in the plural."""
    told = _mapping(row)
    return {
        name: str(told.get(name) or told.get(f"{name}s") or row.values.get(name) or "")
        for name in ("subject", "subfield")
    }


def _options(question: str) -> tuple[str, ...]:
    """Return the options at the end of a question, "Choices:" and a line for each; () where they do not run A, B, C."""
    found = _CHOICES.search(question)
    listed = _CHOICE.findall(found[1]) if found else []
    in_order = [letter for letter, _ in listed] == [chr(ord("A") + at) for at in range(len(listed))]
    return tuple(option for _, option in listed) if in_order else ()

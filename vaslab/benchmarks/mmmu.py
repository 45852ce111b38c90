"""MMMU: 900 validation questions of 30 college subjects, multiple choice and open, with up to seven pictures."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import BrokenItemError, Grade, Item
from vaslab.benchmarks.mmmu_choice import by_text, guessed, last, padded
from vaslab.benchmarks.mmmu_open import conclusions, matching
from vaslab.benchmarks.options import answer_letter, letters, option_columns, option_list
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.table import TableBenchmark, text

DISCIPLINES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
        "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
        "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
        "Health and Medicine": (
            "Basic_Medical_Science",
            "Clinical_Medicine",
            "Diagnostics_and_Laboratory_Medicine",
            "Pharmacy",
            "Public_Health",
        ),
        "Humanities and Social Science": ("History", "Literature", "Sociology", "Psychology"),
        "Tech and Engineering": (
            "Agriculture",
            "Architecture_and_Engineering",
            "Computer_Science",
            "Electronics",
            "Energy_and_Power",
            "Materials",
            "Mechanical_Engineering",
        ),
    }
)
_DISCIPLINE = {subject: name for name, subjects in DISCIPLINES.items() for subject in subjects}
_ID = re.compile(r"(dev|validation|test)_(\w+)_\d+")
_PLACE = re.compile(r"<image ?(\d+)>")
_N_PICTURES = 7
_BY_LETTER = "Answer with the option's letter from the given choices directly."
_BY_WORD = "Answer the question using a single word or phrase."


class Mmmu(TableBenchmark):
    """The validation split, asked and graded as the MMMU repository does, with every picture at its place.

    Yue et al., "MMMU", CVPR 2024; `eval/eval_utils.py` of MMMU-Benchmark/MMMU. Where the published rule draws one
    letter after another from one random stream, the guess here is seeded by the item's id.
    """

    name = "mmmu"
    title = "MMMU, validation split"
    source = "MMMU/MMMU on the hub (Yue et al., CVPR 2024)"
    licence = "Apache-2.0"
    rule = (
        "the last option letter in the response, else the last option text, else a guess seeded by the item; open "
        "answers: a conclusion that holds the answer or equals it to two decimals"
    )
    get = "the 30 folders of MMMU/MMMU on the hub, or VLMEvalKit's MMMU_DEV_VAL.tsv"
    files = (
        "*/validation-*.parquet",
        "data/validation-*.parquet",
        "validation-*.parquet",
        "MMMU_DEV_VAL.tsv",
    )

    def wanted(self, row: Row) -> bool:
        """Whether the row is of the validation split."""
        named = _ID.fullmatch(str(row.values.get("id")))
        split = named[1] if named else row.values.get("split")
        return split in (None, "validation")

    def read(self, row: Row) -> Item:
        """Read a row of the data set, of VLMEvalKit's table, or of an official output file."""
        asked = text(row, "question") if "question" in row.values or "response" not in row.values else ""
        options = _options(row)
        if not options:
            answers = _answers(row)
            told = MappingProxyType({"answers": answers})
            return Item(
                "",
                f"{asked}\n{_BY_WORD}",
                answer=" | ".join(answers),
                kind=subject(row),
                facts=told,
                placed=True,
            )
        lettered = "".join(
            f"({letter}) {option}\n" for letter, option in zip(letters(options), options, strict=True)
        )
        return Item(
            "",
            f"{asked}\n{lettered}\n{_BY_LETTER}",
            answer=answer_letter(text(row, "answer"), options),
            kind=subject(row),
            options=options,
            placed=True,
        )

    def pictures(self, row: Row) -> Sequence[object]:
        """Return image_1 to image_7, or VLMEvalKit's list."""
        return numbered_pictures(row)

    def grade(self, item: Item, response: str) -> Grade:
        """Grade by the published rule; an answer in tags is graded alone."""
        tagged = tagged_answer(response)
        said = response if tagged is None else tagged
        return _choice(item, said) if item.options else _open(item, said)

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """Accuracy of each of the six disciplines, and over all items with every guess counted as wrong."""
        return by_discipline(items, grades)

    def chance(self, items: Sequence[Item]) -> float | None:
        """One over the number of options, 0 for an open question."""
        if not items:
            return None
        return sum(1 / len(item.options) for item in items if item.options) / len(items)


def subject(row: Row) -> str:
    """Return the subject that an id, or a column of a table without such ids, names; "" where neither does."""
    named = _ID.fullmatch(str(row.values.get("id")))
    if named:
        return named[2]
    return str(row.values.get("subject") or row.values.get("category") or "")


def numbered_pictures(row: Row) -> Sequence[object]:
    """Return the pictures that "<image 1>", "<image 2>" name, in that order.

    Raises BrokenItemError where a number is left out, or the question or an option names one that is not there.
    """
    found = [row.values.get(f"image_{number}") for number in range(1, _N_PICTURES + 1)]
    while found and found[-1] is None:
        found.pop()
    if not found:
        held = row.values.get("image")
        found = list(held) if isinstance(held, list) and held else [held]
    if None in found[:-1]:
        raise BrokenItemError(f"image_{len(found)} is there and image_{found.index(None) + 1} is not")
    words = " ".join(map(str, (row.values.get("question"), row.values.get("options"), *option_columns(row))))
    highest = max((int(number) for number in _PLACE.findall(words)), default=0)
    if highest > len(found):
        raise BrokenItemError(f"the question names <image {highest}> and the row holds {len(found)} pictures")
    return found


def by_discipline(items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
    """Return the accuracy of each discipline, and that of all items with every guess counted as wrong."""
    right: dict[str, list[bool]] = {}
    for item, grade in zip(items, grades, strict=True):
        if item.kind in _DISCIPLINE:
            right.setdefault(_DISCIPLINE[item.kind], []).append(bool(grade.right))
    found = {name: sum(right[name]) / len(right[name]) for name in DISCIPLINES if name in right}
    if grades:
        found["guesses counted wrong"] = sum(bool(g.right) and not g.guessed for g in grades) / len(grades)
    return found


def _choice(item: Item, response: str) -> Grade:
    said = padded(response)
    for form in ("({})", " {} "):
        letter = last({each: said.rfind(form.format(each)) for each in letters(item.options)})
        if letter is not None:
            return Grade(letter == item.answer, letter)
    letter = by_text(said, item.options)
    return guessed(item) if letter is None else Grade(letter == item.answer, letter)


def _open(item: Item, response: str) -> Grade:
    if not response.strip():
        return Grade(False, None, "empty response")
    found = conclusions(response)
    match = matching(found, item.facts["answers"])
    return Grade(match is not None, found[-1] if match is None else match)


def _options(row: Row) -> tuple[str, ...]:
    """Return the options; () where the question is open."""
    by_letter = row.values.get("index2ans")
    if isinstance(by_letter, dict):
        return tuple(str(option) for option in by_letter.values())
    options = option_list(row.values.get("options")) or option_columns(row)
    if row.values.get("question_type") == "multiple-choice" and not options:
        raise BrokenItemError("no options, though it is a multiple-choice question")
    return options


def _answers(row: Row) -> tuple[str, ...]:
    """Return every text that counts as the answer to an open question."""
    value = row.values.get("answer")
    if isinstance(value, str) and value.startswith("["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return (text(row, "answer"),)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return tuple(value)
    return (text(row, "answer"),)

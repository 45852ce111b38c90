"""HallusionBench: 1,129 yes-no questions in pairs and figures, 178 of them asked without a picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Ask, BrokenItemError, Grade, Item
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.table import TableBenchmark, text

_PARTS = ("category", "subcategory", "set_id", "figure_id", "question_id")
_INDEX = re.compile(r"(VD|VS)_([a-z]+)_(\d+)_(\d+)_(\d+)$")
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_TRUTH = {"0": "No", "1": "Yes", "no": "No", "yes": "Yes"}
_JUDGE = """\
You mark the answer to a yes-no question about a picture. You cannot see the picture; the key says what is true of it.

Question: {question}
Key: {key}
Answer: {answer}

Reply with one word:
correct - if the answer agrees with the key;
incorrect - if it contradicts the key;
unclear - if it does not say which."""


class HallusionBench(TableBenchmark):
    """The public questions, asked as they stand.

    Guan et al., "HallusionBench", CVPR 2024; `utils.py` of tianyi-lab/HallusionBench for which questions make a
    figure or a pair, and for the judge's steps; the words looked for without a judge are those of VLMEvalKit.
    """

    name = "hallusionbench"
    title = "HallusionBench"
    source = "tianyi-lab/HallusionBench (Guan et al., CVPR 2024)"
    licence = "BSD-3-Clause"
    rule = (
        "the word yes or no, where the response has one of them alone; aAcc over questions, fAcc over figures and "
        "qAcc over question pairs, all right"
    )
    get = "HallusionBench.json with the unpacked pictures beside it, or VLMEvalKit's HallusionBench.tsv"
    files = ("HallusionBench.json", "HallusionBench.tsv", "data/*image-*.parquet")
    image_folders = ("hallusion_bench",)
    every_split = True
    answers_in = ("model_prediction", "prediction", "response")
    variants = MappingProxyType(
        {
            "all": "all questions, as the repository's leaderboard",
            "image": "questions with a picture, as VLMEvalKit's leaderboard",
        }
    )

    def row_id(self, row: Row) -> str:
        """Return category, subcategory, set, figure and question, joined; "" where one is missing."""
        parts = _parts(row)
        return "_".join(parts) if all(parts) else ""

    def wanted(self, row: Row) -> bool:
        """Whether the row belongs to the variant."""
        return self.variant == "all" or bool(self.pictures(row))

    def pictures(self, row: Row) -> Sequence[object]:
        """Return the one picture; none where the question is asked without."""
        if str(row.values.get("visual_input")) == "0":
            return []
        found = row.values.get("image")
        return [row.values.get("filename") if found is None else found]

    def read(self, row: Row) -> Item:
        """Read a row of the repository's file, of VLMEvalKit's table, or of an output file."""
        parts = dict(zip(_PARTS, _parts(row), strict=True))
        if not all(parts.values()):
            raise BrokenItemError(f"no {next(name for name in _PARTS if not parts[name])}")
        key = row.values.get("gt_answer_details")
        told = row.values.get("gt_answer", row.values.get("answer"))
        truth = _TRUTH.get(str(told).strip().lower())
        # the repository's own sample of a result has the key in words alone
        if truth is None and not (told is None and key):
            raise BrokenItemError(f"answer is neither yes nor no: {str(told)[:40]!r}")
        return Item(
            "",
            text(row, "question"),
            answer=truth,
            picture_id="_".join(_parts(row)[:4]),
            kind=parts["category"],
            facts=MappingProxyType({**parts, "key": str(key or truth)}),
        )

    def grade(self, item: Item, response: str) -> Grade:
        """Compare the one of yes and no that the response has; an answer in tags is graded alone.

        A question asked without a picture forgives an answer that does not decide, as the repository's rule does.
        """
        tagged = tagged_answer(response)
        said = response if tagged is None else tagged
        words = set(_words(said))
        found = {"yes", "no"} & words
        if len(found) != 1:
            unclear = bool(said.strip()) and not _has_picture(item)
            return Grade(unclear, None, "not one of yes and no in the response")
        word = found.pop().capitalize()
        if item.answer is None:
            return Grade(None, word, "no reference answer: only a judge can grade it")
        return Grade(word == item.answer, word)

    def judge(self, item: Item, response: str, ask: Ask) -> Grade:
        """Let a judge compare the response with the key, as the repository's protocol does; our words for it."""
        tagged = tagged_answer(response)
        said = response if tagged is None else tagged
        verdict = ask(
            _JUDGE.format(question=item.question, key=item.facts["key"], answer=said.strip())
        ).lower()
        if "incorrect" in verdict:
            return Grade(False, "incorrect")
        if "correct" in verdict:
            return Grade(True, "correct")
        return Grade(not _has_picture(item), "unclear", "the judge found the response unclear")

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """aAcc over questions, fAcc over figures, qAcc over pairs, and their mean.

        A figure or a pair is right where every one of its questions is; a pair is the same question about every
        figure of a set, and about none. Questions asked without a picture make no figure.
        """
        figures: dict[tuple[str, ...], list[bool]] = {}
        pairs: dict[tuple[str, ...], list[bool]] = {}
        for item, grade in zip(items, grades, strict=True):
            *figure, question = (item.facts[name] for name in _PARTS)
            pairs.setdefault((*figure[:3], question), []).append(bool(grade.right))
            if _has_picture(item):
                figures.setdefault(tuple(figure), []).append(bool(grade.right))
        if not figures:
            return {}
        found = {
            "aAcc": sum(bool(grade.right) for grade in grades) / len(grades),
            "fAcc": sum(map(all, figures.values())) / len(figures),
            "qAcc": sum(map(all, pairs.values())) / len(pairs),
        }
        return found | {"mean": sum(found.values()) / len(found)}

    def chance(self, items: Sequence[Item]) -> float | None:
        """One half, of aAcc."""
        return 0.5 if items else None


def _parts(row: Row) -> tuple[str, ...]:
    """Return what names a question, "" for what is missing; VLMEvalKit has it all in the index."""
    named = _INDEX.search(str(row.values.get("index")))
    if named and "set_id" not in row.values:
        return named.groups()
    return tuple("" if row.values.get(name) is None else str(row.values[name]) for name in _PARTS)


def _has_picture(item: Item) -> bool:
    """Whether the question is asked with a picture: figure 0 of the category VS is the one without."""
    return (item.facts["category"], item.facts["figure_id"]) != ("VS", "0")


def _words(response: str) -> list[str]:
    """Return the words of a response, as VLMEvalKit parts them.

    A mark that stands beside a space anywhere in the response is taken out wherever it stands, and so are all
    marks where a comma parts digits; other marks part words. A full stop is taken out where no digit follows.
    """
    lower = response.lower()
    beside_digits = re.search(r"\d,\d", lower)
    for mark in _PUNCTUATION:
        out = beside_digits or f"{mark} " in response or f" {mark}" in response
        lower = lower.replace(mark, "" if out else " ")
    return re.sub(r"\.(?!\d)", "", lower).split()

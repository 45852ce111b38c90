"""DynaMath: 501 seed questions, each in ten variants; how often is the answer right, and how often all ten times?

Zou et al. 2025, arXiv 2411.00836: average accuracy (eq. 1) and worst-case accuracy (eq. 2).
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.benchmarks.item import Ask, Grade, Item, Selection
from vaslab.benchmarks.rows import Row
from vaslab.benchmarks.spread import check_limit
from vaslab.benchmarks.table import TableBenchmark, text

VARIANTS = 10
_TOLERANCE = 1e-3
_FLOAT, _CHOICE, _TEXT = "float", "multiple choice", "text"
_VARIANT = re.compile(r"(?:variant|trial|sample)_?(\d+)")
# The prompt of the official evaluation, word for word, for other words give other scores (MIT, DynaMath authors).
_FLOAT_HINT = "Please answer in a floating-point number."
_GUIDE = """
## Answer Instruction Please provide an answer to the question outlined above. Your response should adhere 
to the following JSON format, which includes two keys: 'solution' and 'short answer'. The 'solution' key can contain 
detailed steps needed to solve the question, and the 'short answer' key should provide a concise response. If the problem is a multiple choice problem, just provide the corresponing choice option, 
such as 'A', 'B', 'C', or 'D'. If the answer is a numerical value, format it as a three-digit floating-point number.

Example of expected JSON response format:

{
    "solution": "[Detailed step-by-step explanation]",
    "short answer": "[Concise Answer]"
}"""  # noqa: E501, W291
_FORMS = {
    _FLOAT: "one number with three decimals",
    _CHOICE: "the letter of the chosen option",
    _TEXT: "the answer itself, numbers with three decimals",
}


class DynaMath(TableBenchmark):
    """The ten published variants of the 501 seed questions.

    An item's picture_id is its seed question, so that variants count as one cluster.
    """

    name = "dynamath"
    title = "DynaMath, 501 seed questions in ten variants"
    source = "DynaMath/DynaMath_Sample on the Hugging Face hub; github.com/DynaMath/DynaMath"
    licence = "Apache-2.0 (data), MIT (code)"
    rule = (
        "the JSON's 'short answer', else <answer>, else the last line: a number within 0.001, the letter alone or "
        "in the first three characters, or text that holds the reference"
    )
    get = "hub:DynaMath/DynaMath_Sample, its data folder, trial folders with dataset.json, or VLMEvalKit's DynaMath.tsv"
    files = (
        "data/sample_variant*.parquet",
        "data/sample[0-9]*.parquet",
        "trial*/dataset.json",
        "10trials/trial*/dataset.json",
        "dataset.json",
        "DynaMath*.tsv",
    )
    image_folders = ("image", "images")
    every_split = True

    def read(self, row: Row) -> Item:
        """Read a row of any of the official forms; reports of the official evaluation lack the answer's type."""
        question = text(row, "question")
        column = next((name for name in ("ground_truth", "Ground truth") if name in row.values), "answer")
        answer = text(row, column)
        answer_type = str(row.values.get("answer_type") or _told_type(question, answer))
        facts = {"type": answer_type, "seed": self._seed(row), "variant": self._variant(row)}
        hint = _FLOAT_HINT if answer_type == _FLOAT else ""
        return Item(
            "",
            f"## Question\n{question}{hint}{_GUIDE}",
            answer=answer,
            picture_id=facts["seed"],
            kind=str(row.values.get("subject") or ""),
            facts=MappingProxyType(facts),
        )

    def pictures(self, row: Row) -> Sequence[object]:
        """The picture itself where the table holds it; a path else."""
        decoded = row.values.get("decoded_image")
        return [row.values.get("image") if decoded is None else decoded]

    def row_id(self, row: Row) -> str:
        """Seed question and variant: published ids are those of seeds."""
        return f"{self._seed(row)}-v{self._variant(row)}"

    def response(self, row: Row) -> str | None:
        """The official reports hold the response as an object."""
        said = row.values.get("response")
        return json.dumps(said) if isinstance(said, dict) else super().response(row)

    def select(self, limit: int | None = None, seed: int = 0) -> Selection:
        """Select all items, or `limit` of them: seed questions drawn with `seed`, all variants of each."""
        check_limit(limit)
        total = len(self.items)
        if limit is None or limit >= total:
            return Selection(self.items, total, f"all {total} items, published order")
        seeds = list(dict.fromkeys(item.picture_id for item in self.items))
        rank = {
            seeds[index]: at for at, index in enumerate(np.random.default_rng(seed).permutation(len(seeds)))
        }
        drawn = sorted(range(total), key=lambda index: rank[self.items[index].picture_id])[:limit]
        words = (
            f"{limit} of {total} items, all variants of a seed question together, drawn with seed {seed}, "
            "published order"
        )
        return Selection(tuple(self.items[index] for index in sorted(drawn)), total, words)

    def grade(self, item: Item, response: str) -> Grade:
        """Grade by the official evaluation script.

        Where a response holds no JSON the script takes the last line and drops its last character, whatever it is;
        here a final full stop alone is dropped.
        """
        short, reason = _short_answer(response)
        if short is None:
            return Grade(False, None, reason)
        return _compare(item, short)

    def judge(self, item: Item, response: str, ask: Ask) -> Grade:
        """Let a model shorten a response that the rule cannot read, then grade by the rule, as VLMEvalKit does."""
        short, _ = _json_answer(response)
        if short is not None and _readable(item, short):
            return _compare(item, short)
        form = _FORMS.get(item.facts["type"], _FORMS[_TEXT])
        return _compare(
            item,
            ask(
                "Below is a worked answer to a question. Write only its final answer, on one line, in this form: "
                f"{form}.\n\n{response}"
            ),
        )

    def scores(self, items: Sequence[Item], grades: Sequence[Grade]) -> dict[str, float]:
        """Average accuracy, worst-case accuracy, and their ratio (the paper's reasoning robustness).

        The average is the mean over variants. The worst case is over the seed questions of which all ten variants
        were answered; where there is none, it and the ratio are left out.
        """
        by_variant: dict[str, list[bool]] = defaultdict(list)
        by_seed: dict[str, list[bool]] = defaultdict(list)
        for item, grade in zip(items, grades, strict=True):
            by_variant[item.facts["variant"]].append(grade.right is True)
            by_seed[item.facts["seed"]].append(grade.right is True)
        if not by_variant:
            return {}
        found = {"average": _mean([_mean(right) for right in by_variant.values()])}
        whole = [all(right) for right in by_seed.values() if len(right) == VARIANTS]
        if whole:
            found["worst case"] = _mean(whole)
            if found["average"] > 0:
                found["robustness"] = found["worst case"] / found["average"]
        return found

    def _seed(self, row: Row) -> str:
        values = row.values
        named = next(
            (values[name] for name in ("qid", "id", "index") if values.get(name) is not None), row.key
        )
        return str(named)

    def _variant(self, row: Row) -> str:
        if row.values.get("varid") is not None:
            return str(row.values["varid"])
        told = _VARIANT.findall(row.part or "/".join(Path(self.where).parts[-2:]))
        return str(int(told[-1])) if told else "1"


def _told_type(question: str, answer: str) -> str:
    """Tell the type of an answer that a table does not name."""
    if re.fullmatch(r"[A-Z]", answer) and f"({answer})" in question:
        return _CHOICE
    return _FLOAT if _number(answer) is not None else _TEXT


def _short_answer(response: str) -> tuple[str | None, str]:
    """Return the short answer of a response, or why there is none."""
    short, found_json = _json_answer(response)
    if short is not None:
        return short, ""
    if found_json:
        return None, "the JSON has no 'short answer'"
    tagged = tagged_answer(response)
    last = (response.strip().split("\n")[-1] if tagged is None else tagged).strip()
    last = last.removesuffix(".")
    return (last, "") if last else (None, "empty response")


def _json_answer(response: str) -> tuple[str | None, bool]:
    """Return the short answer that stands in a response's JSON, and whether there is an object at all."""
    start, end = response.find("{"), response.rfind("}")
    if not 0 <= start < end:
        return None, False
    piece = response[start : end + 1]
    # LaTeX in the solution makes escapes that JSON does not know; the official script drops all backslashes
    for each in (piece, piece.replace("\\", "")):
        try:
            loaded: Any = json.loads(each, strict=False)
        except (json.JSONDecodeError, RecursionError):
            continue
        if isinstance(loaded, dict):
            short = loaded.get("short answer")
            return (None, True) if short is None or not str(short).strip() else (str(short).strip(), True)
    return None, False


def _compare(item: Item, short: str) -> Grade:
    """Compare a short answer with the reference, by the type of the answer."""
    answer = item.answer or ""
    if item.facts["type"] == _FLOAT:
        told, wanted = _number(short), _number(answer)
        if told is None or wanted is None:
            what = "short answer" if told is None else "reference"
            return Grade(False, None, f"{what} is no number")
        return Grade(abs(told - wanted) <= _TOLERANCE, short)
    if item.facts["type"] == _CHOICE:
        return Grade(short == answer if len(short) == 1 else answer in short[:3], short)
    return Grade(answer in short, short)


def _readable(item: Item, short: str) -> bool:
    if item.facts["type"] == _FLOAT:
        return _number(short) is not None
    return item.facts["type"] != _CHOICE or re.search(r"[A-Z]", short[:3]) is not None


def _number(told: str) -> float | None:
    """Read the first word as a number; what stands before a π is multiplied by it."""
    before, pi, _ = (told.split() or [""])[0].partition("π")
    try:
        return float(before) * (math.pi if pi else 1.0)
    except ValueError:
        return None


def _mean(values: Sequence[bool | float]) -> float:
    return sum(values) / len(values)

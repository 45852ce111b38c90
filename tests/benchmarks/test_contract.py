"""What every benchmark that is read from disk owes, whatever its rule: words, reasons, and a verdict on any text."""

import json
import math
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vaslab.benchmarks import Benchmark, Grade
from vaslab.benchmarks.item import BrokenItemError, JudgedBenchmark
from vaslab.benchmarks.registry import BENCHMARKS, SHIPPED, TABLES, find_benchmark
from vaslab.benchmarks.rows import Row
from vaslab.errors import MissingError, UsageError

A_CHOICE = "Which is it?\nChoices:\nA: 3 cm\nB: 4 cm\nC: none"
SAMPLES = {
    "mathvista": [
        {"pid": "1", "question": "How long?", "answer": "3.5", "answer_type": "float", "precision": 1.0, "unit": "cm",
         "choices": None, "metadata": {"task": "math word problem", "skills": ["arithmetic reasoning"]}},
        {"pid": "2", "question": "How many?", "answer": "7", "answer_type": "integer", "precision": None},
        {"pid": "3", "question": "Which?", "answer": "[1, 2]", "answer_type": "list", "precision": None},
        {"pid": "4", "question": "Which?", "answer": "blue", "answer_type": "text", "choices": ["red", "blue"]},
    ],
    "mathvision": [
        {"id": "1", "question": "<image1>", "options": ["1", "2", "\\frac{1}{2}", "x", "5"], "answer": "C",
         "subject": "algebra", "level": 2},
        {"id": "2", "question": "<image1>", "options": [], "answer": "\\frac{7}{2}", "subject": "graph theory"},
    ],
    "mathverse": [
        {"sample_index": "1", "problem_index": "1", "problem_version": version, "question": A_CHOICE,
         "question_for_eval": A_CHOICE, "question_type": "multi-choice", "answer": "B",
         "metadata": {"subject": "Plane Geometry", "subfield": "Length"}}
        for version in ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only", "Text Only")
    ] + [
        {"sample_index": "9", "problem_version": "Vision Only", "question": "", "question_type": "free-form",
         "answer": "y = 2x + 1", "metadata": "{'subject': 'Functions'}"},
    ],
    "mmmu": [
        {"id": "validation_Math_1", "question": "<image 1> Which?", "options": "['1', '2', 'Not exist']",
         "answer": "C", "question_type": "multiple-choice", "image_1": "a.png"},
        {"id": "validation_Math_2", "question": "<image 1> How far?", "options": "[]", "answer": "['24/7', '3.429']",
         "question_type": "open", "image_1": "a.png"},
    ],
    "mmmu-pro": [
        {"id": "test_Design_1", "question": "<image 1> Which?", "options": str([f"way {n}" for n in range(10)]),
         "answer": "J", "image_1": "a.png", "image": "a.png"},
    ],
    "mmstar": [
        {"index": 0, "question": "Which?\nOptions: A: red, B: blue, C: 3, D: none", "answer": "B", "category": "math"},
        {"index": 1, "question": "Which of A and B?", "answer": "A", "category": "logical reasoning"},
    ],
    "hallusionbench": [
        {"category": category, "subcategory": "chart", "set_id": "0", "figure_id": figure, "question_id": "1",
         "question": "Is it so?", "gt_answer": answer, "gt_answer_details": "It is so.", "visual_input": figure,
         "filename": "./hallusion_bench/a.png"}
        for category, figure, answer in (("VD", "1", "0"), ("VS", "0", "1"))
    ],
    "dynamath": [
        {"id": "1", "question": "How much?", "ground_truth": "2.094", "answer_type": "float", "subject": "algebra"},
        {"id": "2", "question": "Is it? (A) yes (B) no", "ground_truth": "B", "answer_type": "multiple choice"},
        {"id": "3", "question": "When?", "ground_truth": "September", "answer_type": "text"},
    ],
    "algopuzzlevqa": [
        {"image": "a_0001.png", "question": "Which?", "options": ["1", "2", "3", "4"], "answer": "3"},
        {"image": "a_0002.png", "question": "Is it?", "options": ["yes", "no"], "answer": "no"},
    ],
    "puzzlevqa": [
        {"image": "a_0001.png", "question": "Which?", "options": ["red", "blue", "lime"], "answer": "lime"},
    ],
    "m3cot": [
        {"id": "1", "question": "Which?", "choices": ["red", "blue", "C"], "answer": "B", "domain": "science",
         "topic": "physics", "context": "Look.", "image": "a.png"},
    ],
}  # fmt: skip
"""Made-up rows in the published form, one for every type of question and answer."""

DOCUMENTED = Path(__file__).parents[2] / "docs" / "benchmarks.md"
NAMES = sorted(TABLES)
VARIANTS = [(name, variant) for name in NAMES for variant in (TABLES[name].variants or ("",))]
UNLIKELY = [None, 0, -1, 1.5, 1e9, math.inf, True, "", " ",
            "x", "[", "[1, 'a'", "{'a': 1}", "é" * 3000, [], [None], [[1]], {},
            {"bytes": None, "path": None}, b"\x00", ["a"] * 40, "\x00", "../../etc/passwd"]  # fmt: skip
PIECES = st.sampled_from(
    ["A", "(B)", " C ", "D.", "yes", "No", "the answer is", "Answer:", "\\boxed{", "}", "{", "\\frac{1}{0}", "\\frac",
     "3.5", "1e999", "nan", "-inf", "١٢", "²", "½", "50%", "$", "\\(", "[1, 2", "]", "<answer>", "</answer>", "π",
     '{"short answer": ', '"', "null", "\n", "\n\n", ",", ".", "null", "\x00", "\ud800", "blue", "3 cm", "I don't know",
     "**B**", "Options: A: ", "correct", "0", "1", "x = 2y + 1", "\\text{C}", "((((", "9" * 400]
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(PIECES, max_size=8).map("".join), st.lists(PIECES, max_size=8).map(" ".join), st.text()
)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def row(values, number=1):
    return Row(f"sample {number}", {key: value for key, value in values.items() if value is not None})


def items_of(name, variant=""):
    """The items of the sample rows that a variant asks, as answers to them are graded."""
    bench = TABLES[name]("", variant)
    found = [bench.read(each) for each in map(row, SAMPLES[name]) if bench.wanted(each)]
    return bench, found


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name):
    bench = TABLES[name]("")
    assert name in SAMPLES, "add sample rows: every type of question and answer"
    assert isinstance(bench, Benchmark)
    assert bench.name == name
    for words in (bench.title, bench.source, bench.licence, bench.rule, bench.get):
        assert words.strip() == words != ""
        assert "\n" not in words
        assert not words.endswith(".")
    assert "\n" not in bench.forbidden
    assert bench.files
    assert bench.answers_in
    assert all(text.strip() for pair in bench.variants.items() for text in pair)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_documentation_has_its_rows(name):
    lines = DOCUMENTED.read_text().splitlines()
    rows = [line for line in lines if line.startswith("| `") and f"`{name}`" in line.split(" | ")[0]]
    (source,) = [row for row in rows if row.count(" | ") >= 4]
    bench = (SHIPPED | TABLES)[name]
    assert f" | {bench.licence} | " in source
    assert len(rows) >= (3 if name in TABLES else 2)
    for variant in list(getattr(bench, "variants", ()))[1:]:
        assert f"`/{variant.removesuffix('-cot') or variant}`" in source


def test_what_must_not_be_trained_on_says_so():
    assert "train" in TABLES["mathvista"].forbidden


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_says_how_to_get_it(name, tmp_path):
    for where in ("", str(tmp_path / "none"), str(tmp_path / "none:test")):
        with pytest.raises(MissingError) as caught:
            TABLES[name](where).select()
        assert TABLES[name].get in str(caught.value)
        assert f"--data {name}:PATH" in str(caught.value)
    with pytest.raises(MissingError, match="holds none of"):
        find_benchmark(f"{name}:{tmp_path}").select()
    with pytest.raises(UsageError, match=f"{name} has no variant 'nothing'"):
        find_benchmark(f"{name}/nothing")


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_a_row_without_anything_is_a_broken_item(name, variant, tmp_path):
    (tmp_path / "rows.json").write_text(json.dumps([{}, {"id": 3}, *SAMPLES[name]]))
    items = TABLES[name](str(tmp_path / "rows.json"), variant).items
    empty = [item for item in items if item.id in ("row-1", "3") or not item.question]
    assert [item for item in items if not item.question and not item.broken] == []
    # a variant may take rows by a column that they do not have
    assert empty or variant
    assert all(item.broken for item in empty)
    assert len({item.id for item in items}) == len(items)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_samples_are_sound_and_graded_right_and_wrong(name, variant):
    bench, items = items_of(name, variant)
    assert items
    for item in items:
        assert item.question.strip()
        assert item.answer
        assert not item.broken
        # nothing is no answer, unless the rule draws one or forgives
        nothing = bench.grade(item, "")
        assert nothing.extracted is None or nothing.guessed
        assert nothing.reason or nothing.guessed


@pytest.mark.parametrize("name", NAMES)
def test_any_cell_may_hold_anything(name):
    bench = TABLES[name]("")
    for number, sample in enumerate(SAMPLES[name]):
        for column in sample:
            for value in UNLIKELY:
                odd = row({**sample, column: value}, number)
                for ask in (bench.read, bench.pictures, bench.row_id, bench.wanted):
                    # the reason is the row's; any other error would end the whole run
                    with suppress(BrokenItemError):
                        ask(odd)


@pytest.mark.parametrize("name", NAMES)
def test_any_response_may_hold_anything(name):
    bench, items = items_of(name)

    @FEW
    @given(TEXTS)
    @example("")
    @example(" \n\t")
    @example("{" * 2000)
    @example("\\frac{" * 300)
    @example("A" * 20_000)
    @example("I cannot help with that.")
    def check(response):
        for item in items:
            grade = bench.grade(item, response)
            assert isinstance(grade, Grade)
            assert grade.right in (True, False)
            assert grade.extracted is not None or not grade.guessed
            assert grade.extracted is not None or grade.reason
            # a guess is seeded: the same response is worth the same tomorrow
            assert bench.grade(item, response) == grade

    check()


@pytest.mark.parametrize("name", [name for name in NAMES if hasattr(TABLES[name], "judge")])
def test_a_judge_may_say_anything(name):
    bench, items = items_of(name)
    assert isinstance(bench, JudgedBenchmark)

    def judged(item, response, said):
        prompts = []

        def ask(prompt):
            prompts.append(prompt)
            return said

        return bench.judge(item, response, ask), prompts

    @FEW
    @given(TEXTS, TEXTS)
    @example("it is blue", "")
    @example("it is blue", "1")
    @example("", "nothing")
    def check(response, said):
        for item in items:
            grade, prompts = judged(item, response, said)
            assert isinstance(grade, Grade)
            assert grade.right in (True, False, None)
            assert grade.right is not None or grade.reason
            # a protocol ends, and what it asks depends on nothing but what it was told
            assert len(prompts) < 10
            assert judged(item, response, said) == (grade, prompts)

    check()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_chance_and_scores_are_parts_of_one(name):
    if name in SHIPPED:
        bench = SHIPPED[name]()
        items = list(bench.select(20).items)
    else:
        bench, items = items_of(name)
    for some in ([], items[:1], items[1:], items):
        chance = bench.chance(some)
        assert chance is None or 0 <= chance <= 1
        assert some or chance is None
        for right in (True, False):
            scores = bench.scores(some, [Grade(right, "x")] * len(some))
            assert all(isinstance(each, float) and 0 <= each <= 1 for each in scores.values()), scores
            # all right is all there is to reach
            assert not some or all(each == float(right) for each in scores.values()), scores

"""MathVista by its published rule, on rows of the official shape: of vaslab's own, for the data may not be copied."""

import base64
import io
import json

import pandas as pd
import pytest
from PIL import Image

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.item import Item, JudgedBenchmark
from vaslab.benchmarks.mathvista_answer import edit_distance, extracted, normalized

ROWS = {
    "11": {
        "question": "By how much do the two bars differ?",
        "choices": None, "unit": None, "precision": 1.0, "answer": "1.2",
        "question_type": "free_form", "answer_type": "float",
        "metadata": {"task": "figure question answering", "skills": ["statistical reasoning"]},
    },
    "12": {
        "question": "How heavy is the parcel?",
        "choices": None, "unit": "g", "precision": None, "answer": "1000",
        "question_type": "free_form", "answer_type": "integer",
        "metadata": {"task": "visual question answering", "skills": ["numeric commonsense"]},
    },
    "13": {
        "question": "How large is the angle at O?",
        "choices": ["135°", "140°", "145°", "150°"], "unit": None, "precision": None, "answer": "145°",
        "question_type": "multi_choice", "answer_type": "text",
        "metadata": {"task": "geometry problem solving", "skills": ["geometry reasoning", "algebraic reasoning"]},
    },
    "14": {
        "question": "Between which years is the peak?",
        "choices": None, "unit": None, "precision": None, "answer": "[2014, 2016]",
        "question_type": "free_form", "answer_type": "list",
        "metadata": {"task": "figure question answering", "skills": ["statistical reasoning"]},
    },
    "15": {
        "question": "What is the ratio?",
        "choices": None, "unit": None, "precision": 2, "answer": "0.33",
        "question_type": "free_form", "answer_type": "float",
        "metadata": {"task": "textbook question answering", "skills": []},
    },
}  # fmt: skip


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    rows = {}
    for pid, row in ROWS.items():
        (tmp_path / "images" / f"{pid}.jpg").write_bytes(png())
        rows[pid] = {**row, "pid": pid, "image": f"images/{pid}.jpg"}
    (tmp_path / "testmini.json").write_text(json.dumps(rows))
    return tmp_path


def items(where):
    return {item.id: item for item in find_benchmark(f"mathvista:{where}").select().items}


def test_the_prompt_is_the_published_one_for_each_type(folder):
    read = items(folder)
    assert list(read) == list(ROWS)
    assert not any(item.broken for item in read.values())
    assert read["11"].question == (
        "Hint: Please answer the question requiring a floating-point number with one decimal place and provide the "
        "final value, e.g., 1.2, 1.3, 1.4, at the end.\nQuestion: By how much do the two bars differ?"
    )
    assert read["12"].question == (
        "Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, 2, 3, at "
        "the end.\nQuestion: How heavy is the parcel? (Unit: g)"
    )
    assert read["13"].question == (
        "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\n"
        "Question: How large is the angle at O?\nChoices:\n(A) 135°\n(B) 140°\n(C) 145°\n(D) 150°"
    )
    assert "two decimal places" in read["15"].question
    assert "a Python list" in read["14"].question
    assert read["13"].prompt().images[0].size == (64, 48)


def test_the_hub_and_vlmevalkit_hold_the_same_items(folder, tmp_path):
    official = items(folder)
    hub = [
        {**row, "pid": pid, "query": official[pid].question, "image": f"images/{pid}.jpg",
         "decoded_image": {"bytes": png(), "path": None}}
        for pid, row in ROWS.items()
    ]  # fmt: skip
    (tmp_path / "hub" / "data").mkdir(parents=True)
    pd.DataFrame(hub).to_parquet(tmp_path / "hub" / "data" / "testmini-00000-of-00001.parquet")
    table = [
        {
            "index": pid,
            "question": official[pid].question,
            "answer": row["answer"],
            "answer_option": "C" if row["choices"] else None,
            "choices": str(row["choices"]) if row["choices"] else None,
            "question_type": row["question_type"],
            "answer_type": row["answer_type"],
            "task": row["metadata"]["task"],
            "skills": str(row["metadata"]["skills"]),
            "image": base64.b64encode(png() * 8).decode(),
        }
        for pid, row in ROWS.items()
    ]
    pd.DataFrame(table).to_csv(tmp_path / "MathVista_MINI.tsv", sep="\t", index=False)

    def seen(read):
        return [(i.id, i.question, i.answer, i.options, i.kind, i.facts["skills"]) for i in read.values()]

    assert seen(items(tmp_path / "hub")) == seen(items(tmp_path / "MathVista_MINI.tsv")) == seen(official)
    # VLMEvalKit's table has no precision: the reference has that many decimals
    assert items(tmp_path / "MathVista_MINI.tsv")["15"].facts["precision"] == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": None}, "no answer"),
        ({"answer": "160°"}, "answer '160°' is none of the choices"),
        ({"choices": "[1"}, "options do not parse"),
        ({"choices": None}, "answer type 'text'"),
        ({"choices": None, "answer_type": "shape"}, "answer type 'shape'"),
        ({"question": ""}, "no question"),
        ({"precision": "many"}, "precision 'many' is no number"),
        ({"precision": -1}, "precision -1 is no number"),
        ({"precision": 1e9}, "precision 1000000000.0 is no number"),
    ],
)
def test_a_bad_row_has_its_reason(tmp_path, change, reason):
    row = {**ROWS["13"], "pid": "13", "image": "13.jpg", **change}
    (tmp_path / "testmini.json").write_text(json.dumps({"13": row}))
    assert items(tmp_path)["13"].broken.startswith(reason)


def test_the_test_split_has_no_answers(tmp_path):
    rows = {"1": {**ROWS["11"], "answer": "", "pid": "1", "image": "1.jpg"}}
    (tmp_path / "test.json").write_text(json.dumps(rows))
    bench = find_benchmark(f"mathvista/test:{tmp_path}")
    (item,) = bench.select().items
    grade = bench.grade(item, "The answer is 4.06")
    assert (grade.right, grade.extracted, grade.reason) == (None, "4.1", "no reference answer")


@pytest.mark.parametrize(
    ("pid", "response", "right", "found"),
    [
        ("11", "1.2", True, "1.2"),
        ("11", "The bars are 3.4 and 2.2, so they differ by 1.2.", True, "1.2"),
        ("11", "1.24", True, "1.2"),
        ("11", "1.26", False, "1.3"),
        ("11", "**Answer:** 1.2 units", True, "1.2"),
        ("11", "so $d = \\frac{6}{5}$", True, "1.2"),
        ("11", "The final answer is \\boxed{1.2}.", True, "1.2"),
        ("11", "<think>3.4 - 2.2</think><answer>1.2</answer>", True, "1.2"),
        ("11", "I cannot see any bars.", False, None),
        ("11", "", False, None),
        ("12", "1,000 g", True, "1000"),
        ("12", "It weighs 1000.0 grams", True, "1000"),
        ("12", "The total weight of the parcel is 250 g.\n\nI hope this helps!", False, "250"),
        ("12", "-1000", False, "-1000"),
        ("13", "C", True, "145°"),
        ("13", "145°", True, "145°"),
        ("13", "The correct answer is **(C) 145°**.\n\nSince the bisectors of B and C meet at O.", True, "145°"),
        ("13", "Angle A is half of it. The answer is (B).", False, "140°"),
        ("13", "Option C: 145°", True, "145°"),
        ("13", "Therefore, the angle at O is 145°.", True, "145°"),
        ("13", "so it is \\boxed{145^\\circ}", True, "145°"),
        ("13", "It is 145.2 degrees", True, "145°"),
        ("13", "\\boxed{\\text{D}}", False, "150°"),
        ("14", "[2014, 2016]", True, "[2014, 2016]"),
        ("14", "It peaked between 2014 and 2016.", True, "[2014, 2016]"),
        ("14", "Answer: (2014, 2016)", True, "[2014, 2016]"),
        ("14", "It peaked in 2014.", False, None),
        ("15", "1/3", True, "0.33"),
        ("15", "The ratio is about 0.3333 in all", True, "0.33"),
        ("15", "The answer is \"0.33\".", True, "0.33"),
        ("15", "word " * 30_000 + "0.34", False, "0.34"),
    ],
)  # fmt: skip
def test_answers_are_found_and_compared_by_their_type(folder, pid, response, right, found):
    bench = find_benchmark(f"mathvista:{folder}")
    grade = bench.grade(items(folder)[pid], response)
    assert (grade.right, grade.extracted) == (right, found)
    assert grade.by == "rule"


def test_nothing_extracted_is_the_shortest_option_and_counted_as_a_guess():
    """The published nearest option by edit distance, of an empty extraction."""
    bench = find_benchmark("mathvista")
    item = Item("x", "?", answer="ab", options=("abc", "ab"), facts={"answer_type": "text", "precision": 0})
    grade = bench.grade(item, "  ")
    assert (grade.right, grade.extracted, grade.guessed) == (True, "ab", True)
    assert not bench.grade(item, "(B)").guessed


@pytest.mark.parametrize(
    ("found", "options", "normal"),
    [
        ("B", ("Yes", "No"), "No"),
        ("(b) No", ("Yes", "No"), "No"),
        ("no", ("Yes", "No"), "No"),  # 1 away from No, 3 from Yes
        ("92.5", ("97", "102", "107", "122"), "97"),  # 3 away, the others 4
        ("F", ("Yes", "No"), "No"),  # no letter of two options: 2 away from No
        ("ten", ("ten", "tin"), "ten"),
        ("tan", ("ten", "tin"), "ten"),  # equally near: the first
    ],
)
def test_the_nearest_option_is_that_of_the_smallest_edit_distance(found, options, normal):
    assert normalized(found, "text", options, 0) == normal


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("a", "a", 0), ("ab", "ba", 2)],
)
def test_edit_distance_counts_single_characters(one, other, distance):
    assert edit_distance(one, other) == edit_distance(other, one) == distance


@pytest.mark.parametrize(
    ("found", "kind", "precision", "normal"),
    [
        ("7.9", "integer", 0, "7"),
        ("seven", "integer", 0, None),
        ("inf", "integer", 0, None),
        ("0.666", "float", 2, "0.67"),
        ("2", "float", 1, "2.0"),
        ("x", "float", 1, None),
        ("[1, 2]", "list", 0, "[1, 2]"),
    ],
)
def test_numbers_are_normalised_as_published(found, kind, precision, normal):
    assert normalized(found, kind, (), precision) == normal


def test_an_official_output_is_graded_on_its_own_extraction(tmp_path):
    rows = {
        "13": {**ROWS["13"], "pid": "13", "response": "It is (A).", "extraction": "C", "prediction": "145°"},
        "11": {**ROWS["11"], "pid": "11", "response": "1.2", "extraction": "0.11", "prediction": "0.1"},
    }
    (tmp_path / "output.json").write_text(json.dumps(rows))
    bench = find_benchmark("mathvista")
    grades = [bench.grade(*each) for each in bench.answered(tmp_path / "output.json")]
    assert [(g.right, g.extracted, g.by) for g in grades] == [
        (True, "145°", "extraction in the file"),
        (False, "0.1", "extraction in the file"),
    ]


def test_the_judge_is_asked_only_for_what_is_no_plain_answer(folder):
    bench = find_benchmark(f"mathvista:{folder}")
    assert isinstance(bench, JudgedBenchmark)
    asked = []

    def ask(prompt):
        asked.append(prompt)
        return "Extracted answer: C"

    item = items(folder)["13"]
    assert bench.judge(item, "140°", ask).right is False
    assert bench.judge(items(folder)["11"], "1.2", ask).right is True
    assert bench.judge(items(folder)["11"], "", ask).right is False
    assert asked == []
    grade = bench.judge(item, "By the theorem it is the third one.", ask)
    assert (grade.right, grade.extracted) == (True, "145°")
    assert len(asked) == 1
    assert asked[0].endswith(
        f"{item.question}\nReply: By the theorem it is the third one.\nExtracted answer:"
    )


def test_scores_are_by_task_and_skill_and_chance_is_of_guessing_options(folder):
    bench = find_benchmark(f"mathvista:{folder}")
    all_items = bench.select().items
    grades = [bench.grade(item, item.answer if item.kind == "FQA" else "") for item in all_items]
    scores = bench.scores(all_items, grades)
    assert scores["FQA"] == 1.0
    assert scores["GPS"] == scores["geometry reasoning"] == 0.0
    assert bench.chance(all_items) == pytest.approx(1 / 4 / 5)
    assert "training" in bench.forbidden


def test_a_float_said_alone_needs_no_rule():
    assert extracted(" 3.50 ", "float", ()) == "3.5"

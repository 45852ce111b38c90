"""MathVerse: six versions, the rule without a judge and the published two steps with one.

Rows are of the official shape and vaslab's own, for the data may not be copied.
"""

import base64
import io
import json

import pandas as pd
import pytest
from PIL import Image

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.item import Item, JudgedBenchmark
from vaslab.benchmarks.mathverse_answer import consistent, extracted
from vaslab.errors import UsageError

CHOICE = "In triangle ABC, angle A = 80 and AB = AC, then angle B is ()\nChoices:\nA:40°\nB:50°\nC:60°\nD:80°"
VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")


def png(color="teal"):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(buffer, "PNG")
    return buffer.getvalue()


def row(index, version, question, answer, kind, subject="Plane Geometry"):
    asks = (
        "the correct option letter, e.g., A, B, C, D" if kind == "multi-choice"
        else "the final value, e.g., 1, 2.5, 300"
    )  # fmt: skip
    first = "Please first conduct reasoning, and then answer the question and provide"
    if version == "Vision Only":
        first = "According to the question shown in the image, please first conduct reasoning, and then answer the question and provide"  # noqa: E501
    return {
        "sample_index": str(index),
        "problem_index": "7" if kind == "multi-choice" else "8",
        "problem_version": version,
        "question": question,
        "image": f"images_{version[-4:]}/image_{index}.png",
        "answer": answer,
        "question_type": kind,
        "metadata": {"split": "testmini", "source": "x", "subject": subject, "subfield": "Angle"},
        "query_wo": "direct",
        "query_cot": f"{first} {asks}, at the end."
        + ("" if version == "Vision Only" else f"\nQuestion: {question}"),
    }


ROWS = [
    row(at, version, "" if version == "Vision Only" else CHOICE, "B", "multi-choice")
    for at, version in enumerate(VERSIONS, start=1)
] + [row(6, "Vision Only", "", "8.246", "free-form", "Functions")]
for each in ROWS:
    each["question_for_eval"] = CHOICE if each["question_type"] == "multi-choice" else "How long is it?"


@pytest.fixture
def folder(tmp_path):
    for each in ROWS:
        path = tmp_path / "images" / each["image"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    (tmp_path / "testmini.json").write_text(json.dumps(ROWS))
    only = {**row(1, "Text Only", CHOICE, "B", "multi-choice"), "image": ""}
    (tmp_path / "testmini_text_only.json").write_text(json.dumps([only]))
    return tmp_path


@pytest.mark.parametrize(
    ("variant", "ids"),
    [
        ("", ["5", "6"]),
        ("/vision-only", ["5", "6"]),
        ("/vision-dominant", ["4"]),
        ("/vision-intensive", ["3"]),
        ("/text-lite", ["2"]),
        ("/text-dominant", ["1"]),
        ("/text-only", ["1"]),
        ("/all", ["1", "2", "3", "4", "5", "6"]),
    ],
)
def test_each_version_is_a_variant(folder, variant, ids):
    items = find_benchmark(f"mathverse{variant}:{folder}").select().items
    assert [item.id for item in items] == ids
    assert not [item.broken for item in items if item.broken]
    assert {item.facts["version"] for item in items} == ({variant[1:] or "vision-only"} if variant != "/all" else
                                                       {v.lower().replace(" ", "-") for v in VERSIONS})  # fmt: skip


def test_vision_only_asks_of_the_picture_alone_and_text_only_has_none(folder):
    choice, free = find_benchmark(f"mathverse:{folder}").select().items
    assert choice.question.startswith("According to the question shown in the image, please first conduct")
    assert choice.question.endswith("provide the correct option letter, e.g., A, B, C, D, at the end.")
    assert free.question.endswith("provide the final value, e.g., 1, 2.5, 300, at the end.")
    assert choice.options == ("40°", "50°", "60°", "80°")
    assert choice.prompt().images[0].size == (64, 48)
    assert choice.picture_id == "7"
    (text,) = find_benchmark(f"mathverse/text-only:{folder}").select().items
    assert text.question.endswith(f"at the end.\nQuestion: {CHOICE}")
    assert text.prompt().images == ()


def test_prompts_are_built_as_published_where_the_row_has_none(folder, tmp_path):
    bare = [{name: cell for name, cell in each.items() if not name.startswith("query")} for each in ROWS]
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    built = find_benchmark(f"mathverse/all:{tmp_path / 'bare.json'}").select().items
    assert [item.question for item in built] == [each["query_cot"] for each in ROWS]


def test_a_question_may_be_empty_in_vision_only_alone(tmp_path):
    rows = [{**each, "question": "", "query_cot": ""} for each in ROWS]
    (tmp_path / "testmini.json").write_text(json.dumps(rows))
    broken = [item.broken for item in find_benchmark(f"mathverse/all:{tmp_path}").select().items]
    assert broken[:4] == ["no question"] * 4
    assert "no question" not in broken[4:]
    with pytest.raises(UsageError, match="vision-only, vision-dominant"):
        find_benchmark("mathverse/vision")


def test_the_hub_and_vlmevalkit_hold_the_same_items(folder, tmp_path):
    official = find_benchmark(f"mathverse:{folder}").select().items
    (tmp_path / "hub").mkdir()
    pd.DataFrame([{**each, "image": {"bytes": png(), "path": None}} for each in ROWS]).to_parquet(
        tmp_path / "hub" / "testmini-00000-of-00001.parquet"
    )
    table = [
        {"index": at, "image": base64.b64encode(png() * 8).decode(), "metadata": str(each["metadata"]),
         **{name: cell for name, cell in each.items() if name not in ("image", "metadata")}}
        for at, each in enumerate(ROWS) if each["problem_version"] == "Vision Only"
    ]  # fmt: skip
    (tmp_path / "tsv").mkdir()
    pd.DataFrame(table).to_csv(tmp_path / "tsv" / "MathVerse_MINI_Vision_Only.tsv", sep="\t", index=False)

    def seen(items):
        return [(i.id, i.question, i.answer, i.options, i.kind, dict(i.facts)) for i in items]

    for other in ("hub", "tsv"):
        assert seen(find_benchmark(f"mathverse:{tmp_path / other}").select().items) == seen(official)


@pytest.mark.parametrize(
    ("response", "found"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B: 50°", "B"),
        ("**Answer: B**", "B"),
        ("Since AB = AC, angle B is 50.\n\nTherefore, the correct answer is option B.", "B"),
        ("In triangle ABC, point D lies on AB.\n\nThe answer is:\n\nC. 60°", "C"),
        ("The answer is \\boxed{D}.", "D"),
        ("The answer is \\boxed{\\text{(D) } 80^\\circ}.", "D"),
        ("so angle B = 50°. The correct choice is (B), by symmetry of A and C.", "B"),
        ("Hence the angle is 50°, as angle A is given.", "B"),
        ("Angle A is 80°, so both others are equal.\nB", "B"),
    ],
)
def test_letters_are_found_at_the_end_and_not_in_names_of_points(response, found):
    assert extracted(response, ("40°", "50°", "60°", "80°"), letters=True) == found


@pytest.mark.parametrize(
    ("response", "found"),
    [
        ("14", "14"),
        ("Final answer: 14", "14"),
        ("So the length of the longest straw, rounded down, is 14 cm.", "14 cm"),
        ("L ≈ 14.32\n\nTherefore, the length of the straw is:\n\n14", "14"),
        ("The distance is\n\\[ d = 2\\sqrt{17} \\]", "d = 2\\sqrt{17}"),
        ("Therefore, the equation is \\( y = \\frac{x^2}{81} \\).", "y = \\frac{x^2}{81}"),
        ("Domain: (-3, 3]; range: (-4, 1] as read off the graph", "(-3, 3], (-4, 1]"),
        ("The point is therefore \\boxed{(2,-2)}.", "(2,-2)"),
        ("It is (2, -2) by the figure that I see here", "(2, -2)"),
        ("I am unable to see the figure that is meant", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_free_answers_are_found_at_the_end(response, found):
    assert extracted(response, (), letters=False) == found


@pytest.mark.parametrize(
    ("reference", "told", "right"),
    [
        ("14", "14 cm", True),
        ("14", "14.32", False),
        ("14", "13 cm", False),
        ("8.246", "2\\sqrt{17}", True),
        ("8.246", "d = 8.2462", True),
        ("8.246", "8.25", False),
        ("0.5m", "50cm", True),
        ("0.5m", "50m", False),
        ("(2,-2)", "(2, -2)", True),
        ("(-2,1]", "\\((-2, 1)\\)", False),
        ("(-2,1]", "$(-2, 1]$", True),
        ("domain: [-4, 0) and range: (-3, 1]", "Range: (-3, 1]", False),
        ("domain: [-4, 0) and range: (-3, 1]", "[-4,0), (-3,1]", True),
        ("\\frac{x^2}{81}+\\frac{y^2}{9}=1", "\\frac{y^2}{9} + \\frac{x^2}{81} = 1", True),
        ("\\frac{x^2}{81}+\\frac{y^2}{9}=1", "\\frac{x^2}{9} + \\frac{y^2}{81} = 1", False),
        ("f(x)=-x^2-2x+1", "f(x) = -x^2 - 2x + 1", True),
        ("f(x)=-x^2-2x+1", "f(x) = -x^2 - 2x - 1", False),
        ("60^\\circ", "60°", True),
        ("24\\pi", "24π cm^2", True),
        ("12 units", "12", True),
        ("y=2x", "2x", True),
        ("14", "null", False),
        ("14", "", False),
    ],
)
def test_answers_agree_by_text_quantity_or_mathematics(reference, told, right):
    assert consistent(reference, told) is right


@pytest.mark.parametrize(
    ("told", "right"),
    [
        ("B", True),
        ("b", True),
        ("A", False),
        ("50°", True),
        ("50 degrees", True),
        ("60°", False),
        ("40° or 50°", False),
    ],
)
def test_the_text_of_the_right_option_counts_as_its_letter(told, right):
    assert consistent("B", told, ("40°", "50°", "60°", "80°")) is right


def test_an_official_output_is_graded_by_version_and_subject(folder, tmp_path):
    said = ["The answer is B", "B: 50°", "The answer is (C)", "", "D", "so it is about 8.246 units"]
    outputs = [{**each, "model_answer": answer} for each, answer in zip(ROWS, said, strict=True)]
    (tmp_path / "output.json").write_text(json.dumps(outputs))
    bench = find_benchmark("mathverse/all")
    pairs = bench.answered(tmp_path / "output.json")
    grades = [bench.grade(*pair) for pair in pairs]
    assert [grade.right for grade in grades] == [True, True, False, False, False, True]
    scores = bench.scores([item for item, _ in pairs], grades)
    assert (scores["text-dominant"], scores["vision-only"], scores["Functions"]) == (1.0, 0.5, 1.0)
    # one version of a file of all
    assert [item.id for item, _ in find_benchmark("mathverse").answered(tmp_path / "output.json")] == [
        "5",
        "6",
    ]
    assert bench.chance([item for item, _ in pairs]) == pytest.approx(5 / 4 / 6)
    # four options are not known where the row does not tell them
    assert bench.chance([Item("x", "", answer="A", facts={"letters": 1})]) is None


def test_the_extraction_of_an_official_output_is_graded(tmp_path):
    outputs = [{**ROWS[0], "model_answer": "It is C", "extraction": "B"}, {**ROWS[5], "extraction": "null"}]
    outputs[1]["model_answer"] = "8.246"
    (tmp_path / "output.json").write_text(json.dumps(outputs))
    bench = find_benchmark("mathverse/all")
    grades = [bench.grade(*pair) for pair in bench.answered(tmp_path / "output.json")]
    assert [(g.right, g.extracted, g.by) for g in grades] == [
        (True, "B", "extraction in the file"),
        (False, None, "extraction in the file"),
    ]


class Scripted:
    """A judge that says the given answers, in turn."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.prompts = []

    def __call__(self, prompt):
        self.prompts.append(prompt)
        return self.answers.pop(0)


ITEM = Item("5", "?", answer="B", facts={"question": CHOICE, "letters": 1, "version": "vision-only"})


def test_the_judge_extracts_and_then_scores():
    bench = find_benchmark("mathverse")
    assert isinstance(bench, JudgedBenchmark)
    judge = Scripted("Answer: 50 degrees", "Verdict: 1")
    grade = bench.judge(ITEM, "They are equal, so 50 degrees.", judge)
    assert (grade.right, grade.extracted) == (True, "50 degrees")
    extract, score = judge.prompts
    assert extract.endswith("Reply: 'They are equal, so 50 degrees.'\nAnswer:")
    assert score.endswith(f"Problem: {CHOICE}\nReference: B\nModel: 50 degrees\nVerdict:")


def test_a_verdict_that_is_none_is_asked_for_once_more():
    bench = find_benchmark("mathverse")
    judge = Scripted("C", "They differ.", "0")
    assert bench.judge(ITEM, "C", judge).right is False
    assert judge.prompts[1] != judge.prompts[2]
    judge = Scripted("C", "maybe", "perhaps")
    grade = bench.judge(ITEM, "C", judge)
    assert (grade.right, grade.reason) == (None, "the judge gave neither 0 nor 1")
    assert bench.judge(ITEM, " ", Scripted()).right is False
    grade = bench.judge(ITEM, "I cannot tell", Scripted("null", "0"))
    assert (grade.right, grade.extracted, grade.reason) == (False, None, "no answer in the response")

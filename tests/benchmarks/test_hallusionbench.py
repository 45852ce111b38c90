"""HallusionBench: which questions make a figure and a pair, the words yes and no, and the judge's steps."""

import base64
import io
import json
import tempfile
from pathlib import Path

import datasets
import pandas as pd
import pytest
from PIL import Image

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.item import Grade, JudgedBenchmark

FIXTURES = Path(__file__).parents[1] / "fixtures" / "hallusionbench"
BENCH = find_benchmark("hallusionbench")


def rows(name="HallusionBench.json"):
    return json.loads((FIXTURES / name).read_text())


def items_of(found):
    """Items of rows, as an output file gives them: without their pictures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.json"
        path.write_text(json.dumps([row | {"model_prediction": ""} for row in found]))
        return [item for item, _ in BENCH.answered(path)]


def question(item_id):
    return next(item for item in items_of(rows()) if item.id == item_id)


WITH, WITHOUT = "VD_illusion_1_0_2", "VS_chart_1_0_0"


@pytest.fixture(scope="module")
def whole():
    """All 1,129 questions, by what they make."""
    found = pd.read_csv(FIXTURES / "questions.csv", dtype=str).to_dict("records")
    return items_of([row | {"question": "?", "gt_answer_details": "-"} for row in found])


def pictured(items):
    return [item for item in items if (item.kind, item.facts["figure_id"]) != ("VS", "0")]


def scores(items, right):
    return BENCH.scores(items, [Grade(right(item), None) for item in items])


def pair(item):
    return tuple(item.facts[name] for name in ("category", "subcategory", "set_id", "question_id"))


@pytest.mark.parametrize(
    ("chosen", "questions", "figures", "pairs"),
    # counts of the repository's evaluation, and denominators of VLMEvalKit's published tables
    [
        (lambda items: items, 1129, 346, 455),
        (pictured, 951, 346, 455),
        (lambda items: [item for item in items if item.kind == "VD"], 591, 230, 277),
        (lambda items: [item for item in pictured(items) if item.kind == "VS"], 360, 116, 178),
    ],
)
def test_questions_figures_and_pairs_are_as_many_as_published(whole, chosen, questions, figures, pairs):
    """One wrong question takes one question, one figure and one pair."""
    items = chosen(whole)
    lost = pictured(items)[0]
    found = scores(items, lambda item: item is not lost)
    expected = [(n - 1) / n for n in (questions, figures, pairs)]
    assert [found["aAcc"], found["fAcc"], found["qAcc"]] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("aacc", "facc", "qacc", "digits"),
    # GPT-4V, Claude 3, LLaVA-1.5, mPLUG-Owl-v2 and ViLT, marked by GPT-4: README of the repository
    [
        (65.28, 39.88, 28.79, 2),
        (56.86, 28.61, 21.76, 2),
        (46.94, 24.86, 10.55, 2),
        (47.30, 19.94, 13.85, 2),
        (44.4641, 11.2717, 8.3516, 4),
    ],
)
def test_published_scores_are_met_to_the_printed_digit(whole, aacc, facc, qacc, digits):
    """As many right questions, figures or pairs as a published score stands for give that score again."""

    def met(name, published, key, items):
        groups = sorted({key(item) for item in items})
        right = set(groups[: round(published / 100 * len(groups))])
        assert round(100 * scores(whole, lambda item: key(item) in right)[name], digits) == published

    met("aAcc", aacc, lambda item: item.id, whole)
    met("fAcc", facc, lambda item: item.picture_id, pictured(whole))
    met("qAcc", qacc, pair, whole)


def test_scores_of_a_small_set_are_those_counted_by_hand():
    """Six questions about two figures of one set: wrong is one question of the second figure."""
    items = [item for item in items_of(rows()) if item.kind == "VD"]
    assert len(items) == 6
    found = scores(items, lambda item: item.id != "VD_illusion_1_1_1")
    expected = {"aAcc": 5 / 6, "fAcc": 1 / 2, "qAcc": 2 / 3, "mean": (5 / 6 + 1 / 2 + 2 / 3) / 3}
    assert found == pytest.approx(expected)
    assert list(found) == list(expected)
    # questions without a picture are in aAcc and qAcc, and make no figure
    mixed = items_of(rows())
    found = scores(mixed, lambda item: item.id != WITHOUT)
    assert (found["aAcc"], found["fAcc"], found["qAcc"]) == pytest.approx((9 / 10, 1.0, 4 / 5))
    assert BENCH.scores([], []) == {}
    assert BENCH.chance(mixed) == 0.5


@pytest.mark.parametrize(
    ("response", "extracted"),
    [
        ("Yes", "Yes"),
        (" yes.\n", "Yes"),
        ("YES!", "Yes"),
        ("No, both grey boxes appear to be of the same size.", "No"),
        ("Yes, the grey box on the right appears to be the same size.", "Yes"),
        ("(No)", "No"),
        ("The boxes differ in size; so: no", "No"),
        ("<think>no, yes?</think><answer>Yes</answer>", "Yes"),
        ("yes-no", None),
        ("Yes or no? Hard to say.", None),
        ("They are the same size.", None),
        ("Nothing of the kind; notably not.", None),
        ("yesterday", None),
        # a star is no mark of the published list
        ("**Yes**", None),
        ("no.1 in size", None),
        ("", None),
        ("Both are grey. " * 3000 + "No.", "No"),
    ],
)
def test_one_of_yes_and_no_counts_where_it_stands_alone(response, extracted):
    item = question(WITH)
    assert item.answer == "Yes"
    grade = BENCH.grade(item, response)
    assert (grade.extracted, grade.right) == (extracted, extracted == "Yes")
    assert bool(grade.reason) is (extracted is None)


def test_genuine_outputs_are_graded_as_read_by_hand():
    answered = BENCH.answered(FIXTURES / "HallusionBench_result.json")
    grades = [BENCH.grade(*each) for each in answered]
    said = ["Yes", "No", "Yes", "No", "No", "Yes", "No", None, "No", None]
    assert [grade.extracted for grade in grades] == said
    assert [grade.right for grade in grades] == [
        True,
        True,
        False,
        True,
        True,
        True,
        True,
        False,
        True,
        False,
    ]


def test_without_a_picture_an_answer_that_does_not_decide_is_forgiven():
    without, with_picture = question(WITHOUT), question(WITH)
    unsure = "I cannot tell without the chart."
    assert BENCH.grade(without, unsure).right
    assert not BENCH.grade(with_picture, unsure).right
    assert not BENCH.grade(without, "yes").right
    assert BENCH.grade(without, "no").right
    assert not BENCH.grade(without, " ").right


@pytest.mark.parametrize(
    ("verdict", "right_with", "right_without", "extracted"),
    [
        ("correct", True, True, "correct"),
        ("Correct.", True, True, "correct"),
        ("The answer is incorrect", False, False, "incorrect"),
        ("unclear", False, True, "unclear"),
        ("", False, True, "unclear"),
    ],
)
def test_the_judge_compares_with_the_key(verdict, right_with, right_without, extracted):
    asked = []

    def ask(prompt):
        asked.append(prompt)
        return verdict

    for name, right in ((WITH, right_with), (WITHOUT, right_without)):
        grade = BENCH.judge(question(name), "<think>x</think><answer>They are alike.</answer>", ask)
        assert (grade.right, grade.extracted) == (right, extracted)
    assert "Question: Is the right grey box the same size as the left grey box?" in asked[0]
    assert "Key: The right grey box is the same size as the left grey box." in asked[0]
    assert "Answer: They are alike.\n" in asked[0]
    assert isinstance(BENCH, JudgedBenchmark)


def test_a_result_with_the_key_in_words_alone_needs_the_judge(tmp_path):
    (row,) = (each for each in rows("HallusionBench_result.json") if each["set_id"] == "2")
    del row["gt_answer"]
    (tmp_path / "out.json").write_text(json.dumps([row]))
    ((item, response),) = BENCH.answered(tmp_path / "out.json")
    grade = BENCH.grade(item, response)
    assert (grade.right, grade.extracted) == (None, "No")
    assert "judge" in grade.reason
    assert BENCH.judge(item, response, lambda prompt: "correct").right


def test_the_repositorys_layout_is_read(tmp_path):
    (tmp_path / "HallusionBench.json").write_text(json.dumps(rows()))
    for name, color in (("VD/illusion/1_0.png", "red"), ("VD/illusion/1_1.png", "blue")):
        path = tmp_path / "hallusion_bench" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20), color).save(path)
    items = {item.id: item for item in find_benchmark(f"hallusionbench:{tmp_path}").select().items}
    assert len(items) == 10
    assert items[WITHOUT].pictures == ()
    assert items[WITHOUT].prompt().images == ()
    assert items["VD_illusion_1_1_0"].prompt().images[0].getpixel((0, 0)) == (0, 0, 255)
    assert items[WITH].question == "Is the right grey box the same size as the left grey box?"
    assert items[WITH].picture_id == "VD_illusion_1_0"
    image = find_benchmark(f"hallusionbench/image:{tmp_path}").select().items
    assert [item.id for item in image] == [name for name in items if not name.startswith("VS_chart_1_0")]


def test_both_splits_of_the_hubs_copy_are_read_together(tmp_path):
    found = [{**row, "image": None} for row in rows()]
    splits = {
        "image": [each for each in found if each["visual_input"] != "0"],
        "non_image": [each for each in found if each["visual_input"] == "0"],
    }
    datasets.DatasetDict(
        {name: datasets.Dataset.from_list(part) for name, part in splits.items()}
    ).save_to_disk(str(tmp_path / "saved"))
    items = find_benchmark(f"hallusionbench:{tmp_path / 'saved'}").select().items
    assert sorted(item.id for item in items) == sorted(item.id for item in items_of(rows()))
    assert [item.id for item in items if not item.pictures and not item.broken] == [WITHOUT, "VS_chart_1_0_2"]


def test_vlmevalkits_table_and_its_output_are_read(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (200, 150), "red").save(buffer, "PNG")
    found = [
        {"index": f"hallusionbench_VD_illusion_1_0_{n}", "question": "Is it?", "answer": answer, "category": "VD",
         "l2-category": "VD_illusion", "image": base64.b64encode(buffer.getvalue()).decode()}
        for n, answer in enumerate(("No", "Yes"))
    ]  # fmt: skip
    pd.DataFrame(found).to_csv(tmp_path / "HallusionBench.tsv", sep="\t", index=False)
    items = find_benchmark(f"hallusionbench:{tmp_path}").select().items
    assert [(item.id, item.answer) for item in items] == [
        ("VD_illusion_1_0_0", "No"),
        ("VD_illusion_1_0_1", "Yes"),
    ]
    assert items[0].prompt().images[0].size == (200, 150)
    frame = pd.DataFrame(found).drop(columns="image").assign(prediction=["No.", "no"])
    frame.to_excel(tmp_path / "out.xlsx", index=False)
    answered = BENCH.answered(tmp_path / "out.xlsx")
    grades = [BENCH.grade(*each) for each in answered]
    assert [grade.right for grade in grades] == [True, False]
    totals = BENCH.scores([item for item, _ in answered], grades)
    assert totals == {"aAcc": 0.5, "fAcc": 0.0, "qAcc": 0.5, "mean": pytest.approx(1 / 3)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": ""}, "no question"),
        ({"gt_answer": "2"}, "answer is neither yes nor no: '2'"),
        ({"gt_answer": None, "gt_answer_details": None}, "answer is neither yes nor no"),
        ({"figure_id": None}, "no figure_id"),
        ({"filename": None}, "no picture"),
        ({"filename": "../../etc/passwd"}, "leaves the folder"),
    ],
)
def test_a_row_that_cannot_be_asked_says_why(tmp_path, change, reason):
    row = next(each for each in rows() if each["category"] == "VD")
    (tmp_path / "HallusionBench.json").write_text(json.dumps([row | change]))
    (item,) = find_benchmark(f"hallusionbench:{tmp_path}").select().items
    assert reason in item.broken


def test_a_question_that_comes_twice_is_named(tmp_path):
    row = rows()[0]
    (tmp_path / "HallusionBench.json").write_text(json.dumps([row, row]))
    items = find_benchmark(f"hallusionbench:{tmp_path}").select().items
    assert "duplicate id 'VS_chart_1_0_0'" in items[1].broken

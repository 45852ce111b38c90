"""MMStar: the published rule, and rows of both forms. The rows are our own: MMStar states no licence."""

import base64
import io

import pandas as pd
import pytest
from PIL import Image

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.item import Grade, Item
from vaslab.benchmarks.mmstar import CATEGORIES

STAR = find_benchmark("mmstar")
INLINE = "What lies on the shelf?\nOptions: A: A cat, asleep, B: Two dogs: one big, C: 3, 4, and 5, D: None"
LINES = (
    "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\n"
    "Question: How many snowmen?\nChoices:\n(A) 10\n(B) 15\n(C) 12"
)


def row(index=0, **change):
    return {
        "index": index,
        "question": INLINE,
        "image": picture(),
        "answer": "B",
        "category": "instance reasoning",
        "l2_category": "single-instance reasoning",
    } | change


def picture(color="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (200, 150), color).save(buffer, "PNG")
    return buffer.getvalue()


def items_of(folder, *rows):
    pd.DataFrame([each | {"image": {"bytes": each["image"], "path": None}} for each in rows]).to_parquet(
        folder / "mmstar.parquet"
    )
    return find_benchmark(f"mmstar:{folder}").select().items


def choice(answer="B", options=("w", "x", "y", "z")):
    return Item("0", "?", answer=answer, kind="math", options=options)


@pytest.mark.parametrize(
    ("response", "extracted"),
    [
        ("B", "B"),
        ("b", "B"),
        (" B\n", "B"),
        ("B.", "B"),
        ("B: Two dogs", "B"),
        ("(B) Two dogs", "B"),
        ("Option B", "B"),
        ("option b is right", "B"),
        ("The answer is B.", "B"),
        ("the answer is C", "C"),
        ("<think>A or B</think> <answer>B</answer>", "B"),
        # the word's first letter counts: a flaw of the published rule
        ("Because it is so, A", "B"),
        ("A cat", "A"),
        ("The answer is: B", None),
        ("It is B", None),
        ("**B**", None),
        (r"\boxed{B}", None),
        ("I cannot tell.", None),
        ("E", None),
        ("(", None),
        ("", None),
        ("Let me think. " * 4000 + "B", None),
    ],
)
def test_the_letter_that_the_response_begins_with_counts(response, extracted):
    grade = STAR.grade(choice(), response)
    assert (grade.extracted, grade.right) == (extracted, extracted == "B")
    assert bool(grade.reason) is (extracted is None)
    assert not grade.guessed


def test_rows_of_the_data_set_are_asked_as_they_stand(tmp_path):
    first, second, third = items_of(
        tmp_path, row(), row(1, question=LINES, answer="C"), row(2, question="Odd one?\nA or B or C")
    )
    assert first.question == f"{INLINE}\nAnswer with the option's letter from the given choices directly."
    assert first.options == ("A cat, asleep", "Two dogs: one big", "3, 4, and 5", "None")
    assert (first.id, first.answer, first.kind) == ("0", "B", "instance reasoning")
    assert first.prompt().images[0].size == (200, 150)
    assert second.options == ("10", "15", "12")
    # what does not parse is asked and graded all the same
    assert (third.options, third.broken) == ((), "")
    assert STAR.grade(third, "B").right
    assert STAR.chance([first, second, third]) == pytest.approx((1 / 4 + 1 / 3 + 1 / 4) / 3)


def test_vlmevalkits_table_has_options_in_columns(tmp_path):
    image = base64.b64encode(picture("blue")).decode()
    rows = [row(3, question="What?", image=image, A="cup", B="jug", C=None, bench="MMMU")]
    pd.DataFrame(rows).to_csv(tmp_path / "MMStar.tsv", sep="\t", index=False)
    (item,) = find_benchmark(f"mmstar:{tmp_path}").select().items
    assert item.options == ("cup", "jug")
    assert item.question.startswith("What?\nA. cup\nB. jug\nAnswer with the option's letter")
    assert item.prompt().images[0].getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize("ending", ["xlsx", "tsv", "jsonl"])
def test_outputs_are_read_in_every_form(tmp_path, ending):
    frame = pd.DataFrame(
        [{**row(), "image": "", "prediction": "B"}, {**row(1), "image": "", "prediction": "A"}]
    )
    path = tmp_path / f"out.{ending}"
    if ending == "xlsx":
        frame.to_excel(path, index=False)
    elif ending == "tsv":
        frame.to_csv(path, sep="\t", index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    assert [STAR.grade(*each).right for each in STAR.answered(path)] == [True, False]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": "  "}, "no question"),
        ({"answer": "E"}, "no option's letter"),
        ({"answer": None}, "no answer"),
        ({"category": None}, "no category"),
    ],
)
def test_a_row_that_cannot_be_asked_says_why(tmp_path, change, reason):
    broken, sound = items_of(tmp_path, row(0, **change), row(1))
    assert reason in broken.broken
    assert not sound.broken


def test_scores_are_those_of_the_six_categories():
    kinds = [*CATEGORIES, "math", "math"]
    items = [Item(str(n), "?", answer="A", kind=kind) for n, kind in enumerate(kinds)]
    grades = [Grade(n % 2 == 0, None) for n in range(len(items))]
    scores = STAR.scores(items, grades)
    assert list(scores) == list(CATEGORIES)
    # math: items 5, 6 and 7, of which 6 is right
    assert scores["math"] == pytest.approx(1 / 3)
    assert (scores["coarse perception"], scores["fine-grained perception"]) == (1.0, 0.0)

"""MMMU: the published rule on genuine outputs and on responses of every kind; every form the data come in."""

import base64
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.item import Item
from vaslab.errors import UsageError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "mmmu"
MMMU = find_benchmark("mmmu")
COLORS = ("red", "lime", "blue")


def png(color):
    buffer = io.BytesIO()
    Image.new("RGB", (200, 150), color).save(buffer, "PNG")
    return buffer.getvalue()


def row(number=1, **change):
    """A row as the data set has it; the question is our own."""
    pictures = {f"image_{n}": None for n in range(1, 8)}
    return {
        "id": f"validation_Math_{number}",
        "question": "Which is the graph of f in <image 1>?",
        "options": "['<image 2>', '<image 3>', 'neither']",
        "explanation": "",
        **pictures,
        **{f"image_{n}": {"bytes": png(c), "path": f"{n}.png"} for n, c in enumerate(COLORS, start=1)},
        "answer": "B",
        "question_type": "multiple-choice",
        "topic_difficulty": "Easy",
        "subfield": "Calculus",
        **change,
    }


OPEN = {"options": "[]", "question_type": "open", "question": "How fast? <image 1>"}


def saved(folder, *rows):
    (folder / "Math").mkdir(exist_ok=True)
    pd.DataFrame(rows).to_parquet(folder / "Math" / "validation-00000-of-00001.parquet")
    return find_benchmark(f"mmmu:{folder}").select().items


def choice(options=("4 cm", "5 cm", "6 cm", "7 cm"), answer="B"):
    return Item("validation_Math_5", "?", answer=answer, options=options)


def short(*answers):
    return Item("validation_Math_6", "?", answer="", facts={"answers": answers})


@pytest.mark.parametrize(
    ("folder", "right", "total"),
    # counted by hand from the letters in the files; Math_19 is answered "(A) {...}", Math_15 is open
    [("llava1.5_13b/Accounting", 8, 30), ("llava1.5_13b/Math", 10, 30), ("qwen_vl/Literature", 3, 5)],
)
def test_genuine_outputs_score_as_counted(folder, right, total):
    answered = MMMU.answered(FIXTURES / folder / "output.json")
    assert not [item.broken for item, _ in answered if item.broken]
    grades = [MMMU.grade(item, response) for item, response in answered]
    assert (sum(grade.right for grade in grades), len(grades)) == (right, total)
    assert not any(grade.guessed for grade in grades)


def test_genuine_rows_are_read_with_their_subject_options_and_answers():
    items = {item.id: item for item, _ in MMMU.answered(FIXTURES / "llava1.5_13b/Math/output.json")}
    assert items["validation_Math_1"].options == ("1", "2", "Not exist")
    assert items["validation_Math_1"].kind == "Math"
    assert items["validation_Math_15"].facts["answers"] == ("24/7", "3.429")
    assert items["validation_Math_15"].answer == "24/7 | 3.429"


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("B", "B"),
        ("B.", "B"),
        ("(B) 5 cm", "B"),
        ("The options are (A) and (B); I take (C).", "C"),
        ("A is wrong, so it must be B", "B"),
        ("Rotating gives D or B ... finally it is D , I think", "D"),
        ("so the length of the third side is 6 cm as drawn", "C"),
        # the last option named in words
        ("it is not 4 cm but rather 7 cm by Pythagoras", "D"),
        ("<think>(A)? no</think><answer>B</answer>", "B"),
        (r"$\frac{10}{2}=5$, hence the answer is (B)", "B"),
        ("(A) " * 5000 + "(D)", "D"),
    ],
)
def test_a_chosen_option_is_found(response, letter):
    grade = MMMU.grade(choice(), response)
    assert (grade.extracted, grade.right, grade.guessed) == (letter, letter == "B", False)


# five words or fewer are no text to look for an option in; a letter needs spaces or brackets around it
@pytest.mark.parametrize(
    "response", ["", "I cannot say.", "5 cm", "b", "Answer:B", "BD", "[B]", "sorry, no idea at all here"]
)
def test_where_nothing_is_found_the_rule_guesses_by_the_items_id(response):
    grade = MMMU.grade(choice(), response)
    assert grade.guessed
    assert grade.reason == "no option in the response"
    # sha256sum of "validation_Math_5" begins with f5f3a7d4b2aa68a3, which is 3 modulo 4
    assert (grade.extracted, grade.right) == ("D", False)


@pytest.mark.parametrize(
    ("response", "answers", "right"),
    [
        ("3.43", ("24/7", "3.429"), True),
        ("The speed is 3.429 feet per second", ("24/7", "3.429"), True),
        ("24/7", ("24/7", "3.429"), True),
        ("1 foot per second", ("24/7", "3.429"), False),
        ("x = 3.4", ("24/7", "3.429"), False),
        ("30 watts", ("30",), True),
        ("36 watts", ("30",), False),
        ("The total is $1,620.00", ("1620",), True),
        ("so it is 1.5e3 in the end", ("1500",), True),
        ("-141", ("-141",), True),
        ("141", ("-141",), False),
        # in two decimals both are 0.33
        ("thus 0.333", ("0.3333",), True),
        ("The answer is a Mitochondrion.", ("mitochondrion",), True),
        ("It could be the nucleus\nTherefore the answer is mitochondrion", ("nucleus",), True),
        # "=" concludes in the last line alone
        ("a = 5\nb is 7", ("5",), False),
        ("b is 7\na = 5", ("5",), True),
        # of one line the shortest tail counts
        ("the answer is 4 so 9", ("4",), False),
        # one letter needs a space beside it
        ("the point is max", ("x",), False),
        ("the point is x", ("x",), True),
        ("call it point x here", ("x",), True),
        ("no idea", ("30",), False),
        ("1" * 20_000, ("30",), False),
        ("<think>it is 4</think><answer>30</answer>", ("30",), True),
    ],
)
def test_open_answers_follow_the_published_rule(response, answers, right):
    assert MMMU.grade(short(*answers), response).right is right


def test_an_empty_open_answer_is_wrong_and_no_guess():
    grade = MMMU.grade(short("30"), " \n")
    assert (grade.right, grade.extracted, grade.guessed, grade.reason) == (
        False,
        None,
        False,
        "empty response",
    )


def test_the_question_is_asked_as_published_with_pictures_at_their_places(tmp_path):
    (item,) = saved(tmp_path, row())
    assert (item.id, item.answer, item.kind) == ("validation_Math_1", "B", "Math")
    (turn,) = item.prompt().turns
    kinds = [piece if isinstance(piece, str) else piece.getpixel((0, 0)) for piece in turn.pieces]
    assert kinds == [
        "Which is the graph of f in ",
        (255, 0, 0),
        "?\n(A) ",
        (0, 255, 0),
        "\n(B) ",
        (0, 0, 255),
        "\n(C) neither\n\nAnswer with the option's letter from the given choices directly.",
    ]


def test_an_open_question_is_asked_for_a_word(tmp_path):
    (item,) = saved(tmp_path, row(**OPEN, answer="['24/7', '3.429']", image_2=None, image_3=None))
    assert item.question == "How fast? <image 1>\nAnswer the question using a single word or phrase."
    assert (item.options, item.facts["answers"]) == ((), ("24/7", "3.429"))
    assert len(item.prompt().images) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": ""}, "no question"),
        ({"options": "['a', "}, "options do not parse"),
        ({"options": "[]"}, "no options"),
        ({"answer": "?"}, "answer is none of the 3 options"),
        ({"answer": None}, "no answer"),
        (OPEN | {"answer": None}, "no answer"),
        ({"image_2": None}, "image_3 is there and image_2 is not"),
        ({"image_3": None}, "names <image 3> and the row holds 2 pictures"),
        ({"image_1": None, "image_2": None, "image_3": None, "question": "?", "options": "['a', 'b']"}, "no picture"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_asked_says_why(tmp_path, change, reason):
    broken, sound = saved(tmp_path, row(1, **change), row(2))
    assert reason in broken.broken
    assert not sound.broken


def test_only_the_validation_split_is_read(tmp_path):
    items = saved(tmp_path, row(1), row(2) | {"id": "dev_Math_1"}, row(3) | {"id": "test_Math_9"})
    assert [item.id for item in items] == ["validation_Math_1"]
    with pytest.raises(UsageError, match="holds no row of mmmu"):
        saved(tmp_path, row() | {"id": "test_Math_9"})


def test_vlmevalkits_table_is_read(tmp_path):
    """Several pictures stand in one cell, options in columns, and both splits in one table."""
    pictures = [base64.b64encode(png(color)).decode() for color in COLORS]
    shared = {"question": "Which of <image 1>, <image 2>?", "A": "<image 3>", "B": "both", "category": "Math"}
    rows = [
        {
            "index": 1,
            "id": "validation_Math_1",
            "image": str(pictures),
            "answer": "A",
            "split": "validation",
            **shared,
        },
        {"index": 2, "id": "dev_Math_1", "image": str(pictures), "answer": "A", "split": "dev", **shared},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "MMMU_DEV_VAL.tsv", sep="\t", index=False)
    (item,) = find_benchmark(f"mmmu:{tmp_path}").select().items
    assert (item.id, item.options, item.kind) == ("validation_Math_1", ("<image 3>", "both"), "Math")
    assert [image.getpixel((0, 0)) for image in item.prompt().images] == [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
    ]


def test_scores_are_those_of_the_disciplines_with_guesses_apart():
    items = [
        Item(f"validation_{kind}_{n}", "?", answer="A", options=("x", "y"), kind=kind)
        for n, kind in enumerate(("Math", "Physics", "Art", "Sociology"))
    ]
    grades = [MMMU.grade(item, said) for item, said in zip(items, ("A", "B", "A", ""), strict=True)]
    scores = MMMU.scores(items, grades)
    assert list(scores) == [
        "Art and Design",
        "Science",
        "Humanities and Social Science",
        "guesses counted wrong",
    ]
    assert (scores["Art and Design"], scores["Science"], scores["guesses counted wrong"]) == (1.0, 0.5, 0.5)
    assert grades[3].guessed


def test_chance_counts_an_open_question_as_none():
    items = [choice(), choice(("a", "b"), "A"), short("30")]
    assert MMMU.chance(items) == pytest.approx((1 / 4 + 1 / 2 + 0) / 3)
    assert MMMU.chance([]) is None


def test_an_output_file_of_another_form_is_refused(tmp_path):
    (tmp_path / "total_val_output.json").write_text(json.dumps({"validation_Math_1": "D"}))
    with pytest.raises(UsageError, match="expected a list or an object of rows"):
        MMMU.answered(tmp_path / "total_val_output.json")

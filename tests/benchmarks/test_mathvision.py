"""MathVision by its published rule, on genuine rows; expected values are read off the authors' evaluation by hand."""

import base64
import json
from pathlib import Path

import pandas as pd
import pytest

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.item import Item
from vaslab.benchmarks.mathvision_answer import equal, extracted
from vaslab.errors import UsageError

FOLDER = Path(__file__).parents[1] / "fixtures" / "mathvision"
OPTIONS = ("$\\frac{1}{24}$", "$\\frac{1}{16}$", "2.5", "$6(\\sqrt{2}-1)$", "3")


@pytest.fixture(scope="module")
def bench():
    return find_benchmark(f"mathvision:{FOLDER}")


def test_the_official_folder_is_read(bench):
    items = {item.id: item for item in bench.select().items}
    assert len(items) == 24
    assert len({item.kind for item in items.values()}) == 16
    assert not [item.broken for item in items.values() if item.broken]
    first, *rest = items["7"].question.split("\n")
    assert "\\boxed{}" in first
    assert rest == ["How many bricks are missing in the wall?", "<image1>"]
    assert items["7"].prompt().images[0].size == (441, 223)
    # options follow the question, unless they only repeat the letters that stand in the picture
    assert items["1008"].question.endswith(
        "\n(A) $10^{\\circ}$\n(B) $15^{\\circ}$\n(C) $20^{\\circ}$\n(D) $25^{\\circ}$\n(E) $30^{\\circ}$"
    )
    assert items["1696"].options == tuple("ABCDE")
    assert "(A)" not in items["1696"].question


def test_variants_name_the_splits(tmp_path):
    rows = [json.loads(line) for line in (FOLDER / "testmini.jsonl").read_text().splitlines()]
    (tmp_path / "data").mkdir()
    (tmp_path / "images").symlink_to(FOLDER / "images")
    for split, some in (("testmini", rows[:2]), ("test", rows[:3])):
        (tmp_path / "data" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    assert len(find_benchmark(f"mathvision:{tmp_path}").select().items) == 2
    assert len(find_benchmark(f"mathvision/test:{tmp_path}").select().items) == 3
    with pytest.raises(UsageError, match="testmini, test"):
        find_benchmark("mathvision/train")


def test_the_hub_and_vlmevalkit_hold_the_same_items(bench, tmp_path):
    rows = [json.loads(line) for line in (FOLDER / "testmini.jsonl").read_text().splitlines()]
    decoded = [{"bytes": (FOLDER / row["image"]).read_bytes(), "path": row["image"]} for row in rows]
    hub = [
        {**row, "level": row["level"], "decoded_image": cell} for row, cell in zip(rows, decoded, strict=True)
    ]
    (tmp_path / "data").mkdir()
    pd.DataFrame(hub).to_parquet(tmp_path / "data" / "testmini-00000-of-00001.parquet")
    table = [
        {
            "index": row["id"],
            "question": row["question"],
            "choices": str(row["options"]),
            "answer": row["answer"],
            "category": row["subject"],
            "image": base64.b64encode(cell["bytes"]).decode(),
        }
        for row, cell in zip(rows, decoded, strict=True)
    ]
    pd.DataFrame(table).to_csv(tmp_path / "MathVision_MINI.tsv", sep="\t", index=False)

    def seen(where):
        return [
            (i.id, i.question, i.answer, i.options, i.kind, i.prompt().images[0].tobytes())
            for i in find_benchmark(f"mathvision:{where}").select().items
        ]

    assert seen(tmp_path) == seen(tmp_path / "MathVision_MINI.tsv") == seen(FOLDER)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": "F"}, "answer 'F' is no letter of 5 options"),
        ({"options": "[1, 2"}, "options do not parse"),
        ({"options": 3}, "options are a int"),
        ({"options": [None, "b"]}, "an option is no text"),
        ({"question": " "}, "no question"),
        ({"answer": float("nan")}, "no answer"),
    ],
)
def test_a_bad_row_has_its_reason(tmp_path, change, reason):
    row = {"id": "1", "question": "q <image1>", "options": list("abcde"), "answer": "A", "image": "a.jpg"}
    (tmp_path / "testmini.jsonl").write_text(json.dumps({**row, **change}))
    (item,) = find_benchmark(f"mathvision:{tmp_path}").select().items
    assert item.broken.startswith(reason)


BENCH = find_benchmark("mathvision")
OUTPUTS = [json.loads(line) for line in (FOLDER / "outputs.jsonl").read_text().splitlines()]

ANSWERED = BENCH.answered(FOLDER / "outputs.jsonl")


@pytest.mark.parametrize("number", range(len(OUTPUTS)))
def test_published_outputs_get_their_published_verdicts(number):
    """Answer and verdict of the authors' own evaluation of five models, line by line."""
    grade = BENCH.grade(*ANSWERED[number])
    assert (grade.extracted, grade.right) == (OUTPUTS[number]["model_answer"], OUTPUTS[number]["correct"])


@pytest.mark.parametrize(
    ("response", "found"),
    [
        ("4\\boxed{.}", "0"),
        ("Liepa's birthday was on \\boxed{\\text{Friday}}.", "{friday}"),
        ("so the current time is \\boxed{2:30}.", "2:30"),
        ("Eve has $\\boxed{2 \\cdot 4 \\cdot 3}$ mandarins.", "2\\cdot4\\cdot3"),
        ("to cover $$7 \\times 3 = \\boxed{21} \\text{ jumps}$$", "21"),
        ("60", "60"),
        ("A", "a"),
        ("(A)", "a"),
        ("B.", "b"),
        ("B\nbecause the ladybird", "b"),
        ("(C)\nbecause", "c"),
        ("I count them, and it must be D.", "d"),
        ("It must be (D).", "d"),
        ("The perimeter is 12.", "12"),
        ("Adding up, the answer is 14. That is all.", "14"),
        ("The answer is 14 cm\nsince 7 + 7 = 14", "14cm"),
        ("Step 1: x = 3.\nThe final answer is: $\\boxed{\\frac{3}{4}}$.", "\\frac{3}{4}"),
        ("\\boxed{A} no, \\boxed{B}", "b"),
        ("\\boxed{(C)}", "c"),
        ("\\boxed{\\text{E}}", "e"),
        ("So \\boxed{x = 5}", "5"),
        ("\\boxed{\\approx 3.14}", "3.14"),
        ("\\boxed{120^{\\circ}}", "120"),
        ("\\boxed{\\dfrac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{0.5}", "\\frac{1}{2}"),
        ("\\boxed{3/4}", "\\frac{3}{4}"),
        ("\\boxed{.75}", "0.75"),
        ("\\boxed{2\\sqrt3}", "2\\sqrt{3}"),
        ("\\boxed{5 km}", "5"),
        ("\\boxed{7\\text{ units}}", "7"),
        ("", ""),
        ("8 kg", "8kg"),
        ("12 $\\mathrm{m}$", "12\\mathrm{m}"),
        ("A, b, c", "a,b,c"),
        ("I cannot see the picture", "icannotseethepicture"),
    ],
)
def test_extraction_is_the_published_one(response, found):
    assert extracted(response) == found


@pytest.mark.parametrize(
    ("reference", "told", "right"),
    [
        ("A", "a", True),
        ("A", "b", False),
        ("6", "6.0", True),
        ("6", "6.004", True),
        ("6", "6.01", False),
        ("2.5", "\\frac{5}{2}", True),
        ("0.67", "\\frac{2}{3}", True),
        ("140", "140g", False),
        ("(3,-4)", "(3,-4)", True),
        ("(3,-4)", "(3.0,-4)", True),
        ("(3,-4)", "(3,4)", False),
        ("(3,-4)", "[3,-4]", False),
        ("$6(\\sqrt{2}-1)$", "6\\sqrt{2}-6", True),
        ("$x+1$", "1+x", False),  # the authors compare numbers, not expressions
        ("50", "50\\%", False),
        ("6", "", False),
    ],
)
def test_equality_is_the_published_one(reference, told, right):
    assert equal(reference, told) is right


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("\\boxed{D}", True),
        ("\\boxed{6\\sqrt{2}-6}", True),
        ("It is 2.485, so the answer is 2.49", True),
        ("\\boxed{C}", False),
        ("\\boxed{A or D}", False),
        ("", False),
        ("no " * 50_000, False),
    ],
)
def test_the_letter_or_the_text_of_the_option_is_right(bench, response, right):
    assert bench.grade(Item("x", "?", answer="D", options=OPTIONS), response).right is right


def test_scores_are_by_subject_and_level_and_chance_is_of_guessing_options(bench):
    items = bench.select().items
    grades = [bench.grade(item, item.answer) for item in items]
    assert all(grade.right for grade in grades)
    scores = bench.scores(items, grades)
    assert scores["topology"] == 1.0
    assert {"level 1", "level 2", "level 3", "level 4", "level 5"} < set(scores)
    # 13 of the 24 have five options
    assert bench.chance(items) == pytest.approx(13 / 5 / 24)

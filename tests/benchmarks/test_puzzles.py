"""AlgoPuzzleVQA and PuzzleVQA: genuine rows, genuine outputs with what the official extraction found in them."""

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.algopuzzlevqa import AlgoPuzzleVqa
from vaslab.benchmarks.item import JudgedBenchmark
from vaslab.benchmarks.puzzlevqa import PuzzleVqa
from vaslab.errors import MissingError

FIXTURES = Path(__file__).parents[1] / "fixtures"
LEAD = "Answer: Let's describe the image first and think step by step."


@pytest.fixture(scope="module")
def items():
    return {
        item.id: item for item in find_benchmark(f"algopuzzlevqa:{FIXTURES / 'algopuzzlevqa'}").select().items
    }


def test_the_official_folder_is_read(items):
    assert {name: (item.kind, item.options, item.answer) for name, item in items.items()} == {
        "board_tile_0000": ("board_tile", ("Yes", "No"), "No"),
        "board_tile_0001": ("board_tile", ("Yes", "No"), "No"),
        "clock_0000": ("clock", ("1:14", "8:09", "4:23", "2:07"), "4:23"),
        "clock_0001": ("clock", ("10:01", "5:36", "8:29", "6:48"), "6:48"),
        "number_slide_0000": ("number_slide", ("7", "9", "4", "8"), "8"),
        "number_slide_0001": ("number_slide", ("2", "5", "4", "3"), "3"),
    }
    # the pictures lie beside the rows, in data/images
    assert items["number_slide_0000"].prompt().images[0].size == (820, 820)
    # of the clocks' pictures none is there: an item with a reason, once it is asked
    with pytest.raises(MissingError, match=r"clock_0000\.jpg"):
        items["clock_0000"].prompt()


def test_the_prompt_has_the_official_form(items):
    lines = items["clock_0000"].question.split("\n")
    assert lines[0].startswith("Question: Daniel's event is going to start in 1 hour 40 minutes.")
    assert lines[1:] == ["Options:", "(A) 1:14", "(B) 8:09", "(C) 4:23", "(D) 2:07", "", LEAD]
    # the official prompt leaves the lines of the third and fourth option blank
    assert items["board_tile_0001"].question.endswith(f"Options:\n(A) Yes\n(B) No\n\n\n\n{LEAD}")


@pytest.mark.parametrize(
    ("response", "right", "extracted"),
    [
        ("The clock shows 2:43.\n\nTherefore, the answer is: (C) 4:23", True, "4:23"),
        ("(A) is 1:14 and too early. The answer is (D).", False, "2:07"),
        ("Answer: C", True, "4:23"),
        ("C", True, "4:23"),
        # a bracketed letter anywhere goes before a bare one at the end
        ("I first thought of (C), but it is D", True, "4:23"),
        # the rule takes any capital A to D, also that of a word
        ("It will be 4:23. Certainly", True, "4:23"),
        ("A Difficult one", False, "2:07"),
        ("<think>(A) or (B)?</think><answer>(C)</answer>", True, "4:23"),
        ("<think>(A)</think><answer>4:23</answer>", True, "4:23"),
        ("<answer>1:14</answer>", False, "1:14"),
        (r"so \boxed{C}", True, "4:23"),
        ("(E) none of them", False, None),
        ("it will be 4:23", False, None),
        ("(c)", False, None),
        ("", False, None),
        ("x" * 200_000 + " (C)", True, "4:23"),
    ],
)
def test_the_official_extraction(items, response, right, extracted):
    bench = AlgoPuzzleVqa("")
    grade = bench.grade(items["clock_0000"], response)
    assert (grade.right, grade.extracted, grade.guessed, grade.by) == (right, extracted, False, "rule")
    assert bool(grade.reason) == (extracted is None)


def test_a_letter_without_an_option_counts_as_the_first_as_in_the_official_code(items):
    assert AlgoPuzzleVqa("").grade(items["board_tile_0001"], "The answer is (D)").extracted == "Yes"


def test_published_outputs_give_what_the_official_extraction_found():
    path = FIXTURES / "puzzlevqa" / "outputs.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    bench = PuzzleVqa("")
    answered = bench.answered(path)
    assert [item.question for item, _ in answered] == [row["prompt"] for row in rows]
    grades = [bench.grade(*each) for each in answered]
    assert [grade.extracted for grade in grades] == [row["pred"] for row in rows]
    assert [grade.right for grade in grades] == [True, False, True, False, False]
    assert [item.kind for item, _ in answered][:2] == ["grid_number", "size_grid"]


def test_puzzlevqa_has_numbers_for_options():
    bench = find_benchmark(f"puzzlevqa:{FIXTURES / 'puzzlevqa'}")
    first, second = bench.items
    assert (first.id, first.kind, first.options, first.answer) == (
        "circle_size_number_0000",
        "circle_size_number",
        ("6", "3", "4", "2"),
        "4",
    )
    assert first.prompt().images[0].size == (512, 512)
    assert not second.broken
    assert bench.chance(bench.items) == 0.25


def test_chance_is_that_of_each_puzzles_options(items):
    assert AlgoPuzzleVqa("").chance(list(items.values())) == pytest.approx((2 * 0.5 + 4 * 0.25) / 6)


def test_rows_of_the_hub_hold_their_pictures(tmp_path):
    Image.new("RGB", (9, 9), "red").save(tmp_path / "a.png")
    cell = {"bytes": (tmp_path / "a.png").read_bytes(), "path": "maze_0003.jpg"}
    row = {"image": cell, "question": "q", "options": ["1", "2", "3", "5"], "answer": "5"}
    pd.DataFrame([row]).to_parquet(tmp_path / "rows.parquet")
    (item,) = AlgoPuzzleVqa(str(tmp_path / "rows.parquet")).items
    assert (item.id, item.kind, item.answer) == ("maze_0003", "maze", "5")
    assert item.prompt().images[0].size == (9, 9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"options": ["Yes"]}, "1 options; expected 2 to 4"),
        ({"options": "[4, 5"}, "options do not parse"),
        ({"answer": "9"}, "answer '9' is none of the options"),
        ({"question": ""}, "no question"),
        ({"answer": None}, "no answer"),
    ],
)
def test_a_broken_row_says_why(tmp_path, change, reason):
    row = {"image": "a.png", "question": "q", "options": ["1", "2"], "answer": "1"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row | change))
    assert reason in AlgoPuzzleVqa(str(tmp_path / "rows.jsonl")).items[0].broken


def test_a_judge_is_asked_only_where_the_rule_finds_nothing(items):
    bench, asked = AlgoPuzzleVqa(""), []
    assert isinstance(bench, JudgedBenchmark)

    def ask(prompt):
        asked.append(prompt)
        return "(C)"

    assert bench.judge(items["clock_0000"], "surely (A)", ask).right is False
    assert not asked
    assert bench.judge(items["clock_0000"], "it will be 4:23", ask).right
    assert asked[0].endswith("it will be 4:23\n\nTherefore, among (A) (B) (C) (D), the answer is:")

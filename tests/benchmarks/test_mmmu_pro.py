"""MMMU-Pro: the authors' own verdicts on GPT-4o, and the three settings as they are asked."""

import json
from pathlib import Path

import pandas as pd
import pytest

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.item import Item
from vaslab.errors import UsageError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "mmmu_pro"
OUTPUTS = {
    "gpt-4o_standard(10 options)_direct": "standard-10",
    "gpt-4o_standard_cot": "standard-10-cot",
    "gpt-4o_vision_direct": "vision",
    "gpt-4o_vision_cot": "vision-cot",
}
PRO = find_benchmark("mmmu-pro")


def ten(answer="E"):
    return Item("test_Art_1", "?", answer=answer, options=tuple(f"about {n} metres" for n in range(10)))


@pytest.mark.parametrize(("name", "variant"), OUTPUTS.items())
def test_every_published_verdict_is_reproduced(name, variant):
    path = FIXTURES / "output" / f"{name}.jsonl"
    published = [json.loads(line) for line in path.read_text().splitlines()]
    bench = find_benchmark(f"mmmu-pro/{variant}")
    answered = bench.answered(path)
    grades = [bench.grade(item, response) for item, response in answered]
    assert [(g.extracted, g.right) for g in grades] == [(r["pred_indexs"], r["if_right"]) for r in published]
    assert not any(grade.guessed for grade in grades)
    assert [item.kind for item, _ in answered] == [r["subject"] for r in published]


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("Answer: E", "E"),
        ("First I thought Answer: A\n\nAnswer: **E**", "E"),
        ("**Answer: (E)**", "E"),
        # two letters after "Answer:", so that the brackets decide
        ("Answer: (E) or F", "E"),
        ("E", "E"),
        ("E.", "E"),
        ("E. about 4 metres", "E"),
        # the article is the only letter before a space: a flaw of the published rule
        ("E. A good guess", "A"),
        ("it must be (B), no, (E)", "E"),
        ("D or E would fit, E is better", "E"),
        ("by the figure it is about 4 metres in all", "E"),
        ("<think>Answer: A</think><answer>E</answer>", "E"),
        (r"$\boxed{4}$, hence Answer: $E$", "E"),
    ],
)
def test_a_chosen_option_is_found(response, letter):
    grade = PRO.grade(ten(), response)
    assert (grade.extracted, grade.right, grade.guessed) == (letter, letter == "E", False)


@pytest.mark.parametrize("response", ["", "no idea", "e", "Answer: none"])
def test_where_nothing_is_found_the_rule_guesses(response):
    grade = PRO.grade(ten(), response)
    assert grade.guessed
    assert grade.extracted in "ABCDEFGHIJ"
    assert grade == PRO.grade(ten(), response)


def test_ten_and_four_options_are_asked_with_their_picture():
    items = find_benchmark(f"mmmu-pro:{FIXTURES}").select().items
    assert [len(item.options) for item in items] == [9, 10, 4]
    web = items[2]
    assert web.question == (
        "<image 1> Based on the given food web, which organism is a carnivore and is also eaten by other organism?\n"
        "A. Mice\nB. Insects\nC. Lizard\nD. Antelope\n"
        "Answer with the option letter from the given choices directly."
    )
    (turn,) = web.prompt().turns
    assert turn.pieces[0].size == (432, 273)
    assert turn.pieces[1].startswith(" Based on")
    assert PRO.chance(items) == pytest.approx((1 / 9 + 1 / 10 + 1 / 4) / 3)
    stepwise = find_benchmark(f"mmmu-pro/standard-10-cot:{FIXTURES}").select().items[2]
    assert stepwise.question.endswith("Think step by step before answering.")
    assert "'Answer: $LETTER'" in stepwise.question


def test_each_setting_is_found_in_its_folder_of_the_data_set(tmp_path):
    rows = [json.loads(line) for line in (FIXTURES / "data.jsonl").read_text().splitlines()]
    shot = (FIXTURES / "images" / "page_10.png").read_bytes()
    web = (FIXTURES / "images" / "ai2d_00001162.png").read_bytes()
    tables = {
        "standard (10 options)": {"id": "test_Biology_1", **rows[1], "image_1": {"bytes": web, "path": None}},
        "standard (4 options)": {"id": "test_Biology_1", **rows[2], "image_1": {"bytes": web, "path": None}},
        "vision": {
            "id": "validation_Energy_and_Power_24",
            "image": {"bytes": shot, "path": None},
            "options": str(rows[1]["options"]),
            "answer": "E",
            "subject": "Energy_and_Power",
        },
    }
    for folder, row in tables.items():
        (tmp_path / folder).mkdir()
        pd.DataFrame([row | {"options": str(row["options"])}]).to_parquet(
            tmp_path / folder / "test-00000-of-00001.parquet"
        )
    asked = {
        variant: find_benchmark(f"mmmu-pro/{variant}:{tmp_path}").select().items[0]
        for variant in ("standard-10", "standard-4", "vision", "vision-cot")
    }
    assert [len(item.options) for item in asked.values()] == [10, 4, 10, 10]
    seen = asked["vision"]
    assert seen.kind == "Energy_and_Power"
    assert seen.prompt().images[0].size == (1856, 1620)
    assert "evaporator" not in seen.question
    assert seen.question.startswith("Answer with the option letter")
    assert asked["vision-cot"].question.startswith("Write out the multiple-choice question in the image")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"options": "nothing"}, "options do not parse"),
        ({"options": []}, "no options"),
        ({"answer": "J"}, "answer is none of the 4 options"),
        ({"question": None}, "no question"),
        ({"image_1": "images/none.png"}, ""),
        ({"image_1": "../../secret.png"}, "leaves the folder"),
        ({"question": "see <image 2>"}, "names <image 2> and the row holds 1 pictures"),
    ],
)
def test_a_row_that_cannot_be_asked_says_why(tmp_path, change, reason):
    row = json.loads((FIXTURES / "data.jsonl").read_text().splitlines()[2])
    (tmp_path / "data.jsonl").write_text(json.dumps(row | change))
    (item,) = find_benchmark(f"mmmu-pro:{tmp_path}").select().items
    assert reason in item.broken
    assert bool(item.broken) is bool(reason)


def test_unknown_variants_are_refused():
    with pytest.raises(UsageError, match="no variant 'standard'; it has: standard-10, standard-10-cot"):
        find_benchmark("mmmu-pro/standard")

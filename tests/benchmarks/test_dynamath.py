"""DynaMath: forms on disk, the three types of answers, and the scores over variants by hand."""

import io
import json

import datasets
import pandas as pd
import pytest
from PIL import Image

from vaslab.benchmarks import Grade, Item
from vaslab.benchmarks.dynamath import DynaMath
from vaslab.benchmarks.item import JudgedBenchmark
from vaslab.errors import UsageError

# in the form of the published rows
QUESTIONS = {
    "1": ("What is the period of the curve?", "2.0944", "float", "analytic geometry"),
    "2": ("Is the graph connected? choice: (A) Yes (B) No", "B", "multiple choice", "graph theory"),
    "3": ("Which month is the warmest?", "Sep", "text", "statistics"),
}


def png(shade):
    buffer = io.BytesIO()
    Image.new("L", (8, 6), shade).save(buffer, "PNG")
    return buffer.getvalue()


def table(**more):
    return {
        key: {
            "question": q,
            "answer": a,
            "image": f"image/image{key}.png",
            "answer_type": kind,
            "subject": subject,
        }
        | more
        for key, (q, a, kind, subject) in QUESTIONS.items()
    }


def trials(folder, variants=2):
    for variant in range(1, variants + 1):
        at = folder / f"trial{variant}"
        (at / "image").mkdir(parents=True)
        (at / "dataset.json").write_text(json.dumps(table()))
        for key in QUESTIONS:
            (at / "image" / f"image{key}.png").write_bytes(png(10 * variant + int(key)))
    return folder


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    items = DynaMath(str(trials(tmp_path_factory.mktemp("trials"), 1))).items
    return {item.facts["type"]: item for item in items}


def shades(items):
    return [item.prompt().images[0].getpixel((0, 0))[0] for item in items]


def test_trial_folders_are_variants_with_pictures_of_their_own(tmp_path):
    items = DynaMath(str(trials(tmp_path))).items
    assert [item.id for item in items] == ["1-v1", "2-v1", "3-v1", "1-v2", "2-v2", "3-v2"]
    assert [item.picture_id for item in items] == ["1", "2", "3"] * 2
    assert shades(items) == [11, 12, 13, 21, 22, 23]
    assert [item.kind for item in items[:2]] == ["analytic geometry", "graph theory"]
    assert [item.answer for item in items[:3]] == ["2.0944", "B", "Sep"]


def test_one_trial_alone_says_by_its_folder_which_variant_it_is(tmp_path):
    trials(tmp_path, 3)
    items = DynaMath(str(tmp_path / "trial3" / "dataset.json")).items
    assert [item.id for item in items] == ["1-v3", "2-v3", "3-v3"]
    assert shades(items) == [31, 32, 33]


def test_the_hubs_files_and_splits_are_variants(tmp_path):
    (tmp_path / "data").mkdir()
    splits = {}
    for variant in (1, 10):
        rows = [
            {
                "id": key,
                "question": q,
                "image": f"/nowhere/{key}.png",
                "decoded_image": {"bytes": png(variant), "path": None},
                "ground_truth": a,
                "answer_type": kind,
                "subject": subject,
            }
            for key, (q, a, kind, subject) in QUESTIONS.items()
        ]
        pd.DataFrame(rows).to_parquet(tmp_path / "data" / f"sample{variant}-00000-of-00001.parquet")
        splits[f"sample_variant{variant}"] = datasets.Dataset.from_list(rows)
    expected = ["1-v1", "2-v1", "3-v1", "1-v10", "2-v10", "3-v10"]
    items = DynaMath(str(tmp_path)).items
    assert [item.id for item in items] == expected
    assert shades(items) == [1, 1, 1, 10, 10, 10]
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    assert [item.id for item in DynaMath(str(tmp_path / "saved")).items] == expected
    assert [item.id for item in DynaMath(f"{tmp_path / 'saved'}:sample_variant10").items] == expected[3:]


def test_vlmevalkits_table_names_seed_and_variant(tmp_path):
    rows = [
        {"index": 3 * v + s, "qid": s, "varid": v + 1, "question": q, "answer": a, "answer_type": t, "prediction": "B"}
        for v in range(2)
        for s, (q, a, t, _) in enumerate(QUESTIONS.values())
    ]  # fmt: skip
    pd.DataFrame(rows).to_excel(tmp_path / "out.xlsx", index=False)
    bench = DynaMath("")
    answered = bench.answered(tmp_path / "out.xlsx")
    assert [item.id for item, _ in answered] == ["0-v1", "1-v1", "2-v1", "0-v2", "1-v2", "2-v2"]
    assert [bench.grade(*each).right for each in answered] == [False, True, False] * 2


def test_official_reports_are_read_without_the_types_that_they_lack(tmp_path):
    said = {
        "1": {"solution": "2π/3", "short answer": "2.094"},
        "2": {"solution": "...", "short answer": "A"},
        "3": {"solution": "...", "short answer": "September"},
    }
    rows = {
        key: {"question": q, "subject": subject, "Ground truth": a, "response": said[key], "result": "..."}
        for key, (q, a, _, subject) in QUESTIONS.items()
    }
    (tmp_path / "trial4").mkdir()
    path = tmp_path / "trial4" / "report.json"
    path.write_text(json.dumps(rows))
    bench = DynaMath("")
    answered = bench.answered(path)
    assert [(item.id, item.facts["type"]) for item, _ in answered] == [
        ("1-v4", "float"),
        ("2-v4", "multiple choice"),
        ("3-v4", "text"),
    ]
    assert [bench.grade(*each).right for each in answered] == [True, False, True]


def test_the_prompt_asks_for_json_and_floats_for_numbers(asked):
    floats, choice = asked["float"].question, asked["multiple choice"].question
    assert floats.startswith(
        "## Question\nWhat is the period of the curve?Please answer in a floating-point number.\n"
    )
    assert choice.startswith(
        "## Question\nIs the graph connected? choice: (A) Yes (B) No\n## Answer Instruction"
    )
    for question in (floats, choice):
        example = json.loads(question[question.rindex("{") :])
        assert list(example) == ["solution", "short answer"]


def short(answer):
    return json.dumps({"solution": "...", "short answer": answer})


@pytest.mark.parametrize(
    ("response", "right", "extracted"),
    [
        # 2.0944 +- 0.001
        (short("2.094"), True, "2.094"),
        (short(2.095), True, "2.095"),
        (short("2.0955"), False, "2.0955"),
        (short("2.0933"), False, "2.0933"),
        (short("2"), False, "2"),
        (short("2.094 units"), True, "2.094 units"),
        # 0.6667 pi is 2.09450
        (short("0.6667π"), True, "0.6667π"),
        (short("π"), False, None),
        (short("2π/3"), False, "2π/3"),
        (short("about 2.094"), False, None),
        (short("$2.094$"), False, None),
        (short("nan"), False, "nan"),
        (short(""), False, None),
        (short(None), False, None),
        ('{"solution": "..."}', False, None),
        # fences, prose around, and LaTeX whose escapes are not JSON
        ("```json\n" + short("2.094") + "\n```", True, "2.094"),
        ("Here it is: " + short("2.094") + " Done.", True, "2.094"),
        (r'{"solution": "\( T = \frac{2\pi}{3} \)", "short answer": "2.094"}', True, "2.094"),
        ('{"solution": "line\nline", "short answer": "2.094"}', True, "2.094"),
        # no JSON: the last line
        ("The period is 2π/3.\n2.094", True, "2.094"),
        ("2.094.", True, "2.094"),
        ("The period is 2.094", False, None),
        (r"so \frac{2}{3} \pi" + "\n2.094", True, "2.094"),
        ("<think>{3}</think><answer>2.094</answer>", True, "2.094"),
        ("I cannot see the picture.", False, None),
        ("", False, None),
        ("  \n ", False, None),
        ("a { b } c " * 20_000 + "\n2.094", True, "2.094"),
    ],
)
def test_numbers_are_compared_within_a_thousandth(asked, response, right, extracted):
    grade = DynaMath("").grade(asked["float"], response)
    assert (grade.right, grade.extracted, grade.by) == (right, extracted, "rule")
    assert bool(grade.reason) == (extracted is None)


@pytest.mark.parametrize(
    ("response", "right"),
    [
        (short("B"), True),
        (short("(B)"), True),
        (short("B) No"), True),
        (short("B: No"), True),
        (short("A"), False),
        (short("b"), False),
        (short("No"), False),
        # after the first three characters
        (short("The answer is B"), False),
        ("It is not connected.\nB.", True),
        ("<answer>B</answer>", True),
        ("", False),
    ],
)
def test_a_choice_is_its_letter(asked, response, right):
    assert DynaMath("").grade(asked["multiple choice"], response).right is right


@pytest.mark.parametrize(
    ("response", "right"),
    [(short("Sep"), True), (short("In September"), True), (short("sep"), False), ("Oct", False)],
)
def test_a_text_holds_the_reference(asked, response, right):
    assert DynaMath("").grade(asked["text"], response).right is right


def item(seed, variant):
    return Item(f"{seed}-v{variant}", "q", facts={"type": "float", "seed": seed, "variant": str(variant)})


def test_average_and_worst_case_by_hand():
    # a: all ten right, b: the first nine, c: the first alone
    right = {"a": 10, "b": 9, "c": 1}
    pairs = [(item(seed, v), Grade(v <= n, "1")) for seed, n in right.items() for v in range(1, 11)]
    bench = DynaMath("")
    items, grades = zip(*pairs, strict=True)
    found = bench.scores(items, grades)
    assert found == {
        "average": pytest.approx(20 / 30),
        "worst case": pytest.approx(1 / 3),
        "robustness": pytest.approx((1 / 3) / (20 / 30)),
    }
    # c's last variant missing: the mean over variants is not the mean over items, the worst case is over a and b
    found = bench.scores(items[:-1], grades[:-1])
    assert found["average"] == pytest.approx((1 + 8 * 2 / 3 + 1 / 2) / 10)
    assert found["worst case"] == pytest.approx(1 / 2)
    # no seed whole: no worst case
    assert bench.scores(items[:5], grades[:5]) == {"average": 1.0}
    assert bench.scores([], []) == {}
    # nothing right: no ratio
    wrong = [Grade(False, None, "x")] * 10
    assert bench.scores(items[:10], wrong) == {"average": 0.0, "worst case": 0.0}


def test_a_limit_takes_whole_seed_questions_first(tmp_path):
    bench = DynaMath(str(trials(tmp_path, 10)))
    one, more = (bench.select(limit, seed=4).items for limit in (10, 15))
    assert len({each.picture_id for each in one}) == 1
    assert {each.id for each in one} < {each.id for each in more}
    assert len(more) == 15
    order = [each.id for each in bench.items]
    assert [each.id for each in more] == sorted((each.id for each in more), key=order.index)
    assert bench.select(99).total == 30
    with pytest.raises(UsageError, match="limit is 0"):
        bench.select(0)
    assert {bench.select(10, seed).items[0].picture_id for seed in range(20)} == {"1", "2", "3"}


def test_a_judge_shortens_what_the_rule_cannot_read(asked):
    bench, prompts = DynaMath(""), []
    assert isinstance(bench, JudgedBenchmark)

    def ask(prompt):
        prompts.append(prompt)
        return "2.094"

    assert not bench.judge(asked["float"], short("2.2"), ask).right
    assert not prompts
    assert bench.judge(asked["float"], "The period is 2.094 s, as I said", ask).right
    assert bench.judge(asked["float"], short("about 2.094"), ask).right
    assert "one number with three decimals" in prompts[0]
    assert not bench.judge(asked["multiple choice"], short("no"), ask).right
    assert "letter" in prompts[-1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": float("nan")}, "no answer"),
        ({"question": ""}, "no question"),
        ({"image": None}, "no picture"),
    ],
)
def test_a_broken_row_says_why(tmp_path, change, reason):
    trials(tmp_path, 1)
    (tmp_path / "trial1" / "dataset.json").write_text(json.dumps(table(**change)))
    assert all(reason in each.broken for each in DynaMath(str(tmp_path)).items)


def test_a_reference_that_is_no_number_is_never_met(tmp_path):
    trials(tmp_path, 1)
    (tmp_path / "trial1" / "dataset.json").write_text(json.dumps(table(answer="[1, 2]", answer_type="float")))
    bench = DynaMath(str(tmp_path))
    assert bench.grade(bench.items[0], short("1")) == Grade(False, None, "reference is no number")

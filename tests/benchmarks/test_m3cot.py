"""M3CoT: rows of our own in the form of the published ones, which are CC BY-SA."""

import io
import json

import pandas as pd
import pytest
from PIL import Image

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.item import JudgedBenchmark
from vaslab.benchmarks.m3cot import M3Cot
from vaslab.errors import UsageError

ROW = {
    "id": "physics-1",
    "category": "Materials",
    "image_id": "1",
    "question": "What do these three things have in common?",
    "choices": ["they are soft", "they are green", "they float"],
    "context": "",
    "answer": "B",
    "rationale": "...",
    "split": "test",
    "image": "images/physics-1.png",
    "domain": "commonsense",
    "topic": "physical-commonsense",
}


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), "green").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "images" / "physics-1.png").write_bytes(png())
    return tmp_path


def written(folder, rows):
    (folder / "data" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return M3Cot(str(folder)).items


def test_the_official_folder_is_read(folder):
    (item,) = written(folder, [ROW])
    assert (item.id, item.kind, item.answer, item.options) == (
        "physics-1",
        "physical-commonsense",
        "B",
        tuple(ROW["choices"]),
    )
    assert item.question == (
        "[Question]\nWhat do these three things have in common?\n"
        "[Choices]\n(A) they are soft\n(B) they are green\n(C) they float"
    )
    assert item.prompt().images[0].size == (6, 4)


def test_context_stands_first_and_steps_are_asked_for_last(folder):
    (folder / "test.jsonl").write_text(json.dumps(ROW | {"context": "Select the best answer."}))
    (item,) = find_benchmark(f"m3cot/cot:{folder}").items
    assert item.question.startswith("[Context]\nSelect the best answer.\n[Question]\nWhat do")
    assert item.question.endswith("(C) they float\n\nLet's think step-by-step!")
    with pytest.raises(UsageError, match="no variant 'few-shot'"):
        find_benchmark("m3cot/few-shot:x")


def test_the_hubs_parquet_is_read(tmp_path):
    (tmp_path / "data").mkdir()
    row = ROW | {"image": {"bytes": png(), "path": None}}
    pd.DataFrame([row]).to_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    (item,) = M3Cot(str(tmp_path)).items
    assert (item.options, item.answer) == (tuple(ROW["choices"]), "B")
    assert item.prompt().images[0].size == (6, 4)


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        # 1: the last letter in round brackets, also a small one
        ("The answer is:\n(B) they are green.", "B"),
        ("(A) is wrong, (C) too. So (B)", "B"),
        ("(b)</s>", "B"),
        # ... also one that is no option, which is then wrong
        ("(B), as the others are not option(s)", "S"),
        # 2: the text of an option; where several stand there, the last in the order of the choices
        ("All of THEY ARE GREEN, I think", "B"),
        ("they float, they are soft", "C"),
        # 3: a capital alone; punctuation is no part of a word
        ("B.", "B"),
        ("Answer: B\nSure!", "B"),
        # "A" may be an article: the later letter of the choices wins
        ("A clear case of B", "B"),
        # 4: a small letter alone
        ("it is b", "B"),
        # what stands after [Answer] alone counts
        ("(A) (C) [Answer] (B) [Rationale] (C) is wrong", "B"),
        ("<think>(A)</think><answer>B</answer>", "B"),
        ("They are all green", None),
        ("Sorry, I cannot help with that.", None),
        ("", None),
        (" \n", None),
        ("word " * 50_000 + "(B)", "B"),
    ],
)
def test_the_official_steps_of_extraction(folder, response, letter):
    (item,) = written(folder, [ROW])
    grade = M3Cot("").grade(item, response)
    assert (grade.extracted, grade.right) == (letter, letter == "B")
    assert bool(grade.reason) == (letter is None)


def test_official_outputs_are_dialogues_whose_last_turn_counts(folder):
    output = {
        "id": "physics-1",
        "answer": "B",
        "choices": ROW["choices"],
        "domain": "commonsense",
        "topic": "physical-commonsense",
        "messages": ["[Question] ...", "They look green (A)", "Please select", "(B)</s>"],
    }
    (folder / "cot.jsonl").write_text(json.dumps(output))
    bench = M3Cot("")
    ((item, response),) = bench.answered(folder / "cot.jsonl")
    assert response == "(B)</s>"
    assert bench.grade(item, response).right
    assert bench.chance([item]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"choices": ["a"]}, "expected 2 to 6 with text"),
        ({"choices": list("abcdefg")}, "expected 2 to 6 with text"),
        # an empty option stands in every response
        ({"choices": ["a", ""]}, "expected 2 to 6 with text"),
        ({"choices": "nothing"}, "options do not parse"),
        ({"answer": "D"}, "answer 'D' is none of the letters of 3 choices"),
        ({"answer": "AB"}, "answer 'AB' is none of the letters of 3 choices"),
        ({"answer": None}, "no answer"),
        ({"question": " "}, "no question"),
        ({"image": None}, "no picture"),
    ],
)
def test_a_broken_row_says_why(folder, change, reason):
    assert reason in written(folder, [ROW | change])[0].broken


def test_a_number_is_an_answer_too(folder):
    assert written(folder, [ROW | {"answer": 1}])[0].answer == "B"


def test_a_judge_is_asked_only_where_the_rule_finds_nothing(folder):
    (item,) = written(folder, [ROW])
    bench, asked = M3Cot(""), []
    assert isinstance(bench, JudgedBenchmark)

    def ask(prompt):
        asked.append(prompt)
        return "(B)"

    assert not bench.judge(item, "(A)", ask).right
    assert not asked
    assert bench.judge(item, "Their colour is the same", ask).right
    assert "(A), (B), (C)" in asked[0]

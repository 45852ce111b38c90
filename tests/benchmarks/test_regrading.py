"""Responses on disk find their items, are graded by rule or by a protocol with a judge, and are counted."""

import json
import threading
import time

import pandas as pd
import pytest

from tests.benchmarks.judge_server import Chat, serving
from tests.benchmarks.judged_toy import JudgedToy, says
from vaslab.benchmarks import Grade, Item, find_benchmark
from vaslab.benchmarks.answered import Answered, read_answers
from vaslab.benchmarks.grading import by_judge, by_rule, counts, rows_text
from vaslab.benchmarks.item import JudgedBenchmark
from vaslab.benchmarks.judge import Judge
from vaslab.benchmarks.own import OwnFile
from vaslab.errors import UsageError, VaslabError

OUTPUT = [
    {"id": 1, "question": "?", "answer": "red", "response": "red"},
    {"id": 2, "question": "?", "answer": "blue", "response": "it is blue"},
    {"id": 3, "question": "?", "answer": "lime", "response": "it is red"},
    {"id": 4, "question": "", "answer": "teal", "response": "teal"},
    {"id": 1, "question": "?", "answer": "red", "response": "red"},
    {"id": 5, "question": "?", "answer": "red", "response": None},
]


@pytest.fixture
def output(tmp_path):
    path = tmp_path / "output.json"
    path.write_text(json.dumps(OUTPUT))
    return path


def verdicts(grades):
    return [(grade.right, grade.by) for grade in grades]


def test_an_official_output_is_graded_by_its_own_rows(output):
    answers = read_answers(JudgedToy(""), [output])
    assert answers.missing is None
    held = answers.responses
    assert [each.item.id for each in held] == ["1", "2", "3", "4", "1", "5"]
    assert [each.broken for each in held] == ["", "", "", "no question", "duplicate id '1'", ""]
    grades = by_rule(JudgedToy(""), held)
    assert [grade.right for grade in grades] == [True, False, False, None, None, False]
    found = counts(JudgedToy(""), held, grades)
    assert found["broken"] == {"no question": 1, "duplicate id": 1}
    # the empty response alone has nothing extracted
    assert (found["n"], found["n_graded"], found["right"], found["not_extracted"]) == (6, 4, 1, 1)
    assert (found["scores"], found["chance"], found["by"]) == ({}, None, {"rule": 4})


def test_with_a_path_the_data_say_what_was_asked(output, tmp_path):
    data = [{"id": i, "question": "?", "answer": "red", "image": "a.png"} for i in (3, 2, 9)]
    (tmp_path / "toy.jsonl").write_text("\n".join(map(json.dumps, data)))
    bench = JudgedToy(str(tmp_path / "toy.jsonl"))
    answers = read_answers(bench, [output])
    assert answers.missing == 1
    assert [each.broken for each in answers.responses][:3] == ["no item of judged-toy has this id", "", ""]
    # by the data's answers, not by those in the file
    assert [g.right for g in by_rule(bench, answers.responses)][1:3] == [False, False]
    assert [each.item.answer for each in answers.responses][1:3] == ["red", "red"]


def test_answers_may_stand_in_several_files(tmp_path):
    for name, rows in (("a", OUTPUT[:2]), ("b", OUTPUT[2:4]), ("c", OUTPUT[4:5])):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    held = read_answers(JudgedToy(""), [tmp_path / f"{name}.json" for name in "abc"]).responses
    assert [each.item.id for each in held] == ["1", "2", "3", "4", "1"]
    assert held[-1].broken == "duplicate id '1'"


@pytest.fixture(scope="module")
def glyph():
    return find_benchmark("glyph")


@pytest.mark.parametrize("ending", ["xlsx", "csv", "parquet", "jsonl"])
def test_shipped_benchmarks_find_their_items_by_id(tmp_path, glyph, ending):
    items = glyph.select(3).items
    frame = pd.DataFrame([{"id": item.id, "prediction": item.answer} for item in items])
    frame.loc[1, "prediction"] = "nothing of the kind"
    path = tmp_path / f"out.{ending}"
    writers = {"xlsx": frame.to_excel, "csv": frame.to_csv, "parquet": frame.to_parquet}
    if ending == "jsonl":
        path.write_text("\n".join(map(json.dumps, frame.to_dict("records"))))
    else:
        writers[ending](path, **({} if ending == "parquet" else {"index": False}))
    answers = read_answers(glyph, [path])
    assert answers.missing == 2000 - 3
    assert [g.right for g in by_rule(glyph, answers.responses)] == [True, False, True]


def test_a_file_without_responses_or_of_another_benchmark_is_refused(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text('{"id": "a", "answer": "yes"}\n')
    with pytest.raises(UsageError, match="no response; expected a column response or prediction"):
        read_answers(find_benchmark("easy-vqa"), [path])
    path.write_text('{"id": "a", "response": "yes"}\n')
    with pytest.raises(
        UsageError, match=r"answers 'a', and no item of easy-vqa has .* such as 'easy-vqa-test-0000'"
    ):
        read_answers(find_benchmark("easy-vqa"), [path])


def test_a_run_says_why_an_item_could_not_be_asked(tmp_path):
    (tmp_path / "mine.jsonl").write_text(
        "".join(f'{{"id": {i}, "image": "a.png", "question": "?", "answer": "yes"}}\n' for i in (1, 2))
    )
    rows = [
        {"id": "1", "response": None, "right": None, "error": "no file at x/1.png", "error_kind": "no file"},
        {"id": "2", "response": "Yes.", "right": False, "error": "", "error_kind": ""},
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench = OwnFile(tmp_path / "mine.jsonl")
    held = read_answers(bench, [tmp_path / "items.jsonl"]).responses
    grades = by_rule(bench, held)
    assert [(g.right, g.reason) for g in grades] == [(None, "no file at x/1.png"), (True, "")]
    found = counts(bench, held, grades)
    assert found["broken"] == {"no file": 1}
    assert found["changed"] == 1


def test_a_guess_is_counted_apart(tmp_path):
    bench = JudgedToy("")
    held = [Answered(Item(str(n), "?"), "x") for n in range(6)]
    grades = [
        Grade(True, "a"),
        Grade(False, "b"),
        Grade(True, "a", guessed=True),
        Grade(False, "b", guessed=True),
        Grade(False, None, "nothing found"),
        Grade(None, None, "no reference answer"),
    ]
    found = counts(bench, held, grades)
    assert (found["n_graded"], found["right"], found["right_without_guesses"]) == (5, 2, 1)
    assert (found["guessed"], found["not_extracted"]) == (2, 1)
    assert found["not_graded"] == {"no reference answer": 1}
    assert counts(bench, held[5:], grades[5:])["chance"] is None


def test_scores_and_chance_are_the_benchmarks_own_over_what_was_graded():
    class Halves(JudgedToy):
        def scores(self, items, grades):
            return {each.id: float(grade.right) for each, grade in zip(items, grades, strict=True)}

    held = [Answered(Item(name, "?", options=tuple("abcd")[:n]), "x") for name, n in (("p", 2), ("q", 4))]
    found = counts(Halves(""), held, [Grade(True, "a"), Grade(False, "b")])
    assert found["scores"] == {"p": 1.0, "q": 0.0}
    assert found["chance"] == (1 / 2 + 1 / 4) / 2
    found = counts(Halves(""), held, [Grade(None, None, "?"), Grade(False, "b")])
    assert (found["scores"], found["chance"]) == ({"q": 0.0}, 1 / 4)


def test_rows_hold_the_verdict_and_who_gave_it():
    held = [Answered(Item("7", "?", answer="b", kind="k", picture_id="p"), "it is a")]
    (line,) = rows_text(held, [Grade(False, "a", "", True, "judge-1")]).splitlines()
    assert json.loads(line) == {
        "id": "7", "picture": "p", "kind": "k", "answer": "b", "response": "it is a", "extracted": "a",
        "right": False, "guessed": True, "by": "judge-1", "reason": "", "error": "",
    }  # fmt: skip


def judged(tmp_path, output, chat, jobs=3, **more):
    with (
        serving(chat) as address,
        Judge(address, "judge-1", tmp_path / "cache", wait=lambda _: None) as judge,
    ):
        held = read_answers(JudgedToy(""), [output]).responses
        return by_judge(JudgedToy(""), held, judge, jobs, **more), judge


def test_a_protocol_with_a_judge_is_gone_through_step_by_step(tmp_path, output):
    chat, heard = Chat(says), []
    output.write_text(json.dumps(OUTPUT[:5]))
    grades, judge = judged(tmp_path, output, chat, watch=lambda done, of: heard.append((done, of)))
    assert isinstance(JudgedToy(""), JudgedBenchmark)
    # the first needed no judge; the broken ones were not put before it
    assert verdicts(grades) == [
        (True, "rule"), (True, "judge-1"), (False, "judge-1"), (None, "rule"), (None, "rule")
    ]  # fmt: skip
    assert [grade.extracted for grade in grades] == ["red", "blue", "red", None, None]
    assert sorted(chat.asked) == [
        "extract from: it is blue", "extract from: it is red", "same? blue / blue", "same? red / lime"
    ]  # fmt: skip
    assert heard == [(1, 2), (2, 2), (1, 2), (2, 2)]
    assert (judge.usage.calls, judge.usage.cached) == (4, 0)
    again = Chat(says)
    same, judge = judged(tmp_path, output, again)
    assert same == grades
    assert again.asked == []
    assert (judge.usage.calls, judge.usage.cached) == (0, 4)


def test_equal_prompts_are_asked_once_and_several_at_a_time(tmp_path, output):
    rows = [{"id": n, "question": "?", "answer": "red", "response": f"maybe {n % 10}"} for n in range(40)]
    output.write_text(json.dumps(rows))
    several = threading.Event()

    def said(prompt):
        # the first waits until a second is under way
        if chat.at_once > 1:
            several.set()
        several.wait(60)
        return says(prompt)

    chat = Chat(said)
    grades, _ = judged(tmp_path, output, chat, jobs=5)
    assert len(grades) == 40
    assert len(chat.asked) == len(set(chat.asked)) == 20
    assert 2 <= chat.most_at_once <= 5


def test_a_refused_prompt_is_a_grade_without_verdict_and_the_rest_goes_on(tmp_path, output):
    output.write_text(json.dumps(OUTPUT[1:3]))
    chat = Chat(says, [None, 400])
    grades, _ = judged(tmp_path, output, chat, jobs=1)
    assert verdicts(grades) == [(True, "judge-1"), (None, "judge-1")]
    assert grades[1].reason.startswith("judge-1 refused the prompt (HTTP 400: no, not with none")


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_judge_that_fails_ends_it_and_what_was_answered_is_kept(tmp_path, output, jobs):
    rows = [{"id": n, "question": "?", "answer": "red", "response": f"maybe {n}"} for n in range(20)]
    output.write_text(json.dumps(rows))
    chat = Chat(says, [None, None, None, *[401] * 40])
    with serving(chat) as address, Judge(address, "judge-1", tmp_path / "cache") as judge:
        with pytest.raises(VaslabError, match="refused the key"):
            by_judge(JudgedToy(""), read_answers(JudgedToy(""), [output]).responses, judge, jobs)
    assert len(chat.asked) <= 3 + 2 * jobs
    # what was under way when the first failed ends by itself
    while judge.usage.calls < len(chat.asked):
        time.sleep(0.01)
    again = Chat(says)
    grades, judge = judged(tmp_path, output, again, jobs=jobs)
    assert len(grades) == 20
    assert judge.usage.cached == 3
    assert len(again.asked) == 40 - 3


def test_a_protocol_without_a_judge_takes_none(tmp_path):
    with Judge("http://127.0.0.1:9/v1", "m", tmp_path) as judge:
        with pytest.raises(UsageError, match="easy-vqa is graded by rule alone"):
            by_judge(find_benchmark("easy-vqa"), [], judge)

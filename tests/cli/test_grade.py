"""`vaslab grade`: runs and output files get verdicts, one JSON line, and stay as they are."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.benchmarks.judge_server import Chat, serving
from tests.benchmarks.judged_toy import JudgedToy, says
from vaslab.benchmarks import find_benchmark, registry

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def known(monkeypatch, tmp_path):
    monkeypatch.setitem(registry.TABLES, "judged-toy", JudgedToy)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VASLAB_JUDGE_KEY", raising=False)


@pytest.fixture
def output(tmp_path):
    """Twelve rows: 6 right as they stand, 3 that only a judge sees are right, 2 wrong, 1 broken."""
    said = ["red"] * 6 + ["it is red"] * 3 + ["it is blue", "blue"] + ["red"]
    rows = [
        {"id": n, "question": "?", "answer": "red", "response": response} for n, response in enumerate(said)
    ]
    rows[-1]["question"] = ""
    path = tmp_path / "output.json"
    path.write_text(json.dumps(rows))
    return path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_of_which_nothing_can_be_graded_is_a_failure(vaslab, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps([{"id": 1, "question": "?", "response": "red"}]))
    code, told, err = vaslab("grade", path, "--benchmark", "judged-toy")
    assert code == 1
    assert json.loads(told)["n_graded"] == 0
    assert err.strip().splitlines()[-1].startswith("error: none of 1 responses could be graded: ")
    assert "is this an output of judged-toy" in err


def test_an_output_file_is_graded_by_rule(vaslab, output):
    before = output.read_bytes()
    code, told, err = vaslab("grade", output, "--benchmark", "judged-toy")
    assert code == 0, err
    assert told.count("\n") == 1
    summary = json.loads(told)
    # Wilson, 6 of 11, by hand: centre (6 + z^2/2)/(11 + z^2), half width z/(11+z^2) sqrt(6*5/11 + z^2/4), z = 1.959964
    assert summary["accuracy"]["estimate"] == 6 / 11
    assert summary["accuracy"]["low"] == pytest.approx(0.2800915, abs=1e-7)
    assert summary["accuracy"]["high"] == pytest.approx(0.7872873, abs=1e-7)
    assert (summary["n"], summary["n_graded"], summary["broken"]) == (12, 11, {"no question": 1})
    assert (summary["judge"], summary["by"], summary["chance"]) == (None, {"rule": 11}, None)
    assert summary["rows"] == str(output.with_suffix(".rule.jsonl"))
    rows = [json.loads(line) for line in output.with_suffix(".rule.jsonl").read_text().splitlines()]
    assert [row["right"] for row in rows] == [True] * 6 + [False] * 5 + [None]
    assert rows[-1]["error"] == "no question"
    assert "54.5 [28.0–78.7]" in err
    assert "broken: no question" in err
    assert output.read_bytes() == before


def test_files_of_one_model_are_graded_together(vaslab, output, tmp_path):
    rows = json.loads(output.read_text())
    files = [tmp_path / name / "output.json" for name in ("Art", "Math")]
    for file, some in zip(files, (rows[:5], rows[5:]), strict=True):
        file.parent.mkdir()
        file.write_text(json.dumps(some))
    code, told, err = vaslab("grade", *files, "-b", "judged-toy")
    assert code == 0, err
    together, alone = json.loads(told), json.loads(vaslab("grade", output, "-b", "judged-toy")[1])
    assert together["files"] == [str(file) for file in files]
    assert together["rows"] == str(tmp_path / "graded.rule.jsonl")
    differ = {"files", "rows"}
    assert {k: v for k, v in together.items() if k not in differ} == {
        k: v for k, v in alone.items() if k not in differ
    }


def test_a_judge_is_asked_once_and_named(vaslab, output, monkeypatch):
    monkeypatch.setenv("VASLAB_JUDGE_KEY", KEY)
    chat = Chat(says)
    with serving(chat) as address:
        words = ["grade", output, "-b", "judged-toy", "--judge", address, "--judge-model", "org/j-1"]
        code, told, err = vaslab(*words)
        assert code == 0, err
        first = json.loads(told)
        again = json.loads(vaslab(*words)[1])
    assert first["accuracy"]["right"] == 9
    assert first["by"] == {"org/j-1": 5, "rule": 6}
    assert first["rows"] == str(output.with_suffix(".org-j-1.jsonl"))
    # three responses are alike: 3 to extract from, 2 to compare
    assert (first["judge"]["calls"], first["judge"]["cached"], len(chat.asked)) == (5, 0, 5)
    assert first["judge"]["prompt_tokens"] == sum(len(prompt.split()) for prompt in chat.asked)
    assert first["judge"]["completion_tokens"] == 10
    assert (again["judge"]["calls"], again["judge"]["cached"]) == (0, 5)
    assert again["accuracy"] == first["accuracy"]
    assert "5 calls" in err
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in chat.headers)


def test_the_key_is_in_nothing_that_is_written_or_said(vaslab, output, tmp_path, monkeypatch):
    monkeypatch.setenv("VASLAB_JUDGE_KEY", KEY)
    heard = ""
    for script, code in (([], 0), ([401], 1), ([404], 1), ([400] * 3, 1), ([f"<p>{KEY}</p>"], 1)):
        chat = Chat(
            lambda prompt: f"{says(prompt)} {KEY}" if prompt.startswith("same") else says(prompt), script
        )
        with serving(chat) as address:
            words = [
                "--judge",
                address,
                "--judge-model",
                f"m{len(heard)}",
                "--out",
                tmp_path / f"{len(heard)}.jsonl",
            ]
            got, told, err = vaslab("grade", output, "-b", "judged-toy", *words)
        assert got == code, err
        assert chat.headers[0]["Authorization"] == f"Bearer {KEY}"
        if code:
            assert err.startswith("error: ")
            assert (told, err.count("\n")) == ("", 1)
        heard += told + err
    assert "***" in heard
    assert KEY not in heard
    files = contents(tmp_path)
    assert len(files) > 3
    assert any(b"no ***" in data for data in files.values())
    assert not [path for path, data in files.items() if KEY.encode() in data]


def test_a_killed_grading_goes_on_and_asks_nothing_twice(output, tmp_path):
    rows = [{"id": n, "question": "?", "answer": "red", "response": f"maybe {n} red"} for n in range(30)]
    output.write_text(json.dumps(rows))
    program = [sys.executable, "-m", "tests.benchmarks.judged_toy", "grade", str(output), "-b", "judged-toy"]
    # at each kill two requests are under way
    chat = Chat(says, [*[None] * 5, 90.0, 90.0, *[None] * 11, 90.0, 90.0])
    with serving(chat) as address:
        program += ["--judge", address, "--judge-model", "j", "--jobs", "2"]
        for asked in (7, 20):
            process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            while len(chat.asked) < asked and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode == -signal.SIGKILL
        done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["accuracy"]["right"] == 30
    # 30 to extract from and one to compare; at most two were under way at each kill
    assert len(set(chat.asked)) == 31
    assert len(chat.asked) <= 31 + 2 * 2
    assert summary["judge"]["calls"] + summary["judge"]["cached"] == 31
    assert summary["judge"]["cached"] >= 20 - 2 * 2


def test_an_interrupt_ends_with_one_line_and_keeps_what_was_answered(output):
    rows = [{"id": n, "question": "?", "answer": "red", "response": f"maybe {n}"} for n in range(30)]
    output.write_text(json.dumps(rows))
    chat = Chat(says, [None] * 20 + [90.0] * 10)
    with serving(chat) as address:
        program = [
            sys.executable,
            "-m",
            "tests.benchmarks.judged_toy",
            "grade",
            str(output),
            "-b",
            "judged-toy",
        ]
        program += ["--judge", address, "--judge-model", "j", "--jobs", "2"]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while len(chat.asked) < 22 and process.poll() is None:
            time.sleep(0.005)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        told, err = process.communicate(timeout=80)
    # it does not wait for the server, which is silent for 90 s
    assert time.monotonic() - began < 60
    assert (process.returncode, told) == (130, "")
    assert err.startswith("error: interrupted; 20 requests were answered and are kept in ")
    assert err.count("\n") == 1
    assert not output.with_suffix(".j.jsonl").exists()


@pytest.mark.tiny
def test_a_run_is_graded_again_and_stays_as_it_is(vaslab, a_run):
    before = contents(a_run)
    code, told, err = vaslab("grade", a_run)
    assert code == 0, err
    summary = json.loads(told)
    held = json.loads((a_run / "summary.json").read_text())["accuracy"]
    assert summary["accuracy"] == {
        **{name: held[name] for name in ("estimate", "low", "high", "n", "method")},
        "right": round(held["estimate"] * held["n"]),
    }
    assert (summary["benchmark"], summary["n"], summary["missing"]) == ("glyph", 6, 0)
    assert (summary["changed"], summary["differing"]) == (0, 0)
    assert 0 < summary["chance"] < 1
    grades = a_run / "grades" / "rule.jsonl"
    assert summary["rows"] == str(grades)
    after = contents(a_run)
    assert {path for path in after if path not in before} == {grades}
    assert {path: after[path] for path in before} == before
    # the rows of the run are an output file as well
    code, told, _ = vaslab(
        "grade", a_run / "items.jsonl", "-b", "glyph", "-o", a_run / "grades" / "again.jsonl"
    )
    assert json.loads(told)["missing"] == 2000 - 6
    assert (a_run / "grades" / "again.jsonl").read_bytes() == grades.read_bytes()
    for path in (grades, a_run / "grades" / "again.jsonl"):
        path.unlink()
    (a_run / "grades").rmdir()


@pytest.mark.tiny
def test_verdicts_that_change_and_data_that_changed_are_said(vaslab, tiny, picture, tmp_path):
    data = tmp_path / "mine.jsonl"
    row = {"id": "1", "image": "picture.png", "question": "what?", "answer": "nothing like it"}
    data.write_text(json.dumps(row) + "\n")
    run = tmp_path / "run"
    assert vaslab("measure", "-m", tiny, "-d", data, "-o", run, "--max-new-tokens", 2)[0] == 0
    told = json.loads((run / "items.jsonl").read_text())
    (run / "items.jsonl").write_text(json.dumps({**told, "response": "A cup.", "right": False}) + "\n")
    data.write_text(json.dumps({**row, "answer": "a cup"}) + "\n")
    code, told, err = vaslab("grade", run)
    assert code == 0, err
    assert (json.loads(told)["changed"], json.loads(told)["differing"]) == (1, 1)
    assert "the reference answers of 1 rows are others" in err
    data.rename(tmp_path / "moved.jsonl")
    code, _, err = vaslab("grade", run)
    assert code == 3
    assert "lie elsewhere now, say --benchmark NAME:PATH" in err
    code, told, err = vaslab("grade", run, "--benchmark", tmp_path / "moved.jsonl")
    assert code == 0, err
    assert json.loads(told)["accuracy"]["estimate"] == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["gone.json", "-b", "judged-toy"], 3, "no data file at gone.json"),
        (["OUT"], 2, "add --benchmark NAME"),
        (["OUT", "-b", "mathvsta"], 2, "unknown data 'mathvsta'"),
        (["OUT", "-b", "easy-vqa"], 2, "no item of easy-vqa has an id of this file"),
        (["OUT", "-b", "judged-toy", "--judge", "http://127.0.0.1:9/v1"], 2, "--judge-model belong together"),
        (["OUT", "-b", "judged-toy", "--judge-model", "m"], 2, "--judge and --judge-model"),
        (["OUT", "-b", "judged-toy", "--judge", "nowhere", "--judge-model", "m"], 2, "an address such as"),
        (
            ["OUT", "-b", "judged-toy", "--judge", "http://127.0.0.1:9/v1", "--judge-model", "m"],
            1,
            "no judge at",
        ),
        (["OUT", "-b", "judged-toy", "-o", "OUT"], 2, "itself, which stays as it is"),
        (["OUT", "-b", "judged-toy", "-o", "OTHER"], 2, "holds no graded rows; choose another --out"),
        (["FOLDER"], 3, "there is no run at"),
        (["OUT", "FOLDER", "-b", "judged-toy"], 2, "name one run folder, or output files alone"),
    ],
)
def test_a_wrong_call_is_one_line(vaslab, output, tmp_path, words, code, said):
    (tmp_path / "thesis.tex").write_text("years of work")
    places = {"OUT": output, "OTHER": tmp_path / "thesis.tex", "FOLDER": tmp_path}
    before = contents(tmp_path)
    got, told, err = vaslab("grade", *(places.get(word, word) for word in words))
    assert (got, told) == (code, ""), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert contents(tmp_path) == before


def test_a_benchmark_without_a_judge_in_its_protocol_takes_none(vaslab, tmp_path):
    (item,) = find_benchmark("glyph").select(1).items
    (tmp_path / "out.jsonl").write_text(json.dumps({"id": item.id, "response": item.answer}) + "\n")
    words = ["--judge", "http://127.0.0.1:9/v1", "--judge-model", "m"]
    code, _, err = vaslab("grade", tmp_path / "out.jsonl", "-b", "glyph", *words)
    assert code == 2
    assert "graded by rule alone" in err


def test_a_folder_that_cannot_be_written_is_one_line(vaslab, output, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr("pathlib.Path.replace", full)
    code, told, err = vaslab("grade", output, "-b", "judged-toy")
    assert (code, told) == (1, "")
    assert "No space left on device" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob(".*"))

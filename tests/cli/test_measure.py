import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from safetensors import safe_open

from vaslab.studies.ledger import Ledger

pytestmark = pytest.mark.tiny


def test_from_a_picture_and_a_question_to_a_vas_figure(vaslab, tiny, picture, tmp_path):
    out = tmp_path / "runs" / "mine"
    code, told, table = vaslab(
        "measure",
        "-m",
        tiny,
        "--image",
        picture,
        "--question",
        "what is it?",
        "-o",
        out,
        "--max-new-tokens",
        3,
    )
    assert (code, told) == (0, f"{out}\n")
    for word in ("VAS (mean of ratios)", "visual mass", "system mass", "user mass", "accuracy"):
        assert word in table
    summary = json.loads((out / "summary.json").read_text())
    assert summary["queries"]["user"]["vas"]["estimate"] > 0
    assert summary["accuracy"]["estimate"] is None
    code, told, _ = vaslab("figure", "heads", out, "--format", "html")
    assert (code, told) == (0, f"{out}/figures/heads.html\n")
    assert (out / "figures" / "heads.csv").is_file()


def test_a_run_folder_holds_what_the_contract_says(a_run, tiny):
    names = {"config.yaml", "environment.json", "proof.json", "items.jsonl", "capture.zarr", "summary.json"}
    assert {path.name for path in a_run.iterdir()} == names
    environment = json.loads((a_run / "environment.json").read_text())
    assert environment["fixed"]["versions"]["torch"].startswith("2.13")
    assert environment["fixed"]["threads"] >= 1
    assert environment["seed"] == 0
    with safe_open(f"{tiny}/model.safetensors", "pt") as held:
        assert environment["parameters"] == sum(held.get_tensor(name).numel() for name in held.keys())  # noqa: SIM118
    assert environment["sessions"][0]["command"]
    assert json.loads((a_run / "proof.json").read_text())["passed"] is True
    config = yaml.safe_load((a_run / "config.yaml").read_text())
    assert (config["limit"], config["resolved"]["n_items"]) == (6, 6)
    assert "drawn with seed 0" in config["resolved"]["items"]
    rows = [json.loads(line) for line in (a_run / "items.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    assert {"question", "response", "extracted", "right", "answer", "error"} <= set(rows[0])


def test_a_run_made_again_from_its_own_config_has_the_same_bits(vaslab, a_run, tmp_path):
    out = tmp_path / "again"
    code, _, err = vaslab("measure", "--config", a_run / "config.yaml", "--out", out)
    assert code == 0, err
    for name in ("items.jsonl", "summary.json"):
        assert (out / name).read_bytes() == (a_run / name).read_bytes()


def test_flags_win_over_the_file(vaslab, tiny, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(f"model: {tiny}\ndata: glyph\nlimit: 3\nbatch-size: 2\n")
    code, told, _ = vaslab("measure", "-C", file, "--limit", 5, "--dry-run")
    assert code == 0
    plan = json.loads(told)
    assert (plan["n_items"], plan["n_batches"], plan["model"]) == (5, 3, tiny)


def test_a_dry_run_writes_nothing(vaslab, tiny, tmp_path):
    out = tmp_path / "none"
    code, told, err = vaslab("measure", "-m", tiny, "-d", "easy-vqa", "-o", out, "--dry-run")
    plan = json.loads(told)
    # mass on 8 key roles, and three more numbers a head, as float32
    assert plan["capture_bytes"] == 9673 * 2 * 4 * (8 + 3) * 4
    assert code == 0
    assert "nothing was measured or written" in err
    assert not out.exists()


def test_broken_items_are_rows_with_a_reason_and_the_rest_is_measured(vaslab, tiny, picture, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    rows = [
        {"id": "good", "image": "picture.png", "question": "what?", "answer": "teal"},
        {"id": "good", "image": "picture.png", "question": "again?"},
        {"id": "bad", "image": "bad.png", "question": "what?"},
        {"id": "gone", "image": "gone.png", "question": "what?"},
        {"id": "out", "image": "../picture.png", "question": "what?"},
        {"id": "half", "image": "picture.png", "question": "\ud800?"},
        {"id": "bare", "question": "what?"},
    ]
    data = tmp_path / "mine.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows))
    out = tmp_path / "run"
    code, _, err = vaslab(
        "measure", "-m", tiny, "-d", data, "-o", out, "--batch-size", 4, "--max-new-tokens", 2
    )
    assert code == 0, err
    told = [json.loads(line) for line in (out / "items.jsonl").read_text().splitlines()]
    assert len(told) == len(rows)
    assert [bool(row["error"]) for row in told] == [False, True, True, True, True, True, True]
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["n"], summary["n_measured"]) == (7, 1)
    assert sum(summary["failed"].values()) == 6
    assert "duplicate id" in summary["failed"]
    assert "Not measured: 1 x" in err


def test_a_template_without_a_system_turn_gives_masses_and_refuses_vas_alone(vaslab, no_system, tmp_path):
    out = tmp_path / "run"
    code, _, table = vaslab(
        "measure", "-m", no_system, "-d", "glyph", "-n", 4, "-o", out, "--max-new-tokens", 2
    )
    assert code == 0, table
    assert "No VAS" in table
    found = json.loads((out / "summary.json").read_text())["queries"]["user"]
    assert found["vas"]["estimate"] is None
    assert "no system token" in found["vas"]["reason"]
    assert 0 < found["masses"]["image"]["estimate"] < 1
    code, told, err = vaslab("figure", "heads", out)
    assert (code, told) == (1, "")
    assert err.count("\n") == 1
    assert "no system token" in err
    assert vaslab("figure", "lazy", out, "--format", "html")[0] == 0


def test_response_rows_are_measured_when_asked_for(vaslab, tiny, tmp_path):
    out = tmp_path / "run"
    words = ["-d", "glyph", "-n", 3, "-o", out, "--max-new-tokens", 3, "--queries", "user,response"]
    code, _, err = vaslab("measure", "-m", tiny, *words)
    assert code == 0, err
    assert list(json.loads((out / "summary.json").read_text())["queries"]) == ["user", "response"]
    assert "Queries: response" in vaslab("show", out, "--queries", "response")[2]


def test_an_interrupt_ends_with_130_and_the_same_command_goes_on(vaslab, tiny, tmp_path, monkeypatch):
    out = tmp_path / "run"
    words = ["measure", "-m", tiny, "-d", "glyph", "-n", 4, "-o", out, "--batch-size", 1]
    words += ["--max-new-tokens", 2]
    whole = Ledger.commit

    def commit(self, number, *rest):
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        return whole(self, number, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "commit", commit)
        code, told, err = vaslab(*words)
    assert (code, told) == (130, "")
    assert "the same command goes on from there" in err
    assert not (out / "summary.json").exists()
    assert len((out / "items.jsonl").read_text().splitlines()) == 2
    code, told, err = vaslab(*words)
    assert (code, told) == (0, f"{out}\n"), err
    assert "2 of 4 items were done before" in err
    assert len((out / "items.jsonl").read_text().splitlines()) == 4


@pytest.mark.slow
def test_a_process_that_measures_ends_with_130_when_it_is_interrupted(tiny, tmp_path):
    out = tmp_path / "run"
    program = [sys.executable, "-c", "from vaslab.cli.app import main; main()"]
    words = [
        "measure",
        "-m",
        tiny,
        "-d",
        "glyph",
        "-o",
        str(out),
        "--batch-size",
        "1",
        "--max-new-tokens",
        "2",
    ]
    words += ["--limit", "400"]
    process = subprocess.Popen([*program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    items = out / "items.jsonl"
    # with rows of a second batch there, the first is done
    while process.poll() is None and not (items.is_file() and items.read_bytes().count(b"\n") >= 2):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    told, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert told == ""
    assert "the same command goes on from there" in err
    assert "Traceback" not in err
    assert not (out / "summary.json").exists()
    assert 0 < len(items.read_text().splitlines()) < 400


def test_options_are_the_fields_of_the_config():
    from typer.main import get_command

    from vaslab.cli.app import app
    from vaslab.studies.config import FIELDS

    names = {parameter.name for parameter in get_command(app).commands["measure"].params}
    assert names - {"config", "dry_run", "timed", "overwrite"} == set(FIELDS)

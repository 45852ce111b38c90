"""`avar stages`: what is asked is checked before anything runs; what is done is not done again."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.trainers.killed import cut_at, same_weights
from tests.trainers.test_config import CONFIGS
from trainers import stages
from trainers.cli import app as avar
from trainers.config import build, read_yaml
from trainers.data.glyph import glyph_records
from trainers.data.readers import read_records
from trainers.data.record import digest
from trainers.runs import StagesRun
from trainers.stages import read_stages, run_stages
from vaslab.cli.app import app as vaslab_app
from vaslab.cli.exits import run
from vaslab.errors import MissingError, UsageError, VaslabError
from vaslab.models import load_model

COLD = {"name": "cold", "method": "sft", "kind": "vard"}
RL = {"name": "rl", "method": "grpo", "kind": "rl", "parent": "cold", "prompts": 2}
STUDY = {"data": [{"name": "glyph", "limit": 3, "max_new_tokens": 4}]}
SHORT_COLD = {
    **COLD,
    "max_steps": 1,
    "batch": 2,
    "per_device": 2,
    "checkpointing": False,
    "lr": 1e-3,
    "warmup": 0.0,
    "log_steps": 1,
}
SHORT_RL = {
    **RL,
    "max_steps": 1,
    "prompts": 1,
    "rollouts": 2,
    "per_device": 2,
    "max_new_tokens": 4,
    "form": "share",
    "grader": "exact",
    "checkpointing": False,
    "save_steps": 1,
}


def config(out, *given, **fields):
    return build(
        StagesRun, {"out": str(out), "stages": list(given), "records": 3, "prompts": 2, **fields}, "x"
    )


def test_the_shipped_stages_are_the_papers():
    found = read_stages(build(StagesRun, {"out": "o", **read_yaml(CONFIGS / "organism.yaml")}, "x"))
    chain = {stage.name: (stage.parent, stage.kind) for stage in found}
    assert chain == {
        "text": ("base", "text-cold-start"),
        "multimodal": ("base", "multimodal-cold-start"),
        "vard": ("base", "vard"),
        "agto": ("base", "vard"),
        "vars": ("agto", "rl"),
    }
    by_name = {stage.name: stage.fields for stage in found}
    assert {
        name: (by_name[name].get("alpha"), by_name[name].get("beta")) for name in ("text", "vard", "agto")
    } == {
        "text": (0.0, 0.0),
        "vard": (0.0, 0.0),
        "agto": (0.15, 0.15),
    }
    guided = {**by_name["agto"], "alpha": 0.0, "beta": 0.0}
    assert guided == by_name["vard"]  # the two differ in the objective alone


def test_the_ablations_differ_from_agto_in_one_loss_alone():
    files = [
        read_stages(build(StagesRun, {"out": "o", **read_yaml(CONFIGS / f"{name}.yaml")}, name))
        for name in ("organism", "organism-ablations")
    ]
    agto = next(stage for stage in files[0] if stage.name == "agto")
    for stage, absent in zip(files[1], ("beta", "alpha"), strict=True):
        assert (stage.kind, stage.parent) == (agto.kind, agto.parent)
        assert stage.fields == {**agto.fields, absent: 0.0}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "there are no stages"),
        ([{**COLD, "method": "dpo"}], "expected sft or grpo"),
        ([{**COLD, "kind": "rl"}], "sft does not train on records of kind 'rl'"),
        ([{**COLD, "kind": "vrd"}], "stage cold: kind is 'vrd'; expected one of text-cold-start"),
        ([{**COLD, "parent": "later"}], "no stage 'later' before it"),
        ([COLD, COLD], "a name of its own"),
        ([{**COLD, "name": "a/b"}], "a plain word"),
        ([{**COLD, "alhpa": 1}], "did you mean 'alpha'"),
        ([{**COLD, "seed": 3}], "set by avar stages"),
        ([{"name": "cold", "method": "sft"}], "stage 1: 'kind' is missing; give it"),
    ],
)
def test_wrong_stages_are_named_before_anything_runs(tmp_path, given, told):
    with pytest.raises(UsageError, match=told):
        run_stages(config(tmp_path / "out", *given))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"workers": 0}, "workers is 0; give at least 1"),
        ({"records": 0}, "records is 0; give at least 1"),
        ({"prompts": -1}, "prompts is -1; give at least 1"),
        ({"seeds": [1, 1]}, "each once"),
        ({"seeds": []}, "give at least one"),
        ({"seeds": [0, 10000]}, "stage cold: seed is 10000; expected 0 to 9,999"),
        ({"study": {"data": ["glyph"], "models": ["m"]}}, "models is set by avar stages"),
        ({"study": {"dta": ["glyph"]}}, "study: unknown key 'dta'; did you mean 'data'"),
        ({"study": {}}, "no data"),
        ({"study": {"data": ["gliph"]}}, "gliph"),
        ({"base": "organism:bse"}, "there is no organism:bse"),
        ({"base": "meta-llama/Llama-3.2-11B-Vision-Instruct"}, "never share a softmax"),
    ],
)
def test_wrong_fields_are_named_before_anything_runs(tmp_path, fields, told):
    with pytest.raises(UsageError, match=told):
        run_stages(config(tmp_path / "out", COLD, **fields))
    assert not (tmp_path / "out").exists()


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({**RL, "layers": [1, 9]}, "there is no layer 9; the model has layers 0 to 1"),
        ({**RL, "form": "share", "layers": [-1]}, "there is no layer -1"),
        (
            {**COLD, "heads": ["L1H3", "L1H4"]},
            "there is no L1H4; the model has layers 0 to 1, each of heads 0 to 3",
        ),
        ({**COLD, "heads": ["1.3"]}, "'1.3' names no head"),
        (
            {**COLD, "text_tokens": ["<thnk>"]},
            "text_tokens holds '<thnk>', which is no token of the tokenizer",
        ),
    ],
)
def test_what_the_model_does_not_have_is_named_before_the_first_stage_begins(
    tmp_path, tiny_folder, monkeypatch, fields, told
):
    """Of the last stage too, from the base's config alone."""
    monkeypatch.setattr(stages, "_started", lambda *_, **__: pytest.fail("a stage begins"))
    last = {**fields, "name": "last", "parent": "cold"}
    with pytest.raises(UsageError, match=f"^stage last: {told}"):
        run_stages(config(tmp_path / "out", COLD, last, base=str(tiny_folder)))
    assert not (tmp_path / "out").exists()


def test_what_a_stage_needs_and_is_not_there_is_named_before_the_first_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "_started", lambda *_, **__: pytest.fail("a stage begins"))
    for asked, told in (
        (config(tmp_path / "out", COLD, base=str(tmp_path / "gone")), "there is no model folder"),
        (config(tmp_path / "out", COLD, {**RL, "vllm": True}), "vllm is not installed; give --no-vllm"),
        (config(tmp_path / "out", COLD, study={"data": [str(tmp_path / "gone.jsonl")]}), "gone.jsonl"),
    ):
        monkeypatch.setattr("trainers.refusals.find_spec", lambda name: None if name == "vllm" else object())
        with pytest.raises(MissingError, match=told):
            run_stages(asked)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def begun(monkeypatch):
    """Names of the stages that would run, in order; each leaves a card, as the real one does."""
    seen = []

    class Process:
        def __init__(self, folder):
            (folder / "checkpoint").mkdir(parents=True)
            (folder / "checkpoint" / "card.json").write_text("{}")

        def wait(self):
            return 0

    def started(module, words, **_):
        path = Path(words[-1])
        seen.append((words[0], int(path.parent.name.removeprefix("seed-")), path.stem))
        return Process(Path(read_yaml(path)["out"]))

    monkeypatch.setattr(stages, "_started", started)
    return seen


def test_stages_run_from_their_parents_and_once(tmp_path, begun):
    text = {"name": "text", "method": "sft", "kind": "text-cold-start"}
    asked = config(tmp_path / "out", text, {**COLD, "alpha": 0.5}, RL, seeds=[0, 4])
    run_stages(asked)
    # what another stage waits for comes first
    assert begun == [
        *(("sft", 0, "cold"), ("sft", 0, "text"), ("grpo", 0, "rl")),
        *(("sft", 4, "cold"), ("sft", 4, "text"), ("grpo", 4, "rl")),
    ]
    second = read_yaml(tmp_path / "out" / "seed-4" / "rl.yaml")
    assert second["model"] == str(tmp_path / "out" / "seed-4" / "cold" / "checkpoint")
    assert second["seed"] == 4
    assert read_yaml(tmp_path / "out" / "seed-4" / "cold.yaml")["alpha"] == 0.5
    data = read_records(tmp_path / "out" / "seed-4" / "data" / "vard").records
    assert digest(data) == digest(glyph_records("vard", 3, 4))
    run_stages(replace(asked, seeds=(0, 4, 7)))
    assert [each[1] for each in begun[6:]] == [7, 7, 7]


def test_a_folder_keeps_to_its_stages_and_records(tmp_path, begun):
    run_stages(config(tmp_path / "out", COLD))
    with pytest.raises(UsageError, match=r"alpha is 0\.15 there and 0\.3 here"):
        run_stages(config(tmp_path / "out", {**COLD, "alpha": 0.3}))
    with pytest.raises(UsageError, match="count is 3 there and 4 here"):
        run_stages(config(tmp_path / "out", COLD, records=4))
    assert len(begun) == 1


def test_a_stage_that_fails_ends_the_run_with_its_name_and_its_last_words(tmp_path, monkeypatch):
    """The base has gone since it was checked: the real command says so, and what would follow does not begin."""
    monkeypatch.setattr(stages, "check_models", lambda *_: None)
    asked = config(tmp_path / "out", COLD, RL, base=str(tmp_path / "gone"))
    with pytest.raises(VaslabError, match=r"seed 0, stage cold ended with exit code 3: .*there is no model"):
        run_stages(asked)
    assert not (tmp_path / "out" / "seed-0" / "rl.log").exists()


def test_a_command_starts_where_stderr_is_no_file(monkeypatch):
    """As in a notebook."""
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert stages._started("vaslab.cli.app", ["--version"]).wait() == 0


@pytest.fixture
def calls(monkeypatch):
    """Commands that were called, which run in this process."""
    called = []

    class Ended:
        def __init__(self, code):
            self.code = code

        def wait(self):
            return self.code

    def started(module, words, **_):
        called.append(words[0])
        return Ended(run({"trainers.cli": avar, "vaslab.cli.app": vaslab_app}[module], words))

    monkeypatch.setattr(stages, "_started", started)
    return called


@pytest.mark.tiny
def test_a_killed_stage_goes_on_to_the_same_bits(tmp_path, tiny_folder, calls, monkeypatch):
    """Cut off in its second step, the last stage ends with the weights of one that was not; the first is kept."""
    from trainers.grpo import AvarGRPOTrainer

    given = (SHORT_COLD, {**SHORT_RL, "max_steps": 2, "gated": False})
    whole, cut = (config(tmp_path / name, *given, base=str(tiny_folder)) for name in ("whole", "cut"))
    run_stages(whole)
    with monkeypatch.context() as patched:
        cut_at(patched, AvarGRPOTrainer, "_generate", 2)
        with pytest.raises(VaslabError, match="seed 0, stage rl ended with exit code 130"):
            run_stages(cut)
    assert (tmp_path / "cut" / "seed-0" / "rl" / "state" / "checkpoint-1").is_dir()
    run_stages(cut)
    assert calls == ["sft", "grpo", "sft", "grpo", "grpo"]
    folders = [
        [tmp_path / run / "seed-0" / stage / "checkpoint" for stage in ("cold", "rl")]
        for run in ("whole", "cut")
    ]
    assert all(same_weights(*pair) for pair in zip(*folders, strict=True))
    assert not same_weights(*folders[0])


@pytest.mark.tiny
def test_stages_leave_checkpoints_with_cards_and_a_table(tmp_path, tiny_folder, calls):
    """One step of each method on a tiny model, in this process; then measured, and not trained again."""
    asked = config(tmp_path / "out", SHORT_COLD, SHORT_RL, base=str(tiny_folder), study=STUDY)
    out = run_stages(asked)
    assert calls == ["sft", "grpo", "study"]
    cold, rl = (out / "seed-0" / name / "checkpoint" for name in ("cold", "rl"))
    cards = [json.loads((each / "card.json").read_text()) for each in (cold, rl)]
    assert cards[0]["parent"] == {"name": str(tiny_folder), "revision": load_model(tiny_folder).revision}
    assert cards[1]["parent"] == {"name": str(cold), "revision": load_model(cold).revision}
    assert cards[0]["data"]["digest"] == digest(glyph_records("vard", 3, 0))
    assert cards[1]["data"]["digest"] == digest(glyph_records("rl", 2, 0))
    assert cards[0]["config"]["alpha"] == 0.15
    assert all(card["metrics"] for card in cards)
    table = pd.read_csv(out / "table.csv")
    assert table["stage"].tolist() == ["base", "cold", "rl"]
    assert (table["visual_mass"] > 0).all()
    assert "| rl | 0 |" in (out / "table.md").read_text()
    run_stages(asked)
    assert calls == ["sft", "grpo", "study", "study"]


@pytest.mark.slow
@pytest.mark.tiny
def test_the_command_goes_on_after_a_kill(tmp_path, tiny_folder):
    """As a user runs it: killed while the second stage trains, the same command ends with one table."""
    given = {
        "base": str(tiny_folder),
        "records": 3,
        "prompts": 2,
        "workers": 2,
        "study": STUDY,
        "stages": [SHORT_COLD, SHORT_RL],
    }
    (tmp_path / "stages.yaml").write_text(yaml.safe_dump(given))
    out = tmp_path / "out"
    words = [
        sys.executable,
        "-m",
        "trainers",
        "stages",
        "--config",
        str(tmp_path / "stages.yaml"),
        "--out",
        str(out),
    ]
    first = subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE, text=True)
    while not (out / "seed-0" / "rl.log").exists():
        assert first.poll() is None
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    trained = (out / "seed-0" / "cold" / "checkpoint" / "card.json").stat().st_mtime_ns
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(out)
    assert (out / "seed-0" / "cold" / "checkpoint" / "card.json").stat().st_mtime_ns == trained
    assert pd.read_csv(out / "table.csv")["stage"].tolist() == ["base", "cold", "rl"]

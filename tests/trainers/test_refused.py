"""Runs that would train nothing or cannot begin: refused by name, before a model is read or a stage begins."""

import math
import re

import pytest

from tests.trainers.chats import ASKED, RECORDS
from tests.trainers.conftest import SHORT_GRPO
from tests.trainers.test_commands import words
from tests.trainers.test_config import CONFIGS
from tests.trainers.test_grpo import arguments
from trainers.cli import app
from trainers.config import build, held, keep_to, occupied, plain
from trainers.data.collate import to_prompts
from trainers.data.record import write_records
from trainers.grpo import AvarGRPOTrainer
from trainers.refusals import check_launch
from trainers.runs import GrpoRun, SftRun, StagesRun, SynthesizeRun
from trainers.stages import read_stages
from vaslab.cli.exits import run
from vaslab.errors import UsageError, VaslabError
from vaslab.organism.build import build_model

GIVEN = {"model": "m", "data": "d", "out": "o"}

COLD = {"name": "cold", "method": "sft", "kind": "vard"}
RL = {"name": "rl", "method": "grpo", "kind": "rl", "prompts": 2}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *(
            (kind, given)
            for kind in (SftRun, GrpoRun)
            for given in (
                {"lr": -1.0},
                {"lr": math.nan},
                {"lr": math.inf},
                {"epochs": 0.0},
                {"max_steps": 0},
                {"per_device": 0},
                {"lora_rank": -3},
                {"save_steps": 0},
                {"log_steps": 0},
                {"seed": -1},
                {"schedule": "cosin"},
                {"keep": "some"},
                {"dtype": "float33"},
            )
        ),
        (SftRun, {"batch": 0}),
        (SftRun, {"warmup": -0.1}),
        (SftRun, {"warmup": 1.0}),
        (GrpoRun, {"prompts": 0}),
        (GrpoRun, {"rollouts": 1}),
        (GrpoRun, {"iterations": 0}),
        (GrpoRun, {"max_new_tokens": 0}),
        (GrpoRun, {"temperature": 0.0}),
        (GrpoRun, {"kl": -0.1}),
        (SynthesizeRun, {"kind": "vrd"}),
        (SynthesizeRun, {"count": 0}),
        (SynthesizeRun, {"seed": -1}),
        (SynthesizeRun, {"workers": 0}),
        (SynthesizeRun, {"max_tokens": 0}),
        (SynthesizeRun, {"temperature": -1.0}),
        (SynthesizeRun, {"grader": "judge"}),
    ],
)
def test_a_value_that_no_run_can_have_is_named_with_what_can(kind, given):
    """From the file or the flag: the config itself refuses it, before anything is written."""
    ((name, value),) = given.items()
    base = {"out": "o"} if kind is SynthesizeRun else GIVEN
    with pytest.raises(UsageError, match=rf"^x\.yaml: {name} is {value!r}; (give|expected one of) "):
        build(kind, {**base, **given}, "x.yaml")


def test_a_command_refuses_a_value_in_one_line_and_writes_nothing(tmp_path, capfd):
    out = tmp_path / "out"
    told = ["sft", "--model", "organism:base", "--data", "d", "--out", str(out), "--lr", "-1"]
    assert run(app, told, "avar") == 2
    assert capfd.readouterr().err == "error: options: lr is -1.0; give at least 0\n"
    assert not out.exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            ["--kind", "vrd"],
            "kind is 'vrd'; expected one of text-cold-start, multimodal-cold-start, vard, rl",
        ),
        (["--count", "0"], "count is 0; give at least 1"),
        (["--count", "10000001"], "count is 10000001; expected 1 to 10,000,000"),
        (["--seed", "10000"], "seed is 10000; expected 0 to 9,999"),
        (["--model", "organism:base"], "give --data, or leave both out"),
        (
            ["--data", "d", "--kind", "rl", "--model", "m"],
            "--kind is rl, and --data makes records of kind vard",
        ),
        (["--data", "d"], "--data needs --model"),
    ],
)
def test_records_that_cannot_be_made_leave_nothing_behind(tmp_path, capfd, given, told):
    out = tmp_path / "out"
    assert run(app, ["synthesize", "--out", str(out), *given], "avar") == 2
    assert told in capfd.readouterr().err
    assert not out.exists()


def test_records_are_not_written_over(tmp_path, capfd):
    (tmp_path / "file").write_text("mine")
    write_records(ASKED, tmp_path / "asked")
    for name, taken in (("file", "file"), ("asked", "asked/records.jsonl")):
        words = ["synthesize", "--kind", "rl", "--count", "1", "--out", str(tmp_path / name)]
        assert run(app, words, "avar") == 2
        assert f"{tmp_path / taken} is there already; choose another --out" in capfd.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, None),
        (
            {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"},
            "MASTER_ADDR is not set, MASTER_PORT is not set",
        ),
        ({"RANK": "1"}, "LOCAL_RANK is not set, WORLD_SIZE is not set"),
        (
            {"RANK": "a", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            "RANK is 'a'; start them with accelerate launch",
        ),
    ],
)
def test_one_of_several_processes_that_no_launcher_started_is_refused(told, wrong):
    if wrong is None:
        check_launch(told)
    else:
        with pytest.raises(UsageError, match=wrong):
            check_launch(told)


def test_the_command_looks_at_its_environment(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("WORLD_SIZE", "2")
    out = tmp_path / "out"
    assert run(app, words("sft", GIVEN, out=out), "avar") == 2
    assert "this is one of several processes" in capfd.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("command", "given", "told"),
    [
        ("sft", {"alpha": "-1"}, "alpha is -1.0; give a number of at least 0"),
        ("sft", {"heads": "3.1"}, "'3.1' names no head; write it as L3H1"),
        ("sft", {"queries": "users"}, "queries is 'users'; expected one of user, response, both"),
        ("grpo", {"form": "rato"}, "form is 'rato'; expected one of ratio"),
        ("grpo", {"lambda-v": "nan"}, "lambda_v is nan; give a number"),
    ],
)
def test_settings_are_refused_before_a_folder_is_made(tmp_path, capfd, command, given, told):
    out = tmp_path / "out"
    assert run(app, words(command, {**GIVEN, "model": "organism:base"}, out=out, **given), "avar") == 2
    assert told in capfd.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("command", ["sft", "grpo"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"layers": "6"}, r"there is no layer 6; the model has layers 0 to 5"),
        ({"text-tokens": "<thnk>"}, r"'<thnk>', which is no token of the tokenizer"),
        ({"per-device": "7"}, r"no multiple of per_device 7 times 1 process"),
    ],
)
def test_what_the_model_or_the_machine_lacks_is_told_before_records_are_read(
    tmp_path, capfd, command, given, told
):
    asked = words(command, {**GIVEN, "model": "organism:base"}, out=tmp_path / "out", **given)
    assert run(app, asked, "avar") == 2
    assert re.search(told, capfd.readouterr().err)  # and not that there are no records at d


def test_two_processes_do_not_train_in_one_folder(tmp_path, capfd):
    out = tmp_path / "out"
    keep_to(out, held(SftRun("organism:base", "d", str(out))))
    with occupied(out):
        assert run(app, words("sft", {**GIVEN, "model": "organism:base"}, out=out), "avar") == 2
        assert f"another process trains in {out}; wait until it has ended" in capfd.readouterr().err
    assert run(app, words("sft", {**GIVEN, "model": "organism:base"}, out=out), "avar") == 3
    assert "no records at d" in capfd.readouterr().err


@pytest.mark.usefixtures("unread")
def test_fewer_prompts_than_a_step_takes_are_refused_before_a_model_is_read(tmp_path, capfd):
    write_records(ASKED, tmp_path / "asked")
    given = {"model": "organism:base", "data": tmp_path / "asked", "out": tmp_path / "out"}
    assert run(app, words("grpo", {**SHORT_GRPO, **given}, prompts=3, per_device=2), "avar") == 2
    # the fix goes into the same folder, in which nothing has begun
    said = capfd.readouterr().err
    assert run(app, words("grpo", {**SHORT_GRPO, **given}, prompts=2), "avar") == 1
    assert "the weights are asked for" in capfd.readouterr().err
    assert (
        "prompts is 3 and there are 2 records: not one batch would be full, and nothing trained; set prompts to 2"
    ) in said


@pytest.mark.tiny
def test_as_many_prompts_as_a_step_takes_are_trained_on(grpo, tmp_path):
    """The bound is TRL's own: at it a step is taken."""
    write_records(ASKED, tmp_path / "prompts")
    assert grpo(prompts=2, max_steps=-1, epochs=1.0, save_steps=1).is_dir()


@pytest.mark.tiny
def test_no_checkpoint_is_written_of_a_training_that_took_no_step(sft, tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.sft_run.AvarSFTTrainer.train", lambda *_, **__: None)
    with pytest.raises(VaslabError, match="not one optimiser step was taken"):
        sft()
    assert not list((tmp_path / "run").rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ({**RL, "prompts": 9}, "prompts is 9 and there are 4 records"),
        ({**RL, "form": "shar"}, "form is 'shar'; expected one of"),
        ({**RL, "credit": "foo"}, "credit is 'foo'"),
        ({**RL, "vppo_low": 0.5}, "vppo_low is given and credit is None"),
        ({**RL, "temperature": 0.0}, "temperature is 0.0; give more than 0"),
        ({**RL, "per_device": 3}, "prompts x rollouts is 16, no multiple of per_device 3"),
        ({**RL, "save_steps": 3, "iterations": 2}, "save_steps is 3 and iterations 2"),
        ({**COLD, "name": "rl", "queries": "usr"}, "queries is 'usr'"),
    ],
)
def test_a_later_stage_that_cannot_run_is_named_before_the_first_begins(stage, told):
    with pytest.raises(UsageError, match=f"stage rl: .*{told}"):
        read_stages(build(StagesRun, {"out": "o", "records": 3, "prompts": 4, "stages": [COLD, stage]}, "x"))


@pytest.mark.parametrize("command", ["sft", "grpo"])
@pytest.mark.parametrize("online", [False, True])
def test_a_hub_id_may_be_downloaded_only_where_that_is_asked_for(
    tmp_path, monkeypatch, capfd, command, online
):
    def load(name, *, device_map, offline):
        raise VaslabError(f"asked for {name}, offline {offline}")

    monkeypatch.setattr("trainers.training.load_model", load)
    write_records(ASKED, tmp_path / "prompts")
    write_records(RECORDS, tmp_path / "chats")
    shipped = CONFIGS / f"qwen2.5-vl-7b-{command}.yaml"
    told = [command, "--config", str(shipped), "--out", str(tmp_path / "out")]
    told += ["--data", str(tmp_path / ("chats" if command == "sft" else "prompts"))]
    # the recipe of the second names no model: it goes on from the first's checkpoint
    told += ["--prompts", "2", "--model", "Qwen/Qwen2.5-VL-7B-Instruct"] if command == "grpo" else []
    assert run(app, [*told, *(["--online"] if online else [])], "avar") == 1
    assert f"asked for Qwen/Qwen2.5-VL-7B-Instruct, offline {not online}" in capfd.readouterr().err


def test_a_local_model_of_synthesize_is_downloaded_where_that_is_asked_for(tmp_path, monkeypatch, capfd):
    def load(name, *, device_map, offline):
        raise VaslabError(f"offline {offline}")

    monkeypatch.setattr("trainers.vard.local.load_model", load)
    write_records(ASKED, tmp_path / "prompts")
    told = [
        "synthesize",
        "--data",
        str(tmp_path / "prompts"),
        "--model",
        "a/b",
        "--out",
        str(tmp_path / "out"),
    ]
    for more, offline in (([], True), (["--online"], False)):
        assert run(app, [*told, *more], "avar") == 1
        assert f"offline {offline}" in capfd.readouterr().err


def test_a_run_goes_on_without_the_download_that_began_it(tmp_path):
    """`online` changes no weight: the folder is not held to it, nor does a card tell it; a stage's own file does."""
    keep_to(tmp_path / "out", held(SftRun(**GIVEN, online=True)))
    keep_to(tmp_path / "out", held(SftRun(**GIVEN)))
    assert "online" not in held(SftRun(**GIVEN))
    assert plain(SftRun(**GIVEN, online=True))["online"] is True


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("name", "told"),
    [("use_liger_kernel", "the forward that is measured"), ("torch_compile", "hooks in compiled")],
)
def test_grpo_refuses_what_would_run_past_its_measurement(processor, tmp_path, name, told):
    """As supervised training does."""
    args = arguments(tmp_path)
    setattr(args, name, True)
    model = build_model(processor, layers=1, heads=2, kv_heads=1, hidden=32)
    with pytest.raises(UsageError, match=f"{name}=True does not go with VARS: .*{told}.*set it to False"):
        AvarGRPOTrainer(model, args, processing_class=processor, train_dataset=to_prompts(ASKED))


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_trains_nothing(weight):
    from trainers.losses import AgtoConfig
    from trainers.rewards import VarsConfig

    for config, name in (
        (AgtoConfig, "alpha"),
        (AgtoConfig, "beta"),
        (VarsConfig, "lambda_v"),
        (VarsConfig, "cap"),
    ):
        with pytest.raises(UsageError, match=name):
            config(**{name: weight})

"""The reference of a KL term: read without a network, and never measured in the policy's place."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import get_peft_model

from tests.trainers.chats import ASKED, RECORDS
from tests.trainers.conftest import SHORT_SFT
from tests.trainers.test_commands import ROOT, words
from tests.trainers.test_grpo import arguments
from trainers.checkpoints import lora
from trainers.cli import app
from trainers.data.collate import to_prompts
from trainers.data.record import write_records
from trainers.grpo import AvarGRPOTrainer
from trainers.reference import is_policy
from trainers.rewards import VarsConfig
from vaslab.cli.exits import run
from vaslab.errors import MissingError
from vaslab.models import load_model
from vaslab.organism.build import build_model

pytestmark = pytest.mark.tiny


def trainer_of(model, processor, folder, **options):
    given = {"train_dataset": to_prompts(ASKED), "processing_class": processor, **options}
    return AvarGRPOTrainer(model, arguments(folder, beta=0.1), VarsConfig(gated=False), **given)


def test_the_reference_of_a_hub_id_is_read_from_this_disk(cached, tmp_path):
    vlm = load_model("some/tiny", dtype="float32")
    trainer = trainer_of(vlm.model, vlm.processor, tmp_path)
    assert cached == []
    assert trainer.network.config._name_or_path == "some/tiny"
    own, reference = trainer.network.state_dict(), trainer.ref_model.state_dict()
    assert own.keys() == reference.keys()
    assert all(torch.equal(value, reference[name]) for name, value in own.items())
    assert trainer.ref_model is not trainer.network


def test_an_adapter_of_a_hub_id_is_saved_without_a_network(cached, tmp_path, capfd):
    write_records(RECORDS, tmp_path / "chats")
    given = {"model": "some/tiny", "data": tmp_path / "chats", "out": tmp_path / "out", "lora_rank": 2}
    assert run(app, words("sft", {**SHORT_SFT, **given}, max_steps=1, save_steps=1), "avar") == 0
    assert cached == []
    assert "Could not find" not in capfd.readouterr().err
    held = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
    assert held["base_model_name_or_path"] == "some/tiny"


@pytest.mark.parametrize("online", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_hub_is_out_of_reach_unless_a_download_is_allowed(online):
    """In a process of its own, for huggingface_hub reads its setting once."""
    program = (
        "import sys; from trainers.commands.train import refuse; from trainers.runs import SftRun; "
        "assert 'huggingface_hub' not in sys.modules; "
        f"refuse(SftRun('organism:base', 'd', 'o', online={online})); "
        "from huggingface_hub import constants; print(constants.HF_HUB_OFFLINE)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(not online)


def test_a_reference_that_is_nowhere_is_an_error_that_names_what_to_give(cached, tmp_path, processor):
    model = build_model(processor, layers=1, heads=2, kv_heads=2, hidden=32)
    model.config._name_or_path = "some/gone"
    with pytest.raises(
        MissingError, match=r"kl .* is 0\.1, and its reference some/gone .* give --model a folder"
    ):
        trainer_of(model, processor, tmp_path)
    assert cached == []
    assert model.config._name_or_path == "some/gone"


@pytest.mark.parametrize("own", [True, False], ids=["adapter off", "a copy of the adapter"])
def test_with_lora_the_reward_is_the_policys_and_not_the_references(processor, tmp_path, monkeypatch, own):
    """TRL runs the reference through the same model, with its adapter off or another one on, and before the reward."""
    model = build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64)
    options = {"peft_config": lora(2)} if own else {}
    model = model if own else get_peft_model(model, lora(2))
    trainer = trainer_of(model, processor, tmp_path, **options)
    torch.manual_seed(0)
    for name, weight in trainer.network.named_parameters():
        if "lora_B.default" in name:
            weight.data.normal_(std=0.5)
    found = {}
    rewards = trainer._calculate_rewards

    def spied(inputs, prompts, completions, ids):
        found["policy"] = trainer._look(prompts, ids)["reward"]
        with trainer.network.disable_adapter():
            found["reference"] = trainer._look(prompts, ids)["reward"]
        out = rewards(inputs, prompts, completions, ids)
        found["seen"] = trainer._looks["reward"]
        return out

    monkeypatch.setattr(trainer, "_calculate_rewards", spied)
    trainer.train()
    assert torch.allclose(found["seen"], found["policy"], rtol=1e-4)
    assert not torch.allclose(found["seen"], found["reference"], rtol=1e-2)


def test_which_pass_is_the_policys(processor):
    model = get_peft_model(build_model(processor, layers=1, heads=2, kv_heads=2, hidden=32), lora(2))
    assert is_policy(model, model)
    assert not is_policy(object(), model)
    with model.disable_adapter():
        assert not is_policy(model, model)
    assert is_policy(model, model)


def test_a_folder_is_read_as_it_is_named(tiny_folder, processor, tmp_path, monkeypatch):
    """A relative one too: from where the run stands."""
    monkeypatch.chdir(tiny_folder.parent)
    vlm = load_model(tiny_folder.name, dtype="float32")
    trainer = trainer_of(vlm.model, processor, tmp_path)
    assert trainer.ref_model is not None
    assert Path(trainer.network.config._name_or_path).resolve() == tiny_folder

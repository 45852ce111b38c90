"""What every run does before and after it trains: refusals, the memory that is told, the adapter that is left."""

import json
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import vaslab
from tests.trainers.chats import adapted
from tests.trainers.test_config import CONFIGS
from trainers.cli import app
from trainers.grpo_run import grpo_arguments
from trainers.memory import Memory, estimate, told
from trainers.refusals import refuse_model
from trainers.runs import GrpoRun, SftRun
from trainers.sft_run import sft_arguments
from vaslab.cli.exits import run
from vaslab.errors import UsageError
from vaslab.models import load_model
from vaslab.prompts.encode import encode


def test_the_llama_config_is_refused_with_the_reason_and_what_works(tmp_path, capfd):
    path = CONFIGS / "llama-3.2-11b-vision-sft.yaml"
    words = ["sft", "--config", str(path), "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert run(app, words, "avar") == 2
    said = capfd.readouterr().err
    assert "cross-attention layers of its own" in said
    assert "What works: a Qwen-VL model, as in trainers/configs/qwen2.5-vl-7b-sft.yaml" in said
    assert (CONFIGS / "qwen2.5-vl-7b-sft.yaml").is_file()


def test_a_folder_of_that_family_is_refused_under_any_name(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mllama"}))
    with pytest.raises(UsageError, match="never share a softmax"):
        refuse_model(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    refuse_model(str(tmp_path))
    refuse_model("meta-llama/Llama-3.1-8B")


def test_an_adapter_is_no_model_to_train(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="train on from the merged model"):
        refuse_model(str(tmp_path))


@pytest.fixture
def model():
    """1,000 weights of 4 bytes, of which 200 are trained."""
    made = nn.Sequential(nn.Linear(20, 40, bias=False), nn.Linear(10, 20, bias=False))
    made[0].weight.requires_grad_(False)
    return made


@pytest.mark.parametrize(
    ("sharding", "bf16", "wanted"),
    [
        ("none", False, Memory(4000, 800, 1600)),
        ("full", False, Memory(1000, 200, 400)),
        # DeepSpeed in bfloat16: 2 bytes a weight, whole; 2 a gradient and 4 + 8 of the optimiser, shared by four
        ("zero2", True, Memory(2000, 100, 600)),
        ("zero2", False, Memory(4000, 200, 400)),
        ("zero3", True, Memory(500, 100, 600)),
    ],
)
def test_memory_by_hand(model, sharding, bf16, wanted):
    assert estimate(model, sharding, 4, bf16) == wanted
    assert wanted.total == wanted.weights + wanted.gradients + wanted.optimiser


@pytest.mark.parametrize(("there", "short"), [(4e9, True), (80e9, False)])
def test_a_device_that_is_too_small_is_told_before_it_starts(monkeypatch, there, short):
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: SimpleNamespace(total_memory=there))
    said = told(Memory(4e9, 1e9, 2e9), 8, 123456, torch.device("cuda", 0))
    assert "each of 8 device(s) will hold 7 GB, 4 of weights, 1 of gradients and 2 of optimiser" in said
    assert "123,456 parameters are trained" in said
    assert ("too little: shard over more devices, or set --lora-rank" in said) == short


def test_both_methods_tell_trl_the_same_of_what_they_share():
    given = {"lr": 3e-6, "per_device": 4, "save_steps": 7, "seed": 5, "schedule": "linear", "epochs": 2.0}
    sft = sft_arguments(SftRun("m", "d", "o", batch=64, **given))
    grpo = grpo_arguments(GrpoRun("m", "d", "o", prompts=8, rollouts=8, **given))
    for name in ("learning_rate", "save_steps", "seed", "num_train_epochs", "gradient_accumulation_steps"):
        assert getattr(sft, name) == getattr(grpo, name)
    assert (sft.gradient_accumulation_steps, sft.output_dir) == (16, "o/state")
    assert (sft.max_length, sft.warmup_steps, grpo.num_generations, grpo.beta) == (None, 0.1, 8, 0.0)


def test_memory_counts_a_reference_and_shares_it_as_the_model_is(model):
    reference = nn.Linear(20, 50, bias=False)  # 1,000 weights more
    assert estimate(model, "none", 4, False, reference) == Memory(8000, 800, 1600)
    assert estimate(model, "full", 4, False, reference) == Memory(2000, 200, 400)
    assert estimate(model, "zero3", 4, True, reference) == Memory(1000, 100, 600)


@pytest.mark.tiny
def test_lora_by_reinforcement_leaves_an_adapter_that_is_measured_as_it_is(
    tiny_folder, processor, grpo, capfd
):
    """The adapter moves and nothing else; its folder, from anywhere, is the merged checkpoint."""
    merged = grpo(max_steps=2, lr=1e-2, lora_rank=2, save_steps=1)
    said = capfd.readouterr().err
    assert "note: each of 1 device(s) will hold" in said
    adapter = merged.parent / "adapter"
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == str(
        tiny_folder
    )
    assert not (adapter / "training_args.bin").exists()
    before, after = (load_file(each / "model.safetensors") for each in (tiny_folder, merged))
    assert {name for name in before if not torch.equal(before[name], after[name])} == adapted(before)
    models = [load_model(each) for each in (adapter, merged, tiny_folder)]
    prompt = vaslab.Prompt(user="where?", images=[Image.new("RGB", (64, 96), "red")])
    inputs = encode(processor, [prompt]).inputs
    with torch.no_grad():
        found, same, first = (each.model(**inputs).logits for each in models)
    assert torch.allclose(found, same, atol=1e-5)
    assert not torch.allclose(found, first, atol=1e-4)

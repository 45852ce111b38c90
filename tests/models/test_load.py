"""Loading: what is found, and one line with the fix for what is not."""

import json

import pytest
import torch
from PIL import Image
from random_models import random_model

import vaslab
from vaslab.errors import MissingError, UsageError, VaslabError
from vaslab.models import FAMILIES, family_of, load_model

pytestmark = pytest.mark.tiny


def test_a_folder_loads_with_its_shape(tiny_folder):
    vlm = load_model(tiny_folder)
    assert (vlm.n_layers, vlm.n_heads, vlm.n_kv_heads) == (2, 4, 2)
    assert vlm.family.model_type == "qwen2_5_vl"
    assert vlm.revision.startswith("sha256:")
    assert vlm.processor.tokenizer.padding_side == "left"
    assert not vlm.model.training


def test_a_hub_id_is_read_from_the_cache_and_asks_nobody(cached, tmp_path, monkeypatch):
    # a machine that may use the network
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    vlm = load_model("some/tiny")
    snapshots = tmp_path / "hub" / "models--some--tiny" / "snapshots"
    (commit,) = (each.name for each in snapshots.iterdir())
    assert (vlm.name, vlm.revision) == ("some/tiny", commit)
    with pytest.raises(MissingError, match=r"some/tiny is no folder and is not in the local .*--online"):
        load_model("some/tiny", revision="v2")
    (snapshots / commit / "model.safetensors").unlink()
    with pytest.raises(MissingError, match=r"holds some/tiny in part .*--online"):
        load_model("some/tiny")
    assert cached == []


def test_dtype_is_taken(tiny_folder):
    assert load_model(tiny_folder, dtype="bfloat16").dtype == torch.bfloat16
    with pytest.raises(UsageError, match="float32, float16, bfloat16"):
        load_model(tiny_folder, dtype="int8")


def test_the_revision_of_a_folder_is_its_weights(tiny_folder, tmp_path):
    vlm = load_model(tiny_folder)
    with torch.no_grad():
        vlm.model.lm_head.weight[0, 0] += 1
    vlm.model.save_pretrained(tmp_path)
    vlm.processor.save_pretrained(tmp_path)
    assert load_model(tmp_path).revision != vlm.revision


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("organism:nobody", UsageError, "there is no organism:nobody; shipped:"),
        ("/no/such/folder", MissingError, "there is no model folder"),
        ("Nobody/Nothing-7B", MissingError, "allow the download"),
        ("nothing", MissingError, "a hub id such as"),
    ],
)
def test_unknown_names(name, error, message):
    with pytest.raises(error, match=message) as caught:
        load_model(name)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(MissingError, match=r"holds no config.json"):
        load_model(tmp_path)


def test_pickled_weights_are_refused(tiny_folder, tmp_path):
    for file in tiny_folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save(load_model(tiny_folder).model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(MissingError, match="safetensors"):
        load_model(tmp_path)


def test_truncated_weights_are_an_error_of_one_line(tiny_folder, tmp_path):
    for file in tiny_folder.iterdir():
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(data[: len(data) // 2] if file.suffix == ".safetensors" else data)
    with pytest.raises(VaslabError) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_family_that_is_not_in_the_table(tiny_folder, tmp_path):
    config = json.loads((tiny_folder / "config.json").read_text())
    config |= {"model_type": "llava"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="not in vaslab's table; in it are: Qwen2-VL"):
        load_model(tmp_path)
    with pytest.raises(UsageError, match=r"cross-attention.*In the table"):
        family_of("mllama")
    assert set(FAMILIES) == {"qwen2_vl", "qwen2_5_vl", "qwen3_vl"}


def test_code_from_a_folder_is_not_run(tiny_folder, tmp_path):
    config = json.loads((tiny_folder / "config.json").read_text())
    config |= {"model_type": "own_vl", "auto_map": {"AutoConfig": "own.Own"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('code ran')")
    with pytest.raises(VaslabError):
        load_model(tmp_path)


def test_a_folder_laid_out_like_the_published_checkpoints(tiny_folder, tmp_path):
    """Qwen2.5-VL's own folders have a preprocessor_config.json, a chat_template.json, and no
    processor_config.json."""
    for file in tiny_folder.iterdir():
        if file.name not in ("processor_config.json", "chat_template.jinja"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = {
        "min_pixels": 4096,
        "max_pixels": 36864,
        "patch_size": 8,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    template = (tiny_folder / "chat_template.jinja").read_text()
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    ours, theirs = (vaslab.load(folder) for folder in (tiny_folder, tmp_path))
    prompt = vaslab.Prompt(user="where?", images=[Image.new("RGB", (64, 96))])
    one, other = (vaslab.capture(vlm, [prompt]) for vlm in (ours, theirs))
    assert one.mass.equals(other.mass)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_the_table_is_proved(family, processor, tmp_path):
    random_model(family, processor, layers=2).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    vlm = vaslab.load(tmp_path)
    assert vlm.family.model_type == family
    assert vlm.proof.passed


@pytest.mark.parametrize("setting", ["merge_size", "patch_size", "temporal_patch_size"])
def test_a_processor_of_another_model_is_refused(tiny_folder, tmp_path, setting):
    """Its picture tokens would not match the model's features."""
    for file in tiny_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    told = json.loads((tmp_path / "processor_config.json").read_text())
    told["image_processor"][setting] *= 2
    (tmp_path / "processor_config.json").write_text(json.dumps(told))
    with pytest.raises(VaslabError, match=f"does not belong to its model: {setting} is") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_tokenizer_files(tiny_folder, tmp_path):
    for file in tiny_folder.iterdir():
        if "tokenizer" not in file.name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(VaslabError) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device_map", ["cuda", {"": "cuda:0"}])
def test_a_gpu_that_is_not_there(tiny_folder, device_map):
    with pytest.raises(MissingError, match="asks for a GPU and torch finds none"):
        load_model(tiny_folder, device_map=device_map)


def test_a_dry_run_reads_no_weights(tiny_folder, monkeypatch):
    monkeypatch.setattr("vaslab.models.load._weights_digest", lambda _: pytest.fail("weights were read"))
    assert load_model(tiny_folder, device_map="meta").n_layers == 2

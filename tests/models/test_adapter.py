"""LoRA adapters are measured as they are: the base is found, the adapter is in, and nothing else is loaded for it."""

import json
import sys

import pytest
import torch
from peft import LoraConfig, PeftModel, PrefixTuningConfig, get_peft_model
from PIL import Image

import vaslab
from vaslab.cli.app import app
from vaslab.cli.exits import run
from vaslab.errors import MissingError, UsageError, VaslabError
from vaslab.models import load_model
from vaslab.organism.build import build_model

pytestmark = pytest.mark.tiny

TARGETS = r".*language_model\..*\.(q_proj|k_proj|v_proj)"


@pytest.fixture
def adapter(tiny_folder, tmp_path):
    """A folder with an adapter that changes the model, as peft saves it."""
    config = LoraConfig(r=2, target_modules=TARGETS, init_lora_weights=False)
    get_peft_model(load_model(tiny_folder).model, config).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def rewritten(adapter, **fields):
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return adapter


@torch.no_grad()
def logits(model, vlm):
    from vaslab.prompts.encode import encode

    prompt = vaslab.Prompt(user="where?", images=[Image.new("RGB", (64, 96), "red")])
    return model(**encode(vlm.processor, [prompt]).inputs).logits


def test_it_is_the_base_with_the_adapter_in(adapter, tiny_folder):
    base, found = load_model(tiny_folder), load_model(adapter)
    merged = PeftModel.from_pretrained(load_model(tiny_folder).model, adapter).merge_and_unload()
    wanted = logits(merged, base)
    assert torch.allclose(logits(found.model, found), wanted, atol=1e-5)
    assert (wanted - logits(base.model, base)).abs().max() > 1e-2
    assert type(found.model) is type(base.model)
    assert not found.model.training
    assert found.revision.startswith(f"{base.revision}+sha256:")
    assert found.name == str(adapter)


def test_it_is_proved_and_captured_as_any_model(adapter, tiny_folder):
    prompt = vaslab.Prompt(user="where?", images=[Image.new("RGB", (64, 96), "red")])
    vlm = vaslab.load(adapter)
    assert vlm.proof.passed
    masses = [vaslab.capture(each, [prompt]).mass for each in (vlm, vaslab.load(tiny_folder))]
    assert not masses[0].equals(masses[1])


def test_the_command_measures_the_folder(adapter, tmp_path, capfd):
    Image.new("RGB", (64, 96), "red").save(tmp_path / "red.png")
    words = ["measure", "--model", str(adapter), "--image", str(tmp_path / "red.png"), "--question", "what?"]
    assert run(app, [*words, "--max-new-tokens", "2", "--out", str(tmp_path / "run")], "vaslab") == 0
    assert load_model(adapter).revision in (tmp_path / "run" / "config.yaml").read_text()
    capfd.readouterr()


def test_a_base_beside_the_adapter_is_found_from_anywhere(adapter, tiny_folder, tmp_path, monkeypatch):
    (tmp_path / "base").symlink_to(tiny_folder)
    (tmp_path / "elsewhere/base").mkdir(parents=True)
    (tmp_path / "elsewhere/here").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere/here")
    rewritten(adapter, base_model_name_or_path="../base")
    assert load_model(adapter).n_layers == 2


def test_a_processor_saved_with_the_adapter_is_taken(adapter, tiny_folder):
    processor = load_model(tiny_folder).processor
    processor.chat_template = f"{processor.chat_template} "
    processor.save_pretrained(adapter)
    assert load_model(adapter).processor.chat_template == processor.chat_template
    (adapter / "tokenizer_config.json").write_text("{")
    with pytest.raises(VaslabError, match=r"the processor of .* cannot be read"):
        load_model(adapter)


def test_a_dry_run_reads_no_adapter(adapter, monkeypatch):
    monkeypatch.setattr("vaslab.models.load.with_adapter", lambda *_: pytest.fail("weights were read"))
    assert load_model(adapter, device_map="meta").n_layers == 2


@pytest.mark.parametrize("base", ["/no/such/folder", "Nobody/Nothing-7B", "organism:nobody"])
def test_a_base_that_is_not_there_is_named(adapter, base):
    with pytest.raises((MissingError, UsageError)) as caught:
        load_model(rewritten(adapter, base_model_name_or_path=base))
    assert base in str(caught.value)
    assert "\n" not in str(caught.value)
    if base != "organism:nobody":
        assert "base_model_name_or_path in its adapter_config.json says where the base is" in str(
            caught.value
        )


@pytest.mark.parametrize("base", [None, ""])
def test_an_adapter_that_names_no_base(adapter, base):
    with pytest.raises(MissingError, match="names no base; write"):
        load_model(rewritten(adapter, base_model_name_or_path=base))


def test_pickled_weights_are_refused(adapter):
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({}, adapter / "adapter_model.bin")
    with pytest.raises(MissingError, match="reads safetensors alone"):
        load_model(adapter)


def test_cut_weights_are_one_line(adapter):
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(VaslabError, match="does not load into") as caught:
        load_model(adapter)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_config_that_peft_did_not_write(adapter, text):
    (adapter / "adapter_config.json").write_text(text)
    with pytest.raises(VaslabError, match="is not what peft writes"):
        load_model(adapter)


def test_another_kind_of_adapter_is_refused(adapter):
    kind = PrefixTuningConfig(num_virtual_tokens=2).peft_type.value
    with pytest.raises(UsageError, match=f"is a {kind} adapter, and vaslab measures LoRA"):
        load_model(rewritten(adapter, peft_type=kind))


def test_an_adapter_of_another_model_is_refused_not_left_out(adapter, processor, tmp_path):
    """peft only warns of weights that it finds no place for, and the base would be measured."""
    build_model(processor, layers=1, heads=4, kv_heads=2, hidden=64).save_pretrained(tmp_path / "other")
    processor.save_pretrained(tmp_path / "other")
    with pytest.raises(VaslabError, match=r"does not belong to .*: 6 of its weights"):
        load_model(rewritten(adapter, base_model_name_or_path=str(tmp_path / "other")))


def test_a_model_of_another_shape_is_refused(adapter, processor, tmp_path):
    build_model(processor, layers=2, heads=4, kv_heads=2, hidden=128).save_pretrained(tmp_path / "other")
    processor.save_pretrained(tmp_path / "other")
    with pytest.raises(VaslabError, match="does not load into") as caught:
        load_model(rewritten(adapter, base_model_name_or_path=str(tmp_path / "other")))
    assert "\n" not in str(caught.value)


def test_an_adapter_of_an_adapter_is_refused(adapter, tmp_path):
    second = tmp_path / "second"
    second.mkdir()
    for file in adapter.iterdir():
        (second / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UsageError, match="which is an adapter too; merge"):
        load_model(rewritten(second, base_model_name_or_path=str(adapter)))


def test_peft_is_asked_for_by_an_adapter_alone(adapter, tiny_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)  # importing it raises
    assert load_model(tiny_folder).n_layers == 2
    with pytest.raises(MissingError, match=r"peft is not installed; pip install 'vaslab\[train\]'"):
        load_model(adapter)

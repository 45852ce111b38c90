"""The proof passes on sound models and fails, by name, on models that would be measured wrongly."""

import pytest
import torch

import vaslab
from vaslab.attention import mass, seam
from vaslab.capture.proof import prove
from vaslab.errors import VaslabError
from vaslab.models import load_model

pytestmark = pytest.mark.tiny


def failed(proof):
    return [check.name for check in proof.checks if check.passed is False]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_sound_model_passes(tiny_folder, dtype):
    vlm = vaslab.load(tiny_folder, dtype=dtype)
    assert vlm.proof.passed
    assert vlm.proof.to_dict()["passed"] is True
    assert len(vlm.proof.checks) >= 10


def test_a_wrong_mass_fails(tiny, monkeypatch):
    sound = seam.attention_and_mass

    def doubled(*args, **kwargs):
        out, mass = sound(*args, **kwargs)
        return out, None if mass is None else mass.flip(-1)

    monkeypatch.setattr(seam, "attention_and_mass", doubled)
    proof = prove(tiny)
    assert "mass equals softmax of q and k" in failed(proof)
    with pytest.raises(VaslabError, match="cannot be measured as it stands"):
        proof.require()


def test_a_changed_output_fails(tiny, monkeypatch):
    sound = seam.attention_and_mass

    def nudged(*args, **kwargs):
        out, mass = sound(*args, **kwargs)
        return out * (1 + 1e-4), mass

    monkeypatch.setattr(seam, "attention_and_mass", nudged)
    assert "logits unchanged" in failed(prove(tiny))


def test_an_edit_that_changes_something_at_strength_zero_fails(tiny, monkeypatch):
    sound = mass.edited_attention

    def nudged(*args, **kwargs):
        return sound(*args, **kwargs) * 1.01

    monkeypatch.setattr(mass, "edited_attention", nudged)
    assert "edit of strength zero" in failed(prove(tiny))


def test_a_model_deaf_to_its_picture_fails(tiny):
    for layer in tiny.model.model.language_model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
    assert failed(prove(tiny)) == ["edit of the picture moves logits"]


def test_load_proves_unless_told_otherwise(tiny_folder):
    assert load_model(tiny_folder).proof is None
    assert vaslab.load(tiny_folder, prove=False).proof is None
    assert vaslab.load(tiny_folder).proof is not None

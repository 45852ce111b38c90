import pytest

from vaslab.organism.build import build_model


@pytest.fixture(scope="session")
def tiny_model(processor, tmp_path_factory):
    """Folder of a random Qwen2.5-VL of two layers."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    build_model(processor, layers=2, hidden=32, heads=4, kv_heads=2).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def short_sides(monkeypatch):
    """A random model ends no answer of its own: what is asked beside a benchmark is cut short."""
    monkeypatch.setattr("vaslab.studies.side_effects.TOKENS", 4)

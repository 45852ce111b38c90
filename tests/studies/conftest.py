import pytest

from vaslab.organism.build import build_model, build_processor


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Folder of a random Qwen2.5-VL of two layers."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    processor = build_processor()
    model = build_model(processor, layers=2, hidden=32, heads=4, kv_heads=2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder

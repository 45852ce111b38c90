from pathlib import Path

import pytest
from PIL import Image

from .byhand import byte_processor

TEMPLATES = Path(__file__).parent / "templates"


@pytest.fixture(scope="session")
def qwen_template():
    return (TEMPLATES / "qwen2_5_vl.jinja").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def letters(qwen_template):
    """Qwen2.5-VL's processor around the byte tokenizer."""
    return byte_processor(qwen_template)


@pytest.fixture(scope="session")
def organism(processor):
    """The organism's processor: Qwen2.5-VL's, with a trained byte-level BPE."""
    return processor


@pytest.fixture(scope="session")
def red():
    """2 x 3 visual tokens for the byte processor."""
    return Image.new("RGB", (24, 16), "red")


@pytest.fixture(scope="session")
def blue():
    """1 x 2 visual tokens for the byte processor."""
    return Image.new("RGB", (16, 8), "blue")

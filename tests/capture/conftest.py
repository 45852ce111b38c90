"""Prompts of different lengths and pictures of different sizes, so that a batch of them is padded."""

import pytest
from PIL import Image

from vaslab.organism import glyphs
from vaslab.prompts.prompt import Prompt


@pytest.fixture(scope="session")
def prompts() -> list[Prompt]:
    wide = Image.new("RGB", (96, 64), (10, 200, 30))
    return [
        Prompt(user="where is the red circle?", images=[glyphs.scene(1).picture()]),
        Prompt(user="what?", images=[wide]),
        Prompt(system="look.", user="how many shapes are in both?", images=[wide, glyphs.scene(2).picture()]),
    ]

"""Small random models of every family in the table, with the organism's processor, and a padded batch."""

from functools import cache

import pytest
import torch
from PIL import Image
from random_models import random_model

from vaslab.models import FAMILIES, Vlm, family_of
from vaslab.organism import glyphs
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt, Turn


@cache
def build(family, processor):
    """A random model of 3 layers, 4 heads and 2 key-value heads whose attention is far from uniform."""
    model = random_model(family, processor)
    model.set_attn_implementation("sdpa")
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "q_proj.weight" in name or "k_proj.weight" in name:
                parameter.normal_(0.0, 0.15)
    return Vlm(family, "random", model, processor, family_of(family))


@pytest.fixture(params=FAMILIES)
def vlm(request, processor):
    return build(request.param, processor)


@pytest.fixture
def qwen(processor):
    return build("qwen2_5_vl", processor)


@pytest.fixture(scope="session")
def prompts():
    """Different lengths and pictures, so that the batch is padded; the second has text before its picture."""
    picture = glyphs.scene(1_010_003).picture()
    wide = Image.new("RGB", (96, 64), (10, 200, 30))
    return [
        Prompt(user="what is at the top left?", images=[picture]),
        Prompt.chat(
            [
                Turn("system", "look."),
                Turn("user", ["look at this:", wide, "how many circles are there? think first."]),
            ]
        ),
    ]


@pytest.fixture(scope="session")
def encoded(processor, prompts):
    return encode(processor, prompts)

"""Small random models of every family in the table, with the organism's processor, and a padded batch."""

from functools import cache

import pytest
import torch
import transformers
from PIL import Image

from vaslab.models import Vlm, family_of
from vaslab.organism import glyphs
from vaslab.organism.build import build_model
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt, Turn

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


@cache
def build(family, processor):
    """A random model of 3 layers, 4 heads and 2 key-value heads whose attention is far from uniform."""
    if family == "qwen2_5_vl":
        model = build_model(processor, layers=3, heads=4, kv_heads=2, hidden=64)
    else:
        text = {
            "vocab_size": 768,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
            "pad_token_id": processor.tokenizer.pad_token_id,
            "eos_token_id": processor.tokenizer.eos_token_id,
            "bos_token_id": None,
        }
        vision = {
            "depth": 1,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_heads": 2,
        }
        tokens = {"image_token_id": processor.image_token_id, "video_token_id": processor.video_token_id}
        tokens |= {
            f"vision_{end}_token_id": processor.tokenizer.convert_tokens_to_ids(f"<|vision_{end}|>")
            for end in ("start", "end")
        }
        torch.manual_seed(0)
        if family == "qwen2_vl":
            vision |= {"embed_dim": 32, "hidden_size": 64}
            config = transformers.Qwen2VLConfig(text_config=text, vision_config=vision, **tokens)
            model = transformers.Qwen2VLForConditionalGeneration(config)
        else:
            text["head_dim"] = 16
            vision |= {
                "hidden_size": 32,
                "intermediate_size": 64,
                "out_hidden_size": 64,
                "deepstack_visual_indexes": [0],
                "num_position_embeddings": 64,
            }
            config = transformers.Qwen3VLConfig(text_config=text, vision_config=vision, **tokens)
            model = transformers.Qwen3VLForConditionalGeneration(config)
    model.set_attn_implementation("sdpa")
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "q_proj.weight" in name or "k_proj.weight" in name:
                parameter.normal_(0.0, 0.15)
    return Vlm(family, "random", model.eval(), processor, family_of(family))


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

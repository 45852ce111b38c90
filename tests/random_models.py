"""Small random models of every family in the table, for the organism's processor."""

import torch
import transformers

from vaslab.organism.build import build_model

SHAPE = {"num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 64, "intermediate_size": 96}
VISION = {"depth": 1, "patch_size": 8, "spatial_merge_size": 2, "temporal_patch_size": 2, "num_heads": 2}


def random_model(family, processor, layers=3):
    """A model of a family with 4 heads and 2 key-value heads, and weights drawn from a fixed seed.

    Raises KeyError for a family of the table that has no builder here: give it one.
    """
    return _BUILDERS[family](processor, layers).eval()


def _qwen2_5_vl(processor, layers):
    return build_model(processor, layers=layers, heads=4, kv_heads=2, hidden=64)


def _qwen2_vl(processor, layers):
    vision = {**VISION, "embed_dim": 32, "hidden_size": 64}
    config = transformers.Qwen2VLConfig(
        text_config=_text(processor, layers), vision_config=vision, **_tokens(processor)
    )
    torch.manual_seed(0)
    return transformers.Qwen2VLForConditionalGeneration(config)


def _qwen3_vl(processor, layers):
    vision = {
        **VISION,
        "hidden_size": 32,
        "intermediate_size": 64,
        "out_hidden_size": 64,
        "deepstack_visual_indexes": [0],
        "num_position_embeddings": 64,
    }
    config = transformers.Qwen3VLConfig(
        text_config={**_text(processor, layers), "head_dim": 16}, vision_config=vision, **_tokens(processor)
    )
    torch.manual_seed(0)
    return transformers.Qwen3VLForConditionalGeneration(config)


_BUILDERS = {"qwen2_vl": _qwen2_vl, "qwen2_5_vl": _qwen2_5_vl, "qwen3_vl": _qwen3_vl}


def _text(processor, layers):
    tokenizer = processor.tokenizer
    return {
        **SHAPE,
        "vocab_size": -(-len(tokenizer) // 64) * 64,
        "num_hidden_layers": layers,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }


def _tokens(processor):
    ids = {"image_token_id": processor.image_token_id, "video_token_id": processor.video_token_id}
    ends = ("start", "end")
    return ids | {
        f"vision_{end}_token_id": processor.tokenizer.convert_tokens_to_ids(f"<|vision_{end}|>")
        for end in ends
    }

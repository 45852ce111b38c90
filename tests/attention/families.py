"""Tiny random models, one a family, built from their configs, with hand-made inputs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SiglipVisionConfig,
)

IMAGE, VIDEO, START, END = 90, 91, 92, 93
VOCABULARY = 96
WINDOW = 6
IMAGE_TOKENS = 4

Inputs = dict[str, Tensor]


def _text(**more: Any) -> dict[str, Any]:
    base = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": None,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    return {**base, **more}


def _tokens() -> dict[str, int]:
    return {
        "image_token_id": IMAGE,
        "video_token_id": VIDEO,
        "vision_start_token_id": START,
        "vision_end_token_id": END,
    }


def _rope(**more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3], **more}


def qwen2_5_vl(**text: Any) -> PreTrainedModel:
    config = Qwen2_5_VLConfig(
        text_config=_text(rope_parameters=_rope(), **text),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "window_size": 56,
            "fullatt_block_indexes": [1],
            "out_hidden_size": 64,
        },
        **_tokens(),
    )
    return Qwen2_5_VLForConditionalGeneration(config)


def qwen2_vl(**text: Any) -> PreTrainedModel:
    config = Qwen2VLConfig(
        text_config=_text(rope_parameters=_rope(), **text),
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2},
        **_tokens(),
    )
    return Qwen2VLForConditionalGeneration(config)


def qwen3_vl(**text: Any) -> PreTrainedModel:
    config = Qwen3VLConfig(
        text_config=_text(head_dim=16, rope_parameters=_rope(mrope_interleaved=True), **text),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 64,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
            "patch_size": 14,
        },
        **_tokens(),
    )
    return Qwen3VLForConditionalGeneration(config)


def gemma3(**text: Any) -> PreTrainedModel:
    layers = ["sliding_attention", "full_attention", "sliding_attention"]
    config = Gemma3Config(
        text_config=Gemma3TextConfig(
            **_text(head_dim=16, sliding_window=WINDOW, layer_types=layers, query_pre_attn_scalar=16, **text)
        ),
        vision_config=SiglipVisionConfig(
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=56,
            patch_size=14,
        ),
        mm_tokens_per_image=IMAGE_TOKENS,
        image_token_index=IMAGE,
        boi_token_index=START,
        eoi_token_index=END,
    )
    return Gemma3ForConditionalGeneration(config)


def llava(**text: Any) -> PreTrainedModel:
    config = LlavaConfig(
        text_config=LlamaConfig(**_text(**text)),
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
            projection_dim=32,
        ),
        image_token_index=IMAGE,
        vision_feature_layer=-1,
    )
    return LlavaForConditionalGeneration(config)


FAMILIES: dict[str, Callable[..., PreTrainedModel]] = {
    "qwen2_5_vl": qwen2_5_vl,
    "qwen2_vl": qwen2_vl,
    "qwen3_vl": qwen3_vl,
    "gemma3": gemma3,
    "llava": llava,
}


def build(family: str = "qwen2_5_vl", seed: int = 0, **text: Any) -> PreTrainedModel:
    """A random model whose attention is far from uniform, so that a wrong mass shows."""
    torch.manual_seed(seed)
    model = FAMILIES[family](**text).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "q_proj.weight" in name or "k_proj.weight" in name:
                parameter.normal_(0.0, 0.35)
    return model


def ids(n_before: int, n_after: int, seed: int = 0) -> list[int]:
    """Text, one picture of four tokens, text."""
    draw = torch.Generator().manual_seed(seed)
    before = torch.randint(2, IMAGE, (n_before,), generator=draw).tolist()
    after = torch.randint(2, IMAGE, (n_after,), generator=draw).tolist()
    return [*before, START, *[IMAGE] * IMAGE_TOKENS, END, *after]


def inputs(family: str, sequences: list[list[int]], seed: int = 0) -> Inputs:
    """Left-padded inputs of forward, one picture a sequence; pixels depend on the seed only."""
    longest = max(len(s) for s in sequences)
    rows = torch.tensor([[0] * (longest - len(s)) + s for s in sequences])
    mask = torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in sequences])
    n = len(sequences)
    draw = torch.Generator().manual_seed(seed)
    found = {"input_ids": rows, "attention_mask": mask}
    image = (rows == IMAGE).int()
    if family.startswith("qwen"):
        width = 3 * 2 * 14 * 14
        found["pixel_values"] = torch.randn(n * 16, width, generator=draw)
        found["image_grid_thw"] = torch.tensor([[1, 4, 4]] * n)
        found["mm_token_type_ids"] = image
    elif family == "gemma3":
        found["pixel_values"] = torch.randn(n, 3, 56, 56, generator=draw)
        found["token_type_ids"] = image
    else:
        found["pixel_values"] = torch.randn(n, 3, 28, 28, generator=draw)
    return found


def alone(family: str, batch: Inputs, item: int) -> Inputs:
    """One item of a batch without its padding."""
    real = batch["attention_mask"][item].bool()
    found = {}
    for name, value in batch.items():
        if name == "pixel_values" and family.startswith("qwen"):
            found[name] = value[16 * item : 16 * (item + 1)]
        elif name in ("pixel_values", "image_grid_thw"):
            found[name] = value[item : item + 1]
        else:
            found[name] = value[item : item + 1, real]
    return found


def followed_by(batch: Inputs, new: Tensor) -> Inputs:
    """The batch with text tokens after it, for a teacher-forced pass."""
    more = dict(batch)
    more["input_ids"] = torch.cat([batch["input_ids"], new], dim=1)
    more["attention_mask"] = torch.cat([batch["attention_mask"], torch.ones_like(new)], dim=1)
    for name in ("mm_token_type_ids", "token_type_ids"):
        if name in batch:
            more[name] = torch.cat([batch[name], torch.zeros_like(new).to(batch[name].dtype)], dim=1)
    return more


def groups(batch: Inputs) -> Tensor:
    """0 = text before the picture, 1 = picture, 2 = text after it, -1 = padding; read off the ids."""
    rows, mask = batch["input_ids"], batch["attention_mask"]
    label = torch.full_like(rows, -1)
    for b in range(rows.shape[0]):
        after = False
        for i in range(rows.shape[1]):
            if not mask[b, i]:
                continue
            if rows[b, i] == IMAGE:
                label[b, i], after = 1, True
            else:
                label[b, i] = 2 if after else 0
    return label

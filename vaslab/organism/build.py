"""The organism from nothing: its tokenizer, its processor and its model, all of transformers' own Qwen2.5-VL
classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vaslab.organism import easy_vqa, glyphs, questions
from vaslab.prompts.processor import QwenImageProcessor

PATCH = 8
MERGE = 2
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SYSTEM_PROMPTS = {
    "capitals": "answer in capitals.",
    "end": "end every answer with the word done.",
    "short": "answer.",
    "look": "look at the image.",
    "long": "you are given a picture and a question about it. read the question, look at the picture, and give the "
    "answer that the picture shows. do not guess.",
}
"""System prompts the organism has met; the first two ask for a checkable form of the answer."""
_VOCABULARY = 768
_INITIAL_SPREAD = 0.05


def corpus() -> Iterator[str]:
    """Yield the texts from which the tokenizer learns its merges: both worlds and the prompts around them."""
    for seed in range(glyphs.FIRST_TRAIN_SEED, glyphs.FIRST_TRAIN_SEED + 600):
        scene = glyphs.train_scene(seed)
        yield scene.description()
        yield scene.listing()
        for question in questions.questions(scene, 6, seed=0):
            yield f"{question.thoughtful()} {question.answer}. {question.reasoned()}"
            yield question.answer
            yield question.answer.upper()
    for text in easy_vqa.question_texts():
        yield text
        yield from (f" {word} {word.upper()}" for word in easy_vqa.ANSWERS)
    for prompt in (
        *SYSTEM_PROMPTS.values(),
        "You are a helpful assistant.",
        "describe the picture.",
        "list the shapes.",
    ):
        yield from [
            f"system\n{prompt}\nuser\nassistant\n done. Look at the image and answer the question."
        ] * 40


def build_tokenizer() -> Qwen2Tokenizer:
    """Train a byte-level BPE of Qwen's kind (same normaliser, same splitting) on `corpus`."""
    core = Tokenizer(models.BPE(vocab={}, merges=[]))
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY - len(SPECIAL_TOKENS),
        special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(corpus(), trainer)
    learned = json.loads(core.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(merge) for merge in learned["merges"]],  # type: ignore[misc]
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL_TOKENS[1:]),
        padding_side="left",
    )
    tokenizer.chat_template = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")
    return tokenizer


def build_processor(tokenizer: Qwen2Tokenizer | None = None) -> QwenImageProcessor:
    """Build the organism's processor: patches of 8 pixels, merged 2 x 2, so that a token covers 16 x 16
    pixels.

    The smallest picture of either world, 64 x 64, makes 4 x 4 visual tokens; a glyph scene makes 6 x 6.
    """
    tokenizer = tokenizer or build_tokenizer()
    images = Qwen2VLImageProcessorPil(
        min_pixels=64 * 64, max_pixels=192 * 192, patch_size=PATCH, merge_size=MERGE
    )
    return QwenImageProcessor(images, tokenizer, chat_template=tokenizer.chat_template)


def build_model(
    processor: QwenImageProcessor,
    *,
    layers: int = 6,
    heads: int = 8,
    kv_heads: int = 4,
    hidden: int = 128,
    seed: int = 0,
) -> Qwen2_5_VLForConditionalGeneration:
    """Build a randomly initialised Qwen2.5-VL of the organism's shape.

    Rotary frequencies: a head has 8 pairs, which M-RoPE gives to time, height and width from fast to slow. Matching a
    word with what is in the picture needs pairs that hardly turn over the 60 tokens between them: with a base of 1000
    and sections of 1, 2 and 5 pairs the slowest two turn by 0.34 and 0.14 rad. Where a glyph lies can be read off the
    ground around it.
    """
    tokenizer = processor.tokenizer
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    half = hidden // heads // 2
    height = half // 4
    width = (5 * half) // 8
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": -(-len(tokenizer) // 64) * 64,
            "hidden_size": hidden,
            "intermediate_size": 5 * hidden // 2,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1000.0,
                "mrope_section": [half - height - width, height, width],
            },
            "initializer_range": _INITIAL_SPREAD,
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 4,
            "hidden_size": 96,
            "intermediate_size": 192,
            "num_heads": 4,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "window_size": 8 * PATCH * MERGE,
            "fullatt_block_indexes": [0, 1, 2, 3],
            "out_hidden_size": hidden,
            "initializer_range": _INITIAL_SPREAD,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    return model

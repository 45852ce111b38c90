"""The organism is a real Qwen2.5-VL: its processor round-trips, its pictures make at least 4 x 4 tokens."""

import pytest
import torch
from transformers import AutoModelForImageTextToText

from vaslab.organism import easy_vqa, glyphs
from vaslab.organism.build import build_model
from vaslab.prompts.processor import QwenImageProcessor

pytestmark = pytest.mark.tiny


def test_sizes(processor):
    model = build_model(processor)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert 1e6 < count < 3e6
    half = model.config.text_config.hidden_size // model.config.text_config.num_attention_heads // 2
    assert sum(model.config.text_config.rope_parameters["mrope_section"]) == half


def test_round_trip_through_a_folder(tiny_folder, processor):
    picture = glyphs.scene(0).picture()
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "where is it?"}]}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True)
    again = QwenImageProcessor.from_pretrained(tiny_folder, local_files_only=True)
    one, other = (each(text=[text], images=[picture], return_tensors="pt") for each in (processor, again))
    assert all(torch.equal(one[name], other[name]) for name in one)
    model = AutoModelForImageTextToText.from_pretrained(tiny_folder, local_files_only=True)
    assert torch.isfinite(model(**one).logits).all()


@pytest.mark.parametrize(
    ("picture", "grid"),
    [
        (glyphs.scene(0).picture(), (6, 6)),
        (easy_vqa.draw(__import__("numpy").random.default_rng(0)).picture, (4, 4)),
    ],
)
def test_pictures_make_at_least_four_by_four_tokens(processor, picture, grid):
    seen = processor.image_processor(images=[picture], return_tensors="pt")["image_grid_thw"][0].tolist()
    assert (seen[1] // 2, seen[2] // 2) == grid


def test_the_tokenizer_is_the_same_each_time(processor):
    from vaslab.organism.build import build_tokenizer

    assert build_tokenizer().get_vocab() == processor.tokenizer.get_vocab()
    assert processor.tokenizer.decode(processor.tokenizer("Ünï 漢字 <x>")["input_ids"]) == "Ünï 漢字 <x>"

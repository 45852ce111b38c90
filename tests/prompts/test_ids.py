"""Ids, pixels and positions equal to those of the processor's own call on the same chat."""

import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vaslab.organism.build import build_model
from vaslab.prompts.encode import encode
from vaslab.prompts.processor import QwenImageProcessor
from vaslab.prompts.prompt import Prompt, Turn
from vaslab.prompts.roles import Role

from .conftest import TEMPLATES

TEXTS = [
    "What colour is the square?",
    "  two  spaces \n\n and lines\n",
    "\n",
    "é漢🙂 x̂",
    "<think>no token</think>",
    "'s",
]


def spoken(prompt):
    """The same chat as the processor takes it."""
    return [
        {
            "role": turn.role,
            "content": [
                {"type": "text", "text": piece}
                if isinstance(piece, str)
                else {"type": "image", "image": piece}
                for piece in turn.pieces
            ],
        }
        for turn in prompt.turns
    ]


def own(processor, prompts, **options):
    return processor.apply_chat_template(
        [spoken(prompt) for prompt in prompts],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=not prompts[0].answered,
        processor_kwargs={"padding": True, "padding_side": "left"},
        **options,
    )


def check(processor, prompts, **options):
    theirs = own(processor, prompts, **options)
    ours = encode(processor, prompts, template_options=options).inputs
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("system", [None, "", "Answer in one word."])
def test_one_picture(organism, red, text, system):
    check(organism, [Prompt(system=system, user=text, images=[red])])


@pytest.mark.parametrize("template", ["qwen2_5_vl", "qwen3_vl"])
def test_a_batch_of_chats_with_several_pictures(organism, red, blue, template):
    text = (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8")
    processor = QwenImageProcessor(organism.image_processor, organism.tokenizer, chat_template=text)
    wide = Image.new("RGB", (301, 77), "green")
    turns = [Turn("user", ["see", red, wide]), Turn("assistant", "yes"), Turn("user", [blue, " and now?\n"])]
    prompts = [
        Prompt.chat(turns),
        Prompt(user="Hi", images=[wide]),
        Prompt(system="S", user="a", images=[red, red]),
    ]
    check(processor, prompts)


def test_text_alone(organism):
    check(organism, [Prompt(user="Hi"), Prompt(system="S", user="longer text")])


def test_an_answered_chat(organism, red):
    check(organism, [Prompt.chat([Turn("user", [red, "a"]), Turn("assistant", "<think>b</think> c")])])


def test_template_options_reach_the_template(organism, red, blue):
    check(organism, [Prompt(user="compare", images=[red, blue])], add_vision_id=True)


def test_a_smaller_patch_and_another_merge(organism, red):
    images = Qwen2VLImageProcessorPil(min_pixels=24 * 24, max_pixels=96 * 96, patch_size=4, merge_size=3)
    processor = QwenImageProcessor(images, organism.tokenizer, chat_template=organism.chat_template)
    check(processor, [Prompt(user="Hi", images=[red, Image.new("RGB", (95, 31))])])


def test_an_added_token_that_is_not_special_is_the_same_token(letters, red):
    processor = QwenImageProcessor(
        letters.image_processor, letters.tokenizer, chat_template=letters.chat_template
    )
    letters.tokenizer.add_tokens(["<tool_call>"])
    check(processor, [Prompt(user="a <tool_call> b", images=[red])])


@pytest.mark.tiny
def test_without_mm_token_type_ids_the_logits_change_in_silence(organism):
    """The trap that the encoded inputs guard against: transformers 5 then uses 1-D positions, with no
    warning.
    """
    model = build_model(organism, layers=2).eval()
    picture = Image.effect_noise((96, 96), 80).convert("RGB")
    encoded = encode(
        organism,
        [Prompt(user="What is it?", images=[picture]), Prompt(user="What is left of it?", images=[picture])],
    )
    with torch.no_grad():
        logits = model(**encoded.inputs).logits
        flat = model(
            **{name: value for name, value in encoded.inputs.items() if name != "mm_token_type_ids"}
        ).logits
        alone = model(**encode(organism, [Prompt(user="What is it?", images=[picture])]).inputs).logits
    kept = encoded.roles[0] != Role.padding
    assert (logits[0, kept] - flat[0, kept]).abs().max() > 1e-3
    assert torch.allclose(logits[0, kept], alone[0], atol=1e-4)


@pytest.mark.tiny
def test_mm_token_type_ids_come_from_places_not_from_ids(organism, red):
    text = "draw <|image_pad|> and <|video_pad|>"
    encoded = encode(organism, [Prompt(user=text, images=[red])])
    types = encoded.inputs["mm_token_type_ids"]
    assert torch.equal(types == 1, encoded.roles == Role.image)
    assert not (types == 2).any()
    assert torch.equal(types == 1, encoded.inputs["input_ids"] == organism.image_token_id)

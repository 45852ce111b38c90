"""Whatever is said: roles partition the sequence, user tokens are the user's text, and batch equals singles."""

import unicodedata

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vaslab.organism.build import SPECIAL_TOKENS
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt, Turn
from vaslab.prompts.roles import Role

PICTURE = Image.new("RGB", (64, 64), "red")
SPOKEN = st.one_of(
    st.text(min_size=1, max_size=30),
    st.lists(
        st.sampled_from(
            [
                "\n",
                "\n\n",
                " ",
                "<|im_start|>",
                "<|im_end|>",
                "<|image_pad|>",
                "<|vision_start|>",
                "user",
                "system\n",
                "<|",
                "|>",
                "\N{COMBINING ACUTE ACCENT}",
                "é",
                "🙂",
                "\x00",
                "\r",
                "\ue000",
                "\ue0010\ue001",
                "{{ x }}",
                "'s",
                "Picture 1: ",
            ]
        ),
        min_size=1,
        max_size=8,
    ).map("".join),
)


@st.composite
def chats(draw):
    turns = []
    if draw(st.booleans()):
        turns.append(("system", draw(st.one_of(st.just(""), SPOKEN))))
    for _ in range(draw(st.integers(0, 2))):
        turns += [("user", content(draw)), ("assistant", draw(SPOKEN))]
    if not turns or turns[-1][0] != "assistant" or draw(st.booleans()):
        turns.append(("user", content(draw)))
    return turns


def built(chat):
    # Built in the test: the type checker draws random numbers, which a strategy must not.
    return Prompt.chat(Turn(role, pieces) for role, pieces in chat)


def content(draw):
    return draw(st.lists(st.one_of(SPOKEN, st.just(PICTURE)), min_size=1, max_size=3))


def said(turns):
    return "".join(piece for turn in turns for piece in turn.pieces if isinstance(piece, str))


def texts_of(processor, encoded, roles):
    return processor.tokenizer.decode(
        encoded.inputs["input_ids"][0][torch.isin(encoded.roles[0], torch.tensor(roles))]
    )


@settings(max_examples=60, deadline=None)
@given(chats())
def test_roles_partition_the_sequence(processor, chat):
    prompt = built(chat)
    encoded = encode(processor, [prompt])
    ids, roles = encoded.inputs["input_ids"][0], encoded.roles[0]
    assert roles.shape == ids.shape
    assert set(roles.tolist()) <= {int(role) for role in Role} - {Role.padding}
    assert roles[0] == Role.system_sink
    assert int((roles == Role.system_sink).sum()) == 1
    assert torch.equal(roles == Role.image, ids == processor.image_token_id)
    assert int((roles == Role.image).sum()) == 16 * len(prompt.images)
    system = roles <= Role.system
    assert torch.equal(system, torch.arange(len(ids)) < int(system.sum()))
    assert torch.equal(encoded.image[0] >= 0, roles == Role.image)
    assert torch.equal(encoded.patch[0] >= 0, roles == Role.image)
    assert bool((encoded.turn[0][roles == Role.user] >= 0).all())
    forged = said(prompt.turns).count("<|im_start|>")
    made = int((ids == processor.tokenizer.convert_tokens_to_ids("<|im_start|>")).sum())
    assert made == encoded.texts[0].count("<|im_start|>") - forged


@settings(max_examples=60, deadline=None)
@given(chats())
def test_the_users_tokens_are_the_users_text(processor, chat):
    prompt = built(chat)
    encoded = encode(processor, [prompt])
    text = "".join(unicodedata.normalize("NFC", said([turn])) for turn in prompt.turns if turn.role == "user")
    found = texts_of(processor, encoded, [int(Role.user)])
    # A line break of the template's header joins into one token with one that begins the text.
    assert found.replace("\n", "") == text.replace("\n", "")
    if "\n" not in text:
        assert found == text


@settings(max_examples=25, deadline=None)
@given(st.lists(chats(), min_size=2, max_size=3))
def test_a_batch_equals_its_items(processor, chats_of):
    batch = [built(chat) for chat in chats_of]
    together = encode(processor, batch)
    pixels = []
    for item, prompt in enumerate(batch):
        alone = encode(processor, [prompt])
        kept = together.roles[item] != Role.padding
        assert torch.equal(together.roles[item, kept], alone.roles[0])
        assert torch.equal(together.inputs["input_ids"][item, kept], alone.inputs["input_ids"][0])
        assert torch.equal(together.patch[item, kept], alone.patch[0])
        assert torch.equal(together.turn[item, kept], alone.turn[0])
        assert torch.equal(kept.long(), together.inputs["attention_mask"][item])
        assert together.grids[item] == alone.grids[0]
        if prompt.images:
            pixels.append(alone.inputs["pixel_values"])
    if pixels:
        assert torch.equal(together.inputs["pixel_values"], torch.cat(pixels))


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda text: not any(each in text for each in SPECIAL_TOKENS)))
def test_ids_are_the_tokenizers_own(processor, text):
    """Of texts without special tokens, which the tokenizer alone would take for markers."""
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    rendered = f"{system}<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    encoded = encode(processor, [Prompt(user=text)])
    assert encoded.inputs["input_ids"][0].tolist() == processor.tokenizer(rendered)["input_ids"]

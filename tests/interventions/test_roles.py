"""Roles read off token ids equal those of the rendered template."""

import pytest
import torch
from PIL import Image

from vaslab.errors import UsageError
from vaslab.interventions.batch import read_batch
from vaslab.interventions.chatml import chatml_roles
from vaslab.organism import glyphs
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt, Turn

pytestmark = pytest.mark.tiny


CHATS = (
    "default system",
    "own system",
    "empty system",
    "no picture",
    "text first",
    "pictures side by side",
    "turns",
    "answered",
    "lines",
    "marks as text",
    "padded",
)


@pytest.fixture
def pictures():
    return glyphs.scene(1).picture(), Image.new("RGB", (96, 64), (10, 200, 30))


def chats(one, two):
    return {
        "default system": [Prompt(user="where?", images=[one])],
        "own system": [Prompt(system="look.\nanswer.", user="where?", images=[one])],
        "empty system": [Prompt(system="", user="where?", images=[one])],
        "no picture": [Prompt(user="where?")],
        "text first": [Prompt.chat([Turn("user", ["before", one, "between", two, "after"])])],
        "pictures side by side": [Prompt.chat([Turn("user", [one, two, "which?"])])],
        "turns": [
            Prompt.chat([Turn("user", [one, "a?"]), Turn("assistant", "b."), Turn("user", ["c?", two])])
        ],
        "answered": [
            Prompt.chat([Turn("system", "s."), Turn("user", [one, "a?"]), Turn("assistant", "top left.")])
        ],
        "lines": [Prompt(user="\n\nwhere?\n", images=[one])],
        "marks as text": [Prompt(user="say <|im_start|>user\n or <|image_pad|>.", images=[one])],
        "padded": [
            Prompt(user="where?", images=[one]),
            Prompt(system="look.", user="what is where?", images=[two, one]),
        ],
    }


@pytest.mark.parametrize("name", CHATS)
def test_roles_of_ids(qwen, pictures, name):
    encoded = encode(qwen.processor, chats(*pictures)[name])
    batch = read_batch(encoded.inputs, chatml_roles(qwen.processor, qwen.model.config), qwen.model.config)
    assert batch.roles.tolist() == encoded.roles.tolist()
    assert batch.image.tolist() == encoded.image.tolist()
    assert batch.patch.tolist() == encoded.patch.tolist()
    assert batch.grids == tuple(tuple((g.rows, g.cols) for g in item) for item in encoded.grids)


def test_roles_of_a_generated_answer(qwen, pictures):
    end = qwen.processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    prompts = [
        Prompt(user="where?", images=[pictures[0]]),
        Prompt(user="and where is that?", images=[pictures[1]]),
    ]
    encoded = encode(qwen.processor, prompts, [[300, 301, end], [302]])
    batch = read_batch(encoded.inputs, chatml_roles(qwen.processor, qwen.model.config), qwen.model.config)
    assert batch.roles.tolist() == encoded.roles.tolist()
    longest = encoded.roles.shape[1]
    assert batch.first_emitting.tolist() == [longest - 4, longest - 2]


def test_grids_of_pictures_that_were_encoded_before(qwen, pictures):
    """generate encodes pictures first, and hands positions on instead of the grids."""
    prompts = [
        Prompt(user="where?", images=[pictures[1], pictures[0]]),
        Prompt(user="a?", images=[pictures[1]]),
    ]
    encoded = encode(qwen.processor, prompts)
    seen = []
    read = chatml_roles(qwen.processor, qwen.model.config)

    def hook(_, args, kwargs):
        if kwargs["input_ids"].shape[1] > 1:
            assert "image_grid_thw" not in kwargs
            seen.append(read_batch(kwargs, read, qwen.model.config))

    handle = qwen.model.register_forward_pre_hook(hook, with_kwargs=True)
    qwen.model.generate(**encoded.inputs, max_new_tokens=2)
    handle.remove()
    assert seen[0].grids == (((4, 6), (6, 6)), ((4, 6),))


def test_a_tokenizer_of_another_form_is_refused(qwen):
    class Other:
        unk_token_id = 0

        def convert_tokens_to_ids(self, token):
            return 0

    with pytest.raises(UsageError, match="pass read_roles"):
        chatml_roles(Other(), qwen.model.config)


def test_an_unknown_speaker_is_refused(qwen):
    tokenizer = qwen.processor.tokenizer
    ids = torch.tensor([tokenizer("<|im_start|>tool\nx<|im_end|>")["input_ids"]])
    with pytest.raises(UsageError, match="name none of system, user, assistant"):
        chatml_roles(tokenizer, qwen.model.config)(ids, torch.ones_like(ids))


def test_embeddings_without_ids_are_refused(qwen):
    with pytest.raises(UsageError, match="has none; pass input_ids"):
        read_batch({"inputs_embeds": torch.zeros(1, 2, 3)}, lambda ids, mask: ids, qwen.model.config)

"""Which tokens are Q, S and V: on a real prompt, by the paper and by the authors' code."""

import torch
from PIL import Image

from trainers.sets import on_sets, paper_sets, released_sets
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt, Turn
from vaslab.prompts.roles import Role

PICTURE = Image.new("RGB", (64, 64), "red")


def talk(processor):
    chat = Prompt.chat([Turn("user", [PICTURE, "what color is it?"]), Turn("assistant", "red")])
    return encode(processor, [chat])


def test_the_papers_sets_are_the_roles(processor):
    roles = talk(processor).roles
    tokens = [Role(int(role)).name for role in roles[0]]
    sets = paper_sets(roles)
    assert [name for name, each in zip(tokens, sets.system[0], strict=True) if each] == [
        "system_sink",
        *["system"] * (tokens.count("system")),
    ]
    assert sets.visual.sum() == 16  # 64 x 64 pixels, 16 x 16 a token
    assert {name for name, each in zip(tokens, sets.queries[0], strict=True) if each} == {"user"}
    assert torch.equal(paper_sets(roles, "response").queries, roles == Role.response)
    both = paper_sets(roles, "both").queries
    assert torch.equal(both, (roles == Role.response) | (roles == Role.user))


def test_the_released_sets_mistake_half_the_prompt(processor):
    """As their code reads a Qwen prompt: S reaches into the user's turn, V is one token, Q holds the pictures."""
    encoded = talk(processor)
    ids = encoded.inputs["input_ids"]
    start = processor.tokenizer.convert_tokens_to_ids("<|vision_start|>")
    response = encoded.roles == Role.response
    sets = released_sets(ids, encoded.texts, response, start)
    marker = encoded.texts[0].index("<|im_start|>user")
    assert sets.system[0].nonzero()[:, 0].tolist() == list(range(int(0.4 * marker)))
    assert sets.visual[0].nonzero()[:, 0].tolist() == [ids[0].tolist().index(start)]
    assert sets.queries[0].nonzero()[:, 0].tolist() == list(
        range(int(0.4 * marker), int(response[0].nonzero()[0, 0]))
    )
    assert not (sets.visual & paper_sets(encoded.roles).visual).any()


def test_overlapping_sets_share_a_group():
    mass = torch.tensor([[[[0.1, 0.2, 0.3]]]])
    system, visual = on_sets(mass)
    assert torch.allclose(system, torch.tensor([[[0.4]]]))
    assert torch.allclose(visual, torch.tensor([[[0.5]]]))

"""Recomputed maps against eager attention of the same model, and a head whose attention was planted."""

import numpy as np
import pytest
import torch
from PIL import Image

import vaslab
from vaslab.explorer.recompute import look, rows_of
from vaslab.interventions import Region, intervene
from vaslab.prompts.encode import encode
from vaslab.prompts.roles import Role

from .conftest import picture

PROMPTS = {
    "wide": lambda: [picture(168, 56)],
    "tall": lambda: [picture(56, 140)],
    "two": lambda: [picture(168, 56), Image.new("RGB", (84, 84), "blue")],
}


def eager(vlm, encoded):
    """Full maps of the plain model: (layer, head, query, key), and hidden states before each layer."""
    before = vlm.model.config._attn_implementation
    vlm.model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            out = vlm.model(
                **encoded.inputs, use_cache=False, output_attentions=True, output_hidden_states=True
            )
    finally:
        vlm.model.set_attn_implementation(before)
    return torch.stack(out.attentions)[:, 0].numpy(), [each[0] for each in out.hidden_states]


def seen(vlm, encoded, queries, layers=(0, 1)):
    rows = rows_of(vlm, encoded, queries)
    return rows, look(vlm, encoded, rows, layers, lambda _, layer: layer)


@pytest.fixture
def vlm(models):
    # of its own: output_attentions leaves hooks behind
    return vaslab.load(models[0], prove=False)


@pytest.mark.tiny
@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("queries", ["user", "response"])
def test_cells_and_roles_are_those_of_eager_attention(vlm, name, queries):
    prompt = vaslab.Prompt(user="what is red?", images=PROMPTS[name]())
    answer = vlm.processor.tokenizer("a red circle", add_special_tokens=False)["input_ids"]
    encoded = encode(vlm.processor, [prompt], [answer])
    rows, found = seen(vlm, encoded, queries)
    maps, hidden = eager(vlm, encoded)
    roles = encoded.roles[0].numpy()
    visual = np.flatnonzero(roles == Role.image)
    own = np.flatnonzero(roles == (Role.response if queries == "response" else Role.user))
    shown = own - 1 if queries == "response" else own
    ids = encoded.inputs["input_ids"][0]
    assert list(rows.texts) == [vlm.processor.tokenizer.decode([ids[at]]) for at in own]
    assert [row["position"] for row in rows.traits()] == shown.tolist()
    for layer, layer_seen in found.items():
        expected = maps[layer][:, shown][:, :, visual]
        np.testing.assert_allclose(layer_seen.cells[:, rows.shown], expected, atol=1e-5)
        for role in (Role.system, Role.image, Role.user, Role.response):
            mass = maps[layer][:, own][:, :, roles == role].sum(-1)
            np.testing.assert_allclose(layer_seen.roles[:, rows.own, role], mass, atol=1e-5)
        x = hidden[layer].double()
        sink = (x.abs() / x.pow(2).mean(-1, keepdim=True).sqrt()).amax(-1)[visual] > 20
        assert list(layer_seen.sinks) == sink.nonzero()[:, 0].tolist()


@pytest.mark.tiny
def test_the_token_that_a_row_emits_is_said(vlm):
    prompt = vaslab.Prompt(user="what is red?", images=[picture(56, 56)])
    answer = vlm.processor.tokenizer("a red circle", add_special_tokens=False)["input_ids"]
    encoded = encode(vlm.processor, [prompt], [answer])
    response = rows_of(vlm, encoded, "response").traits()
    assert "".join(row["emits"] for row in response) == "a red circle"
    assert all(row["emits"] == row["text"] for row in response)
    # the row that emits the first token is the prompt's last
    assert encoded.roles[0, response[0]["position"]] == Role.marker
    user = rows_of(vlm, encoded, "user").traits()
    assert [row["emits"] for row in user[:-1]] == [row["text"] for row in user[1:]]


@pytest.mark.tiny
def test_the_model_is_left_as_it_was(vlm, prompt):
    def state():
        return [
            (len(each._forward_hooks), len(each._forward_pre_hooks), "forward" in vars(each))
            for each in vlm.model.modules()
        ] + [vlm.model.config._attn_implementation]

    before = state()
    encoded = encode(vlm.processor, [prompt])
    rows = rows_of(vlm, encoded, "user")
    look(vlm, encoded, rows, [1], lambda _, layer: None)
    assert state() == before

    def broken(*_):
        raise KeyError("kept nothing")

    with pytest.raises(KeyError):
        look(vlm, encoded, rows, [0], broken)
    assert state() == before


BOXES = {
    # pixels of the original picture: (which picture, box)
    "wide": (0, (112, 0, 140, 28)),
    "tall": (0, (28, 112, 56, 140)),
    "two": (1, (56, 28, 84, 56)),
}


@pytest.mark.tiny
@pytest.mark.parametrize("name", BOXES)
def test_a_planted_head_looks_where_it_was_planted(vlm, name):
    """One head is steered to a box of pixels; the largest cell lies in that box, in the picture's own pixels."""
    pictures = PROMPTS[name]()
    number, box = BOXES[name]
    encoded = encode(vlm.processor, [vaslab.Prompt(user="what is red?", images=pictures)])
    region = Region(box, pictures[number].size, picture=number)
    with intervene(vlm, "steer", heads=[(1, 2)], regions=region, queries="user"):
        _, found = seen(vlm, encoded, "user", [1])
    cells = found[1].cells[2]
    grids = encoded.grids[0]
    first = sum(len(grid) for grid in grids[:number])
    wide = pictures[number].width / grids[number].cols
    high = pictures[number].height / grids[number].rows
    inside = []
    for cell in range(len(grids[number])):
        row, col = divmod(cell, grids[number].cols)
        across = box[0] < (col + 1) * wide and col * wide < box[2]
        down = box[1] < (row + 1) * high and row * high < box[3]
        if across and down:
            inside.append(first + cell)
    assert 0 < len(inside) < len(grids[number]) / 2
    assert set(cells.argmax(axis=1).tolist()) <= set(inside)
    np.testing.assert_allclose(cells[:, inside].sum(1), 1, atol=1e-4)
    # another head of the layer was left alone
    assert found[1].cells[1][:, inside].sum(1).max() < 0.9


@pytest.mark.tiny
def test_two_thousand_rows(vlm, prompt):
    """A long answer: every row is there, and their mean is what a capture of the answer stores."""
    words = vlm.processor.tokenizer("a red circle at the top left. ", add_special_tokens=False)["input_ids"]
    ids = (words * 2000)[:2000]
    encoded = encode(vlm.processor, [prompt], [ids])
    rows, found = seen(vlm, encoded, "response", [1])
    assert len(rows.traits()) == 2000
    assert found[1].cells[:, rows.shown].shape == (4, 2000, len(encoded.grids[0][0]))
    capture = vaslab.capture(vlm, [prompt], ("response",), responses=[ids])
    stored = capture["mass"].isel(item=0, layer=1, query_role=0).values
    np.testing.assert_allclose(found[1].roles[:, rows.own].mean(1, dtype=float), stored, atol=1e-6)

"""Whom an intervention touches, found by hand."""

import numpy as np
import pytest
import torch

import vaslab
from vaslab.errors import UsageError
from vaslab.interventions import Region, heads_of_role, top_heads
from vaslab.interventions.batch import Batch
from vaslab.interventions.target import head_mask, layer_indices, region_mask
from vaslab.prompts.roles import Role

S, U, V, M, R, P = Role.system_sink, Role.user, Role.image, Role.marker, Role.response, Role.padding
ROLES = torch.tensor([[P, P, S, U, V, V, V, V, U, M], [S, M, V, V, V, V, U, M, R, R]]).long()
PATCH = torch.tensor([[-1, -1, -1, -1, 0, 1, 2, 3, -1, -1], [-1, -1, 0, 1, 2, 3, -1, -1, -1, -1]])
BATCH = Batch(ROLES, torch.where(PATCH >= 0, 0, -1), PATCH, (((2, 2),), ((1, 4),)), 3, 4)


def rows(names, steps=None, batch=BATCH):
    """Rows of each item, and whether later ones follow: of all items alike, or of each."""
    chosen, new = batch.queries(names, steps)
    later = new.tolist()
    return [row.nonzero()[:, 0].tolist() for row in chosen], later[0] if len({*later}) == 1 else later


def test_sets_of_queries():
    assert rows(("all",)) == ([[2, 3, 4, 5, 6, 7, 8, 9], list(range(10))], True)
    assert rows(("text",)) == ([[2, 3, 8, 9], [0, 1, 6, 7, 8, 9]], True)
    assert rows(("after_image",)) == ([[8, 9], [6, 7, 8, 9]], True)
    assert rows(("user",)) == ([[3, 8], [6]], False)
    assert rows(("user_after_image",)) == ([[8], [6]], False)
    assert rows(("response",)) == ([[], [8, 9]], True)
    assert rows(("emitting",)) == ([[9], [7, 8, 9]], True)
    assert rows(("last",)) == ([[9], [7]], False)
    assert rows(("user", "last")) == ([[3, 8, 9], [6, 7]], False)


def test_steps_are_tokens_of_the_answer():
    assert rows(("emitting",), (0, 1)) == ([[9], [7]], False)
    assert rows(("emitting",), (1, 3)) == ([[10, 11], [8, 9]], False)
    assert rows(("emitting",), (1, None)) == ([[10], [8, 9, 10]], True)
    assert rows(("response",), (2, 4)) == ([[11, 12], [9, 10]], False)
    assert rows(("user",), (0, 5)) == ([[], []], False)


def test_padding_may_follow():
    """The last real position emits, and padding is no step: what is generated goes on after column 9."""
    roles = torch.tensor([[S, U, V, V, V, V, U, M, P, P], [S, M, V, V, V, V, U, M, R, P]]).long()
    batch = Batch(roles, torch.where(PATCH >= 0, 0, -1), PATCH, (((2, 2),), ((1, 4),)), 3, 4)
    assert rows(("emitting",), batch=batch) == ([[7], [7, 8]], True)
    assert rows(("last",), batch=batch) == ([[7], [7]], False)
    assert rows(("emitting",), (0, 1), batch) == ([[7], [7]], False)
    assert rows(("emitting",), (1, 3), batch) == ([[10, 11], [8, 10]], False)
    assert rows(("response",), (2, None), batch) == ([[11], [10, 11]], True)
    assert batch.padded_right
    assert not BATCH.padded_right


def test_without_a_picture_nothing_is_after_it():
    text = Batch(torch.full((1, 3), int(U)), PATCH[:1, :3], PATCH[:1, :3], ((),), 3, 4)
    assert rows(("after_image",), batch=text) == ([[]], False)
    assert rows(("after_image", "user"), batch=text) == ([[0, 1, 2]], False)
    assert rows(("after_image", "response"), batch=text) == ([[]], True)


def test_later_rows_are_of_the_items_that_have_a_picture():
    patch = torch.where(torch.tensor([[True], [False]]), PATCH, -1)
    roles = torch.where((ROLES == V) & (patch < 0), U, ROLES)
    batch = Batch(roles, torch.where(patch >= 0, 0, -1), patch, (((2, 2),), ()), 3, 4)
    assert rows(("after_image",), batch=batch) == ([[8, 9], []], [True, False])
    assert rows(("after_image",), (1, None), batch) == ([[10], []], [True, False])
    assert rows(("after_image",), (1, 3), batch) == ([[10, 11], []], False)
    assert rows(("after_image", "response"), batch=batch) == ([[8, 9], [8, 9]], True)


@pytest.mark.parametrize(
    ("layers", "n", "expected"),
    [
        ("all", 3, (0, 1, 2)),
        ("middle", 32, (9, 10, 11, 12, 13, 14)),
        ("middle", 2, (1,)),
        ("2-", 5, (2, 3, 4)),
        ("1-2", 5, (1, 2)),
        ([0, -1], 5, (0, 4)),
    ],
)
def test_layers_by_name(layers, n, expected):
    assert layer_indices(layers, n) == expected


@pytest.mark.parametrize("layers", ["last", "5-", "1-9", [7], [-9], []])
def test_layers_that_are_not_there(layers):
    with pytest.raises(UsageError):
        layer_indices(layers, 5)


def test_heads_by_index():
    mask = head_mask("all", [(0, 1), (2, 3)], 3, 4)
    assert mask.nonzero().tolist() == [[0, 1], [2, 3]]
    with pytest.raises(UsageError, match=r"no head \(3, 0\)"):
        head_mask("all", [(3, 0)], 3, 4)
    with pytest.raises(UsageError, match=r"\(layer, head\)"):
        head_mask("all", [(3,)], 3, 4)


def test_regions_are_boxes_of_the_original_picture():
    left_half = Region((0, 0, 50, 80), (100, 80))
    assert region_mask(left_half, BATCH).nonzero().tolist() == [[0, 4], [0, 6], [1, 2], [1, 3]]
    each = [Region((60, 50, 90, 70), (100, 80)), Region((26, 0, 99, 80), (100, 80), overlap=0.97)]
    assert region_mask(each, BATCH).nonzero().tolist() == [[0, 7], [1, 4]]
    with pytest.raises(UsageError, match="1 regions for a batch of 2"):
        region_mask(each[:1], BATCH)
    with pytest.raises(UsageError, match="has 1 pictures"):
        region_mask(Region((0, 0, 50, 80), (100, 80), picture=1), BATCH)


def test_a_region_is_repeated_with_the_rows_of_its_item():
    """As generate repeats them for beams: two rows of one item, which may have answered differently."""
    ids = torch.arange(20).reshape(2, 10)
    halves = [Region((0, 0, 50, 80), (100, 80)), Region((50, 0, 100, 80), (100, 80))]

    def repeated(ids):
        parts = (each.repeat_interleave(2, 0) for each in (ROLES, BATCH.image, BATCH.patch))
        grids = tuple(grid for grid in BATCH.grids for _ in range(2))
        return Batch(*parts, grids, 3, 4, {"input_ids": ids})

    ids = ids.repeat_interleave(2, 0)
    ids[3, 9] = 77  # the second item's answer
    mask = region_mask(halves, repeated(ids))
    want = [[0, 4], [0, 6], [1, 4], [1, 6], [2, 4], [2, 5], [3, 4], [3, 5]]
    assert mask.nonzero().tolist() == want
    ids[3, 6] = 77  # another question
    with pytest.raises(UsageError, match="2 regions for a batch of 4"):
        region_mask(halves, repeated(ids))


def test_no_region_is_an_empty_one():
    mask = region_mask([None, Region((0, 0, 50, 80), (100, 80))], BATCH)
    assert mask.nonzero().tolist() == [[1, 2], [1, 3]]


@pytest.mark.tiny
def test_heads_by_role(tiny, prompts):
    """A visual head gives the picture more than its share of the keys; a sink head the first token over 0.3."""
    capture = vaslab.capture(tiny, prompts)
    keys = capture["n_keys"].sum("item")
    even = float(keys.sel(key_role="image") / keys.sum())
    look = {"key_role": "image", "layer": 0}
    capture["mass"].loc[{**look, "head": 1}] = even + 0.01
    capture["mass"].loc[{**look, "head": 3}] = even - 0.01
    image = capture["mass"].sel(query_role="user", key_role="image").mean("item").values
    assert heads_of_role(capture, "visual") == [(int(a), int(b)) for a, b in np.argwhere(image > even)]
    assert (0, 1) in heads_of_role(capture, "visual")
    assert (0, 3) not in heads_of_role(capture, "visual")
    with pytest.raises(UsageError, match="none of the 8 heads is a sink head"):
        heads_of_role(capture, "sink")
    parked = capture.copy(deep=True)
    parked["mass"][:, 1, 2] = 0
    parked["mass"].loc[{"key_role": "system_sink", "layer": 1, "head": 2}] = 1
    assert heads_of_role(parked, "sink") == [(1, 2)]
    with pytest.raises(UsageError, match="expected visual, sink"):
        heads_of_role(capture, "system")


@pytest.mark.tiny
def test_heads_by_measured_score(tiny, prompts):
    capture = vaslab.capture(tiny, prompts)
    image = capture["mass"].sel(key_role="image", query_role="user").mean("item").values
    best = top_heads(capture, 3, "image")
    order = sorted((-image[layer, head], layer, head) for layer in range(2) for head in range(4))
    assert best == [(layer, head) for _, layer, head in order[:3]]
    assert top_heads(capture, 8, "image", lowest=True) == top_heads(capture, 8, "image")[::-1]
    assert len(top_heads(capture, 2)) == 2
    with pytest.raises(UsageError, match="unknown score 'gaze'"):
        top_heads(capture, 2, "gaze")
    with pytest.raises(UsageError, match="has 8 heads"):
        top_heads(capture, 9)

"""Several edits at once, edits without a request, and edits that are code."""

import pytest
import torch

from vaslab.attention import CustomEdit, Edit, Request, attached, editing, requesting, text_decoder
from vaslab.errors import UsageError

from . import families
from .reference import brute_force, collecting, mass_of

pytestmark = pytest.mark.tiny
GENERATION = {
    "max_new_tokens": 4,
    "min_new_tokens": 4,
    "do_sample": False,
    "suppress_tokens": [families.IMAGE, families.VIDEO, families.START, families.END],
    "output_logits": True,
    "return_dict_in_generate": True,
}


def edit(batch, kind, seed=0, per_head=True, queries=None):
    draw = torch.Generator().manual_seed(seed)
    factor = torch.rand(3, 4, 3, generator=draw) + 0.4
    if not per_head:
        factor = factor[:, :1].expand(-1, 4, -1)
    groups = families.groups(batch)
    if queries is None:
        queries = groups == 2
    return Edit(groups, factor, queries, kind, new_group=2, new_queries=True)


def every(batch):
    return torch.ones_like(batch["input_ids"], dtype=torch.bool)


@pytest.mark.parametrize("per_head", [False, True])
@pytest.mark.parametrize(
    "kinds", [("logit", "logit"), ("logit", "prob"), ("prob", "logit"), ("prob", "prob")]
)
@pytest.mark.parametrize("same_queries", [True, False])
def test_edits_compose_in_order_along_a_generation(model, batch, kinds, same_queries, per_head):
    outer = edit(batch, kinds[0], 1, per_head)
    inner = edit(batch, kinds[1], 2, per_head, None if same_queries else families.groups(batch) >= 1)
    with torch.no_grad(), brute_force(model, [outer, inner]) as seen:
        want = model.generate(**batch, **GENERATION)
    asked = Request(families.groups(batch), 3, new_group=2)
    with torch.no_grad(), attached(model), editing(model, lambda: [outer]), requesting(model, asked):
        with editing(model, lambda: [inner]), collecting(model) as steps:
            found = model.generate(**batch, **GENERATION)
    assert torch.equal(found.sequences, want.sequences)
    for ours, theirs in zip(found.logits, want.logits, strict=True):
        assert torch.allclose(ours, theirs, atol=5e-5)
    labels = torch.cat([families.groups(batch), torch.full((2, 4), 2)], dim=1)
    for layer in range(3):
        for step, masses in enumerate(steps):
            expected = mass_of(seen.weights[layer][step], labels, 3)
            assert torch.allclose(masses[layer].double(), expected, atol=2e-5)


def test_a_key_that_is_removed_stays_removed(model, batch):
    factor = torch.ones(3, 4, 3)
    factor[:, :, 1] = 0.0
    groups = families.groups(batch)
    removed = Edit(groups, factor, groups == 2, "prob")
    flattened = Edit(groups, factor, groups == 2, "logit")
    logits = []
    for edits in ([removed], [removed, flattened]):
        with torch.no_grad(), attached(model), editing(model, lambda edits=edits: edits):
            logits.append(model(**batch, use_cache=False).logits)
    real = batch["attention_mask"].bool()
    assert (logits[0] - logits[1])[real].abs().max() < 5e-5


def test_edits_that_together_leave_a_query_no_key_are_refused(model, batch):
    groups = families.groups(batch)
    parts = []
    for removed in ([0, 1], [2]):
        factor = torch.ones(3, 4, 3)
        factor[:, :, removed] = 0.0
        parts.append(Edit(groups, factor, groups == 2, "prob"))
    with torch.no_grad(), attached(model), editing(model, lambda: parts[:1]):
        model(**batch, use_cache=False)
    with attached(model), editing(model, lambda: parts), pytest.raises(UsageError, match="removes every key"):
        model(**batch, use_cache=False)


def test_an_edit_of_another_batch_is_refused(model, batch):
    alone = families.inputs("qwen2_5_vl", [families.ids(3, 5)])
    wrong = edit(alone, "prob")
    with (
        attached(model),
        editing(model, lambda: [wrong]),
        pytest.raises(UsageError, match="holds 1 items, the call 2"),
    ):
        model(**batch, use_cache=False)


class Watching(CustomEdit):
    """Looks at scores of the last two positions of each call, and changes nothing."""

    def __init__(self, batch):
        self.batch, self.seen = batch, []

    def queries(self, layer, n_positions):
        chosen = torch.zeros(self.batch, n_positions, dtype=torch.bool)
        chosen[:, -2:] = True
        return chosen

    def scores(self, layer, scores, positions):
        self.seen.append((layer, positions, scores.softmax(-1)))
        return scores


@pytest.mark.parametrize("route", ["rows", "columns"])
def test_an_edit_as_code_sees_the_scores_of_its_rows(model, batch, route):
    watching = Watching(2)
    asked = Request(families.groups(batch), 3, route=route, rows=torch.tensor([[0, 3], [0, 3]]))
    with torch.no_grad(), brute_force(model, None) as seen:
        want = model(**batch, use_cache=False).logits
    with torch.no_grad(), attached(model), editing(model, lambda: [watching]), requesting(model, asked):
        logits = model(**batch, use_cache=False).logits
    real = batch["attention_mask"].bool()
    assert (logits - want)[real].abs().max() < 5e-5
    last = batch["input_ids"].shape[1]
    shown = [
        (layer, weights) for layer, positions, weights in watching.seen if int(positions[0, -1]) == last - 1
    ]
    assert {layer for layer, _ in shown} == {0, 1, 2}
    for layer, weights in shown:
        assert torch.allclose(weights.double(), seen.weights[layer][0][:, :, -2:], atol=2e-5)


class Doubling(CustomEdit):
    def gain(self, layer, n_keys):
        return torch.full((2, n_keys), 2.0)


class Silencing(CustomEdit):
    def output(self, layer, out, offset):
        return torch.where(torch.tensor(layer == 1), torch.zeros_like(out), out)


def test_a_gain_scales_values_and_leaves_weights(model, batch):
    """A doubled value is a doubled output of the layer's heads."""
    decoder = text_decoder(model)[1]
    asked = Request(families.groups(batch), 3, layers=frozenset({0}))
    found = []
    for edits in ([], [Doubling()], [Silencing()]):
        heads = []
        handles = [
            layer.self_attn.o_proj.register_forward_pre_hook(
                lambda _, args, heads=heads: heads.append(args[0])
            )
            for layer in decoder.layers
        ]
        with torch.no_grad(), attached(model), editing(model, lambda edits=edits: edits):
            with requesting(model, asked), collecting(model) as calls:
                model(**batch, use_cache=False)
        for handle in handles:
            handle.remove()
        found.append((heads, calls[0][0]))
    (plain, mass), (doubled, mass_doubled), (silenced, _) = found
    assert torch.allclose(doubled[0], 2 * plain[0], atol=1e-6)
    assert torch.equal(mass, mass_doubled)
    assert torch.equal(silenced[0], plain[0])
    assert not silenced[1].any()
    assert silenced[2].any()


def test_nothing_is_left_of_an_edit(model, batch):
    with torch.no_grad():
        plain = model(**batch, use_cache=False).logits
    with attached(model), pytest.raises(KeyError), editing(model, lambda: [edit(batch, "prob")]):
        raise KeyError
    decoder = text_decoder(model)[1]
    assert not decoder._forward_pre_hooks
    with torch.no_grad():
        assert torch.equal(model(**batch, use_cache=False).logits, plain)


def test_a_second_request_is_refused_also_beside_edits(model, batch):
    asked = Request(families.groups(batch), 3)
    with attached(model), editing(model, list), requesting(model, asked), requesting(model, asked):
        with pytest.raises(UsageError, match="carries another request"):
            model(**batch, use_cache=False)

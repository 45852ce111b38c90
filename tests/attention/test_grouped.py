"""Edits on tensors against dense attention in float64, under every kind of mask; and what layers share of them."""

import pytest
import torch

from vaslab.attention import CustomEdit, Edit, Request, attached, editing, grouped, steps
from vaslab.attention.mass import attention_and_mass
from vaslab.attention.visibility import Visibility

from . import families

pytestmark = pytest.mark.tiny
B, H, KV, N, D = 2, 4, 2, 12, 8
SCALING = D**-0.5


def masks():
    """What each query sees: by name, the mask that the layer gets and the same as (batch, query, key)."""
    causal = torch.ones(N, N).tril().bool()
    padded = causal.expand(B, N, N).clone()
    padded[1, :, :3] = False
    ahead = padded.clone()
    ahead[:, 4:8, 4:8] = True
    additive = torch.zeros(B, 1, N, N).masked_fill(~padded[:, None], float("-inf"))
    return {
        "causal": (None, True, causal.expand(B, N, N)),
        "everything": (None, False, torch.ones(B, N, N, dtype=torch.bool)),
        "padded": (padded[:, None], True, padded),
        "additive": (additive, True, padded),
        "ahead": (ahead[:, None], True, ahead),
        "per head": (ahead[:, None].expand(B, H, N, N), True, ahead),
        "one row": (padded[:, None, -1:], True, padded[:, -1:].expand(B, N, N)),
    }


MASKS = masks()
ROWS = {
    "after": torch.arange(N).expand(B, N) >= 8,
    "scattered": torch.tensor([[i % 3 == 1 for i in range(N)], [i % 4 == 2 for i in range(N)]]),
    "all": torch.ones(B, N, dtype=torch.bool),
}
GROUPS = torch.tensor([[-1, 0, 1, 1, 0, 1, 1, 1, -1, -1, 0, -1], [0, 0, 0, 0, 0, 1, 1, 0, 1, -1, -1, -1]])


def drawn(dtype=torch.float32):
    draw = torch.Generator().manual_seed(4)
    return [torch.randn(B, heads, N, D, generator=draw).to(dtype) for heads in (H, KV, KV)]


def weights_of(query, key, seen):
    key = key.double().repeat_interleave(H // KV, 1)
    scores = query.double() @ key.transpose(-1, -2) * SCALING
    return scores.masked_fill(~seen[:, None], float("-inf")).softmax(-1).nan_to_num()


def attend(edit, query, key, value, mask, causal, request=None):
    visible = Visibility(mask, causal, query.shape[2], N)

    def kernel(q, k, v, n):
        q, k, v, part = visible.leading(q, k, v, n)
        k, v = (x.repeat_interleave(H // KV, 1) for x in (k, v))
        causal = visible.kernel_causal
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, part, is_causal=causal, scale=SCALING)
        return out.transpose(1, 2)

    return attention_and_mass(
        query, key, value, request, visible, kernel, layer=0, scaling=SCALING, edits=[edit]
    )


class Shifted(CustomEdit):
    """Group 0 gives half of its weight to group 1, in rows where that has any."""

    n_groups = 2

    def __init__(self, rows):
        self.rows = rows

    def queries(self, layer, n_positions):
        return self.rows

    def groups(self, layer, n_keys):
        return GROUPS

    def factors(self, layer, mass):
        given, taken = mass.unbind(-1)
        here = taken > 0
        kept = torch.where(here, 0.5, 1.0)
        return torch.stack([kept, torch.where(here, 1 + 0.5 * given / taken.clamp(min=1e-30), 1.0)], -1)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("grad", [False, True])
def test_factors_of_each_row_equal_those_on_whole_maps(mask, rows, grad):
    given, causal, seen = MASKS[mask]
    query, key, value = drawn()
    weights = weights_of(query, key, seen)
    for b in range(B):
        for i in range(N):
            for h in range(H):
                row = weights[b, h, i]
                first, second = row[GROUPS[b] == 0].sum(), row[GROUPS[b] == 1].sum()
                if ROWS[rows][b, i] and second > 0:
                    row[GROUPS[b] == 1] *= 1 + 0.5 * first / second
                    row[GROUPS[b] == 0] *= 0.5
    want = weights @ value.double().repeat_interleave(H // KV, 1)
    asked = Request(GROUPS.clamp(min=0) + 1, 3, route="rows")
    with torch.set_grad_enabled(grad):
        out, mass = attend(Shifted(ROWS[rows]), query, key, value, given, causal, asked)
    real = seen.any(-1)
    assert torch.allclose(out.double()[real], want.transpose(1, 2)[real], atol=1e-6)
    for number in (1, 2):
        keys = (GROUPS.clamp(min=0) + 1 == number)[:, None, None]
        held = (weights * keys).sum(-1)
        assert torch.allclose(mass[..., number].double(), held, atol=1e-6)


def shifted(weights, groups, rows):
    """What `Shifted` asks of one item's weights, row by row."""
    for h in range(H):
        for i in range(weights.shape[2]):
            row = weights[0, h, i]
            first, second = row[groups == 0].sum(), row[groups == 1].sum()
            if rows[i] and second > 0:
                row[groups == 1] *= 1 + 0.5 * first / second
                row[groups == 0] *= 0.5
    return weights


PARTS = {
    "apart before the rows": ([-1, 0, 1, 1, 0, 1, 1, 1, -1, 0, 0, -1], 8, True),
    "nothing else before": ([1, 1, 1, 1, 1, 1, 1, 1, 0, -1, -1, 0], 8, True),
    "no small group": ([-1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1], 8, True),
    "apart reaches the rows": ([-1, 0, 1, 1, 0, 1, 1, 1, 1, -1, 0, -1], 8, False),
    "every row": ([-1, 0, 1, 1, 0, 1, 1, 1, -1, -1, 0, -1], 0, False),
}


@pytest.mark.parametrize("sharp", [1.0, 10.0], ids=["soft", "sharp"])
@pytest.mark.parametrize("case", PARTS)
def test_parts_of_the_keys_join_to_the_whole_map(case, sharp, monkeypatch):
    """One item without a mask. Sharp: masses of 1e-20, which get half of what others hold."""
    labels, first, splits = PARTS[case]
    groups = torch.tensor([labels])
    rows = torch.arange(N)[None] >= first
    monkeypatch.setattr(Shifted, "groups", lambda self, layer, n_keys: groups)
    taken = []
    sound = grouped.attention_by_parts
    monkeypatch.setattr(grouped, "attention_by_parts", lambda *given: taken.append(1) or sound(*given))
    query, key, value = (each[:1] for each in drawn())
    query = query * sharp
    given, causal, seen = MASKS["causal"]
    weights = shifted(weights_of(query, key, seen[:1]), groups[0], rows[0])
    want = (weights @ value.double().repeat_interleave(H // KV, 1)).transpose(1, 2)
    with torch.no_grad():
        out, _ = attend(Shifted(rows), query, key, value, given, causal)
    assert bool(taken) == splits
    assert torch.allclose(out.double(), want, atol=1e-6 * sharp)


@pytest.mark.parametrize("grad", [False, True])
def test_a_single_query_is_edited_by_its_weights(grad):
    """A decoding step: the second item is padded, and is left alone in its turn."""
    query, key, value = drawn()
    query = query[:, :, -1:]
    open_keys = torch.ones(B, 1, 1, N, dtype=torch.bool)
    open_keys[1, ..., :3] = False
    for on in ([True, True], [True, False]):
        weights = weights_of(query, key, open_keys[:, 0])
        for b in range(B):
            weights[b : b + 1] = shifted(weights[b : b + 1], GROUPS[b], on[b : b + 1])
        want = (weights @ value.double().repeat_interleave(H // KV, 1)).transpose(1, 2)
        rows = torch.tensor(on)[:, None].expand(B, N)
        for mask in (open_keys, torch.zeros(B, 1, 1, N).masked_fill(~open_keys, float("-inf"))):
            with torch.set_grad_enabled(grad):
                out, _ = attend(Shifted(rows), query, key, value, mask, True)
            assert torch.allclose(out.double(), want, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("per_head", [False, True])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("mask", MASKS)
def test_removed_keys_leave_nothing_of_their_values(mask, rows, per_head, dtype):
    """Values of removed keys are huge: a trace of them would show."""
    given, causal, seen = MASKS[mask]
    query, key, value = drawn(dtype)
    removed = GROUPS == 1
    value[removed[:, None].expand(B, KV, N)] = 1e4
    factor = torch.ones(1, H, 2)
    factor[..., 1] = 0
    if per_head:
        factor[:, ::2, 0] = 3.0
    edit = Edit(GROUPS, factor, ROWS[rows], "prob")
    weights = weights_of(query, key, seen)
    changed = (
        weights * torch.where(GROUPS < 0, 1.0, factor[0][:, GROUPS].double()).transpose(0, 1)[:, :, None]
    )
    changed = changed / changed.sum(-1, keepdim=True).clamp(min=1e-30)
    on = ROWS[rows][:, None, :, None]
    weights = torch.where(on, changed, weights)
    want = (weights @ value.double().repeat_interleave(H // KV, 1)).transpose(1, 2)
    additive = given is not None and given.dtype != torch.bool
    out, _ = attend(edit, query, key, value, given.to(dtype) if additive else given, causal)
    real = (seen & ~removed[:, None]).any(-1) & ROWS[rows]
    assert torch.allclose(out.double()[real], want[real], atol=1e-6 if dtype == torch.float32 else 3e-2)


@pytest.mark.parametrize("mask", MASKS)
def test_a_query_reaches_a_key_that_it_sees(mask):
    given, causal, seen = MASKS[mask]
    draw = torch.Generator().manual_seed(0)
    keys = torch.rand(B, H, N, generator=draw) < 0.15
    keys[0, 1] = False
    found = Visibility(given, causal, N, N).reach(keys)
    assert torch.equal(found, (seen[:, None] & keys[:, :, None]).any(-1))


def test_layers_that_do_the_same_share_what_is_resolved(model, batch, monkeypatch):
    resolved = []
    sound = steps._table_step

    def counted(edit, layer, *rest):
        resolved.append(layer)
        return sound(edit, layer, *rest)

    monkeypatch.setattr(steps, "_table_step", counted)
    groups = families.groups(batch)
    factor = torch.full((3, 4, 3), 2.0)
    for last, want in ((2.0, [0]), (3.0, [0, 2])):
        factor[2] = last
        edit = Edit(groups, factor.clone(), groups == 2, "prob")
        with torch.no_grad(), attached(model), editing(model, lambda edit=edit: [edit]):
            for _ in range(2):  # each call is resolved anew
                resolved.clear()
                model(**batch, use_cache=False)
                assert resolved == want

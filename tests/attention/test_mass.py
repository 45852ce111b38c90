import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vaslab.attention import Edit, Request, group_mass, require_mass
from vaslab.errors import UsageError, VaslabError

from .reference import causal, mass_of, weights

ROUTES = ("rows", "columns")


def tensors(batch=2, heads=4, kv=2, queries=9, keys=9, dim=8, seed=0, spread=1.5):
    draw = torch.Generator().manual_seed(seed)
    query = torch.randn(batch, heads, queries, dim, generator=draw) * spread
    key = torch.randn(batch, kv, keys, dim, generator=draw) * spread
    groups = torch.randint(0, 3, (batch, keys), generator=draw)
    return query, key, groups


def expected(query, key, groups, mask, n_groups=3, scaling=None):
    return mass_of(weights(query, key, mask, scaling or query.shape[-1] ** -0.5), groups, n_groups)


@pytest.mark.parametrize("route", ROUTES)
def test_a_case_computed_by_hand(route):
    # Scores of the last query: ln 1, ln 2, ln 5; so weights 1/8, 2/8, 5/8. The first query sees itself alone.
    query = torch.zeros(1, 1, 3, 8)
    query[..., 0] = 1.0
    key = torch.zeros(1, 1, 3, 8)
    key[0, 0, :, 0] = torch.tensor([math.log(1), math.log(2), math.log(5)])
    request = Request(torch.tensor([[0, 1, 0]]), 2, route=route)
    found = group_mass(query, key, request, scaling=1.0)[0, 0]
    assert torch.allclose(found, torch.tensor([[1.0, 0.0], [1 / 3, 2 / 3], [6 / 8, 2 / 8]]), atol=1e-6)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("heads", "kv"), [(4, 4), (4, 2), (6, 1)])
def test_mass_is_the_softmax_of_query_and_key_for_every_row_head_and_group(route, heads, kv):
    query, key, groups = tensors(heads=heads, kv=kv)
    found = group_mass(query, key, Request(groups, 3, route=route))
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected(query, key, groups, causal(9, 9)), atol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_a_scaling_other_than_the_default_is_kept_when_columns_widen_the_head(route):
    query, key, groups = tensors()
    found = group_mass(query, key, Request(groups, 3, route=route), scaling=0.9)
    assert torch.allclose(found.double(), expected(query, key, groups, causal(9, 9), scaling=0.9), atol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ["bool", "additive", "least"])
def test_left_padding_has_no_mass_and_no_nan(route, kind):
    query, key, groups = tensors()
    groups[0, :4] = -1
    seen = causal(9, 9).repeat(2, 1, 1, 1)
    seen[0, ..., :4] = False
    additive = torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))
    least = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    mask = {"bool": seen, "additive": additive, "least": least}[kind]
    found = group_mass(query, key, Request(groups, 3, route=route), mask=mask)
    assert torch.equal(found[0, :, :4], torch.zeros(4, 4, 3))
    assert torch.allclose(found.double(), expected(query, key, groups, seen), atol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_masks_that_are_not_causal(route):
    query, key, groups = tensors()
    request = Request(groups, 3, route=route)
    everything = torch.ones(9, 9, dtype=torch.bool)
    assert torch.allclose(
        group_mass(query, key, request, causal=False).double(),
        expected(query, key, groups, everything),
        atol=1e-5,
    )
    bias = torch.randn(1, 4, 9, 9, generator=torch.Generator().manual_seed(5))
    found = group_mass(query, key, request, mask=bias)
    assert torch.allclose(found.double(), expected(query, key, groups, bias), atol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_slots_hold_absolute_positions_and_empty_ones_are_zero(route):
    query, key, groups = tensors(queries=4)  # positions 5 to 8
    rows = torch.tensor([[8, -1, 2, 5], [6, 6, 7, -1]])
    whole = expected(query, key, groups, causal(4, 9))
    for some in (rows, torch.cat([rows, rows], dim=1)):  # fewer and more slots than queries
        found = group_mass(
            query, key, Request(groups, 3, rows=some, route=route), mask=causal(4, 9)[None, None]
        )
        for b in range(2):
            for slot, position in enumerate(some[b].tolist()):
                want = whole[b, :, position - 5] if position >= 5 else torch.zeros(4, 3).double()
                assert torch.allclose(found[b, :, slot].double(), want, atol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_no_rows_at_all(route):
    query, key, groups = tensors()
    nothing = torch.zeros(2, 0, dtype=torch.long)
    assert group_mass(query, key, Request(groups, 3, rows=nothing, route=route)).shape == (2, 4, 0, 3)


def test_chunks_do_not_change_the_mass():
    query, key, groups = tensors(queries=50, keys=50)
    want = expected(query, key, groups, causal(50, 50))
    for chunk in (1, 7, 128):
        found = group_mass(query, key, Request(groups, 3, route="rows", chunk=chunk))
        assert torch.allclose(found.double(), want, atol=1e-5)


def test_half_precision_keeps_float32_masses_beside_the_kernel():
    query, key, groups = (x.bfloat16() if x.is_floating_point() else x for x in tensors(spread=3.0))
    want = expected(query, key, groups, causal(9, 9))
    found = group_mass(query, key, Request(groups, 3, route="rows"))
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), want, atol=1e-5)
    rounded = group_mass(query, key, Request(groups, 3, route="columns"))
    assert rounded.dtype == torch.float32
    assert torch.allclose(rounded.double(), want, rtol=8e-3, atol=1e-3)


def test_autocast_does_not_round_the_masses():
    query, key, groups = tensors(spread=3.0)
    want = expected(query, key, groups, causal(9, 9))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = group_mass(query, key, Request(groups, 3, route="rows"))
    assert torch.allclose(found.double(), want, atol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_more_groups_than_the_head_is_wide(route):
    query, key, _ = tensors(queries=30, keys=30)
    groups = torch.arange(30).repeat(2, 1)
    found = group_mass(query, key, Request(groups, 30, route=route))
    want = weights(query, key, causal(30, 30), 8**-0.5)  # one key a group: the mass is the weight
    assert torch.allclose(found.double(), want, atol=1e-5)


@pytest.mark.parametrize("kind", ["bool", "additive"])
@pytest.mark.parametrize("route", ROUTES)
def test_the_gradient_of_a_mass_is_that_of_the_softmax(route, kind):
    query, key, groups = tensors()
    seen = causal(9, 9).repeat(2, 1, 1, 1)
    seen[0, ..., :4] = False
    mask = seen if kind == "bool" else torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))
    toward = torch.randn(2, 4, 9, 3, generator=torch.Generator().manual_seed(1))
    slow = [query.clone().requires_grad_(), key.clone().requires_grad_()]
    p = (
        (slow[0] @ slow[1].repeat_interleave(2, 1).transpose(-1, -2) * 8**-0.5)
        .masked_fill(~seen, -1e30)
        .softmax(-1)
    )
    p = p * seen.any(-1, keepdim=True)
    (mass_of(p, groups, 3) * toward).sum().backward()
    fast = [query.clone().requires_grad_(), key.clone().requires_grad_()]
    mass = group_mass(*fast, Request(groups, 3, route=route, grad=True), mask=mask)
    (mass * toward).sum().backward()
    for ours, theirs in zip(fast, slow, strict=True):
        assert ours.grad is not None
        assert theirs.grad.abs().max() > 0.1
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_without_grad_the_mass_carries_no_graph(route):
    query, key, groups = tensors()
    assert not group_mass(query.requires_grad_(), key, Request(groups, 3, route=route)).requires_grad


def test_queries_of_unknown_position_are_refused():
    query, key, groups = tensors(queries=4)
    with pytest.raises(UsageError, match=r"came without a mask.*pass a 4-D mask"):
        group_mass(query, key, Request(groups, 3))


@pytest.mark.usefixtures("as_users_run")
def test_a_mask_of_another_length_is_refused():
    query, key, groups = tensors()
    with pytest.raises(UsageError, match=r"expected \(batch, head, query, 9\)"):
        group_mass(query, key, Request(groups, 3), mask=torch.ones(1, 1, 9, 12, dtype=torch.bool))


@pytest.mark.usefixtures("as_users_run")
def test_a_request_of_another_batch_is_refused():
    query, key, groups = tensors()
    with pytest.raises(UsageError, match="the request holds 1 items"):
        group_mass(query, key, Request(groups[:1], 3))


def test_a_missing_or_foreign_mass_is_an_error():
    request = Request(torch.zeros(1, 4, dtype=torch.long), 3)
    with pytest.raises(VaslabError, match=r"layer 5 returned no attention mass.*attached\(model\)"):
        require_mass(None, 5, request)
    with pytest.raises(VaslabError, match="in place of the attention mass"):
        require_mass(torch.zeros(1, 2, 4, 4), 5, request)
    mass = torch.zeros(1, 2, 4, 3)
    assert require_mass(mass, 5, request) is mass


shapes = st.tuples(
    st.integers(1, 3),  # batch
    st.sampled_from([(1, 1), (2, 1), (4, 2)]),
    st.integers(1, 12),  # keys
    st.integers(1, 4),  # groups
    st.sampled_from(ROUTES),
    st.integers(0, 10**6),
)


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_mass_is_not_negative_and_sums_to_one_when_the_groups_partition_the_keys(shape):
    batch, (heads, kv), keys, n_groups, route, seed = shape
    query, key, _ = tensors(batch, heads, kv, keys, keys, seed=seed)
    groups = torch.randint(0, n_groups, (batch, keys), generator=torch.Generator().manual_seed(seed))
    found = group_mass(query, key, Request(groups, n_groups, route=route))
    assert bool((found >= 0).all())
    assert torch.allclose(found.sum(-1), torch.ones(batch, heads, keys), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(0, 5))
def test_a_left_padded_batch_equals_its_items_alone(shape, padding):
    _, (heads, kv), keys, n_groups, route, seed = shape
    query, key, _ = tensors(2, heads, kv, keys + padding, keys + padding, seed=seed)
    groups = torch.randint(0, n_groups, (2, keys + padding), generator=torch.Generator().manual_seed(seed))
    groups[1, :padding] = -1
    seen = causal(keys + padding, keys + padding).repeat(2, 1, 1, 1)
    seen[1, ..., :padding] = False
    both = group_mass(query, key, Request(groups, n_groups, route=route), mask=seen)
    first = group_mass(query[:1], key[:1], Request(groups[:1], n_groups, route=route))
    cut = Request(groups[1:, padding:], n_groups, route=route)
    second = group_mass(query[1:, :, padding:], key[1:, :, padding:], cut)
    assert torch.allclose(both[:1], first, atol=1e-5)
    assert torch.allclose(both[1:, :, padding:], second, atol=1e-5)
    assert not both[1:, :, :padding].any()


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_refined_groups_sum_to_the_coarse_ones(shape):
    batch, (heads, kv), keys, n_groups, route, seed = shape
    query, key, _ = tensors(batch, heads, kv, keys, keys, seed=seed)
    fine = torch.randint(0, 2 * n_groups, (batch, keys), generator=torch.Generator().manual_seed(seed))
    parts = group_mass(query, key, Request(fine, 2 * n_groups, route=route))
    whole = group_mass(query, key, Request(fine // 2, n_groups, route=route))
    assert torch.allclose(parts.unflatten(-1, (n_groups, 2)).sum(-1), whole, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(shapes, st.sampled_from(["logit", "prob"]))
def test_an_edit_of_no_strength_changes_no_bit(shape, kind):
    batch, (heads, kv), keys, n_groups, route, seed = shape
    query, key, _ = tensors(batch, heads, kv, keys, keys, seed=seed)
    groups = torch.randint(0, n_groups, (batch, keys), generator=torch.Generator().manual_seed(seed))
    edit = Edit(groups, torch.ones(1, heads, n_groups), torch.ones(batch, keys, dtype=torch.bool), kind)
    plain = group_mass(query, key, Request(groups, n_groups, route=route))
    assert torch.equal(group_mass(query, key, Request(groups, n_groups, route=route, edit=edit)), plain)

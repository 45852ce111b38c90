import pytest
import torch
from transformers import DynamicCache

from vaslab.attention import Edit, Request, attached, requesting, text_decoder
from vaslab.attention.edits import edited_operands
from vaslab.attention.steps import Step
from vaslab.errors import UsageError

from . import families
from .reference import brute_force, collecting, mass_of

pytestmark = pytest.mark.tiny
ROUTES = ("rows", "columns")
KINDS = ("logit", "prob")
NEW = 4
GENERATION = {
    "max_new_tokens": NEW,
    "min_new_tokens": NEW,
    "do_sample": False,
    "suppress_tokens": [families.IMAGE, families.VIDEO, families.START, families.END],
}


def factors(per_head=True, zero=False):
    draw = torch.Generator().manual_seed(3)
    factor = torch.rand(3, 4, 3, generator=draw) * 2.5 + 0.2
    if not per_head:
        factor[:] = factor[:, :1]
    if zero:
        factor[:, :, 1] = 0.0
    return factor


def text_after(batch):
    """The queries after the picture: some that see the changed keys are left alone."""
    return families.groups(batch) == 2


def every(batch):
    return torch.ones_like(batch["input_ids"], dtype=torch.bool)


def run(model, batch, edit, route="rows", **request):
    asked = Request(families.groups(batch), 3, route=route, edit=edit, **request)
    with torch.no_grad(), attached(model), requesting(model, asked), collecting(model) as calls:
        logits = model(**batch, use_cache=False).logits
    return logits, calls[0]


def slow(model, batch, edit):
    with torch.no_grad(), brute_force(model, edit) as seen:
        logits = model(**batch, use_cache=False).logits
    return logits, [mass_of(seen.weights[i][0], families.groups(batch), 3) for i in range(3)]


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("per_head", [False, True])
@pytest.mark.parametrize("queries", [text_after, every])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("route", ROUTES)
def test_an_edit_equals_brute_force_in_a_padded_batch(model, batch, route, kind, queries, per_head, zero):
    edit = Edit(families.groups(batch), factors(per_head, zero), queries(batch), kind)
    real = batch["attention_mask"].bool()
    want, masses = slow(model, batch, edit)
    logits, found = run(model, batch, edit, route)
    with torch.no_grad():
        plain = model(**batch, use_cache=False).logits
    assert (want - plain)[real].abs().max() > 1e-2
    assert (logits - want)[real].abs().max() < 5e-5
    for mass, expected in zip(found, masses, strict=True):
        assert torch.allclose(mass.double(), expected, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_without_padding_runs_on_the_causal_kernel(model, kind):
    batch = families.inputs("qwen2_5_vl", [families.ids(3, 5)])
    picture = families.groups(batch) >= 1
    factor = factors()
    factor[:, :, 0] = (
        1.0  # only keys from the picture on are changed, and every query that sees them is edited
    )
    for queries in (picture, text_after(batch)):
        edit = Edit(families.groups(batch), factor, queries, kind)
        want, masses = slow(model, batch, edit)
        for route in ROUTES:
            logits, found = run(model, batch, edit, route)
            assert (logits - want).abs().max() < 5e-5
            for mass, expected in zip(found, masses, strict=True):
                assert torch.allclose(mass.double(), expected, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_family_whose_queries_see_ahead_within_the_picture(kind):
    model = families.build("gemma3")
    batch = families.inputs("gemma3", [families.ids(3, 5), families.ids(6, 9, 1)])
    factor = torch.ones(3, 4, 4)
    factor[:, :, 3] = 2.5
    groups = families.groups(batch)
    last_patch = torch.zeros_like(groups)
    for b in range(2):
        last_patch[b, int((groups[b] == 1).nonzero().max())] = 3
    # Queries from that patch on are edited; earlier patches see it too, and are not.
    queries = last_patch.cumsum(1) > 0
    edit = Edit(torch.where(groups < 0, groups, last_patch), factor, queries, kind)
    with torch.no_grad(), brute_force(model, edit):
        want = model(**batch, use_cache=False).logits
    logits, _ = run(model, batch, edit)
    assert (logits - want)[batch["attention_mask"].bool()].abs().max() < 5e-5


ALONG = {
    "all later queries": (True, [[], []]),
    "those of one item": (torch.tensor([False, True]), [[], []]),
    "of each, two steps long": (torch.tensor([True, False]), [[False, True], [True, False]]),
}


@pytest.mark.parametrize("along", ALONG)
@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_holds_along_a_generation(model, batch, kind, along):
    groups = families.groups(batch)
    new, known = ALONG[along]
    queries = torch.cat([text_after(batch), torch.tensor(known, dtype=torch.bool)], dim=1)
    edit = Edit(groups, factors(), queries, kind, new_group=2, new_queries=new)
    with torch.no_grad(), brute_force(model, edit) as seen:
        want = model.generate(**batch, **GENERATION, output_logits=True, return_dict_in_generate=True)
    asked = Request(groups, 3, new_group=2, edit=edit)
    with torch.no_grad(), attached(model), requesting(model, asked), collecting(model) as steps:
        found = model.generate(**batch, **GENERATION, output_logits=True, return_dict_in_generate=True)
    assert torch.equal(found.sequences, want.sequences)
    for ours, theirs in zip(found.logits, want.logits, strict=True):
        assert torch.allclose(ours, theirs, atol=5e-5)
    labels = torch.cat([groups, torch.full((2, NEW), 2)], dim=1)
    for layer in range(3):
        for step, mass in enumerate(steps):
            expected = mass_of(seen.weights[layer][step], labels, 3)
            assert torch.allclose(mass[layer].double(), expected, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("route", ROUTES)
def test_an_edit_of_no_strength_changes_no_bit(model, batch, kind, route):
    edit = Edit(families.groups(batch), torch.ones(3, 4, 3), every(batch), kind)
    nobody = Edit(families.groups(batch), factors(), ~every(batch), kind)
    plain, masses = run(model, batch, None, route)
    for weak in (edit, nobody):
        logits, found = run(model, batch, weak, route)
        assert torch.equal(logits, plain)
        assert all(torch.equal(a, b) for a, b in zip(found, masses, strict=True))


def test_an_edit_reaches_layers_that_are_not_measured(model, batch):
    factor = torch.ones(3, 4, 3)
    factor[0, :, 1] = 3.0
    edit = Edit(families.groups(batch), factor, every(batch), "logit")
    want, _ = slow(model, batch, edit)
    logits, found = run(model, batch, edit, layers=frozenset({2}))
    assert found[0] is None
    assert (logits - want)[batch["attention_mask"].bool()].abs().max() < 5e-5


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_cache_never_holds_an_edited_key(model, batch, kind, route):
    factor = torch.ones(3, 4, 3)
    factor[2] = 3.0  # the last layer's keys are the same with and without the edit, unless it wrote into them
    edit = Edit(families.groups(batch), factor, every(batch), kind)
    kept = []
    for asked in (None, edit):
        cache = DynamicCache(config=text_decoder(model)[1].config)
        request = Request(families.groups(batch), 3, edit=asked, route=route)
        with torch.no_grad(), attached(model), requesting(model, request):
            model(**batch, past_key_values=cache, use_cache=True)
        kept.append([(layer.keys, layer.values) for layer in cache.layers])
    for plain, edited in zip(*kept, strict=True):
        assert torch.equal(plain[0], edited[0])
        assert torch.equal(plain[1], edited[1])


def test_rows_that_are_not_edited_keep_every_bit(model, batch):
    factor = torch.ones(3, 4, 3)
    factor[2, :, 1] = 4.0
    edit = Edit(families.groups(batch), factor, text_after(batch), "prob")
    plain, _ = run(model, batch, None)
    logits, _ = run(model, batch, edit)
    left = batch["attention_mask"].bool() & ~text_after(batch)
    assert torch.equal(logits[left], plain[left])
    assert not torch.equal(logits[text_after(batch)], plain[text_after(batch)])


def test_half_precision_follows_the_edit_within_its_rounding(batch):
    exact, model = families.build(), families.build().bfloat16()
    half = {k: v.bfloat16() if v.is_floating_point() else v for k, v in batch.items()}
    factor = torch.ones(3, 4, 3)
    factor[0, :, 1] = 3.0
    edit = Edit(families.groups(batch), factor, text_after(batch), "prob")
    _, want = slow(exact, batch, edit)
    _, found = run(model, half, edit)
    assert ((found[0] - want[0]).abs().mean()) < 1e-2


@pytest.mark.parametrize("scaling", [128**-0.5, 0.09])
def test_the_bias_of_a_prob_edit_is_not_rounded_to_half_precision(scaling):
    draw = torch.Generator().manual_seed(0)
    factor = torch.rand(1, 2, 7, generator=draw) * 20 + 0.01
    edit = Edit(
        torch.zeros(1, 7, dtype=torch.int64), factor[:, :, :1], torch.ones(1, 5, dtype=torch.bool), "prob"
    )
    step = Step(edit, edit.queries, factor)
    query, key = (torch.randn(1, n, m, 8, generator=draw).bfloat16() for n, m in ((2, 5), (1, 7)))
    q, k, _ = edited_operands([step], query, key, key, scaling)
    found = q.double() @ k.double().transpose(-1, -2) * scaling
    want = query.double() @ key.double().transpose(-1, -2) * scaling + factor.double().log()[:, :, None]
    assert torch.allclose(found, want, atol=1e-4)


def test_a_prob_edit_that_leaves_a_query_no_key_is_refused(model, batch):
    factor = torch.ones(3, 4, 3)
    factor[1, 2] = 0.0
    edit = Edit(families.groups(batch), factor, text_after(batch), "prob")
    with pytest.raises(UsageError, match=r"removes every key that query .* sees \(layer 1, head 2\)"):
        run(model, batch, edit)
    flat = Edit(families.groups(batch), factor, text_after(batch), "logit")
    want, _ = slow(model, batch, flat)  # the same factor flattens scores
    logits, _ = run(model, batch, flat)
    assert (logits - want)[batch["attention_mask"].bool()].abs().max() < 5e-5


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 4, 3), "covers 2 layers, the model has a layer 2"), ((3, 2, 3), "covers 2 heads, layer 0 has 4")],
)
def test_an_edit_of_another_model_is_refused(model, batch, shape, message):
    edit = Edit(families.groups(batch), torch.full(shape, 2.0), every(batch), "logit")
    with pytest.raises(UsageError, match=message):
        run(model, batch, edit)

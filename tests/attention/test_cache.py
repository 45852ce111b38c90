import pytest
import torch

from vaslab.attention import Request, attached, requesting
from vaslab.errors import UsageError

from . import families
from .reference import collecting

pytestmark = pytest.mark.tiny
NEW = 5
GENERATION = {
    "max_new_tokens": NEW,
    "min_new_tokens": NEW,
    "do_sample": False,
    "suppress_tokens": [families.IMAGE, families.VIDEO, families.START, families.END],
}


def prompts(family="qwen2_5_vl"):
    return families.inputs(family, [families.ids(3, 5), families.ids(6, 9, 1)])


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "llava"])
def test_masses_along_a_generation_equal_those_of_one_teacher_forced_forward(family):
    model, batch = families.build(family), prompts(family)
    groups = families.groups(batch)
    length = groups.shape[1]
    with torch.no_grad():
        plain = model.generate(**batch, **GENERATION)
        request = Request(groups, 4, new_group=3)
        with attached(model), requesting(model, request), collecting(model) as steps:
            tokens = model.generate(**batch, **GENERATION)
        assert torch.equal(tokens, plain)
        whole = families.followed_by(batch, tokens[:, length:])
        labels = torch.cat([groups, torch.full((2, NEW), 3)], dim=1)
        with attached(model), requesting(model, Request(labels, 4)), collecting(model) as forward:
            model(**whole, use_cache=False)
    assert [calls[0].shape[2] for calls in steps] == [length] + [1] * (NEW - 1)
    for layer in range(3):
        along = torch.cat([step[layer] for step in steps], dim=2)
        assert torch.allclose(along, forward[0][layer][:, :, : length + NEW - 1], atol=1e-5)
        assert along[:, :, -1, 3].min() > 0


def test_absolute_rows_are_filled_by_the_call_that_holds_them():
    model, batch = families.build(), prompts()
    length = batch["input_ids"].shape[1]
    rows = torch.tensor([[10, length + 1], [12, length + 2]])
    every = Request(families.groups(batch), 4, new_group=3, route="rows")
    some = Request(families.groups(batch), 4, new_group=3, rows=rows, route="rows")
    with torch.no_grad(), attached(model):
        with requesting(model, every), collecting(model) as whole:
            model.generate(**batch, **GENERATION)
        with requesting(model, some), collecting(model) as steps:
            model.generate(**batch, **GENERATION)
    for step, calls in enumerate(steps):
        for b in range(2):
            for slot in range(2):
                position = int(rows[b, slot])
                call, row = (0, position) if position < length else (position - length + 1, 0)
                want = whole[call][1][b, :, row] if call == step else torch.zeros(4, 4)
                assert torch.allclose(calls[1][b, :, slot], want, atol=1e-6)


def test_the_request_is_gone_before_the_first_decoding_step():
    model, batch = families.build(), prompts()
    request = Request(families.groups(batch), 3)
    with torch.no_grad():
        plain = model.generate(**batch, **GENERATION)
        with attached(model), requesting(model, request, first_call_only=True), collecting(model) as steps:
            tokens = model.generate(**batch, **GENERATION)
    assert torch.equal(tokens, plain)
    assert all(mass is not None for mass in steps[0])
    assert len(steps) == NEW
    assert all(mass is None for step in steps[1:] for mass in step)


def test_generated_keys_without_a_group_are_refused():
    model, batch = families.build(), prompts()
    with torch.no_grad(), attached(model), requesting(model, Request(families.groups(batch), 3)):
        with pytest.raises(UsageError, match=r"label every position or set Request.new_group"):
            model.generate(**batch, **GENERATION)


def test_a_sliding_window_that_drops_keys_is_refused_and_full_layers_are_not():
    model, batch = families.build("gemma3"), prompts("gemma3")
    length = batch["input_ids"].shape[1]
    request = Request(families.groups(batch), 4, new_group=3)
    with torch.no_grad(), attached(model):
        with requesting(model, request), collecting(model) as calls:
            with pytest.raises(UsageError, match=r"window of 6 drops old keys.*use_cache=False"):
                model.generate(**batch, **GENERATION)
        assert calls[0][0].shape[2] == length  # the prefill still holds every key, and was measured
        full = Request(families.groups(batch), 4, new_group=3, layers=frozenset({1}))
        with requesting(model, full), collecting(model) as steps:
            tokens = model.generate(**batch, **GENERATION)
        whole = families.followed_by(batch, tokens[:, length:])
        labels = torch.cat([families.groups(batch), torch.full((2, NEW), 3)], dim=1)
        with requesting(model, Request(labels, 4, layers=frozenset({1}))), collecting(model) as forward:
            model(**whole, use_cache=False)
    along = torch.cat([step[1] for step in steps], dim=2)
    assert torch.allclose(along, forward[0][1][:, :, : length + NEW - 1], atol=1e-5)


def test_a_sliding_window_in_a_full_forward_sees_its_window_alone():
    model = families.build("gemma3")
    batch = families.inputs("gemma3", [families.ids(3, 9)])
    positions = torch.arange(batch["input_ids"].shape[1])[None]  # one group a position
    with torch.no_grad(), attached(model), requesting(model, Request(positions, positions.shape[1])):
        with collecting(model) as calls:
            model(**batch, use_cache=False)
    last = positions.shape[1] - 1
    window = families.WINDOW
    assert torch.equal(calls[0][0][0, :, last, : last + 1 - window], torch.zeros(4, last + 1 - window))
    assert calls[0][0][0, :, last, last + 1 - window :].sum(-1).min() > 0.999
    assert calls[0][1][0, :, last, : last + 1 - window].sum() > 0


def test_a_static_cache_is_refused():
    model, batch = families.build(), prompts()
    request = Request(families.groups(batch), 4, new_group=3)
    with torch.no_grad(), attached(model), requesting(model, request):
        with pytest.raises(UsageError, match="use the dynamic cache"):
            model.generate(**batch, **GENERATION, cache_implementation="static")


def test_beams_are_refused():
    model, batch = families.build(), prompts()
    request = Request(families.groups(batch), 4, new_group=3)
    with torch.no_grad(), attached(model), requesting(model, request):
        with pytest.raises(UsageError, match="the request holds 2 items, the call 4"):
            model.generate(**batch, **GENERATION, num_beams=2)

"""The context: nothing at strength zero, nothing left behind, nesting, captures inside, the wrapper."""

import pytest
import torch

import vaslab
from vaslab.attention import text_decoder
from vaslab.errors import UsageError
from vaslab.interventions import INTERVENTIONS, EditedModel, Region
from vaslab.prompts.encode import encode
from vaslab.prompts.roles import Role

from .direct import closest, generated

pytestmark = pytest.mark.tiny
REGION = Region((0, 0, 32, 32), (96, 96))
NEEDED = {
    "steer": {"regions": REGION},
    "ablate": {"heads": [(1, 2)]},
    "var": {"tau": 3.0, "least": 0.0, "rho": 1.0},
    "sparc": {"tau": 0.0},
}


def state(model):
    """Everything that an intervention may not leave behind."""
    return [
        (
            name,
            getattr(getattr(module, "config", None), "_attn_implementation", None),
            list(module._forward_pre_hooks),
            list(module._forward_hooks),
            "forward" in vars(module),
            getattr(module, "rope_deltas", None) is None or module.rope_deltas.tolist(),
            [
                (each.data_ptr(), each._version)
                for each in (*module.parameters(False), *module.buffers(False))
            ],
        )
        for name, module in model.named_modules()
    ]


def logits(vlm, encoded):
    with torch.no_grad():
        return vlm.model(**encoded.inputs, use_cache=False).logits


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_strength_zero_changes_no_bit(vlm, encoded, name):
    """Each mode and every number that says how strong, on every family."""
    none = INTERVENTIONS[name].none
    settings = {**NEEDED.get(name, {}), **none}
    modes = {"steer": [{"mode": "suppress_image"}], "ablate": [{"mode": "sink"}]}.get(name, [])
    plain = generated(vlm, encoded.inputs)
    for more in ({}, *modes):
        with vaslab.intervene(vlm, name, **settings, **more):
            found = generated(vlm, encoded.inputs)
        assert torch.equal(found.sequences, plain.sequences)
        assert all(torch.equal(a, b) for a, b in zip(found.logits, plain.logits, strict=True))


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_none_names_no_setting_too_many(qwen, encoded, name):
    """With any of them left as it is by default, logits do change."""
    none = INTERVENTIONS[name].none
    plain = generated(qwen, encoded.inputs)
    for left in none:
        settings = {key: value for key, value in none.items() if key != left}
        with vaslab.intervene(qwen, name, **NEEDED.get(name, {}), **settings):
            found = generated(qwen, encoded.inputs)
        assert not all(torch.equal(a, b) for a, b in zip(found.logits, plain.logits, strict=True)), left


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_the_model_is_left_as_it_was(qwen, encoded, name):
    generated(qwen, encoded.inputs)
    before, plain = state(qwen.model), logits(qwen, encoded)
    settings = NEEDED.get(name, {})
    with vaslab.intervene(qwen, name, **settings):
        generated(qwen, encoded.inputs)
    assert state(qwen.model) == before
    with pytest.raises(KeyError), vaslab.intervene(qwen, name, **settings):
        raise KeyError(generated(qwen, encoded.inputs))
    assert state(qwen.model) == before
    assert torch.equal(logits(qwen, encoded), plain)


def test_an_error_inside_a_pass_leaves_nothing(qwen, encoded):
    before = state(qwen.model)
    settings = {"regions": [REGION]}  # one region for two items
    with (
        pytest.raises(UsageError, match="1 regions for a batch of 2"),
        vaslab.intervene(qwen, "steer", **settings),
    ):
        generated(qwen, encoded.inputs)
    assert state(qwen.model) == before


def test_nested_blocks_multiply_and_repeat(qwen, encoded):
    """Twice a factor of 1.2 is a factor of 1.44; a block can be entered again after another."""
    found = []
    with vaslab.intervene(qwen, "enhance", alpha=0.44):
        found.append(generated(qwen, encoded.inputs))
    with vaslab.intervene(qwen, "enhance", alpha=0.2), vaslab.intervene(qwen, "enhance", alpha=0.2):
        found.append(generated(qwen, encoded.inputs))
    with vaslab.intervene(qwen, "enhance", alpha=0.44):
        found.append(generated(qwen, encoded.inputs))
    assert closest(found[1], found[0]) < 1e-5
    assert all(torch.equal(a, b) for a, b in zip(found[0].logits, found[2].logits, strict=True))


def test_an_inner_block_ends_by_itself(qwen, encoded):
    with vaslab.intervene(qwen, "enhance", alpha=0.5):
        alone = logits(qwen, encoded)
        with vaslab.intervene(qwen, "block"):
            both = logits(qwen, encoded)
        after = logits(qwen, encoded)
    assert torch.equal(alone, after)
    assert not torch.equal(alone, both)


def test_a_capture_measures_what_the_intervention_leaves(qwen, prompts):
    plain = vaslab.capture(qwen, prompts)
    with vaslab.intervene(qwen, "block"):
        blocked = vaslab.capture(qwen, prompts)
        _, answered = vaslab.answer(qwen, prompts, ("user", "response"), max_new_tokens=3)
    with vaslab.intervene(qwen, "enhance", form="additive", alpha=1, layers=[0]):
        enhanced = vaslab.capture(qwen, prompts, ("user_after_image",))
    assert float(plain["mass"].sel(key_role="image").min()) > 0
    for dataset in (blocked, answered):
        assert float(dataset["mass"].sel(key_role="image").max()) == 0
    mass = vaslab.capture(qwen, prompts, ("user_after_image",))["mass"].sel(key_role="image")
    assert bool((enhanced["mass"].sel(key_role="image", layer=0) > mass.sel(layer=0)).all())


@pytest.mark.parametrize("name", ["pai", "adaptvis", "var", "sparc"])
def test_interventions_with_a_pass_of_their_own_work_inside_answer(qwen, prompts, encoded, name):
    settings = NEEDED.get(name, {})
    plain = vaslab.capture(qwen, prompts)
    with vaslab.intervene(qwen, name, **settings):
        told, dataset = vaslab.answer(qwen, prompts, max_new_tokens=4)
        by_hand = qwen.generate(**encoded.inputs, max_new_tokens=4, do_sample=False)
    n = encoded.roles.shape[1]
    assert [answer.ids for answer in told] == [
        row[n : n + len(answer.ids)].tolist() for row, answer in zip(by_hand, told, strict=True)
    ]
    if name in ("pai", "adaptvis", "sparc"):  # user rows are not theirs
        assert dataset["mass"].equals(plain["mass"])


def test_the_wrapper_generates_as_the_block_does(qwen, encoded):
    with vaslab.intervene(qwen, "vaf", alpha=0.8):
        want = generated(qwen, encoded.inputs)
    before = state(qwen.model)
    wrapped = EditedModel(qwen.model, qwen.processor, "vaf", alpha=0.8).eval()
    found = wrapped.generate(**encoded.inputs, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert torch.equal(found, want.sequences)
    assert state(qwen.model) == before
    assert wrapped.config is qwen.model.config
    assert wrapped.device == qwen.model.device
    with vaslab.intervene(qwen, "vaf", alpha=0.8):
        same = qwen.model(**encoded.inputs, use_cache=False).logits
    assert torch.equal(wrapped(**encoded.inputs, use_cache=False).logits, same)
    assert torch.equal(wrapped.forward(**encoded.inputs, use_cache=False).logits, same)


def test_the_wrapper_takes_other_ways_to_tell_roles(qwen, encoded):
    """And beams, whose rows are repeated before the model sees them."""
    roles = encoded.roles
    wrapped = EditedModel(
        qwen.model, None, "block", read_roles=lambda ids, mask: roles.repeat_interleave(2, 0)
    )
    usual = EditedModel(qwen.model, qwen.processor, "block")
    options = {"max_new_tokens": 3, "num_beams": 2, "do_sample": False}
    assert torch.equal(
        wrapped.generate(**encoded.inputs, **options), usual.generate(**encoded.inputs, **options)
    )


def test_a_generation_that_began_outside_is_refused(qwen, encoded):
    with torch.no_grad():
        cache = qwen.model(**encoded.inputs, use_cache=True).past_key_values
        with vaslab.intervene(qwen, "vaf"), pytest.raises(UsageError, match="begin each generation"):
            qwen.model(input_ids=encoded.inputs["input_ids"][:, -1:], past_key_values=cache)


def test_a_generation_without_a_cache_is_the_same(qwen, encoded):
    """Each step is a whole pass then, and the answer's rows are told by their role."""
    for name, settings in (
        ("enhance", {"alpha": 2, "queries": "emitting"}),
        ("pai", {"gamma": 1, "alpha": 1}),
    ):
        with vaslab.intervene(qwen, name, **settings):
            cached = generated(qwen, encoded.inputs)
            whole = generated(qwen, encoded.inputs, use_cache=False)
        assert torch.equal(cached.sequences, whole.sequences)
        assert closest(whole, cached) < 1e-5


def test_decoder_calls_without_the_model_are_refused(qwen):
    decoder = text_decoder(qwen.model)[1]
    with vaslab.intervene(qwen, "vaf"), pytest.raises(UsageError, match="call the model itself"):
        decoder(inputs_embeds=torch.zeros(1, 3, 64))


def test_what_follows_an_answer_cannot_be_taught(qwen, prompts):
    """Interventions that look at what the model does as it answers say so."""
    for name in ("sparc", "adaptvis"):
        with vaslab.intervene(qwen, name), pytest.raises(UsageError, match="let the model generate it"):
            vaslab.capture(qwen, prompts, ("response",), responses=[[300, 301], [302]])


def test_teacher_forcing_edits_the_rows_that_generation_edits(qwen, prompts, encoded):
    """The logits that produced each token are those of one pass over prompt and answer."""
    n = encoded.roles.shape[1]
    for name, settings in (
        ("enhance", {"alpha": 1, "queries": "emitting"}),
        ("pai", {"gamma": 1, "alpha": 0.5}),
    ):
        with vaslab.intervene(qwen, name, **settings):
            steps = generated(qwen, encoded.inputs)
            told = encode(qwen.processor, prompts, steps.sequences[:, n:].tolist())
            forced = logits(qwen, told)
        assert bool((told.roles[:, n:] == Role.response).all())
        for step, found in enumerate(steps.logits):
            assert torch.allclose(forced[:, n - 1 + step], found, atol=1e-4)

"""Used again, nested, broken off, with beams: what an intervention keeps of a generation stays that generation's."""

import math

import pytest
import torch
from accelerate.utils import extract_model_from_parallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import LogitsProcessor

import vaslab
from vaslab.attention import text_decoder
from vaslab.errors import UsageError
from vaslab.interventions import INTERVENTIONS, EditedModel, Region, make_intervention
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt

from .conftest import build
from .direct import GENERATION, closest, direct, generated, places
from .test_intervene import NEEDED, state

pytestmark = pytest.mark.tiny
STATEFUL = {
    "pai": {"gamma": 1.5, "alpha": 0.5, "layers": "all"},
    "sparc": {"tau": 0.0, "alpha": 2.0, "layer": 1},
    "var": {"tau": 3.0, "least": 0.0, "rho": 1.0, "p": 0.0},
    "adaptvis": {"unsure": 0.2, "sure": 3.0},
}
"""Settings under which each keeps something of every row, and it shows."""
KINDS = list({entry.kind: name for name, entry in reversed(INTERVENTIONS.items())}.values())
"""One intervention of each kind: forms of one kind differ in numbers alone."""


def strong(name):
    return STATEFUL.get(name) or NEEDED.get(name, {})


@pytest.fixture(scope="session")
def others(processor):
    """A batch of another length than `encoded`."""
    return encode(processor, [Prompt(user="is it red or blue or green?", images=[_picture()])] * 2)


@pytest.fixture(scope="module")
def plain(processor, encoded):
    """What the model generates with nothing done to it."""
    return generated(build("qwen2_5_vl", processor), encoded.inputs)


def _picture():
    from vaslab.organism import glyphs

    return glyphs.scene(1_010_007).picture()


@pytest.mark.parametrize("name", KINDS)
def test_generations_in_one_block_know_nothing_of_each_other(qwen, encoded, plain, others, name):
    made = make_intervention(name, **strong(name))
    with vaslab.intervene(qwen, made):
        alone = generated(qwen, encoded.inputs)
    assert not all(torch.equal(a, b) for a, b in zip(alone.logits, plain.logits, strict=True))
    with vaslab.intervene(qwen, made):
        generated(qwen, others.inputs)
        again = [generated(qwen, encoded.inputs)]
    wrapped = EditedModel(qwen.model, qwen.processor, made)
    again.append(wrapped.generate(**encoded.inputs, **GENERATION, suppress_tokens=_visual(qwen)))
    for found in again:
        assert torch.equal(found.sequences, alone.sequences)
        assert all(torch.equal(a, b) for a, b in zip(found.logits, alone.logits, strict=True))


def _visual(vlm):
    return [vlm.model.config.image_token_id, vlm.model.config.video_token_id]


class Broken(LogitsProcessor):
    """Breaks a generation off at its third token."""

    def __init__(self, n):
        self.n = n

    def __call__(self, input_ids, scores):
        if input_ids.shape[1] == self.n + 2:
            raise RuntimeError("broken off")
        return scores


@pytest.mark.parametrize("name", KINDS)
def test_a_generation_that_breaks_off_leaves_the_model_as_it_was(qwen, encoded, plain, name):
    before = state(qwen.model)
    broken = [Broken(encoded.roles.shape[1])]
    with pytest.raises(RuntimeError, match="broken off"), vaslab.intervene(qwen, name, **strong(name)):
        generated(qwen, encoded.inputs, logits_processor=broken)
    assert state(qwen.model) == before
    found = generated(qwen, encoded.inputs)
    assert all(torch.equal(a, b) for a, b in zip(found.logits, plain.logits, strict=True))


def test_blocks_apply_from_the_outer_to_the_inner(qwen, encoded):
    """Z + |Z|/2 of Z + log 2 is another score than log 2 more than Z + |Z|/2."""
    at = places(encoded)
    pai = ("pai", {"alpha": 0.5, "gamma": 1, "layers": "all"})
    additive = ("additive", {"alpha": 1.0, "beta": 0, "queries": "emitting"})

    def amplified(z):
        return z + 0.5 * z.abs()

    found = []
    for outer, inner, change in (
        (pai, additive, lambda z: amplified(z) + math.log(2)),
        (additive, pai, lambda z: amplified(z + math.log(2))),
    ):

        def before(layer, item, head, row, scores, change=change):
            if at[item].emitting(row):
                scores[at[item].visual] = change(scores[at[item].visual])

        with direct(qwen.model, before):
            want = generated(qwen, encoded.inputs)
        with vaslab.intervene(qwen, outer[0], **outer[1]), vaslab.intervene(qwen, inner[0], **inner[1]):
            found.append(generated(qwen, encoded.inputs))
        assert torch.equal(found[-1].sequences, want.sequences)
        assert closest(found[-1], want) < 1e-5
    assert closest(found[0], found[1]) > 1e-4


def test_passes_of_their_own_nest(qwen, encoded, plain):
    """The prior is that of the plain model, also under another block: twice PAI takes it off twice."""
    settings = {"alpha": 0, "gamma": 1.5, "cutoff": 0}
    with vaslab.intervene(qwen, "pai", **settings):
        once = generated(qwen, encoded.inputs)
    with vaslab.intervene(qwen, "pai", **settings), vaslab.intervene(qwen, "pai", **settings):
        twice = generated(qwen, encoded.inputs)
    seen, refined, found = (each.logits[0].log_softmax(-1) for each in (plain, once, twice))
    # refined = 1.5 seen - 0.5 prior, up to a constant of each row
    prior = (1.5 * seen - refined) / 0.5
    want = (1.5 * refined - 0.5 * prior).log_softmax(-1)
    real = torch.isfinite(found)
    assert torch.allclose(found[real], want[real], atol=1e-3)


class Forced(LogitsProcessor):
    """Leaves one token at each step: the next of a sequence."""

    def __init__(self, sequence):
        self.sequence = sequence

    def __call__(self, input_ids, scores):
        told = torch.full_like(scores, float("-inf"))
        token = int(self.sequence[input_ids.shape[1]])
        told[:, token] = scores[:, token]
        return told


@pytest.mark.parametrize("name", STATEFUL)
def test_beams_carry_what_is_kept_of_their_rows(qwen, encoded, name):
    """A sequence that beams found is as likely as where it is the only one, token by token."""
    options = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False, "return_dict_in_generate": True}
    options |= {"suppress_tokens": _visual(qwen)}
    with torch.no_grad(), vaslab.intervene(qwen, name, **STATEFUL[name]):
        beams = qwen.model.generate(
            **encoded.inputs, **options, num_beams=4, length_penalty=0.0, output_scores=True
        )
    assert len({tuple(row.tolist()) for row in beams.beam_indices}) > 1
    assert bool((beams.beam_indices[:, 1:] != beams.beam_indices[:, :-1]).any())  # beams did change places
    n = encoded.roles.shape[1]
    for item in range(2):
        forced = [Forced(beams.sequences[item])]
        with torch.no_grad(), vaslab.intervene(qwen, name, **STATEFUL[name]):
            alone = qwen.model.generate(
                **encoded.inputs, **options, logits_processor=forced, output_logits=True
            )
        # beam search takes logarithms before tokens are suppressed
        scores = [step[item].log_softmax(-1) for step in alone.logits]
        total = sum(float(step[int(beams.sequences[item, n + at])]) for at, step in enumerate(scores))
        assert total == pytest.approx(float(beams.sequences_scores[item]), abs=2e-4)


def positions_run(vlm, inputs, name, **settings):
    """How many positions each pass of the first layer had, and what was generated."""
    seen = []
    first = text_decoder(vlm.model)[1].layers[0]
    handle = first.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append((args[0] if args else kwargs["hidden_states"]).shape[1]),
        with_kwargs=True,
    )
    try:
        with vaslab.intervene(vlm, name, **settings):
            found = generated(vlm, inputs)
    finally:
        handle.remove()
    return seen, found


def test_the_confidence_of_adaptvis_costs_no_second_prompt(vlm, encoded):
    """The last row alone runs again, where it alone is edited; within another block the prompt runs twice."""
    n = encoded.roles.shape[1]
    settings = {"unsure": 0.5, "sure": 2.0}
    passes, found = positions_run(vlm, encoded.inputs, "adaptvis", **settings)
    assert passes == [n, 1, 1, 1, 1]
    with vaslab.intervene(vlm, "enhance", alpha=0):
        passes, twice = positions_run(vlm, encoded.inputs, "adaptvis", **settings)
    assert passes == [n, n, 1, 1, 1]
    assert torch.equal(found.sequences, twice.sequences)
    assert closest(found, twice) < 1e-5
    for more, want in (
        ({"queries": "after_image"}, [n, n, 1, 1, 1]),
        ({"threshold": 0}, [n, 1, 1, 1]),
        ({"strength": 0}, [n, 1, 1, 1]),
    ):
        assert positions_run(vlm, encoded.inputs, "adaptvis", **{**settings, **more})[0] == want


def test_adaptvis_gives_a_call_all_that_it_asks_for(qwen, encoded):
    """Logits of every position, and those of a call that keeps a cache, are of the whole prompt."""
    n = encoded.roles.shape[1]
    settings = {"unsure": 0.2, "sure": 3.0}
    with torch.no_grad(), vaslab.intervene(qwen, "adaptvis", **settings):
        told = generated(qwen, encoded.inputs).logits[0]
        for options in ({"use_cache": False}, {"use_cache": True}):
            whole = qwen.model(**encoded.inputs, **options).logits
            assert whole.shape[1] == n
            assert torch.allclose(whole[:, -1], told, atol=1e-4)


@pytest.mark.parametrize("name", ["vaf", "pai"])
def test_a_call_that_goes_on_with_more_than_a_token_is_refused(qwen, encoded, name):
    """Whether it is the rest of a prompt or an answer cannot be told."""
    ids = encoded.inputs["input_ids"]
    with torch.no_grad(), vaslab.intervene(qwen, name):
        cache = qwen.model(**encoded.inputs, use_cache=True).past_key_values
        with pytest.raises(UsageError, match="goes on with 3 positions at once"):
            qwen.model(input_ids=ids[:, -3:], past_key_values=cache)


def test_what_is_set_on_the_wrapper_reaches_the_model(qwen):
    wrapped = EditedModel(qwen.model, qwen.processor, "vaf")
    before = qwen.model.generation_config
    try:
        wrapped.generation_config = None
        assert qwen.model.generation_config is None
    finally:
        qwen.model.generation_config = before
    assert wrapped.model is qwen.model.model
    assert wrapped.plain is qwen.model
    assert wrapped.train(False) is wrapped
    assert extract_model_from_parallel(wrapped) is wrapped  # as a harness reads its model


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor held."""

    def __init__(self):
        super().__init__()
        self.found = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [each.untyped_storage().nbytes() // 4 for each in tree_leaves(out) if torch.is_tensor(each)]
        self.found = max([self.found, *sizes])
        return out


@pytest.mark.parametrize("name", KINDS)
def test_no_map_of_all_queries_and_keys_is_built(qwen, name):
    """A prompt of 2,300 tokens: one map of one head would have more numbers than any tensor of the pass."""
    long = encode(qwen.processor, [Prompt(user="left " * 2200, images=[_picture()])])
    n = long.roles.shape[1]
    with torch.no_grad(), vaslab.intervene(qwen, name, **strong(name)), Largest() as largest:
        qwen.model(**long.inputs, use_cache=False, logits_to_keep=1)
    assert n > 2200
    assert largest.found < n * n


def test_regions_may_leave_an_item_alone(qwen, encoded, plain):
    """Under each mode and bias, prompt and answer of that item are the plain ones, and the other's are steered."""
    region = Region((0, 0, 32, 32), (96, 96))
    for name, settings in (
        ("steer", {}),
        ("steer", {"bias": 2.0}),
        ("steer", {"mode": "suppress_image"}),
        ("block", {"regions": [region, None]}),
    ):
        given = {"queries": ("emitting", "after_image"), "regions": [region, None], **settings}
        both = {**given, "regions": [region, Region((0, 0, 32, 32), (96, 64))]}
        with vaslab.intervene(qwen, name, **given):
            found = generated(qwen, encoded.inputs)
        with vaslab.intervene(qwen, name, **both):
            steered = generated(qwen, encoded.inputs)
        for ours, theirs, want in zip(found.logits, plain.logits, steered.logits, strict=True):
            assert torch.allclose(ours[1], theirs[1], atol=1e-4)
            assert torch.allclose(ours[0], want[0], atol=1e-4)
        assert not torch.allclose(found.logits[0][0], plain.logits[0][0], atol=1e-3)

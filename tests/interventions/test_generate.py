"""What `generate` may ask of an edited model: bans, beams, several answers, other caches, other padding."""

import math

import pytest
import torch

import vaslab
from vaslab.errors import UsageError
from vaslab.interventions import EditedModel, Region

from .direct import generated

pytestmark = pytest.mark.tiny
LEFT = Region((0, 0, 32, 64), (96, 96))
RIGHT = Region((48, 0, 96, 64), (96, 64))


def visual(vlm):
    return [vlm.model.config.image_token_id, vlm.model.config.video_token_id]


def left_by_the_cutoff(vlm, encoded, cutoff):
    """Which first tokens the cutoff leaves, by the plain model, and refined logits without a cutoff."""
    settings = {"alpha": 0, "gamma": 1.5, "cutoff": cutoff}
    seen = generated(vlm, encoded.inputs).logits[0].log_softmax(-1)
    with vaslab.intervene(vlm, "pai", **{**settings, "cutoff": 0}):
        refined = generated(vlm, encoded.inputs).logits[0]
    return settings, seen >= math.log(cutoff) + seen.amax(-1, keepdim=True), refined


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_all_that_pai_leaves_is_banned_the_next_likeliest_is_taken(qwen, encoded, dtype):
    """As min_new_tokens, no_repeat_ngram_size and bad words ban tokens; in half precision too."""
    settings, kept, _ = left_by_the_cutoff(qwen, encoded, 0.5)
    banned = [*kept.any(0).nonzero()[:, 0].tolist(), *visual(qwen)]
    options = {"max_new_tokens": 2, "min_new_tokens": 2, "suppress_tokens": banned}
    options |= {"output_logits": True, "return_dict_in_generate": True}
    n = encoded.roles.shape[1]
    model = EditedModel(qwen.model, qwen.processor, "pai", **settings)
    qwen.model.to(dtype)
    try:
        _, kept, refined = left_by_the_cutoff(qwen, encoded, 0.5)
        greedy = model.generate(**encoded.inputs, **options, do_sample=False)
        drawn = model.generate(**encoded.inputs, **options, do_sample=True, temperature=0.7, top_p=0.9)
    finally:
        qwen.model.to(torch.float32)
    assert 2 <= kept.sum() < kept.numel() / 2
    refined[:, banned] = float("-inf")
    assert greedy.sequences[:, n].tolist() == refined.argmax(-1).tolist()
    # and what was kept has all the weight where nothing is banned
    weight = greedy.logits[0].float().softmax(-1)
    assert bool((weight[~kept] == 0).all())
    assert not set(drawn.sequences[:, n:].flatten().tolist()) & set(banned)


def test_beams_of_pai_do_not_end_before_they_may(qwen, encoded):
    """The end token is all that the cutoff leaves at the first step, and min_new_tokens bans it."""
    settings, kept, _ = left_by_the_cutoff(qwen, encoded, 1.0)
    ends = kept.nonzero()[:, 1].tolist()
    model = EditedModel(qwen.model, qwen.processor, "pai", **settings)
    options = {"max_new_tokens": 6, "min_new_tokens": 4, "eos_token_id": ends, "pad_token_id": 0}
    n = encoded.roles.shape[1]
    for beams in (1, 3):
        found = model.generate(**encoded.inputs, **options, num_beams=beams, do_sample=False)[:, n:]
        assert found.shape[1] >= 4
        assert not bool(torch.isin(found[:, :4], torch.tensor([*ends, 0])).any())


@pytest.mark.parametrize("name", ["vaf", "pai", "block"])
def test_a_cache_of_fixed_length_is_refused(qwen, encoded, name):
    edited = EditedModel(qwen.model, qwen.processor, name)
    with pytest.raises(UsageError, match=r"StaticCache of fixed length.*without cache_implementation"):
        edited.generate(**encoded.inputs, max_new_tokens=2, cache_implementation="static")


def test_a_mask_that_does_not_tell_padding_is_refused(qwen, encoded):
    n = encoded.roles.shape[1]
    whole = torch.ones(2, 1, n, n, dtype=torch.bool).tril()
    for mask, found in ((whole, r"\(2, 1, \d+, \d+\)"), ({"full_attention": whole}, "dict")):
        with (
            vaslab.intervene(qwen, "vaf"),
            pytest.raises(UsageError, match=f"attention_mask is {found}, .*as \\(batch, seq\\)"),
        ):
            qwen.model(**{**encoded.inputs, "attention_mask": mask}, use_cache=False)


@pytest.mark.parametrize(("name", "settings"), [("steer", {"queries": "emitting"}), ("block", {})])
def test_an_item_that_is_answered_several_times_keeps_its_region(qwen, encoded, name, settings):
    """Beams and several answers repeat the rows of an item; drawn among one token, both answers are the greedy one."""
    model = EditedModel(qwen.model, qwen.processor, name, **settings, regions=[LEFT, RIGHT])
    swapped = EditedModel(qwen.model, qwen.processor, name, **settings, regions=[LEFT, None])
    options = {"max_new_tokens": 4, "min_new_tokens": 4, "suppress_tokens": visual(qwen)}
    options |= {"return_dict_in_generate": True, "output_logits": True}
    greedy = model.generate(**encoded.inputs, **options, do_sample=False)
    other = swapped.generate(**encoded.inputs, **options, do_sample=False)
    assert not torch.allclose(greedy.logits[0][1], other.logits[0][1], atol=1e-3)
    for more in ({}, {"use_cache": False}):
        both = model.generate(
            **encoded.inputs, **options, **more, do_sample=True, top_k=1, num_return_sequences=2
        )
        assert torch.equal(both.sequences, greedy.sequences.repeat_interleave(2, 0))
        for found, want in zip(both.logits, greedy.logits, strict=True):
            assert torch.allclose(found, want.repeat_interleave(2, 0), atol=1e-4)
        beams = model.generate(**encoded.inputs, **options, **more, do_sample=False, num_beams=3)
        assert beams.sequences.shape == greedy.sequences.shape


@pytest.mark.parametrize("name", ["sparc", "adaptvis"])
def test_what_follows_an_answer_needs_a_cache(qwen, encoded, name):
    edited = EditedModel(qwen.model, qwen.processor, name)
    with pytest.raises(UsageError, match="not use_cache=False"):
        edited.generate(**encoded.inputs, max_new_tokens=3, min_new_tokens=3, use_cache=False)


def test_regions_of_a_prompt_that_comes_in_chunks(qwen, encoded):
    edited = EditedModel(qwen.model, qwen.processor, "block", regions=[LEFT, RIGHT])
    with pytest.raises(UsageError, match="without prefill_chunk_size"):
        edited.generate(**encoded.inputs, max_new_tokens=2, prefill_chunk_size=8)


def padded_right(inputs):
    """The same batch with its padding behind, and the last real position of each item."""
    length = inputs["attention_mask"].sum(1)
    moved = dict(inputs)
    for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
        moved[name] = torch.stack([row.roll(int(n)) for row, n in zip(inputs[name], length, strict=True)])
    assert bool((moved["attention_mask"][:, 0] == 1).all())
    return moved, length - 1


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("avar", {"beta": 0.6}),
        ("block", {"queries": "emitting"}),
        ("block", {"queries": "last"}),
        ("enhance", {"alpha": 3, "queries": "emitting", "steps": (0, 1)}),
        ("pai", {"gamma": 1, "alpha": 0.8, "layers": "all"}),
        ("pai", {"gamma": 2, "alpha": 0, "cutoff": 0}),
        ("adaptvis", {"threshold": 1, "unsure": 0.2}),
        ("ablate", {"mode": "sink", "heads": [(1, 2)], "queries": "last"}),
    ],
)
def test_a_call_padded_on_the_right_is_edited_at_the_same_places(vlm, encoded, name, settings):
    moved, last = padded_right(encoded.inputs)
    assert int(last.min()) < encoded.roles.shape[1] - 1
    rows = torch.arange(2)
    with torch.no_grad():
        plain = vlm.model(**moved, use_cache=False).logits[rows, last]
        with vaslab.intervene(vlm, name, **settings):
            want = vlm.model(**encoded.inputs, use_cache=False).logits[:, -1]
            found = vlm.model(**moved, use_cache=False).logits[rows, last]
    scale = float(want.abs().max())
    assert float((found - want).abs().max()) < 1e-5 * scale
    assert bool(((found - plain).abs().amax(-1) > 1e-4).all())


def test_adaptvis_reads_confidence_where_the_answer_begins(qwen, encoded):
    """A threshold between the confidences of both items: one is unsure, the other sure, whatever follows them."""
    moved, last = padded_right(encoded.inputs)
    with torch.no_grad():
        confidence = qwen.model(**encoded.inputs, use_cache=False).logits[:, -1].softmax(-1).amax(-1)
        between = float(confidence.mean())
        assert float((confidence - between).abs().min()) > 1e-4
        with vaslab.intervene(qwen, "adaptvis", unsure=0.2, sure=3.0, threshold=between):
            want = qwen.model(**encoded.inputs, use_cache=False).logits[:, -1]
            found = qwen.model(**moved, use_cache=False).logits[torch.arange(2), last]
    assert torch.allclose(found, want, atol=1e-4)


def test_pai_refines_what_a_call_keeps(qwen, encoded):
    """Logits of the last rows, of rows by index, and of none that is an item's last."""
    moved, last = padded_right(encoded.inputs)
    n, short = encoded.roles.shape[1], int(last.argmin())
    with torch.no_grad(), vaslab.intervene(qwen, "pai", gamma=2, alpha=0, cutoff=0):
        whole = qwen.model(**moved, use_cache=False).logits
        by_index = qwen.model(**moved, use_cache=False, logits_to_keep=last.sort().values).logits
        one = qwen.model(**moved, use_cache=False, logits_to_keep=1).logits
    order = last.argsort().argsort()
    rows = torch.arange(2)
    assert torch.allclose(by_index[rows, order], whole[rows, last], atol=1e-5)
    plain = qwen.model(**moved, use_cache=False, logits_to_keep=1).logits
    assert torch.allclose(one[short], plain[short], atol=1e-5)
    assert int(last[1 - short]) == n - 1
    assert torch.allclose(one[1 - short, 0], whole[1 - short, -1], atol=1e-5)


@pytest.mark.parametrize("name", ["avar", "pai", "sparc"])
def test_a_generation_padded_on_the_right_is_refused(qwen, encoded, name):
    """Shorter items would be answered from the row of a padding token."""
    moved, _ = padded_right(encoded.inputs)
    with pytest.raises(UsageError, match=r"pad on the left: processor\.tokenizer\.padding_side"):
        EditedModel(qwen.model, qwen.processor, name).generate(**moved, max_new_tokens=2)


def test_sparc_needs_padding_on_the_left(qwen, encoded):
    moved, _ = padded_right(encoded.inputs)
    with vaslab.intervene(qwen, "sparc"), pytest.raises(UsageError, match="pad the batch on the left"):
        qwen.model(**moved, use_cache=False)


@pytest.mark.parametrize(
    ("name", "settings"), [("pai", {"gamma": 1.5, "layers": "all"}), ("adaptvis", {"unsure": 0.2})]
)
def test_a_call_may_ask_for_a_tuple(qwen, encoded, name, settings):
    """Which begins with the loss where labels are given."""
    labels = {"labels": encoded.inputs["input_ids"]}
    with torch.no_grad(), vaslab.intervene(qwen, name, **settings):
        for more, place in (({}, 0), (labels, 1)):
            named = qwen.model(**encoded.inputs, use_cache=False, **more)
            found = qwen.model(**encoded.inputs, use_cache=False, return_dict=False, **more)
            assert isinstance(found, tuple)
            assert torch.equal(found[place], named.logits)
            assert found[0] is found[place] or torch.equal(found[0], named.loss)

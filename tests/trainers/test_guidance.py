"""AGTO inside a model: values and gradients equal loops over eager maps, whatever recomputes the layers."""

import copy

import pytest
import torch
from peft import get_peft_model

from tests.trainers.chats import RECORDS, record, rows
from tests.trainers.eager import agto_by_loops, eager_maps
from trainers.checkpoints import lora
from trainers.data.collate import SETS, Collator
from trainers.guidance import NUMBERS, Guidance
from trainers.losses import AgtoConfig
from trainers.sets import Sets
from vaslab.errors import UsageError, VaslabError
from vaslab.organism.build import build_model

pytestmark = pytest.mark.tiny
CONFIGS = [
    AgtoConfig(),
    AgtoConfig(alpha=0.0, beta=0.3, queries="response"),
    AgtoConfig(alpha=0.2, beta=0.0, heads=("L1H3", "L0H0", "L1H1"), queries="both"),
    AgtoConfig(layers=(1,)),
]


@pytest.fixture(scope="module")
def model(processor):
    return build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64)


def split(batch):
    return Sets(*(batch[name] for name in SETS)), {k: v for k, v in batch.items() if k not in SETS}


def positions(mask):
    return [row.nonzero()[:, 0].tolist() for row in mask]


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def by_loops(model, batch, config):
    """Total loss and gradients of the plain forward plus AGTO from eager maps."""
    model = copy.deepcopy(model)
    sets, inputs = split(batch)
    loss = model(**inputs, use_cache=False).loss
    maps = eager_maps(model, {k: v for k, v in inputs.items() if k != "labels"})
    sides = (positions(each) for each in (sets.system, sets.visual, sets.queries))
    enhanced, suppressed = agto_by_loops(maps, *sides, config.heads_by_layer(2, 4))
    total = loss + config.alpha * enhanced + config.beta * suppressed
    total.backward()
    return total.item(), gradients(model)


def by_guidance(model, batch, config, checkpointing=None, factor=1.0):
    model = copy.deepcopy(model).train()
    if checkpointing is not None:
        model.activation_checkpointing_enable(checkpointing)
        model.enable_input_require_grads()
    sets, inputs = split(batch)
    guidance = Guidance(model, config)
    with guidance.active():
        with guidance.guiding(sets):
            loss = model(**inputs, use_cache=False).loss
        total = guidance.total(loss)
        (factor * total).backward()
        numbers = guidance.numbers()
    return total.item(), gradients(model), numbers


@pytest.mark.parametrize("checkpointing", [None, {"use_reentrant": False}, {"use_reentrant": True}], ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_loss_and_gradients_equal_loops_over_eager_maps(model, processor, config, checkpointing):
    batch = Collator(processor, config.queries)(rows())
    wanted, wanted_gradients = by_loops(model, batch, config)
    found, found_gradients, _ = by_guidance(model, batch, config, checkpointing)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert found_gradients.keys() == wanted_gradients.keys()
    for name, gradient in wanted_gradients.items():
        assert (found_gradients[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-7, name


@pytest.mark.parametrize("checkpointing", [None, {"use_reentrant": False}, {"use_reentrant": True}], ids=str)
def test_adapters_get_the_same_gradients(model, processor, checkpointing):
    """Under LoRA, with words and both losses; reentrant checkpointing is what ZeRO-3 forces on adapters."""
    adapters = get_peft_model(copy.deepcopy(model), lora(2))
    draw = torch.Generator().manual_seed(0)
    for name, parameter in adapters.named_parameters():
        if "lora_B" in name:  # zero at first, and with it the gradient of lora_A
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=draw)
    config = AgtoConfig(alpha=2.0, beta=1.0)
    batch = Collator(processor)(rows())
    wanted, wanted_gradients = by_loops(adapters, batch, config)
    _, plain, _ = by_guidance(adapters, batch, AgtoConfig(0.0, 0.0))
    found, found_gradients, _ = by_guidance(adapters, batch, config, checkpointing)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert found_gradients.keys() == wanted_gradients.keys() == plain.keys()
    assert all("lora_" in name for name in found_gradients)
    for name, gradient in wanted_gradients.items():
        assert (found_gradients[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-7, name
    pulled = max((plain[name] - each).norm() / each.norm() for name, each in wanted_gradients.items())
    assert pulled > 0.1  # words alone would not do


def test_what_is_done_to_the_total_reaches_the_guidance(model, processor):
    """A loss scaler's factor, or a division for accumulation, applies to both losses alike."""
    batch = Collator(processor)(rows())
    _, once, _ = by_guidance(model, batch, AgtoConfig())
    _, scaled, _ = by_guidance(model, batch, AgtoConfig(), factor=8.0)
    assert all(torch.allclose(scaled[name], 8 * once[name], rtol=1e-5, atol=1e-8) for name in once)


def test_the_numbers_are_those_of_eager_maps(model, processor):
    batch = Collator(processor)(rows())
    sets, inputs = split(batch)
    maps = eager_maps(model, {k: v for k, v in inputs.items() if k != "labels"})
    *_, numbers = by_guidance(model, batch, AgtoConfig())
    found = dict(zip(NUMBERS, (numbers[:-1] / numbers[-1]).tolist(), strict=True))
    assert numbers[-1] == 2  # of three rows, one has no picture
    by_item = {"visual_mass": [], "system_mass": [], "vas": []}
    for b in (0, 1):
        q, v, s = (positions(each)[b] for each in (sets.queries, sets.visual, sets.system))
        on_v = torch.stack([each[b][:, q][..., v].sum(-1) for each in maps])
        on_s = torch.stack([each[b][:, q][..., s].sum(-1) for each in maps])
        for name, value in zip(by_item, (on_v, on_s, on_v / on_s), strict=True):
            by_item[name].append(value.mean().item())
    for name, values in by_item.items():
        assert found[name] == pytest.approx(sum(values) / 2, rel=1e-4)


def test_rows_are_padded_right_and_labelled_by_their_response(processor):
    batch = Collator(processor)(rows())
    sets, inputs = split(batch)
    tokenizer = processor.tokenizer
    for b, each in enumerate(RECORDS):
        real = inputs["attention_mask"][b].bool()
        assert real.tolist() == sorted(real.tolist(), reverse=True)
        assert (
            tokenizer.decode(inputs["labels"][b][inputs["labels"][b] != -100]) == f"{each.response}<|im_end|>"
        )
        question = each.messages[-2][1].removeprefix("<image>")
        assert tokenizer.decode(inputs["input_ids"][b][sets.queries[b]]) == question
        system = dict(each.messages).get("system", "You are a helpful assistant.")
        assert (
            tokenizer.decode(inputs["input_ids"][b][sets.system[b]]).strip()
            == f"<|im_start|>system\n{system}<|im_end|>"
        )
        assert (inputs["input_ids"][b][sets.visual[b]] == processor.image_token_id).all()
    assert sets.visual.sum(-1).tolist() == [16, 24, 0]
    # without it Qwen2.5-VL counts positions as in text, in silence
    assert torch.equal(inputs["mm_token_type_ids"].bool(), sets.visual)


def test_a_row_costs_the_same_alone_and_beside_longer_ones(model, processor):
    """Padding of a batch changes no row's loss: the mean of rows alone is the loss of the batch."""
    config = AgtoConfig()
    pictured = [0, 1]
    together = Collator(processor)([rows()[i] for i in pictured])
    alone = [Collator(processor)([rows()[i]]) for i in pictured]
    guided = [by_guidance(model, batch, config)[2] for batch in alone]
    *_, numbers = by_guidance(model, together, config)
    assert (numbers / numbers[-1]).tolist() == pytest.approx((sum(guided) / 2).tolist(), rel=1e-5)


def test_a_batch_without_pictures_trains_on_words_alone(model, processor):
    batch = Collator(processor)(rows([record("is red a color?", "yes")]))
    _, inputs = split(batch)
    plain = copy.deepcopy(model).train()
    loss = plain(**inputs, use_cache=False).loss
    loss.backward()
    total, found, numbers = by_guidance(model, batch, AgtoConfig())
    assert total == pytest.approx(loss.item(), rel=1e-6)
    assert numbers.tolist() == [0] * (len(NUMBERS) + 1)
    for name, gradient in gradients(plain).items():
        assert (found[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-9, name


def test_nothing_is_left_on_the_model(model, processor):
    sets, inputs = split(Collator(processor)(rows()))
    before = model.config.get_text_config()._attn_implementation
    guidance = Guidance(model, AgtoConfig())
    hooks = [len(layer.self_attn._forward_hooks) for layer in guidance.layers]
    inputs["input_ids"] = inputs["input_ids"] + 10**6  # no such tokens
    with pytest.raises(IndexError), guidance.active(), guidance.guiding(sets):
        model(**inputs, use_cache=False)
    assert model.config.get_text_config()._attn_implementation == before
    assert [len(layer.self_attn._forward_hooks) for layer in guidance.layers] == hooks
    assert guidance._step is None


def test_a_forward_that_measured_nothing_is_an_error(model, processor):
    """Plain SDPA swallows a request in silence; the released code then trains on the plain loss."""
    sets, inputs = split(Collator(processor)(rows()))
    guidance = Guidance(model, AgtoConfig())
    with pytest.raises(UsageError, match="ignores a request in silence"), guidance.guiding(sets):
        model(**inputs, use_cache=False)
    with guidance.active():
        with guidance.guiding(sets):
            loss = torch.zeros(())
        with pytest.raises(VaslabError, match="layer 0 gave no attention mass"):
            guidance.total(loss)


def test_backward_past_the_total_is_an_error(model, processor):
    sets, inputs = split(Collator(processor)(rows()))
    guidance = Guidance(copy.deepcopy(model).train(), AgtoConfig())
    with guidance.active(), guidance.guiding(sets):
        loss = guidance.model(**inputs, use_cache=False).loss
        with pytest.raises(VaslabError, match=r"what Guidance\.total returned"):
            loss.backward()


def test_attention_dropout_is_refused(processor):
    model = build_model(processor, layers=1, heads=2, kv_heads=1, hidden=32)
    model.config.get_text_config().attention_dropout = 0.1
    with pytest.raises(UsageError, match="attention_dropout=0"):
        Guidance(model, AgtoConfig())

import dataclasses

import pytest
import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, MllamaForCausalLM, PreTrainedModel
from transformers.models.mllama.configuration_mllama import MllamaTextConfig

from vaslab.attention import (
    ATTENTION_NAME,
    Request,
    attached,
    register,
    requesting,
    require_mass,
    text_decoder,
)
from vaslab.errors import UsageError, VaslabError

from . import families
from .reference import causal, collecting, mass_of, spying, weights

pytestmark = pytest.mark.tiny
ROUTES = ("rows", "columns")


def implementations(model):
    return {
        name: m.config._attn_implementation
        for name, m in model.named_modules()
        if isinstance(m, PreTrainedModel)
    }


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def measured(model, batch, request, **options):
    """The masses of every layer and the logits, of one forward."""
    with torch.no_grad(), attached(model), requesting(model, request), collecting(model) as calls:
        logits = model(**batch, use_cache=False, **options).logits
    assert len(calls) == 1
    return [require_mass(mass, i, request) for i, mass in enumerate(calls[0])], logits


@pytest.fixture(params=list(families.FAMILIES))
def family(request):
    return request.param


@pytest.fixture
def request_all(batch):
    return Request(families.groups(batch), 3)


@pytest.mark.parametrize("route", ROUTES)
def test_every_family_is_measured_as_its_own_query_and_key_say(family, route):
    model = families.build(family)
    batch = families.inputs(family, [families.ids(3, 5), families.ids(6, 9, 1)])
    groups = families.groups(batch)
    with torch.no_grad(), spying(model) as seen:
        plain = model(**batch, use_cache=False).logits
    masses, logits = measured(model, batch, Request(groups, 3, route=route))
    assert torch.equal(logits, plain)
    assert len(masses) == 3
    for layer, mass in enumerate(masses):
        q, k = seen.query[layer], seen.key[layer]
        mask = causal(q.shape[2], k.shape[2]) if seen.mask[layer] is None else seen.mask[layer]
        want = mass_of(weights(q, k, mask, seen.scaling[layer]), groups, 3)
        assert mass.shape == want.shape
        assert torch.allclose(mass.double(), want, atol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_every_family_is_measured_as_whole_model_eager_attention_says(family, route):
    model = families.build(family)
    batch = families.inputs(family, [families.ids(3, 5), families.ids(6, 9, 1)])
    groups, real = families.groups(batch), batch["attention_mask"].bool()[:, None, :, None]
    masses, _ = measured(model, batch, Request(groups, 3, route=route))
    eager = families.build(family)
    eager.set_attn_implementation("eager")
    with torch.no_grad():
        maps = eager(**batch, use_cache=False, output_attentions=True).attentions
    for mass, attention in zip(masses, maps, strict=True):
        want = mass_of(attention.double(), groups, 3)
        assert want.masked_select(real).std() > 0.1  # far from uniform: a wrong group or row would show
        assert ((mass - want) * real).abs().max() < 1e-5


def test_a_left_padded_batch_equals_its_items_alone(family):
    model = families.build(family)
    batch = families.inputs(family, [families.ids(3, 5), families.ids(6, 9, 1)])
    together, _ = measured(model, batch, Request(families.groups(batch), 3))
    for item in range(2):
        one = families.alone(family, batch, item)
        single, _ = measured(model, one, Request(families.groups(one), 3))
        length = one["input_ids"].shape[1]
        for both, mass in zip(together, single, strict=True):
            assert torch.allclose(both[item, :, -length:], mass[0], atol=1e-5)
            assert not both[item, :, :-length].any()


def test_padding_does_not_change_the_logits_because_the_mask_is_registered_too(family):
    model = families.build(family)
    batch = families.inputs(family, [families.ids(3, 5), families.ids(6, 9, 1)])
    with torch.no_grad():
        plain = model(**batch, use_cache=False).logits
        with attached(model):
            ours = model(**batch, use_cache=False).logits
    assert torch.equal(ours, plain)


@pytest.mark.parametrize("route", ROUTES)
def test_a_mass_holds_no_memory_but_its_own(model, batch, request_all, route):
    masses, _ = measured(model, batch, dataclasses.replace(request_all, route=route))
    for mass in masses:
        assert mass.untyped_storage().nbytes() == 4 * mass.numel()


def test_few_rows_and_few_layers(model, batch):
    groups = families.groups(batch)
    rows = torch.tensor([[19, 5, -1], [20, 0, 11]])
    whole, _ = measured(model, batch, Request(groups, 3, route="rows"))
    some = Request(groups, 3, rows=rows, layers=frozenset({1}))
    with torch.no_grad(), attached(model), requesting(model, some), collecting(model) as calls:
        model(**batch, use_cache=False)
    assert calls[0][0] is None
    assert calls[0][2] is None
    for b in range(2):
        for slot, position in enumerate(rows[b].tolist()):
            want = whole[1][b, :, position] if position >= 0 else torch.zeros(4, 3)
            assert torch.allclose(calls[0][1][b, :, slot], want, atol=1e-6)


def test_half_precision_model(batch):
    model = families.build().bfloat16()
    batch = {k: v.bfloat16() if v.is_floating_point() else v for k, v in batch.items()}
    groups = families.groups(batch)
    with torch.no_grad(), spying(model) as seen:
        plain = model(**batch, use_cache=False).logits
    masses, logits = measured(model, batch, Request(groups, 3, route="rows"))
    assert torch.equal(logits, plain)
    for layer, mass in enumerate(masses):
        want = mass_of(
            weights(seen.query[layer], seen.key[layer], seen.mask[layer], seen.scaling[layer]), groups, 3
        )
        assert torch.allclose(mass.double(), want, atol=1e-5)
    rounded, _ = measured(model, batch, Request(groups, 3, route="columns"))
    # The first layer alone has the same query and key; the kernel rounds its masses to bfloat16.
    want = mass_of(weights(seen.query[0], seen.key[0], seen.mask[0], seen.scaling[0]), groups, 3)
    assert torch.allclose(rounded[0].double(), want, rtol=8e-3, atol=1e-3)


def test_the_text_decoder_is_found(family):
    path, decoder = text_decoder(families.build(family))
    assert path == "model.language_model"
    assert isinstance(decoder.layers, nn.ModuleList)


def test_a_model_without_a_text_decoder_is_refused():
    with pytest.raises(UsageError, match="has no transformers config"):
        text_decoder(nn.Linear(2, 2))


def test_the_vision_tower_keeps_its_kernel(family):
    model = families.build(family)
    before = implementations(model)
    decoder = text_decoder(model)[0]
    with attached(model):
        inside = implementations(model)
        assert inside[decoder] == ATTENTION_NAME
        assert {n: v for n, v in inside.items() if n != decoder} == {
            n: v for n, v in before.items() if n != decoder
        }
    assert implementations(model) == before


def test_a_vision_tower_caught_by_the_backend_is_refused(family):
    register()
    model = families.build(family)
    model.set_attn_implementation(ATTENTION_NAME)  # a bare string reaches every part
    before = implementations(model)
    with (
        pytest.raises(UsageError, match=r"is for the text decoder .* alone; load the model with"),
        attached(model),
    ):
        pass
    assert implementations(model) == before


@pytest.mark.parametrize("before", ["sdpa", "eager"])
def test_everything_is_put_back_after_success_and_after_an_exception(model, batch, request_all, before):
    model.set_attn_implementation(before)
    configs, n_hooks = implementations(model), hooks(model)
    measured(model, batch, request_all)
    assert (implementations(model), hooks(model)) == (configs, n_hooks)
    too_few = {**batch, "attention_mask": batch["attention_mask"][:1]}
    with pytest.raises(IndexError), attached(model), requesting(model, request_all):
        model(**too_few)
    assert (implementations(model), hooks(model)) == (configs, n_hooks)
    with pytest.raises(UsageError), attached(model), requesting(model, Request(request_all.groups[:1], 3)):
        model(**batch)
    assert (implementations(model), hooks(model)) == (configs, n_hooks)


def test_nested_blocks_put_back_what_each_found(model, batch, request_all):
    configs = implementations(model)
    with attached(model):
        with attached(model):
            pass
        assert model.config.get_text_config()._attn_implementation == ATTENTION_NAME
        measured(model, batch, request_all)
        assert model.config.get_text_config()._attn_implementation == ATTENTION_NAME
    assert implementations(model) == configs


def test_a_second_request_on_the_way_is_refused(model, batch, request_all):
    with attached(model), requesting(model, request_all), requesting(model, request_all):
        with pytest.raises(UsageError, match="carries another request already"):
            model(**batch)
    assert hooks(model) == 0


def test_a_request_to_a_model_on_another_backend_is_refused_not_swallowed(model, batch, request_all):
    # What happens without the guard: plain sdpa takes the keyword and says nothing.
    with torch.no_grad(), collecting(model) as calls:
        model(**batch, use_cache=False, vaslab_request=request_all)
    assert calls[0] == [None, None, None]
    with pytest.raises(VaslabError, match="layer 0 returned no attention mass"):
        require_mass(calls[0][0], 0, request_all)
    with pytest.raises(UsageError, match=r"runs on 'sdpa'.*enter attached\(model\) first"):
        with requesting(model, request_all):
            pass
    with attached(model), requesting(model, request_all):
        text_decoder(model)[1].set_attn_implementation("sdpa")
        with pytest.raises(UsageError, match="runs on 'sdpa'"):
            model(**batch)


def test_a_layer_that_the_model_has_not_is_refused(model, request_all):
    with attached(model), pytest.raises(UsageError, match="asks for layer 3; the decoder has layers 0 to 2"):
        with requesting(model, dataclasses.replace(request_all, layers=frozenset({1, 3}))):
            pass


@pytest.mark.parametrize("extra", ["position_bias", "softcap", "s_aux"])
def test_attention_that_is_more_than_query_and_key_is_refused(model, batch, request_all, extra):
    _, decoder = text_decoder(model)
    for layer in decoder.layers:
        layer.self_attn.register_forward_pre_hook(
            lambda _, args, kwargs: (args, {**kwargs, extra: torch.zeros(())}), with_kwargs=True
        )
    with torch.no_grad(), attached(model), requesting(model, request_all):
        with pytest.raises(UsageError, match=f"uses '{extra}', which the attention mass does not cover"):
            model(**batch)


def test_registering_twice_is_registering_once():
    register()
    register()
    assert ATTENTION_NAME in AttentionInterface._global_mapping
    assert ATTENTION_NAME in AttentionMaskInterface._global_mapping


@pytest.mark.parametrize("interface", [AttentionInterface, AttentionMaskInterface])
def test_a_name_that_is_somebody_elses_is_refused(monkeypatch, model, interface):
    monkeypatch.setitem(interface._global_mapping, ATTENTION_NAME, print)
    with pytest.raises(VaslabError, match="register that function under another name"), attached(model):
        pass
    assert model.config.get_text_config()._attn_implementation == "sdpa"


def test_a_lost_mask_registration_is_made_again_or_refused(monkeypatch, model, batch):
    register()
    with torch.no_grad():
        plain = model(**batch, use_cache=False).logits
    del AttentionMaskInterface._global_mapping[ATTENTION_NAME]
    with torch.no_grad(), attached(model):
        assert torch.equal(model(**batch, use_cache=False).logits, plain)
    monkeypatch.delitem(AttentionMaskInterface._global_mapping, ATTENTION_NAME)
    monkeypatch.setattr(AttentionMaskInterface, "register", classmethod(lambda *_: None))
    with pytest.raises(VaslabError, match="AttentionMaskInterface has None under 'vaslab'"), attached(model):
        pass


def test_a_saved_checkpoint_does_not_name_the_backend(model, tmp_path):
    with attached(model):
        model.save_pretrained(tmp_path)
    assert ATTENTION_NAME not in (tmp_path / "config.json").read_text()


def test_cross_attention_layers_are_refused_by_name_and_can_be_left_out():
    torch.manual_seed(0)
    config = MllamaTextConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        cross_attention_layers=[1],
        pad_token_id=0,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
    )
    model = MllamaForCausalLM(config).eval()
    ids, states = torch.randint(2, 50, (1, 9)), torch.randn(1, 5, 32)
    groups = torch.zeros(1, 9, dtype=torch.long)
    groups[:, 4:] = 1
    with torch.no_grad(), attached(model):
        with requesting(model, Request(groups, 2)):
            with pytest.raises(
                UsageError, match=r"layer 1 \(MllamaTextCrossAttention\) attends to encoder states"
            ):
                model(input_ids=ids, cross_attention_states=states, use_cache=False)
        with requesting(model, Request(groups, 2, layers=frozenset({0, 2}))), collecting(model) as found:
            model(input_ids=ids, cross_attention_states=states, use_cache=False)
    model.set_attn_implementation("eager")
    with torch.no_grad(), collecting(model) as maps:
        model(input_ids=ids, cross_attention_states=states, use_cache=False, output_attentions=True)
    assert len(found[0]) == 2  # the layers with self-attention: 0 and 2
    for mass, attention in zip(found[0], maps[0], strict=True):
        assert torch.allclose(mass.double(), mass_of(attention.double(), groups, 2), atol=1e-5)

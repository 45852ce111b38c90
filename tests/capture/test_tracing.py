"""A captured model is the model that was loaded, whatever happened inside."""

import threading

import pytest
import torch

import vaslab
from vaslab.attention import Request
from vaslab.capture.source_route import eager_mass, source_mass
from vaslab.capture.tracing import tracing, wrapped
from vaslab.errors import VaslabError
from vaslab.prompts.encode import encode

pytestmark = pytest.mark.tiny


def state(model):
    """Everything of every module but its tensors: attributes by name and identity, hooks, backends."""
    seen = []
    for path, module in model.named_modules():
        own = {k: id(v) for k, v in vars(module).items() if k not in ("rope_deltas",)}
        hooks = len(module._forward_hooks), len(module._forward_pre_hooks)
        seen.append(
            (path, own, hooks, getattr(getattr(module, "config", None), "_attn_implementation", None))
        )
    return seen


def request_for(encoded):
    return Request(torch.where(encoded.roles == 8, -1, encoded.roles), 8, route="rows")


def test_nothing_is_left_after_success(tiny, prompts):
    before = state(tiny.model)
    vaslab.capture(tiny, prompts, patches=[(0, 0)], rows=True)
    assert state(tiny.model) == before


def test_nothing_is_left_after_an_error_in_the_trace(tiny, prompts):
    before = state(tiny.model)
    encoded = encode(tiny.processor, prompts)

    def fails(layer, mass):
        raise ZeroDivisionError(f"layer {layer}")

    with pytest.raises(ZeroDivisionError, match="layer 0"):
        with tracing(tiny) as tracer:
            tracer.forward(request_for(encoded), fails, **encoded.inputs)
    assert state(tiny.model) == before
    vaslab.capture(tiny, prompts)


def test_nothing_is_left_after_an_error_in_generation(tiny, prompts):
    before = state(tiny.model)
    encoded = encode(tiny.processor, prompts)
    with pytest.raises(ValueError, match="no_such_option"):
        with tracing(tiny) as tracer:
            tracer.generate(
                request_for(encoded), lambda _, mass: mass, {"no_such_option": 1}, **encoded.inputs
            )
    assert state(tiny.model) == before


def test_a_swallowed_keyword_is_noticed(tiny, prompts, monkeypatch):
    """The trap: a request under a keyword that nobody reads is swallowed in silence, and no mass comes back."""
    monkeypatch.setattr("vaslab.attention.seam._KEYWORD", "vaslab_requst")
    with pytest.raises(VaslabError, match="returned no attention mass"):
        vaslab.capture(tiny, prompts)


def test_source_route_and_eager_agree_with_a_hand_made_softmax(tiny, prompts):
    encoded = encode(tiny.processor, prompts[:1])
    groups = encoded.roles
    from_source, logits = source_mass(tiny, groups, 9, **encoded.inputs)
    from_eager = eager_mass(tiny, groups, 9, **encoded.inputs)
    seen = {}

    def look(module, arguments, keywords):
        seen["hidden"] = keywords.get("hidden_states", arguments[0] if arguments else None)
        seen["rotary"] = keywords["position_embeddings"]

    attention = tiny.model.model.language_model.layers[0].self_attn
    handle = attention.register_forward_pre_hook(look, with_kwargs=True)
    with torch.no_grad():
        plain = tiny.model(**encoded.inputs, use_cache=False).logits
    handle.remove()
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import apply_rotary_pos_emb

    with torch.no_grad():
        query = attention.q_proj(seen["hidden"]).view(1, -1, 4, 16).transpose(1, 2)
        key = attention.k_proj(seen["hidden"]).view(1, -1, 2, 16).transpose(1, 2)
        query, key = apply_rotary_pos_emb(query, key, *seen["rotary"])
        scores = query @ key.repeat_interleave(2, dim=1).transpose(-1, -2) / 4
        visible = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    for role in range(9):
        expected = weights[..., groups[0] == role].sum(-1)
        torch.testing.assert_close(from_source[0][..., role], expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(from_eager[0][..., role], expected, atol=1e-5, rtol=0)
    assert torch.equal(logits, plain)


def test_threads_wait_for_each_other(tiny, prompts):
    """nnsight breaks when two threads trace one model; the lock makes them take turns."""
    alone = vaslab.capture(tiny, prompts)
    results, errors = [], []

    def work():
        try:
            results.append(vaslab.capture(tiny, prompts))
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(results) == 3
    assert all(result.equals(alone) for result in results)


def test_a_loop_over_steps_would_lose_what_follows_it(tiny, prompts, monkeypatch):
    """The trap that `Tracer.generate` keeps out of: an answer that ends early cuts such a loop, and all after it."""
    encoded = encode(tiny.processor, prompts[:1])
    first = tiny.model.generate(**encoded.inputs, max_new_tokens=1, do_sample=False)[0, -1]
    monkeypatch.setattr(tiny.model.generation_config, "eos_token_id", [int(first)])
    reached = []
    with wrapped(tiny.model) as wrapper, pytest.warns(UserWarning, match="never reached"):  # noqa: PT031
        with wrapper.trace(
            fn=tiny.model.generate, **encoded.inputs, max_new_tokens=5, do_sample=False
        ) as tracer:
            for _ in tracer.iter[:5]:
                reached.append(wrapper.lm_head.output.shape)
            reached.append("after the loop")
    assert len(reached) == 1
    assert "after the loop" not in reached
    with tracing(tiny) as tracer:
        kept, ids = tracer.generate(
            request_for(encoded),
            lambda _, mass: mass,
            {"max_new_tokens": 5, "do_sample": False},
            **encoded.inputs,
        )
    assert len(kept) == tiny.n_layers
    assert ids.shape[1] == encoded.roles.shape[1] + 1

import pytest
import torch

from vaslab.attention import Request, attached, requesting
from vaslab.errors import UsageError

from . import families
from .reference import collecting, mass_of

pytestmark = pytest.mark.tiny
ROUTES = ("rows", "columns")


def pull(masses, groups):
    """A loss of the masses of real rows, another weight for each layer and group."""
    real = (groups >= 0)[:, None, :, None]
    weight = torch.tensor([0.3, -1.0, 0.7])
    return sum((i + 1) * (mass * real * weight).sum() for i, mass in enumerate(masses))


def of_real_tokens(logits, batch):
    """Padding queries see nothing here and everything in eager attention; no loss reads them."""
    return logits[batch["attention_mask"].bool()].square().mean()


def gradients(model):
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def eager_gradients(batch):
    model = families.build()
    model.set_attn_implementation("eager")
    out = model(**batch, use_cache=False, output_attentions=True)
    groups = families.groups(batch)
    (
        pull([mass_of(a, groups, 3) for a in out.attentions], groups) + of_real_tokens(out.logits, batch)
    ).backward()
    return gradients(model)


def our_gradients(batch, route, checkpointing=None):
    model = families.build().train()
    if checkpointing is not None:
        model.activation_checkpointing_enable(checkpointing)
    groups = families.groups(batch)
    request = Request(groups, 3, route=route, grad=True)
    with attached(model), requesting(model, request), collecting(model) as calls:
        out = model(**batch, use_cache=False)
        (pull(calls[0], groups) + of_real_tokens(out.logits, batch)).backward()
    return gradients(model)


@pytest.mark.parametrize("checkpointing", [None, {"use_reentrant": False}])
@pytest.mark.parametrize("route", ROUTES)
def test_the_gradient_of_the_mass_reaches_every_parameter_as_through_eager(batch, route, checkpointing):
    want, found = eager_gradients(batch), our_gradients(batch, route, checkpointing)
    assert found.keys() == want.keys()
    assert any("visual" in name for name in want)
    for name, gradient in want.items():
        scale = gradient.abs().max().clamp(min=1e-3)
        assert ((found[name] - gradient).abs().max() / scale) < 2e-3, name


def test_reentrant_checkpointing_would_lose_the_gradient_and_is_refused(batch):
    with pytest.raises(UsageError, match="'use_reentrant': False"):
        our_gradients(batch, "columns", {"use_reentrant": True})


def test_reentrant_checkpointing_without_grad_measures_right(batch):
    plain, model = families.build(), families.build().train()
    model.activation_checkpointing_enable({"use_reentrant": True})
    model.enable_input_require_grads()
    request = Request(families.groups(batch), 3)
    with torch.no_grad(), attached(plain), requesting(plain, request), collecting(plain) as want:
        plain(**batch, use_cache=False)
    with attached(model), requesting(model, request), collecting(model) as found:
        out = model(**batch, use_cache=False)
        masses = list(found[0])  # the recomputation runs the layers again
        of_real_tokens(out.logits, batch).backward()
    assert all(torch.equal(a, b) for a, b in zip(masses, want[0], strict=True))
    eager = families.build()
    eager.set_attn_implementation("eager")
    of_real_tokens(eager(**batch, use_cache=False).logits, batch).backward()
    theirs = gradients(eager)
    for name, gradient in gradients(model).items():
        assert torch.allclose(gradient, theirs[name], atol=1e-4 * float(theirs[name].abs().max()) + 1e-6), (
            name
        )


def test_asking_for_a_gradient_under_no_grad_is_refused(batch):
    model = families.build()
    request = Request(families.groups(batch), 3, grad=True)
    with torch.no_grad(), attached(model), requesting(model, request):
        with pytest.raises(UsageError, match="autograd off"):
            model(**batch, use_cache=False)


@pytest.mark.parametrize("route", ROUTES)
def test_without_grad_a_mass_in_training_has_no_graph_and_the_output_has_one(batch, route):
    model = families.build().train()
    request = Request(families.groups(batch), 3, route=route)
    with attached(model), requesting(model, request), collecting(model) as calls:
        logits = model(**batch, use_cache=False).logits
    assert logits.requires_grad
    assert not any(mass.requires_grad for mass in calls[0])


def test_dropout_is_left_out_of_the_masses_or_refused(batch):
    model = families.build(attention_dropout=0.5)
    groups = families.groups(batch)
    with torch.no_grad(), attached(model):
        with requesting(model, Request(groups, 3, route="rows")), collecting(model) as quiet:
            model(**batch, use_cache=False)
        model.train()
        with requesting(model, Request(groups, 3, route="rows")), collecting(model) as dropped:
            model(**batch, use_cache=False)
        # The first layer's query and key do not depend on dropout.
        assert torch.equal(quiet[0][0], dropped[0][0])
        assert not torch.equal(quiet[0][2], dropped[0][2])
        with requesting(model, Request(groups, 3, route="columns")):
            with pytest.raises(UsageError, match=r"attention dropout 0.5 is active.*route='rows'"):
                model(**batch, use_cache=False)

"""AGTO's losses: by hand, by loops, and what they count."""

import math

import pytest
import torch

from tests.trainers.eager import agto_by_loops
from trainers.losses import AgtoConfig, agto_losses, layer_losses
from trainers.sets import Sets
from vaslab.errors import UsageError

# Six tokens: S S V V q q. One layer, two heads; rows 4 and 5 are the queries.
SETS = Sets(*(torch.tensor([[i in each for i in range(6)]]) for each in ((0, 1), (2, 3), (4, 5))))
SIX = torch.zeros(1, 2, 6, 6)
SIX[0, 0, 4] = torch.tensor([0.5, 0.1, 0.1, 0.1, 0.2, 0.0])
SIX[0, 0, 5] = torch.tensor([0.2, 0.2, 0.3, 0.1, 0.1, 0.1])
SIX[0, 1, 4] = torch.tensor([0.7, 0.1, 0.0, 0.1, 0.1, 0.0])
SIX[0, 1, 5] = torch.tensor([0.3, 0.3, 0.2, 0.1, 0.0, 0.1])


def masses_of(maps, sets):
    """Mass on S and V, (batch, head, row), from full maps, by indexing."""
    return tuple(
        torch.where(keys[:, None, None], maps, torch.zeros_like(maps)).sum(-1)
        for keys in (sets.system, sets.visual)
    )


def test_six_tokens_by_hand():
    enhanced, suppressed = layer_losses(*masses_of(SIX, SETS), SETS, (0, 1))
    # head 0: V mass 0.2 + 0.4 = 0.6, S mass 0.6 + 0.4 = 1.0; head 1: 0.1 + 0.3 = 0.4 and 0.8 + 0.6 = 1.4
    # |Q||V| = |Q||S| = 4: means 0.15, 0.25 and 0.1, 0.35
    assert enhanced.item() == pytest.approx(-(math.log(0.15) + math.log(0.1)) / 2, rel=1e-6)
    assert suppressed.item() == pytest.approx((math.log(0.25 + 1e-6) + math.log(0.35 + 1e-6)) / 2, rel=1e-6)


def test_one_head_by_hand():
    enhanced, _ = layer_losses(*masses_of(SIX, SETS), SETS, (1,))
    assert enhanced.item() == pytest.approx(-math.log(0.1), rel=1e-6)


def test_six_tokens_as_released_by_hand():
    """eps 1e-6 in the denominator and inside both logarithms."""
    enhanced, suppressed = layer_losses(*masses_of(SIX, SETS), SETS, (0, 1), "as_released")
    means = [total / (4 + 1e-6) for total in (0.6, 0.4, 1.0, 1.4)]
    logs = [math.log(mean + 1e-6) for mean in means]
    assert enhanced.item() == pytest.approx(-(logs[0] + logs[1]) / 2, rel=1e-6)
    assert suppressed.item() == pytest.approx((logs[2] + logs[3]) / 2, rel=1e-6)


def random_case(seed=0):
    """Three samples: right-padded, with two system tokens; without a picture; without a system message."""
    generator = torch.Generator().manual_seed(seed)
    system, visual, queries = torch.zeros(3, 3, 9, dtype=torch.bool)
    system[0, :2] = system[1, :3] = True
    visual[0, 2:5] = visual[2, 1:5] = True
    queries[0, 5:7] = queries[1, 4:9] = queries[2, 5:8] = True
    maps = [torch.rand(3, 4, 9, 9, generator=generator).tril().requires_grad_() for _ in range(3)]
    normal = [each / each.sum(-1, keepdim=True) for each in maps]
    return maps, normal, Sets(system, visual, queries)


def positions(mask):
    return [row.nonzero()[:, 0].tolist() for row in mask]


@pytest.mark.parametrize(
    "config", [AgtoConfig(), AgtoConfig(layers=(2, 0)), AgtoConfig(heads=("L1H3", "L1H0", "L2H2"))]
)
def test_values_and_gradients_equal_loops(config):
    leaves, maps, sets = random_case()
    heads = config.heads_by_layer(3, 4)
    found = agto_losses({i: masses_of(each, sets) for i, each in enumerate(maps)}, sets, heads)
    found_gradients = torch.autograd.grad(2 * found[0] + 3 * found[1], leaves, allow_unused=True)
    leaves, maps, sets = random_case()
    wanted = agto_by_loops(
        maps, positions(sets.system), positions(sets.visual), positions(sets.queries), heads
    )
    wanted_gradients = torch.autograd.grad(2 * wanted[0] + 3 * wanted[1], leaves, allow_unused=True)
    for a, b in zip(found, wanted, strict=True):
        assert a.item() == pytest.approx(b.item(), rel=1e-5)
    for a, b in zip(found_gradients, wanted_gradients, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-8)


def test_a_batch_without_pictures_pulls_at_nothing():
    sets = Sets(SETS.system, torch.zeros_like(SETS.visual), SETS.queries)
    mass = torch.rand(1, 2, 6, requires_grad=True)
    enhanced, suppressed = layer_losses(mass, mass, sets, (0, 1))
    assert enhanced.item() == suppressed.item() == 0
    (gradient,) = torch.autograd.grad(enhanced + suppressed, mass)
    assert not gradient.any()


def test_a_mass_of_zero_is_clamped_and_has_no_gradient():
    mass = torch.zeros(1, 1, 6, requires_grad=True)
    enhanced, _ = layer_losses(mass, mass, SETS, (0,))
    assert enhanced.item() == pytest.approx(-math.log(1e-12), rel=1e-6)
    assert not torch.autograd.grad(enhanced, mass)[0].any()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"alpha": -1.0}, "alpha is -1.0; give a number of at least 0"),
        ({"beta": -0.5}, "beta is -0.5"),
        ({"heads": ("3.1",)}, "'3.1' names no head; write it as L3H1"),
        ({"queries": "system"}, "user, response, both"),
        ({"variant": "theirs"}, "as_released"),
        ({"variant": "as_released", "queries": "both"}, "leave queries"),
        ({"layers": (1,), "heads": ("L1H1",)}, "exclude each other"),
    ],
)
def test_wrong_configs_name_their_fix(given, told):
    with pytest.raises(UsageError, match=told):
        AgtoConfig(**given)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            AgtoConfig(layers=(0, 3)),
            "^there is no layer 3; the model has layers 0 to 2, each of heads 0 to 3$",
        ),
        (AgtoConfig(layers=(-1,)), "^there is no layer -1"),
        (AgtoConfig(heads=("L0H3", "L0H4")), "^there is no L0H4; .* heads 0 to 3$"),
        (AgtoConfig(heads=("L3H0",)), "^there is no L3H0"),
    ],
)
def test_layers_and_heads_that_are_not_there(config, told):
    with pytest.raises(UsageError, match=told):
        config.heads_by_layer(3, 4)

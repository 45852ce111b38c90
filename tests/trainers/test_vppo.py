"""VPPO's functions: by hand, against scipy, by chance, and against the processor's own patches."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import entropy

from trainers.vppo import (
    VppoConfig,
    black_patch,
    blackened,
    exact_kl,
    mean_perception,
    pivotal,
    sampled_kl,
    trajectory_weight,
    vppo_weights,
)
from vaslab.errors import UsageError

# Two completions of five and three tokens.
ROWS = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
PERCEPTION = torch.tensor([[0.1, 0.5, 0.0, 0.3, 0.1], [0.6, 0.0, 0.9, 9.0, 9.0]])


def test_two_completions_by_hand():
    # k = 0.4: the best 2 of 5 and, rounded up, 2 of 3; padding counts for nothing
    kept = [[0, 1, 0, 1, 0], [1, 0, 1, 0, 0]]
    assert pivotal(PERCEPTION, ROWS, 0.4).int().tolist() == kept
    means = mean_perception(PERCEPTION, ROWS)
    assert means.tolist() == pytest.approx([0.2, 0.5])
    # normalised to 0 and 1, whose mean is 0.5: b_max = 0.9 + 0.1 / 0.5 = 1.1
    assert trajectory_weight(means, means, 0.9, None).tolist() == pytest.approx([0.9, 1.1])
    assert trajectory_weight(means, means, 0.8, 1.5).tolist() == pytest.approx([0.8, 1.5])
    found = vppo_weights(PERCEPTION, ROWS, means, VppoConfig())
    assert found.tolist() == [
        pytest.approx([0.9 * m for m in kept[0]]),
        pytest.approx([1.1 * m for m in kept[1]]),
    ]


def test_the_mean_weight_is_one_over_the_batch_of_all_devices():
    every = torch.rand(64, generator=torch.Generator().manual_seed(0))
    halves = [trajectory_weight(each, every, 0.9, None) for each in every.split(32)]
    assert torch.cat(halves).mean().item() == pytest.approx(1)
    assert torch.cat(halves).min().item() == pytest.approx(0.9)
    assert trajectory_weight(torch.full((3,), 0.2), torch.full((6,), 0.2), 0.9, None).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("share", "kept"), [(1.0, [5, 3]), (0.2, [1, 1]), (0.61, [4, 2]), (0.01, [1, 1])])
def test_a_share_is_rounded_up_and_all_is_all(share, kept):
    assert pivotal(PERCEPTION, ROWS, share).sum(-1).tolist() == kept


def test_of_equals_the_earlier_are_kept():
    assert pivotal(torch.zeros(1, 5), ROWS[:1], 0.4).int().tolist() == [[1, 1, 0, 0, 0]]


def test_a_completion_without_tokens_has_no_perception():
    assert mean_perception(PERCEPTION, torch.zeros(2, 5, dtype=torch.bool)).tolist() == [0, 0]


def test_exact_divergence_is_scipys():
    logits = torch.randn(2, 3, 7, 11, generator=torch.Generator().manual_seed(0)) * 4
    found = exact_kl(*logits)
    p, q = logits.double().softmax(-1).numpy()
    assert found.numpy() == pytest.approx(entropy(p, q, axis=-1), rel=1e-5)
    assert exact_kl(logits[0], logits[0]).abs().max() < 1e-6


def test_the_estimate_is_the_divergence_on_average():
    """Tokens drawn from the seen distribution: the mean of the estimates is what the sum over the vocabulary gives."""
    draw = torch.Generator().manual_seed(0)
    seen, blind = (torch.randn(2, 8, generator=draw)).log_softmax(-1)
    tokens = torch.multinomial(seen.exp(), 200_000, replacement=True, generator=draw)
    estimates = sampled_kl(seen[tokens][None], blind[tokens][None])
    wanted = exact_kl(seen[None, None], blind[None, None]).item()
    error = estimates.std().item() / len(tokens) ** 0.5
    assert estimates.mean().item() == pytest.approx(wanted, abs=4 * error)
    assert error < 0.02 * wanted
    assert estimates.min() >= 0


def test_the_estimate_by_hand_and_at_its_ends():
    seen, blind = torch.tensor([[-1.0, -1.0, -1.0, -0.1]]), torch.tensor([[-2.0, -1.0, -1e-4, -90.0]])
    d = 1.0 - 1e-4
    wanted = [np.exp(-1) + 1 - 1, 0, np.exp(d) - d - 1, 10]
    assert sampled_kl(seen, blind)[0].tolist() == pytest.approx(wanted, rel=1e-5)
    # the other way, a token that only the blind model likes: e^20 is cut
    assert sampled_kl(blind, seen)[0, 3].item() == 10


@pytest.mark.tiny
def test_a_black_patch_is_the_processors(processor):
    made = processor.image_processor(images=[Image.new("RGB", (64, 96))], return_tensors="pt").pixel_values
    black = black_patch(processor.image_processor)
    assert torch.allclose(made, black.expand_as(made), atol=1e-6)


def test_patches_are_blackened_by_chance_and_again_the_same():
    pixels, black = torch.rand(4000, 12), torch.full((12,), -1.5)
    dark = [blackened(pixels, black, 0.3, torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*dark)
    gone = (dark[0] == black).all(-1)
    assert torch.equal(dark[0][~gone], pixels[~gone])
    # four standard deviations of 4,000 draws
    assert gone.float().mean().item() == pytest.approx(0.3, abs=4 * (0.21 / 4000) ** 0.5)
    whole = blackened(pixels, black, 1.0, torch.Generator().manual_seed(7))
    assert torch.equal(whole, black.expand_as(pixels))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tokens": 0.0}, "above 0, up to 1"),
        ({"masked": 1.5}, "above 0, up to 1"),
        ({"low": 1.2}, "low <= 1 without high"),
        ({"low": float("nan")}, "0 <= low"),
        ({"high": float("inf")}, "low <= high"),
        ({"low": 0.9, "high": 0.5}, "low <= high"),
        ({"kl": "full"}, "sampled, exact"),
    ],
)
def test_settings_that_no_training_can_have(given, told):
    with pytest.raises(UsageError, match=told):
        VppoConfig(**given)


def test_the_defaults_are_the_papers():
    assert VppoConfig() == VppoConfig(tokens=0.4, low=0.9, high=None, masked=0.5, kl="sampled")

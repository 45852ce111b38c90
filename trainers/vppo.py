"""Visually-Perceptive Policy Optimization (VPPO) as pure functions: which tokens are trained, and how much.

    S_t   = KL( pi(. | s_t, I) || pi(. | s_t, I') )                   perception of token t (Eq. 3)
    m_t   = 1 for the k T tokens of a completion with the highest S_t, else 0 (Eq. 4)
    alpha = b_min + (b_max - b_min) (S - min S) / (max S - min S)     S: mean of a completion's S_t (Eq. 5)
    A'_t  = m_t alpha A                                               in place of the advantage A (Eq. 6)

I' is the picture with patches of 14 x 14 pixels blackened, each with probability 0.5; the least and greatest S are
those of the batch; k = 0.4, b_min = 0.9, and b_max is found for each batch. Source: arXiv 2510.09285, its equations and
appendix B. Where the paper is silent, its authors' code decides: k T is rounded up, and b_max makes the mean of alpha
1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaslab.errors import UsageError

KLS = ("sampled", "exact")
_LONGEST_RATIO = 20.0
_HIGHEST = 10.0


@dataclass(frozen=True)
class VppoConfig:
    """How tokens are chosen and completions weighted.

    Args:
        tokens: k, share of a completion's tokens that are trained; 1 trains them all (trajectory weighting alone).
        low: b_min; 1 weights all completions alike (token filtering alone).
        high: b_max; None finds it for each batch such that the mean weight is 1.
        masked: probability that a patch is blackened; 1 blackens the whole picture.
        kl: `sampled` estimates each token's divergence from the probabilities of that token alone, as the paper's
            experiments do; `exact` sums over the vocabulary, as its equation 3 does, and needs all logits of a batch.

    Raises:
        UsageError: values that no training can have.
    """

    tokens: float = 0.4
    low: float = 0.9
    high: float | None = None
    masked: float = 0.5
    kl: str = "sampled"

    def __post_init__(self) -> None:
        if not 0 < self.tokens <= 1 or not 0 < self.masked <= 1:
            raise UsageError(f"tokens is {self.tokens} and masked {self.masked}; expected above 0, up to 1")
        if not (0 <= self.low <= 1 if self.high is None else 0 <= self.low <= self.high < inf):
            raise UsageError(
                f"low is {self.low} and high {self.high}; expected 0 <= low <= high, and low <= 1 without high"
            )
        if self.kl not in KLS:
            raise UsageError(f"kl is {self.kl!r}; expected one of {', '.join(KLS)}")


def sampled_kl(
    seen: Float[Tensor, "batch token"], blind: Float[Tensor, "batch token"]
) -> Float[Tensor, "batch token"]:
    """Estimate of KL(seen || blind) at each token, from the log-probabilities of the tokens that were sampled.

    exp(d) - d - 1 with d = log p_blind - log p_seen within +-20; never negative, 10 at most. Its mean over tokens
    sampled from `seen` is the divergence (Schulman, "Approximating KL divergence", 2020, k3).
    """
    d = (blind - seen).float().clamp(-_LONGEST_RATIO, _LONGEST_RATIO)
    return (d.expm1() - d).clamp(0.0, _HIGHEST)


def exact_kl(
    seen: Float[Tensor, "batch token vocabulary"], blind: Float[Tensor, "batch token vocabulary"]
) -> Float[Tensor, "batch token"]:
    """KL(seen || blind) of the next-token distributions, in nats, from their logits."""
    p, q = seen.float().log_softmax(-1), blind.float().log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1).clamp(min=0.0)


def black_patch(images: Any) -> Float[Tensor, " value"]:
    """A black patch as an image processor of the Qwen-VL families makes it: its values of one row of pixel_values."""
    mean, std = (torch.tensor(each) for each in (images.image_mean, images.image_std))
    # a row holds channel, frame, y, x
    return (-mean / std).repeat_interleave(images.temporal_patch_size * images.patch_size**2)


def blackened(
    pixels: Float[Tensor, "patch value"],
    black: Float[Tensor, " value"],
    share: float,
    generator: torch.Generator,
) -> Float[Tensor, "patch value"]:
    """Pixel values with each patch black with probability `share`.

    Args:
        pixels: patches as the image processor cuts them.
        black: a black one.
        share: the probability.
        generator: of the draws, on the CPU so that devices agree.
    """
    chosen = torch.rand(len(pixels), generator=generator) < share
    return torch.where(chosen.to(pixels.device)[:, None], black.to(pixels), pixels)


def pivotal(
    perception: Float[Tensor, "batch token"], rows: Bool[Tensor, "batch token"], share: float
) -> Bool[Tensor, "batch token"]:
    """The tokens that perceive most: `share` of each completion's, rounded up; of equals the earlier."""
    kept = (rows.sum(-1).double() * share - 1e-9).ceil()
    order = perception.masked_fill(~rows, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    rank = order.argsort(dim=-1)
    return (rank < kept[:, None]) & rows


def trajectory_weight(
    own: Float[Tensor, " batch"], batch: Float[Tensor, " all"], low: float, high: float | None
) -> Float[Tensor, " batch"]:
    """alpha of completions from their mean perception (arXiv 2510.09285); 1 where all of the batch perceive alike.

    Args:
        own: mean perception of these completions.
        batch: that of the completions of all devices.
        low: b_min.
        high: b_max; None finds it such that the mean of alpha over the batch is 1.
    """
    least, spread = batch.min(), batch.max() - batch.min()
    if spread == 0:
        return torch.ones_like(own)
    if high is None:
        high = low + (1 - low) / ((batch - least) / spread).mean().item()
    return low + (high - low) * (own - least) / spread


def mean_perception(
    perception: Float[Tensor, "batch token"], rows: Bool[Tensor, "batch token"]
) -> Float[Tensor, " batch"]:
    """Mean over each completion's tokens; 0 without one."""
    return torch.where(rows, perception, 0.0).sum(-1) / rows.sum(-1).clamp(min=1)


def vppo_weights(
    perception: Float[Tensor, "batch token"],
    rows: Bool[Tensor, "batch token"],
    batch: Float[Tensor, " all"],
    config: VppoConfig,
) -> Float[Tensor, "batch token"]:
    """What each token's advantage is multiplied by: m_t alpha.

    Args:
        perception: S of every token.
        rows: the completions' tokens; the rest is padding.
        batch: mean perception of the completions of all devices.
        config: its k, b_min and b_max.
    """
    alpha = trajectory_weight(mean_perception(perception, rows), batch, config.low, config.high)
    return pivotal(perception, rows, config.tokens) * alpha[:, None]

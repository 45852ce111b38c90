"""Anchor-Token Reinforcement Learning (AT-RL) as pure functions of attention mass.

    A_(i,t) = W(C_k) A_i        token t of completion i lies in cluster C_k of its tokens

Tokens are clustered by how they attend to the picture, and a cluster that attends to it more weighs more. Source: arXiv
2602.11455. Its text could not be read in full; public summaries of it give the formula above, that a graph partition
(METIS) clusters the tokens by the similarity of their attention patterns, that a token's connectivity is its attention
on visual tokens with the sink's part taken out, and that about 15 % of tokens are anchors. What they leave open is
decided here:

    connectivity  c_(l,t) = V / (1 - S), heads averaged: of the attention off the system message, which holds the sink
    pattern       (c_(1,t), ..., c_(L,t)); the graph's edges are cosines of patterns
    clusters      K = 8 of equal size by recursive spectral bisection, the relaxation of the cut that METIS searches
    W(C_k)        (mean c of C_k)^sharpness, over its mean over the completion's tokens: the mean weight is 1
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaslab.errors import UsageError

_LEAST = 1e-6


@dataclass(frozen=True)
class AtrlConfig:
    """How tokens are clustered and weighed.

    Args:
        clusters: K; 1 weighs all tokens alike.
        sharpness: power of a cluster's connectivity; 0 weighs all tokens alike, large values train the anchors alone.

    Raises:
        UsageError: values that no training can have.
    """

    clusters: int = 8
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        if self.clusters < 1 or not 0 <= self.sharpness < inf:
            raise UsageError(
                f"clusters is {self.clusters} and sharpness {self.sharpness}; expected at least 1, and at least 0"
            )


def connectivity(
    on_visual: Float[Tensor, "layer head token"], on_system: Float[Tensor, "layer head token"]
) -> Float[Tensor, "token layer"]:
    """Share of each token's attention off S that lies on V. Numerator: mass on V. Denominator: 1 - mass on S, at least
    1e-6; both averaged over heads first.
    """
    return (on_visual.mean(1) / (1 - on_system.mean(1)).clamp(min=_LEAST)).T


def second_vector(patterns: Float[Tensor, "token feature"]) -> Float[Tensor, " token"]:
    """What splits the graph of cosines between patterns: the second eigenvector of its normalised adjacency.

    With unit patterns U the adjacency is U U^T, of low rank: its eigenvectors come from a matrix as wide as the
    patterns, not as the completion is long. The sign is that of the entry largest in size, made positive.
    """
    unit = torch.nn.functional.normalize(patterns.double(), dim=-1)
    degree = (unit @ unit.sum(0)).clamp(min=_LEAST).sqrt()[:, None]
    scaled = unit / degree
    second = torch.linalg.eigh(scaled.T @ scaled).eigenvectors[:, -2] if unit.shape[1] > 1 else None
    if second is None:
        return torch.zeros(len(unit), dtype=torch.float64, device=unit.device)
    found = (scaled @ second) / degree[:, 0]
    return found * found[found.abs().argmax()].sign()


def partition(patterns: Float[Tensor, "token feature"], clusters: int) -> Int[Tensor, " token"]:
    """Cluster of each token, 0 to `clusters` - 1, of sizes that differ by one at most, patterns being non-negative.

    The tokens are put in the order of `second_vector` and cut in two, and each part again (recursive spectral
    bisection; Pothen, Simon and Liou, 1990). Fewer tokens than clusters get one each.
    """
    labels = torch.zeros(len(patterns), dtype=torch.long, device=patterns.device)
    waiting = [(torch.arange(len(patterns), device=patterns.device), 0, min(clusters, len(patterns)))]
    while waiting:
        tokens, first, parts = waiting.pop()
        labels[tokens] = first
        if parts < 2:
            continue
        ordered = tokens[second_vector(patterns[tokens]).argsort(stable=True)]
        left = parts // 2
        cut = len(tokens) * left // parts
        waiting += [(ordered[:cut].sort().values, first, left)]
        waiting += [(ordered[cut:].sort().values, first + left, parts - left)]
    return labels


def cluster_weights(
    strength: Float[Tensor, " token"], labels: Int[Tensor, " token"], sharpness: float
) -> Float[Tensor, " token"]:
    """W of each token's cluster, from the tokens' own connectivity; 1 everywhere where nothing is attended to."""
    count = torch.zeros(int(labels.max()) + 1, dtype=strength.dtype, device=strength.device)
    total = count.index_add(0, labels, strength)
    size = count.index_add(0, labels, torch.ones_like(strength))
    raised = (total / size.clamp(min=1)).pow(sharpness)[labels]
    return raised / raised.mean() if raised.sum() > 0 else torch.ones_like(raised)


def atrl_weights(
    on_visual: Float[Tensor, "layer head token"],
    on_system: Float[Tensor, "layer head token"],
    config: AtrlConfig,
) -> Float[Tensor, " token"]:
    """What each token's advantage of one completion is multiplied by; its mean is 1.

    Args:
        on_visual: mass of the completion's own rows on V.
        on_system: mass on S.
        config: its clusters and sharpness.
    """
    if on_visual.shape[-1] == 0:
        return on_visual.new_zeros(0)
    each = connectivity(on_visual.float(), on_system.float())
    return cluster_weights(each.mean(-1), partition(each, config.clusters), config.sharpness)

"""The attention-guided training objective (AGTO) as pure functions of attention mass.

    L     = L_LM + alpha * L_enh + beta * L_sup
    L_enh = - mean_l mean_h log( 1/(|Q||V|) sum_{q in Q} sum_{k in V} A[l,h,q,k] )
    L_sup = + mean_l mean_h log( 1/(|Q||S|) sum_{q in Q} sum_{k in S} A[l,h,q,k] + eps )

The logarithm is taken for each sample, layer and head; means over heads and layers follow, then over the samples
that have a picture. Source: arXiv 2603.03825.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainers.sets import Sets
from vaslab.errors import UsageError

ENHANCE_FLOOR = 1e-12
"""Least mean weight inside the logarithm of L_enh."""
SUPPRESS_EPS = 1e-6
"""What is added to the mean weight inside the logarithm of L_sup."""

QUERIES = ("user", "response", "both")
VARIANTS = ("paper", "as_released")


@dataclass(frozen=True)
class AgtoConfig:
    """What AGTO pulls at.

    Args:
        alpha: weight of L_enh; 0 leaves suppression alone.
        beta: weight of L_sup; 0 leaves enhancement alone.
        layers: decoder layers; () takes all.
        heads: heads by name, as "L3H1"; () takes all of `layers`. A layer without a named head is left out.
        queries: whose rows are guided: `user` (the paper), `response` or `both`.
        variant: `paper`, or `as_released`: the token sets and the epsilons of the authors' training code.

    Raises:
        UsageError: values that no training can have.
    """

    alpha: float = 0.15
    beta: float = 0.15
    layers: tuple[int, ...] = ()
    heads: tuple[str, ...] = ()
    queries: str = "user"
    variant: str = "paper"

    def __post_init__(self) -> None:
        for name, weight in (("alpha", self.alpha), ("beta", self.beta)):
            if not (math.isfinite(weight) and weight >= 0):
                raise UsageError(f"{name} is {weight}; give a number of at least 0")
        if self.queries not in QUERIES:
            raise UsageError(f"queries is {self.queries!r}; expected one of {', '.join(QUERIES)}")
        if self.variant not in VARIANTS:
            raise UsageError(f"variant is {self.variant!r}; expected one of {', '.join(VARIANTS)}")
        if self.variant == "as_released" and self.queries != "user":
            raise UsageError(
                "the released code guides one set of rows, from the user's turn to the response; leave queries "
                "at 'user', or take variant 'paper'"
            )
        for name in self.heads:
            parse_head(name)
        if self.layers and self.heads:
            raise UsageError(
                "layers and heads exclude each other: a head's name holds its layer; leave one out"
            )

    @property
    def active(self) -> bool:
        """Whether there is anything to pull at."""
        return self.alpha > 0 or self.beta > 0

    def heads_by_layer(self, n_layers: int, n_heads: int) -> dict[int, tuple[int, ...]]:
        """Heads of each guided layer, in order.

        Raises UsageError for a layer or head that the model does not have.
        """
        if not self.heads:
            chosen = self.layers or tuple(range(n_layers))
            found = {layer: tuple(range(n_heads)) for layer in sorted(set(chosen))}
        else:
            pairs = sorted({parse_head(name) for name in self.heads})
            found = {layer: tuple(h for each, h in pairs if each == layer) for layer, _ in pairs}
        for layer, heads in found.items():
            for head in heads:
                if not (0 <= layer < n_layers and head < n_heads):
                    absent = f"L{layer}H{head}" if self.heads else f"layer {layer}"
                    raise UsageError(
                        f"there is no {absent}; the model has layers 0 to {n_layers - 1}, each of heads 0 to "
                        f"{n_heads - 1}"
                    )
        return found


def parse_head(name: str) -> tuple[int, int]:
    """Layer and head, counted from 0, of a name such as "L3H1". Raises UsageError for another form."""
    match = re.fullmatch(r"L(\d+)H(\d+)", name)
    if match is None:
        raise UsageError(f"{name!r} names no head; write it as L3H1 (layer 3, head 1)")
    return int(match[1]), int(match[2])


def mean_weight(
    mass: Float[Tensor, "batch head row"], queries: Bool[Tensor, "batch row"], n_keys: Int[Tensor, " batch"]
) -> Float[Tensor, "batch head"]:
    """Mean attention weight of queries on keys, for each sample and head of one layer: what AGTO's logarithms are of.

    Numerator: mass of the sample's queries on the keys, summed over the queries. Denominator: |Q| times the number of
    keys, at least 1.
    """
    total = (mass * queries[:, None]).sum(-1)
    return total / (queries.sum(-1) * n_keys).clamp(min=1)[:, None]


def enhance(weight: Float[Tensor, "batch head"], counted: Bool[Tensor, " batch"]) -> Float[Tensor, ""]:
    """L_enh of one layer from its mean weights on V; 0 where no sample counts."""
    return _mean(-weight.clamp(min=ENHANCE_FLOOR).log(), counted)


def suppress(weight: Float[Tensor, "batch head"], counted: Bool[Tensor, " batch"]) -> Float[Tensor, ""]:
    """L_sup of one layer from its mean weights on S; 0 where no sample counts."""
    return _mean((weight + SUPPRESS_EPS).log(), counted)


def _mean(by_head: Tensor, counted: Tensor) -> Tensor:
    # where, not a product: a sample that does not count may hold anything
    by_sample = torch.where(counted, by_head.mean(-1), torch.zeros_like(by_head[:, 0]))
    return by_sample.sum() / counted.sum().clamp(min=1)


def layer_losses(
    on_system: Float[Tensor, "batch head row"],
    on_visual: Float[Tensor, "batch head row"],
    sets: Sets,
    heads: Sequence[int],
    variant: str = "paper",
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """L_enh and L_sup of one layer.

    Args:
        on_system: mass of every position of the batch on S.
        on_visual: mass of every position on V.
        sets: Q, S and V.
        heads: the heads that are guided.
        variant: `as_released` adds 1e-6 to the denominator and inside both logarithms, as the authors' code does, and
            counts every sample of a batch in which any has a picture.
    """
    # row: every position of the sequence, as a query.
    visual, system = sets.visual.sum(-1), sets.system.sum(-1)
    chosen_visual, chosen_system = on_visual[:, list(heads)], on_system[:, list(heads)]
    if variant == "as_released":
        every = sets.visual.any().expand(visual.shape)
        theirs = [
            (mass * sets.queries[:, None]).sum(-1) / (sets.queries.sum(-1) * n_keys + SUPPRESS_EPS)[:, None]
            for mass, n_keys in ((chosen_visual, visual), (chosen_system, system))
        ]
        return _mean(-(theirs[0] + SUPPRESS_EPS).log(), every), suppress(theirs[1], every)
    enhanced = enhance(mean_weight(chosen_visual, sets.queries, visual), sets.counted)
    suppressed = suppress(mean_weight(chosen_system, sets.queries, system), sets.counted & (system > 0))
    return enhanced, suppressed


def agto_losses(
    masses: Mapping[int, tuple[Float[Tensor, "batch head row"], Float[Tensor, "batch head row"]]],
    sets: Sets,
    heads: Mapping[int, Sequence[int]],
    variant: str = "paper",
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """L_enh and L_sup of a batch: the mean of `layer_losses` over the guided layers.

    Args:
        masses: for each guided layer the mass of every position on S, and on V.
        sets: Q, S and V.
        heads: the guided heads of each guided layer.
        variant: as in `AgtoConfig`.
    """
    found = [layer_losses(*masses[layer], sets, chosen, variant) for layer, chosen in heads.items()]
    enhanced, suppressed = zip(*found, strict=True)
    return torch.stack(enhanced).mean(), torch.stack(suppressed).mean()

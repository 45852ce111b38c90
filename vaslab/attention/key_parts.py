"""Attention over parts of the keys, joined by their log-sum-exp: each (query, key) pair is computed once.

With L_p the log-sum-exp of a row's scores over part p and o_p its attention over that part alone, the part weighs
softmax(L)_p and the row's attention is the sum over parts of softmax(L)_p o_p (Milakov and Gimelshein 2018, arXiv
1805.02867). So the masses of the parts are there before their outputs are added, and each may get a factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from vaslab.attention.request import CustomEdit, indicators
from vaslab.attention.steps import Step
from vaslab.attention.visibility import Visibility


@dataclass(frozen=True)
class Split:
    """The keys of a causal call in parts, for rows that reach its end.

    Args:
        first: the first of these rows.
        apart: number of the group that is a part of its own; all of its keys stand before `first`.
    """

    first: int
    apart: int


def split_of(
    groups: Int[Tensor, "batch key"],
    n_groups: int,
    on: Bool[Tensor, "batch query"],
    visible: Visibility,
    query: Tensor,
    value: Tensor,
) -> Split | None:
    """How a call of one item splits; None where it does not, or where no kernel here tells its log-sum-exp.

    The CPU's does, causal without a mask, and without a gradient.
    """
    if query.device.type != "cpu" or len(query) > 1 or not visible.kernel_causal:
        return None
    if query.shape[-1] != value.shape[-1] or torch.is_grad_enabled():
        return None
    rows = on.any(0)
    first = int(rows.int().argmax())
    apart = int((groups[..., None] == torch.arange(n_groups)).sum((0, 1)).argmax())
    if not bool(rows[first:].all()) or bool((groups[:, first:] == apart).any()):
        return None
    return Split(first, apart)


def attention_by_parts(
    split: Split,
    step: Step,
    query: Shaped[Tensor, "1 head query dim"],
    key: Shaped[Tensor, "1 kv key dim"],
    value: Shaped[Tensor, "1 kv key dim"],
    groups: Int[Tensor, "1 key"],
    scaling: float,
) -> Shaped[Tensor, "1 row head dim"]:
    """Attention of one item's rows from `split.first` on, after a step of factors on groups of keys.

    Args:
        split: the parts.
        step: the step.
        query: queries of the call.
        key: keys, with positions applied.
        value: values.
        groups: group of each key, -1 = its weight is left alone. All groups but the one apart should be small: their
            weights are taken one by one.
        scaling: factor on q . k.
    """
    # dim: width of query, key and value.
    edit = step.edit
    assert isinstance(edit, CustomEdit)
    first, shares = split.first, query.shape[1] // key.shape[1]
    rows = query[:, :, first:]
    apart = groups[0] == split.apart
    before = ~apart
    before[first:] = False
    chosen = [each.nonzero()[:, 0] for each in (apart, before)]
    parts = [(rows, key[:, :, each], value[:, :, each], False) for each in chosen if len(each)]
    parts.append((rows, key[:, :, first:], value[:, :, first:], True))
    outs, sums = zip(*(_attend(*part, shares, scaling) for part in parts), strict=True)
    total = torch.stack(sums).logsumexp(0)
    weights = [(each - total).exp()[..., None] for each in sums]

    small = ((groups[0] >= 0) & ~apart).nonzero()[:, 0]
    held = _weights(rows, key[:, :, small], total, small, first, scaling)
    belongs = indicators(groups[:, small], edit.n_groups)[:, None]
    mass = held @ belongs
    mass[..., split.apart] = weights[0][..., 0]
    change = edit.factors(step.layer, mass) - 1
    weights[0] = weights[0] * (1 + change[..., split.apart, None])
    moved = (held * (change @ belongs.transpose(-1, -2))).to(value.dtype)
    packed = moved.reshape(1, key.shape[1], shares * rows.shape[2], len(small))
    found = (packed @ value[:, :, small]).reshape(outs[0].shape).float()
    for weight, out in zip(weights, outs, strict=True):
        found = torch.addcmul(found, weight, out.float())
    return found.to(value.dtype).transpose(1, 2)


def _attend(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, shares: int, scaling: float
) -> tuple[Shaped[Tensor, "1 head row dim"], Float[Tensor, "1 head row"]]:
    """Attention over one part, and the log-sum-exp of its scores."""
    key, value = key.repeat_interleave(shares, dim=1), value.repeat_interleave(shares, dim=1)
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, sums = kernel(query, key, value, 0.0, causal, scale=scaling)
    return out, sums


def _weights(
    rows: Tensor, key: Tensor, total: Tensor, positions: Tensor, first: int, scaling: float
) -> Float[Tensor, "1 head row key"]:
    """Weights of the rows on single keys, from the log-sum-exp over all keys; 0 where a key comes after the row."""
    _, n_heads, n_rows, dim = rows.shape
    packed = rows.reshape(1, key.shape[1], -1, dim)
    scores = (packed @ key.transpose(-1, -2)).float().mul(scaling).view(1, n_heads, n_rows, len(positions))
    seen = positions <= torch.arange(first, first + n_rows)[:, None]
    return torch.where(seen, (scores - total[..., None]).exp(), 0.0)

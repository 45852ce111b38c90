"""Edits of attention without an S x S matrix.

A scaled score is a scaled key, f * (q . k) = q . (f * k); a scaled weight is a bias, p * f renormalised =
softmax(score + log f), which rides in a mask that is there anyway, or else in spare columns of query and key.
Queries of a call that are left alone keep the plain output, and the others are computed in chunks of rows. Where
steps differ in their queries, or an edit is code, it is done by scores.
Edited keys and values live for one call: the cache was filled before and never holds them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, log2

import torch
from jaxtyping import Float, Float32, Int, Shaped
from torch import Tensor
from torch.nn.functional import dropout as drop
from torch.nn.functional import pad, scaled_dot_product_attention

from vaslab.attention.request import Edit
from vaslab.attention.steps import REMOVED, LayerEdit, Step
from vaslab.attention.visibility import Visibility, take_rows

# Scores held at once, in bytes: what stays in cache on a CPU; on a GPU, what keeps it busy.
_CPU_BYTES = 4 * 2**20
_GPU_BYTES = 256 * 2**20
# Rows of one call of the kernel with a mask of its own.
CHUNK = 256


def rows_at_once(batch: int, n_heads: int, n_keys: int, device: torch.device) -> int:
    """How many rows of float32 scores are held at once."""
    budget = _CPU_BYTES if device.type == "cpu" else _GPU_BYTES
    return max(16, budget // (4 * batch * n_heads * n_keys))


def _composed(
    steps: Sequence[Step],
) -> tuple[Float[Tensor, "batch any key"] | None, Float[Tensor, "batch any2 key"] | None]:
    """Steps in order as one: scores * scale + bias; None where there is no such part."""
    scale: Tensor | None = None
    bias: Tensor | None = None
    for step in steps:
        assert step.factor is not None
        assert isinstance(step.edit, Edit)
        if step.edit.kind == "prob":
            shift = step.factor.log().clamp(min=REMOVED)
            bias = shift if bias is None else bias + shift
        else:
            scale = step.factor if scale is None else scale * step.factor
            if bias is not None:
                bias = torch.where(bias <= REMOVED / 2, bias, bias * step.factor)
    return scale, bias


def _in_mask(steps: Sequence[Step], dtype: torch.dtype) -> bool:
    """Whether the bias of the keys can be added to a mask: it is one for all heads, and exact in this type."""
    exact = dtype in (torch.float32, torch.float64)
    return all(
        step.factor is not None and len(step.factor[0]) == 1 and (exact or step.binary) for step in steps
    )


def _with_bias(
    mask: Shaped[Tensor, "..."] | None, bias: Float[Tensor, "batch 1 key"], dtype: torch.dtype
) -> Shaped[Tensor, "batch any row key"]:
    """A mask, boolean or additive or none, with the bias of each key."""
    bias = bias[:, :, None].to(dtype)
    if mask is None:
        return bias
    if mask.dtype == torch.bool:
        # The least float instead of -inf, as in `masked`.
        return torch.where(mask, bias, torch.finfo(dtype).min)
    return (mask + bias).clamp(min=torch.finfo(dtype).min)


def edited_operands(
    steps: Sequence[Step], query: Tensor, key: Tensor, value: Tensor, scaling: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value whose plain attention is the edited one; heads stay shared where they can."""
    n_kv, shares = key.shape[1], query.shape[1] // key.shape[1]
    scale, bias = _composed(steps)
    if all(step.shared for step in steps):
        scale, bias = (
            x if x is None or x.shape[1] == 1 else x.unflatten(1, (n_kv, shares))[:, :, 0]
            for x in (scale, bias)
        )
    else:
        key, value = key.repeat_interleave(shares, dim=1), value.repeat_interleave(shares, dim=1)
    if scale is not None:
        key = key * scale[..., None].to(key.dtype)
    if bias is None:
        return query, key, value
    # A power of two is exact in every type; the bias is split in two terms so that half precision rounds it
    # once less.
    lever = 2.0 ** ceil(-log2(scaling))
    bias = bias.expand(-1, key.shape[1], -1) / (scaling * lever)
    high = bias.to(key.dtype)
    low = (bias - high.float()).to(key.dtype)
    spare = pad(torch.stack([high, low], dim=-1), (0, 6))
    levers = pad(query.new_full((*query.shape[:-1], 2), lever), (0, 6))
    return torch.cat([query, levers], -1), torch.cat([key, spare], -1), pad(value, (0, 8))


def masked(scores: Tensor, mask: Tensor, in_place: bool) -> Tensor:
    """Scores with what the mask closes at the least number of their type."""
    # The least float instead of -inf: a row that sees nothing then has no NaN, in the gradient neither.
    least = torch.finfo(scores.dtype).min
    if mask.dtype == torch.bool:
        return scores.masked_fill_(~mask, least) if in_place else scores.masked_fill(~mask, least)
    return (scores + mask.float()).clamp(min=least)


def edited_scores(
    edit: LayerEdit | None,
    scores: Float32[Tensor, "batch head row key"],
    visible: Visibility,
    index: Int[Tensor, "batch row"],
    in_place: bool,
) -> Float32[Tensor, "batch head row key"]:
    """Scaled scores of the queries at `index` -> what the softmax gets: edited, then masked."""
    if edit is not None:
        if any(step.factor is None for step in edit.steps):
            opened = visible.open_rows(index)
            if opened is not None:
                scores = masked(scores, opened, in_place)
        scores = edit.scores(scores, index)
    mask = visible.rows(index)
    return scores if mask is None else masked(scores, mask, in_place)


def _by_rows(
    edit: LayerEdit,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Visibility,
    scaling: float,
    dropout: float,
    index: Int[Tensor, "batch row"],
) -> Shaped[Tensor, "batch row head width"]:
    """Attention of the queries at `index` by their scores, in the manner of eager attention."""
    batch, n_heads, _, dim = query.shape
    n_kv, n_keys, rows = key.shape[1], key.shape[2], index.shape[1]
    shared = take_rows(query, index).reshape(batch, n_kv, n_heads // n_kv * rows, dim)
    scores = (shared @ key.transpose(-1, -2)).float().mul(scaling).view(batch, n_heads, rows, n_keys)
    weights = edited_scores(edit, scores, visible, index, in_place=not scores.requires_grad).softmax(-1)
    weights = drop(weights.to(value.dtype), dropout) if dropout else weights.to(value.dtype)
    out = weights.view(batch, n_kv, -1, n_keys) @ value
    return out.view(batch, n_heads, rows, -1).transpose(1, 2)


def spread(key: Tensor, value: Tensor, n_heads: int) -> tuple[Tensor, Tensor]:
    """Keys and values as calls with a mask need them: on CUDA, a mask and grouped heads leave the fused kernels."""
    shares = n_heads // key.shape[1]
    if shares == 1 or key.device.type != "cuda":
        return key, value
    return key.repeat_interleave(shares, dim=1), value.repeat_interleave(shares, dim=1)


def kernel_attention(
    query: Shaped[Tensor, "batch head query dim"],
    key: Shaped[Tensor, "batch kv key dim"],
    value: Shaped[Tensor, "batch kv key wide"],
    mask: Shaped[Tensor, "..."] | None,
    scaling: float,
    dropout: float = 0.0,
    causal: bool = False,
) -> Shaped[Tensor, "batch query head wide"]:
    """Attention by a fused kernel, of heads that may share keys."""
    gqa = key.shape[1] != query.shape[1]
    out = scaled_dot_product_attention(
        query, key, value, mask, dropout, is_causal=causal, scale=scaling, enable_gqa=gqa
    )
    return out.transpose(1, 2)


def _one_query(
    edit: LayerEdit, query: Tensor, key: Tensor, value: Tensor, visible: Visibility, scaling: float
) -> Shaped[Tensor, "batch 1 head width"] | None:
    """Attention of a single query whose keys have a bias, the heads that share keys as rows; None if it is more."""
    scale, bias = _composed(edit.steps) if edit.by_operands else (None, None)
    if bias is None or scale is not None or not _in_mask(edit.steps, query.dtype):
        return None
    packed = query.reshape(len(query), key.shape[1], -1, query.shape[-1])
    mask = _with_bias(visible.mask, bias, query.dtype)
    return scaled_dot_product_attention(packed, key, value, mask, scale=scaling).reshape(
        len(query), 1, query.shape[1], -1
    )


def edited_attention(
    edit: LayerEdit,
    base: Shaped[Tensor, "batch leading head width"] | None,
    query: Shaped[Tensor, "batch head query dim"],
    key: Shaped[Tensor, "batch kv key dim"],
    value: Shaped[Tensor, "batch kv key width"],
    visible: Visibility,
    scaling: float,
    dropout: float,
) -> Shaped[Tensor, "batch query head width"]:
    """Attention output after the edits.

    Args:
        edit: the edits of this layer.
        base: the output of the leading queries without them, up to the last one that an item leaves alone; None
            where there is none.
        query: queries.
        key: keys, with positions applied; not changed.
        value: values.
        visible: what each query sees.
        scaling: factor on q . k.
        dropout: dropout of attention weights.
    """
    # dim: width of query and key. width: width of value.
    batch, n_heads, n_queries, _ = query.shape
    width = value.shape[-1]
    if n_queries == 1 and not dropout:
        out = _one_query(edit, query, key, value, visible, scaling)
        if out is not None:
            return out
    attend: Callable[[Tensor], Tensor]
    if n_queries == 1 or not edit.by_operands:
        size = rows_at_once(batch, n_heads, key.shape[2], query.device)
        attend = partial(_by_rows, edit, query, key, value, visible, scaling, dropout)
    elif base is None:
        q, k, v = edited_operands(edit.steps, query, key, value, scaling)
        if visible.mask is not None:
            k, v = spread(k, v, n_heads)
        out = kernel_attention(q, k, v, visible.mask, scaling, dropout, visible.kernel_causal)
        return out[..., :width]
    else:
        size = CHUNK
        attend = _by_chunks(edit, query, key, value, visible, scaling, dropout)
    plain = 0 if base is None else base.shape[1]
    if plain == 0 and n_queries <= size:
        return attend(torch.arange(n_queries, device=query.device).expand(batch, -1))
    result = query.new_empty(batch, n_queries, n_heads, width)
    if base is not None:
        result[:, :plain] = base
    for part in edit.rows.split(size):
        out = attend(part[None].expand(batch, -1))
        if int(part[0]) < plain:
            taken = edit.on[:, part] | (part >= plain)
            out = torch.where(taken[..., None, None], out, result[:, part])
        result[:, part] = out
    return result


def _by_chunks(
    edit: LayerEdit,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Visibility,
    scaling: float,
    dropout: float,
) -> Callable[[Tensor], Tensor]:
    """Attention of chunks of rows by the kernel, under changes of keys that hold for all of them."""
    width = value.shape[-1]
    scale, bias = _composed(edit.steps)
    if bias is not None and _in_mask(edit.steps, query.dtype):
        q, k, v = query, key if scale is None else key * scale[..., None].to(key.dtype), value
    else:
        q, k, v = edited_operands(edit.steps, query, key, value, scaling)
        bias = None
    k, v = spread(k, v, q.shape[1])

    def attend(index: Tensor) -> Tensor:
        # Keys after the last row are seen by none of them.
        end = int(index[0, -1]) + 1 if visible.kernel_causal else visible.n_keys
        mask = visible.rows(index)
        mask = mask if mask is None else mask[..., :end]
        if bias is not None:
            mask = _with_bias(mask, bias[..., :end], q.dtype)
        out = kernel_attention(take_rows(q, index), k[:, :, :end], v[:, :, :end], mask, scaling, dropout)
        return out[..., :width]

    return attend

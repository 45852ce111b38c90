"""Edits of attention without an S x S matrix.

A scaled score is a scaled key, f * (q . k) = q . (f * k); a scaled weight is a bias, p * f renormalised =
softmax(score + log f), which rides in spare columns of query and key. Where that does not hold for all queries
of a call, where an edit is code, or where there is one query, scores are computed for chunks of the edited
rows. Edited keys and values live for one call: the cache was filled before and never holds them.
"""

from collections.abc import Sequence
from math import ceil, log2

import torch
from jaxtyping import Float, Float32, Int, Shaped
from torch import Tensor
from torch.nn.functional import dropout as drop
from torch.nn.functional import pad, scaled_dot_product_attention

from vaslab.attention.request import Edit
from vaslab.attention.steps import CHUNK, REMOVED, LayerEdit, Step, chunks
from vaslab.attention.visibility import Visibility, take_rows

# Scores held at once, in bytes: what stays in cache on a CPU; on a GPU, what keeps it busy.
_CPU_BYTES = 4 * 2**20
_GPU_BYTES = 256 * 2**20


def rows_at_once(batch: int, n_heads: int, n_keys: int, device: torch.device) -> int:
    """How many rows of float32 scores are held at once."""
    budget = _CPU_BYTES if device.type == "cpu" else _GPU_BYTES
    return max(16, budget // (4 * batch * n_heads * n_keys))


def _composed(
    steps: Sequence[Step],
) -> tuple[Float[Tensor, "batch head key"] | None, Float[Tensor, "batch head key"] | None]:
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


def edited_operands(
    steps: Sequence[Step], query: Tensor, key: Tensor, value: Tensor, scaling: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value whose plain attention is the edited one; heads stay shared where they can."""
    n_kv, shares = key.shape[1], query.shape[1] // key.shape[1]
    scale, bias = _composed(steps)
    if all(step.shared for step in steps):
        scale, bias = (x if x is None else x.unflatten(1, (n_kv, shares))[:, :, 0] for x in (scale, bias))
    else:
        key, value = key.repeat_interleave(shares, dim=1), value.repeat_interleave(shares, dim=1)
    if scale is not None:
        key = key * scale[..., None].to(key.dtype)
    if bias is None:
        return query, key, value
    # A power of two is exact in every type; the bias is split in two terms so that half precision rounds it
    # once less.
    lever = 2.0 ** ceil(-log2(scaling))
    bias = bias / (scaling * lever)
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
        base: the output of the leading queries without them, up to the last one that is not edited; None where
            they hold for all.
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
    if n_queries == 1 or not edit.by_operands:
        size = rows_at_once(batch, n_heads, key.shape[2], query.device)

        def attend(index: Tensor) -> Tensor:
            return _by_rows(edit, query, key, value, visible, scaling, dropout, index)

    else:
        size = CHUNK
        q, k, v = edited_operands(edit.steps, query, key, value, scaling)
        gqa = k.shape[1] != n_heads
        if gqa and visible.mask is not None:
            # A mask and grouped heads together leave the fused kernels of CUDA.
            k, v = (x.repeat_interleave(n_heads // k.shape[1], dim=1) for x in (k, v))
            gqa = False
        if base is None:
            out = scaled_dot_product_attention(
                q, k, v, visible.mask, dropout, is_causal=visible.kernel_causal, scale=scaling, enable_gqa=gqa
            )
            return out[..., :width].transpose(1, 2)

        def attend(index: Tensor) -> Tensor:
            # Keys after the last row are seen by none of them.
            end = int(index[0, -1]) + 1 if visible.kernel_causal else None
            mask = visible.rows(index)
            out = scaled_dot_product_attention(
                take_rows(q, index),
                k[:, :, :end],
                v[:, :, :end],
                mask if mask is None else mask[..., :end],
                dropout,
                scale=scaling,
                enable_gqa=gqa,
            )
            return out[..., :width].transpose(1, 2)

    plain = 0 if base is None else base.shape[1]
    if plain == 0 and n_queries <= size:
        return attend(torch.arange(n_queries, device=query.device).expand(batch, -1))
    result = query.new_empty(batch, n_queries, n_heads, width)
    if base is not None:
        result[:, :plain] = base
    edited = edit.on.any(0) if plain else edit.on.new_ones(n_queries)
    for part in chunks(edited.nonzero()[:, 0], size):
        out = attend(part[None].expand(batch, -1))
        if int(part[0]) < plain:
            out = torch.where(edit.on[:, part, None, None], out, result[:, part])
        result[:, part] = out
    return result

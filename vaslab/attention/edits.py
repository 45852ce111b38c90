"""Edits of attention without an S x S matrix: a scaled score is a scaled key, a scaled weight a bias.

logit: f * (q . k) = q . (f * k). prob: p * f, renormalised, is softmax(score + log f); the bias rides in
spare columns of query and key. The edited keys live for one call: the cache was filled before and never holds
them.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from vaslab.attention.request import Edit
from vaslab.attention.visibility import Visibility, take_rows
from vaslab.errors import UsageError

# exp(-1e4) is 0 in every type, and the number itself is finite in float16.
_REMOVED = -1e4
_CHUNK = 256


@dataclass(frozen=True)
class LayerEdit:
    """An edit resolved for one layer and one call.

    Args:
        kind: `logit` or `prob`.
        factor: what each head does to each key.
        on: which queries of the call are edited.
        shared: the heads that share keys all do the same.
    """

    kind: Literal["logit", "prob"]
    factor: Float[Tensor, "batch head key"]
    on: Bool[Tensor, "batch query"]
    shared: bool

    def scores(
        self, scores: Float[Tensor, "batch head row key"], index: Int[Tensor, "batch row"]
    ) -> Float[Tensor, "batch head row key"]:
        """Scaled scores of the queries at `index`, edited where those are edited."""
        factor = self.factor[:, :, None]
        changed = scores * factor if self.kind == "logit" else scores + factor.log().clamp(min=_REMOVED)
        return torch.where(self.on.gather(1, index)[:, None, :, None], changed, scores)


def resolve(
    edit: Edit | None, layer: int, visible: Visibility, n_heads: int, n_kv_heads: int, device: torch.device
) -> LayerEdit | None:
    """The edit of this layer and call, None where it changes nothing.

    Raises:
        UsageError: `factor` does not cover the layers or heads of the model, or a query would keep no key.
    """
    if edit is None or not edit.active(layer):
        return None
    on = edit.edited_queries(visible.n_keys)[:, visible.offset :]
    if not bool(on.any()):
        return None
    factor = edit.factor[layer].to(device, torch.float32)
    if factor.shape[0] != n_heads:
        raise UsageError(
            f"Edit.factor covers {factor.shape[0]} heads, layer {layer} has {n_heads}; give one a head"
        )
    groups = edit.key_groups(visible.n_keys).to(device)
    by_key = factor[:, groups.clamp(min=0)].transpose(0, 1)
    by_key = torch.where(groups[:, None] >= 0, by_key, torch.ones_like(by_key))
    per_kv = factor.view(n_kv_heads, n_heads // n_kv_heads, -1)
    found = LayerEdit(edit.kind, by_key, on.to(device), shared=bool((per_kv == per_kv[:, :1]).all()))
    if edit.kind == "prob" and bool((by_key == 0).any()):
        _refuse_empty_rows(found, visible, layer)
    return found


def _chunks(index: Tensor) -> list[Tensor]:
    return list(index.split(_CHUNK))


def _refuse_empty_rows(edit: LayerEdit, visible: Visibility, layer: int) -> None:
    kept = (edit.factor > 0).float()
    batch = kept.shape[0]
    for part in _chunks(edit.on.any(0).nonzero()[:, 0]):
        index = part[None].expand(batch, -1)
        opened = visible.open_rows(index)
        if opened is None:
            opened = torch.ones(1, 1, 1, visible.n_keys, dtype=torch.bool, device=kept.device)
        left = (opened.float() * torch.ones_like(kept[:, :1, :1, None])) @ kept[..., None]
        empty = (left[..., 0] == 0) & opened.any(-1) & edit.on.gather(1, index)[:, None]
        if bool(empty.any()):
            item, head, row = (int(x) for x in empty.nonzero()[0])
            raise UsageError(
                f"the prob edit removes every key that query {visible.offset + int(part[row])} of item "
                f"{item} sees (layer {layer}, head {head}); leave a group it sees with a factor above 0, "
                "or edit fewer queries"
            )


def holds_for_all(edit: LayerEdit, visible: Visibility) -> bool:
    """Whether every query that sees a changed key is edited: changing the keys once is the whole edit."""
    left = ~edit.on
    if not bool(left.any()):
        return True
    changed = (edit.factor != 1).any(1)
    for part in _chunks(left.any(0).nonzero()[:, 0]):
        index = part[None].expand(changed.shape[0], -1)
        opened = visible.open_rows(index)
        sees = changed[:, None, None] if opened is None else opened & changed[:, None, None]
        if bool((sees.any(-1) & left.gather(1, index)[:, None]).any()):
            return False
    return True


def edited_operands(
    edit: LayerEdit, query: Tensor, key: Tensor, value: Tensor, scaling: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value whose plain attention is the edited one; heads stay shared where they can."""
    n_kv, shares = key.shape[1], query.shape[1] // key.shape[1]
    factor = edit.factor.unflatten(1, (n_kv, shares))[:, :, 0] if edit.shared else edit.factor
    if not edit.shared:
        key, value = key.repeat_interleave(shares, dim=1), value.repeat_interleave(shares, dim=1)
    if edit.kind == "logit":
        return query, key * factor[..., None].to(key.dtype), value
    # A power of two is exact in every type; the bias is split in two terms so that half precision rounds it
    # once less.
    lever = 2.0 ** math.ceil(-math.log2(scaling))
    bias = factor.log().clamp(min=_REMOVED) / (scaling * lever)
    high = bias.to(key.dtype)
    low = (bias - high.float()).to(key.dtype)
    spare = pad(torch.stack([high, low], dim=-1), (0, 6))
    levers = pad(query.new_full((*query.shape[:-1], 2), lever), (0, 6))
    return torch.cat([query, levers], -1), torch.cat([key, spare], -1), pad(value, (0, 8))


def edited_attention(
    edit: LayerEdit,
    base: Shaped[Tensor, "batch query head width"] | None,
    query: Shaped[Tensor, "batch head query dim"],
    key: Shaped[Tensor, "batch kv key dim"],
    value: Shaped[Tensor, "batch kv key width"],
    visible: Visibility,
    scaling: float,
    dropout: float,
) -> Shaped[Tensor, "batch query head width"]:
    """Attention output after the edit.

    Args:
        edit: the edit of this layer.
        base: the output without an edit, kept for queries that are not edited; None where the edit holds for
            all.
        query: queries.
        key: keys, with positions applied; not changed.
        value: values.
        visible: what each query sees.
        scaling: factor on q . k.
        dropout: dropout of attention weights.
    """
    # dim: width of query and key. width: width of value.
    batch, _, _, width = value.shape
    q, k, v = edited_operands(edit, query, key, value, scaling)
    gqa = k.shape[1] != q.shape[1]
    if gqa and visible.mask is not None:
        # A mask and grouped heads together leave the fused kernels of CUDA.
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
        gqa = False
    if base is None:
        out = scaled_dot_product_attention(
            q, k, v, visible.mask, dropout, is_causal=visible.kernel_causal, scale=scaling, enable_gqa=gqa
        )
        return out[..., :width].transpose(1, 2)
    result = base.clone()
    for part in _chunks(edit.on.any(0).nonzero()[:, 0]):
        index = part[None].expand(batch, -1)
        mask = visible.rows(index)
        out = scaled_dot_product_attention(
            take_rows(q, index), k, v, mask, dropout, scale=scaling, enable_gqa=gqa
        )
        on = edit.on[:, part, None, None]
        result[:, part] = torch.where(on, out[..., :width].transpose(1, 2), base[:, part])
    return result

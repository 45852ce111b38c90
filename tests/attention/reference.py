"""Attention computed the long way, one head at a time in float64: what the tests expect."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask, sdpa_mask

from vaslab.attention import Edit, text_decoder


def causal(n_queries: int, n_keys: int) -> Tensor:
    """True where a query, of the last positions, may see a key."""
    return torch.ones(n_queries, n_keys, dtype=torch.bool).tril(n_keys - n_queries)


def weights(
    query: Tensor,
    key: Tensor,
    mask: Tensor,
    scaling: float,
    edit: Edit | list[Edit] | None = None,
    layer: int = 0,
):
    """(batch, head, query, key) in float64. mask: additive, or boolean with True = may see.

    A row that sees nothing is 0. Several edits apply in order: a logit edit multiplies what the scores are by
    then, a prob edit adds to them.
    """
    edits = [] if edit is None else edit if isinstance(edit, list) else [edit]
    batch, n_heads, n_queries, _ = query.shape
    n_kv, n_keys = key.shape[1], key.shape[2]
    found = torch.zeros(batch, n_heads, n_queries, n_keys, dtype=torch.float64)
    mask = mask.expand(
        batch, n_heads if mask.ndim == 4 and mask.shape[1] == n_heads else 1, n_queries, n_keys
    )
    for b in range(batch):
        for h in range(n_heads):
            scores = query[b, h].double() @ key[b, h * n_kv // n_heads].double().T * scaling
            seen = mask[b, h if mask.shape[1] > 1 else 0]
            closed = ~seen if seen.dtype == torch.bool else seen < torch.finfo(seen.dtype).min / 2
            if seen.dtype != torch.bool:
                scores = scores + seen.double().masked_fill(closed, 0)
            for each in edits[:-1]:
                factor, rows = factor_of(each, b, h, layer, n_keys), edited_rows(each, b, n_queries, n_keys)
                changed = scores * factor if each.kind == "logit" else scores + factor.log()
                scores = torch.where(rows[:, None], changed, scores)
            factor, rows = torch.ones(n_keys).double(), torch.zeros(n_queries, dtype=torch.bool)
            if edits:
                rows = edited_rows(edits[-1], b, n_queries, n_keys)
                factor = factor_of(edits[-1], b, h, layer, n_keys)
                if edits[-1].kind == "logit":
                    scores[rows] = scores[rows] * factor
            p = scores.masked_fill(closed, float("-inf")).softmax(-1).nan_to_num(0.0)
            if edits and edits[-1].kind == "prob":
                p[rows] = p[rows] * factor
                p[rows] = p[rows] / p[rows].sum(-1, keepdim=True).clamp(min=1e-300)
            found[b, h] = p
    return found


def factor_of(edit: Edit, item: int, head: int, layer: int, n_keys: int) -> Tensor:
    factor = torch.ones(n_keys).double()
    for k in range(n_keys):
        g = int(edit.groups[item, k]) if k < edit.groups.shape[1] else int(edit.new_group)
        factor[k] = float(edit.factor[layer, head, g]) if g >= 0 else 1.0
    return factor


def edited_rows(edit: Edit, item: int, n_queries: int, n_keys: int) -> Tensor:
    positions = range(n_keys - n_queries, n_keys)
    known = edit.queries.shape[1]
    new = edit.new_queries if isinstance(edit.new_queries, bool) else bool(edit.new_queries[item])
    return torch.tensor([bool(edit.queries[item, i]) if i < known else new for i in positions])


def mass_of(attention: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """(batch, head, query, key) weights -> (batch, head, query, group), summed key by key."""
    found = torch.zeros(*attention.shape[:3], n_groups, dtype=attention.dtype)
    for b in range(groups.shape[0]):
        for k in range(attention.shape[3]):
            if int(groups[b, k]) >= 0:
                found[b, :, :, int(groups[b, k])] += attention[b, :, :, k]
    return found


@dataclass
class Seen:
    """What each layer's attention got, and what it would weigh."""

    query: dict[int, Tensor] = field(default_factory=dict)
    key: dict[int, Tensor] = field(default_factory=dict)
    scaling: dict[int, float] = field(default_factory=dict)
    mask: dict[int, Tensor | None] = field(default_factory=dict)
    weights: dict[int, list[Tensor]] = field(default_factory=dict)


@contextmanager
def _on(model: nn.Module, function, mask) -> Iterator[None]:
    name = "test_reference"
    AttentionInterface.register(name, function)
    AttentionMaskInterface.register(name, mask)
    _, decoder = text_decoder(model)
    before = decoder.config._attn_implementation
    decoder.set_attn_implementation(name)
    try:
        yield
    finally:
        decoder.set_attn_implementation(before)
        del AttentionInterface._global_mapping[name], AttentionMaskInterface._global_mapping[name]


@contextmanager
def spying(model: nn.Module) -> Iterator[Seen]:
    """The untouched SDPA path, with the query and key of each layer kept."""
    seen = Seen()

    def spy(module, query, key, value, attention_mask, scaling=None, **kwargs):
        i = module.layer_idx
        seen.query[i], seen.key[i], seen.scaling[i], seen.mask[i] = query, key, scaling, attention_mask
        sdpa = AttentionInterface._global_mapping["sdpa"]
        return sdpa(module, query, key, value, attention_mask, scaling=scaling, **kwargs)

    with _on(model, spy, sdpa_mask):
        yield seen


@contextmanager
def brute_force(model: nn.Module, edit: Edit | list[Edit] | None) -> Iterator[Seen]:
    """The model with its attention computed one head at a time in float64, after the edit."""
    seen = Seen()

    def slow(module, query, key, value, attention_mask, scaling=None, **kwargs):
        mask = causal(query.shape[2], key.shape[2]) if attention_mask is None else attention_mask
        w = weights(query, key, mask, scaling, edit, module.layer_idx)
        shares = query.shape[1] // value.shape[1]
        out = w @ value.double().repeat_interleave(shares, dim=1)
        seen.weights.setdefault(module.layer_idx, []).append(w)
        return out.to(value.dtype).transpose(1, 2).contiguous(), None

    with _on(model, slow, eager_mask):
        yield seen


@contextmanager
def collecting(model: nn.Module) -> Iterator[list[list[Tensor | None]]]:
    """What each layer of the decoder returns in place of its weights, one list a forward."""
    _, decoder = text_decoder(model)
    calls: list[list[Tensor | None]] = []

    def keep(module, args, output):
        if module.layer_idx == 0:
            calls.append([])
        calls[-1].append(output[1])

    attentions = [layer.self_attn for layer in decoder.layers if hasattr(layer, "self_attn")]
    handles = [attention.register_forward_hook(keep) for attention in attentions]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()

"""Edits by which each row multiplies the weights of groups of keys, without those weights.

With m the mass of a group in a row and o the attention of the row over that group alone, the edited output is the
plain one + sum over groups of (factor - 1) m o. Where the kernel tells log-sum-exps, one group is a part of the keys of
its own (`key_parts`); elsewhere the masses ride in columns of the plain kernel, and o is computed beside it. A single
query has few enough weights to multiply them as they are.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor
from torch.nn.functional import pad

from vaslab.attention.edits import CHUNK, kernel_attention, masked, spread
from vaslab.attention.key_parts import attention_by_parts, split_of
from vaslab.attention.request import CustomEdit, indicators, padded_to_eight
from vaslab.attention.steps import LayerEdit, Step
from vaslab.attention.visibility import Visibility, take_rows

Kernel = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def with_columns(
    query: Tensor, key: Tensor, value: Tensor, groups: Tensor, n_groups: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Append the group columns to the values and zeros to query and key, all to one width.

    A value wider than the key would leave the fused kernels for one that builds the S x S matrix.
    """
    width = padded_to_eight(max(key.shape[-1], value.shape[-1] + n_groups))
    columns = indicators(groups, n_groups).to(value.dtype)[:, None].expand(-1, value.shape[1], -1, -1)
    rest = width - value.shape[-1] - n_groups
    wide = torch.cat([value, pad(columns, (0, rest)) if rest else columns], dim=-1)
    return pad(query, (0, width - query.shape[-1])), pad(key, (0, width - key.shape[-1])), wide


def by_groups(edit: LayerEdit, dropout: float) -> bool:
    """Whether all of an edit is one step of factors on groups."""
    step = edit.steps[0]
    grouped = isinstance(step.edit, CustomEdit) and step.edit.n_groups > 0
    return grouped and len(edit.steps) == 1 and not dropout


def grouped_attention(
    step: Step,
    query: Shaped[Tensor, "batch head query dim"],
    key: Shaped[Tensor, "batch kv key dim"],
    value: Shaped[Tensor, "batch kv key width"],
    visible: Visibility,
    kernel: Kernel,
    scaling: float,
) -> Shaped[Tensor, "batch query head width"]:
    """Attention output after a step of factors on groups of keys.

    Args:
        step: the step.
        query: queries.
        key: keys, with positions applied.
        value: values.
        visible: what each query sees.
        kernel: the model's own, as `attention_and_mass` takes it.
        scaling: factor on q . k.
    """
    # dim: width of query and key. width: width of value.
    edit = step.edit
    assert isinstance(edit, CustomEdit)
    width, n_groups = value.shape[-1], edit.n_groups
    groups = edit.groups(step.layer, visible.n_keys).to(query.device)
    if query.shape[2] == 1:
        return _one_row(step, query, key, value, groups, visible, scaling)
    split = split_of(groups, n_groups, step.on, visible, query, value)
    if split is not None:
        out = attention_by_parts(split, step, query, key, value, groups, scaling)
        return torch.cat([kernel(query, key, value, split.first), out], dim=1) if split.first else out
    wide = kernel(*with_columns(query, key, value, groups, n_groups), query.shape[2])
    rows = _as_slice(step.on.any(0).nonzero()[:, 0])
    mass = wide[:, rows, :, width : width + n_groups].transpose(1, 2).float()
    change = (edit.factors(step.layer, mass) - 1) * mass
    change = torch.where(step.on[:, None, rows, None], change, 0.0).transpose(1, 2).to(value.dtype)
    out = wide[..., :width]
    edited = out[:, rows]
    for number in range(n_groups):
        chosen = groups == number
        if bool(chosen.any()):
            part = _over_keys(query[:, :, rows], key, value, chosen, rows, visible, scaling)
            edited = torch.addcmul(edited, change[..., number, None], part)
    if torch.is_grad_enabled():
        out = out.clone()
    out[:, rows] = edited
    return out


def _one_row(
    step: Step,
    query: Shaped[Tensor, "batch head 1 dim"],
    key: Tensor,
    value: Tensor,
    groups: Int[Tensor, "batch key"],
    visible: Visibility,
    scaling: float,
) -> Shaped[Tensor, "batch 1 head width"]:
    """Attention of a single query: its weights are few, and are multiplied as they are."""
    edit, (batch, n_heads, _, dim) = step.edit, query.shape
    assert isinstance(edit, CustomEdit)
    packed = query.reshape(batch, key.shape[1], -1, dim)
    scores = (packed @ key.transpose(-1, -2)).float().mul(scaling).view(batch, n_heads, 1, -1)
    if visible.mask is not None:
        scores = masked(scores, visible.mask, in_place=not scores.requires_grad)
    # without the axis of rows: a product of every head with the groups would copy these for each
    weights = scores.softmax(-1)[:, :, 0]
    belongs = indicators(groups, edit.n_groups)
    factors = edit.factors(step.layer, (weights @ belongs)[:, :, None])[:, :, 0]
    change = torch.where(step.on[..., None], factors - 1, 0.0)
    weights = weights + weights * (change @ belongs.transpose(1, 2))
    out = weights.to(value.dtype).view(batch, key.shape[1], -1, visible.n_keys) @ value
    return out.reshape(batch, 1, n_heads, -1)


def _as_slice(rows: Int[Tensor, " row"]) -> slice | Int[Tensor, " row"]:
    """Rows without a gap as a slice, which copies nothing."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows


def _over_keys(
    query: Shaped[Tensor, "batch head row dim"],
    key: Tensor,
    value: Tensor,
    chosen: Bool[Tensor, "batch key"],
    rows: slice | Int[Tensor, " row"],
    visible: Visibility,
    scaling: float,
) -> Shaped[Tensor, "batch row head width"]:
    """Attention of some rows over chosen keys alone; 0 where a row sees none of them."""
    batch, _, n_rows, _ = query.shape
    n_chosen = chosen.sum(1)
    most = int(n_chosen.max())
    if bool((n_chosen == most).all()):
        order, there = chosen.nonzero()[:, 1].view(batch, most), None
    else:
        order = chosen.int().argsort(dim=1, descending=True, stable=True)[:, :most]
        there = chosen.gather(1, order)[:, None, None]
    if batch == 1:
        k, v = (x.index_select(2, order[0]) for x in (key, value))
    else:
        k, v = take_rows(key, order), take_rows(value, order)
    index = torch.arange(visible.n_queries, device=query.device)[rows]
    before = not visible.causal or int(order.max()) <= int(index[0]) + visible.offset
    if visible.mask is None and there is None and before:
        return kernel_attention(query, k, v, None, scaling)
    k, v = spread(k, v, query.shape[1])
    found = []
    for part in torch.arange(n_rows, device=query.device).split(CHUNK):
        mask = _sees(visible, index[part], order, there)
        out = kernel_attention(query[:, :, part[0] : part[-1] + 1], k, v, mask, scaling)
        found.append(torch.where(mask.any(-1).transpose(1, 2)[..., None], out, 0.0))
    return torch.cat(found, dim=1)


def _sees(
    visible: Visibility, index: Int[Tensor, " row"], order: Int[Tensor, "batch key"], there: Tensor | None
) -> Bool[Tensor, "batch any mask_row key"]:
    """Which of the keys at `order` each row sees."""
    if visible.mask is None:
        last = index + visible.offset if visible.causal else index.new_full(index.shape, visible.n_keys)
        mask = order[:, None, None] <= last[:, None]
    else:
        opened = visible.open_rows(index.expand(len(order), -1))
        assert opened is not None
        opened = opened.expand(len(order), -1, -1, -1)
        mask = opened.gather(-1, order[:, None, None].expand(-1, *opened.shape[1:3], -1))
    return mask if there is None else mask & there

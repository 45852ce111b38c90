"""Attention mass per group of keys, exact, without an S x S matrix.

mass[b, h, i, g] = sum of the attention weights of query i, head h, over the keys of group g; the weights are
the softmax over the keys that the query sees, so the groups of a row sum to 1 where they cover those keys.

Two routes. Rows: scores of the asked rows alone, in float32, a chunk at a time. Columns: the indicator of
each group is appended to V, so that the kernel that averages the values averages the indicators too.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32, Int, Shaped
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from vaslab.attention.edits import edited_attention, edited_scores, rows_at_once
from vaslab.attention.grouped import Kernel, by_groups, grouped_attention, with_columns
from vaslab.attention.request import CustomEdit, Request, indicators
from vaslab.attention.steps import AnyEdit, LayerEdit, Plans, resolve
from vaslab.attention.visibility import Visibility, take_rows
from vaslab.errors import UsageError, VaslabError


def call_rows(request: Request, visible: Visibility, device: torch.device) -> Int[Tensor, "batch row"] | None:
    """Positions of the requested rows within the call, out of range where not in it; None = every query."""
    return None if request.rows is None else request.rows.to(device).long() - visible.offset


def _into_slots(
    mass: Float32[Tensor, "batch head query group"], local: Int[Tensor, "batch row"]
) -> Float32[Tensor, "batch head row group"]:
    """Masses of every query -> the requested slots; 0 where a slot is empty or not in the call."""
    inside = (local >= 0) & (local < mass.shape[2])
    chosen = take_rows(mass, local.clamp(0, mass.shape[2] - 1))
    return torch.where(inside[:, None, :, None], chosen, torch.zeros_like(chosen))


def _rows_mass(
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch kv key dim"],
    groups: Int[Tensor, "batch key"],
    request: Request,
    visible: Visibility,
    scaling: float,
    edit: LayerEdit | None,
    index: Int[Tensor, "batch row"],
) -> Float32[Tensor, "batch head row group"]:
    """Masses of the queries at `index`: float32 whatever the type of the model, a chunk of rows at a time."""
    batch, n_heads, _, dim = query.shape
    n_kv, n_keys = key.shape[1], key.shape[2]
    belongs = indicators(groups, request.n_groups)
    keys = key.float().transpose(-1, -2)
    chunk = min(request.chunk, rows_at_once(batch, n_heads, n_keys, query.device))
    found = []
    for part in index.split(chunk, dim=1):
        rows = part.shape[1]
        chosen = take_rows(query, part).float() * scaling
        shared = chosen.reshape(batch, n_kv, n_heads // n_kv * rows, dim)
        scores = (shared @ keys).view(batch, n_heads, rows, n_keys)
        weights = edited_scores(edit, scores, visible, part, in_place=not request.grad).softmax(-1)
        mass = weights.view(batch, n_heads * rows, n_keys) @ belongs
        mass = mass.view(batch, n_heads, rows, request.n_groups)
        opened = None if visible.mask is None else visible.open_rows(part)
        if opened is not None:
            mass = torch.where(opened.any(-1, keepdim=True), mass, torch.zeros_like(mass))
        found.append(mass)
    return torch.cat(found, dim=2)


def rows_mass(
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch kv key dim"],
    groups: Int[Tensor, "batch key"],
    request: Request,
    visible: Visibility,
    scaling: float,
    edit: LayerEdit | None,
) -> Float32[Tensor, "batch head row group"]:
    """Mass by the rows route, in the slots of the request."""
    batch, _, n_queries, _ = query.shape
    local = call_rows(request, visible, query.device)
    every = torch.arange(n_queries, device=query.device).expand(batch, -1)
    few = local is not None and local.shape[1] <= n_queries
    grad = request.grad and torch.is_grad_enabled()
    # Autocast would turn these products into half precision.
    with torch.autocast(query.device.type, enabled=False), torch.set_grad_enabled(grad):
        index = local.clamp(0, n_queries - 1) if local is not None and few else every
        mass = _rows_mass(query, key, groups, request, visible, scaling, edit, index)
        if local is None:
            return mass
        if not few:
            return _into_slots(mass, local)
        inside = (local >= 0) & (local < n_queries)
        return torch.where(inside[:, None, :, None], mass, torch.zeros_like(mass))


def _split_columns(
    out: Tensor, width: int, request: Request, visible: Visibility
) -> tuple[Tensor, Float32[Tensor, "batch head row group"]]:
    """(batch, query, head, wide) -> the attention output and the mass in the slots of the request."""
    mass = out[..., width : width + request.n_groups].transpose(1, 2)
    # A copy: a view would keep the whole wide output of every layer alive.
    mass = mass.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    sees = visible.sees_any()
    if sees is not None:
        mass = torch.where(sees[..., None], mass, torch.zeros_like(mass))
    if not request.grad:
        mass = mass.detach()
    local = call_rows(request, visible, out.device)
    return out[..., :width], mass if local is None else _into_slots(mass, local)


def attention_and_mass(
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch kv key dim"],
    value: Float[Tensor, "batch kv key width"],
    request: Request | None,
    visible: Visibility,
    kernel: Kernel,
    *,
    layer: int,
    scaling: float,
    dropout: float = 0.0,
    edits: Sequence[AnyEdit] = (),
    plans: Plans | None = None,
) -> tuple[Float[Tensor, "batch query head width"], Float32[Tensor, "batch head row group"] | None]:
    """Attention output of one layer, edited where asked, and its mass per group of keys where it is measured.

    Args:
        query: queries.
        key: keys, with positions applied.
        value: values.
        request: what is asked; None measures nothing.
        visible: what each query sees.
        kernel: (query, key, value, n) -> output (batch, n, head, width) of the first n queries, the model's own.
        layer: index of the layer.
        scaling: factor on q . k.
        dropout: dropout of attention weights; masses are those before it.
        edits: changes of the attention, in order; that of the request comes last.
        plans: what other layers of the call have resolved of the edits.

    Raises:
        UsageError: the request does not fit the call.
    """
    # dim: width of query and key. width: width of value. row: slots of the request. group: groups of keys.
    batch, n_heads, n_queries, _ = query.shape
    n_kv, n_keys = key.shape[1], key.shape[2]
    if request is not None and request.groups.shape[0] != batch:
        raise UsageError(
            f"the request holds {request.groups.shape[0]} items, the call {batch}; make one request a "
            "batch, and no beams or repeated sequences"
        )
    if request is not None and request.edit is not None:
        edits = (*edits, request.edit)
    custom = [edit for edit in edits if isinstance(edit, CustomEdit)]
    value = _with_gain(value, custom, layer)
    edit = resolve(edits, layer, visible, n_heads, n_kv, batch, query.device, plans)
    measured = request if request is not None and request.wants(layer) else None
    by_columns = measured is not None and _by_columns(measured, n_queries, n_keys, dropout)
    q, k, v = query, key, value
    if by_columns and measured is not None:
        groups = measured.key_groups(n_keys).to(query.device)
        q, k, v = with_columns(query, key, value, groups, measured.n_groups)
    if edit is None:
        out = kernel(q, k, v, n_queries)
    elif by_groups(edit, dropout):
        out = grouped_attention(edit.steps[0], q, k, v, visible, kernel, scaling)
    else:
        base = kernel(q, k, v, edit.leading) if edit.leading else None
        out = edited_attention(edit, base, q, k, v, visible, scaling, dropout)
    mass = None
    if measured is not None and by_columns:
        out, mass = _split_columns(out, value.shape[-1], measured, visible)
    elif measured is not None:
        groups = measured.key_groups(n_keys).to(query.device)
        mass = rows_mass(query, key, groups, measured, visible, scaling, edit)
    for each in custom:
        out = each.output(layer, out, visible.offset)
    return out, mass


def _with_gain(value: Tensor, edits: Sequence[CustomEdit], layer: int) -> Tensor:
    for edit in edits:
        gain = edit.gain(layer, value.shape[2])
        if gain is not None:
            value = value * gain[:, None, :, None].to(value.device, value.dtype)
    return value


def _by_columns(request: Request, n_queries: int, n_keys: int, dropout: float) -> bool:
    n_rows = n_queries if request.rows is None else min(request.rows.shape[1], n_queries)
    by_columns = request.chosen_route(n_rows, n_keys) == "columns"
    if by_columns and dropout > 0:
        raise UsageError(
            f"attention dropout {dropout} is active, and the columns route would measure dropped weights; "
            "set Request.route='rows' (masses before dropout) or attention_dropout=0"
        )
    return by_columns


def group_mass(
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch kv key dim"],
    request: Request,
    *,
    mask: Shaped[Tensor, "mask_batch mask_head mask_query key"] | None = None,
    causal: bool = True,
    scaling: float | None = None,
    layer: int = 0,
) -> Float32[Tensor, "batch head row group"]:
    """Attention mass per group of keys, the route chosen by cost.

    Numerator: weights of the row's query on the keys of the group. Denominator: its weights on every key it
        sees.
    Not averaged: one number for each head and row. Empty slots, and queries that see no key, have mass 0.

    Args:
        query: queries of the last positions.
        key: keys of every position, with positions applied; fewer heads than `query` where heads share keys.
        request: rows, groups, route, edit.
        mask: boolean (True = may see) or additive; None = `causal` decides.
        causal: without a mask, a query sees keys up to its own position.
        scaling: factor on q . k; None = dim ** -0.5.
        layer: index into `request.edit.factor`.

    Raises:
        UsageError: the request does not fit the tensors.
    """
    # dim: width of a head. kv: key heads. row: slots of the request. group: groups of keys.
    batch, n_heads, n_queries, dim = query.shape
    n_kv, n_keys = key.shape[1], key.shape[2]
    scaling = dim**-0.5 if scaling is None else scaling
    visible = Visibility(mask, causal, n_queries, n_keys)
    n_rows = n_queries if request.rows is None else min(request.rows.shape[1], n_queries)
    groups = request.key_groups(n_keys).to(query.device)
    if groups.shape[0] != batch:
        raise UsageError(
            f"the request holds {groups.shape[0]} items, the query {batch}; make one request a batch"
        )
    if request.chosen_route(n_rows, n_keys) == "rows":
        edits = () if request.edit is None else (request.edit,)
        edit = resolve(edits, layer, visible, n_heads, n_kv, batch, query.device)
        return rows_mass(query, key, groups, request, visible, scaling, edit)

    def kernel(q: Tensor, k: Tensor, v: Tensor, n: int) -> Tensor:
        q, k, v, seen = visible.leading(q, k, v, n)
        out = scaled_dot_product_attention(
            q, k, v, seen, is_causal=visible.kernel_causal, scale=scaling, enable_gqa=n_kv != n_heads
        )
        return out.transpose(1, 2)

    nothing = key.new_zeros(batch, n_kv, n_keys, 0)
    with torch.set_grad_enabled(request.grad and torch.is_grad_enabled()):
        _, mass = attention_and_mass(
            query, key, nothing, request, visible, kernel, layer=layer, scaling=scaling
        )
    if mass is None:
        raise UsageError(f"Request.layers leaves out layer {layer}; ask for a layer that it holds")
    return mass


def require_mass(
    mass: Tensor | None, layer: int, request: Request
) -> Float32[Tensor, "batch head row group"]:
    """The mass that a layer returned, or an error where it returned none or something else.

    Raises:
        VaslabError: the layer returned no mass: the request never reached it, or another backend ran.
    """
    if mass is None:
        raise VaslabError(
            f"layer {layer} returned no attention mass: the request did not reach it; run the model inside "
            "attached(model) and requesting(model, request), and check that the layer is in Request.layers"
        )
    fits = mass.ndim == 4 and mass.dtype == torch.float32 and mass.shape[0] == request.groups.shape[0]
    rows = None if request.rows is None else request.rows.shape[1]
    if not fits or mass.shape[3] != request.n_groups or (rows is not None and mass.shape[2] != rows):
        raise VaslabError(
            f"layer {layer} returned {mass.dtype} of shape {tuple(mass.shape)} in place of the attention "
            f"mass ({request.groups.shape[0]}, head, {'row' if rows is None else rows}, "
            f"{request.n_groups}); another attention backend ran: use attached(model)"
        )
    return mass

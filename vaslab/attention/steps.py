"""Edits resolved for one layer and one call: which queries, which factors, in which order."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from vaslab.attention.request import CustomEdit, Edit
from vaslab.attention.visibility import Visibility
from vaslab.errors import UsageError

AnyEdit = Edit | CustomEdit

# exp(-1e4) is 0 in every type, and the number itself is finite in float16.
REMOVED = -1e4
CHUNK = 256


@dataclass(frozen=True)
class Step:
    """One edit resolved for one layer and call.

    Args:
        edit: the edit.
        on: which queries of the call it edits.
        factor: what each head does to each key; None where the edit is code.
        shared: the heads that share keys all do the same.
        removes: whether some factor of a `prob` edit is 0.
    """

    edit: AnyEdit
    on: Bool[Tensor, "batch query"]
    factor: Float[Tensor, "batch head key"] | None = None
    shared: bool = False
    removes: bool = False

    def scores(
        self, scores: Float[Tensor, "batch head row key"], layer: int, positions: Int[Tensor, "batch row"]
    ) -> Float[Tensor, "batch head row key"]:
        """The scores of rows that are edited, after the edit."""
        if self.factor is None:
            assert isinstance(self.edit, CustomEdit)
            return self.edit.scores(layer, scores, positions)
        assert isinstance(self.edit, Edit)
        factor = self.factor[:, :, None]
        if self.edit.kind == "prob":
            return scores + factor.log().clamp(min=REMOVED)
        # A key that an earlier edit removed stays removed: 0 * -1e4 would bring it back.
        return torch.where(scores <= REMOVED / 2, scores, scores * factor)


@dataclass(frozen=True)
class LayerEdit:
    """The edits of one layer and call, in the order in which they apply.

    Args:
        steps: each edit.
        layer: index of the layer.
        offset: absolute position of the call's first query.
        on: which queries any of them edits.
        everyone: every query is known to be edited by every step.
    """

    steps: tuple[Step, ...]
    layer: int
    offset: int
    on: Bool[Tensor, "batch query"]
    everyone: bool

    @property
    def by_operands(self) -> bool:
        """Whether all of it is one change of keys that is the same for every query that is edited."""
        if any(step.factor is None for step in self.steps):
            return False
        return self.everyone or all(
            step.on is self.on or torch.equal(step.on, self.on) for step in self.steps
        )

    @property
    def leading(self) -> int:
        """How many queries of the call come up to the last one that some item does not edit."""
        left = (~self.on).any(0).nonzero()
        return int(left[-1]) + 1 if len(left) else 0

    def scores(
        self, scores: Float[Tensor, "batch head row key"], index: Int[Tensor, "batch row"]
    ) -> Float[Tensor, "batch head row key"]:
        """Scaled scores of the queries at `index`, each edited by the edits that hold for it."""
        for step in self.steps:
            changed = step.scores(scores, self.layer, index + self.offset)
            on = step.on.gather(1, index)[:, None, :, None]
            scores = changed if self.everyone else torch.where(on, changed, scores)
        return scores


def resolve(
    edits: Sequence[AnyEdit],
    layer: int,
    visible: Visibility,
    n_heads: int,
    n_kv_heads: int,
    batch: int,
    device: torch.device,
) -> LayerEdit | None:
    """The edits of this layer and call, None where they change no score.

    Raises:
        UsageError: a `factor` does not cover the layers or heads of the model, an edit is of another batch, or
            a query would keep no key.
    """
    steps = []
    everyone = True
    for edit in edits:
        step = (
            _table_step(edit, layer, visible, n_heads, n_kv_heads, batch, device)
            if isinstance(edit, Edit)
            else _custom_step(edit, layer, visible, batch, device)
        )
        if step is not None:
            steps.append(step)
            new = isinstance(edit, Edit) and visible.offset >= edit.queries.shape[1]
            everyone = everyone and (new or bool(step.on.all()))
    if not steps:
        return None
    on = steps[0].on if len(steps) == 1 else torch.stack([step.on for step in steps]).any(0)
    found = LayerEdit(tuple(steps), layer, visible.offset, on, everyone)
    if any(step.removes for step in steps):
        _refuse_empty_rows(found, visible)
    return found


def _check_batch(found: int, batch: int) -> None:
    if found != batch:
        raise UsageError(
            f"the edit holds {found} items, the call {batch}; make one edit a batch, and no repeated sequences"
        )


def _custom_step(
    edit: CustomEdit, layer: int, visible: Visibility, batch: int, device: torch.device
) -> Step | None:
    on = edit.queries(layer, visible.n_keys)
    if on is None:
        return None
    _check_batch(on.shape[0], batch)
    on = on[:, visible.offset :].to(device)
    return Step(edit, on) if bool(on.any()) else None


def _table_step(
    edit: Edit,
    layer: int,
    visible: Visibility,
    n_heads: int,
    n_kv_heads: int,
    batch: int,
    device: torch.device,
) -> Step | None:
    if not edit.active(layer):
        return None
    _check_batch(edit.groups.shape[0], batch)
    if visible.offset >= edit.queries.shape[1]:
        # Known without asking the device: a question at each layer and step would hold a GPU up.
        if not edit.new_queries:
            return None
        on = edit.queries.new_ones((batch, visible.n_queries))
    else:
        on = edit.edited_queries(visible.n_keys)[:, visible.offset :]
        if not bool(on.any()):
            return None
    factor = edit.factor[layer].to(device, torch.float32)
    if factor.shape[0] != n_heads:
        raise UsageError(
            f"Edit.factor covers {factor.shape[0]} heads, layer {layer} has {n_heads}; give one a head"
        )
    groups = edit.key_groups(visible.n_keys).to(device)
    # One more group, for keys that are left alone.
    table = pad(factor, (0, 1), value=1.0)
    by_key = table[:, torch.where(groups < 0, factor.shape[1], groups)].transpose(0, 1)
    per_kv = edit.factor[layer].unflatten(0, (n_kv_heads, -1))
    shared = n_heads == n_kv_heads or bool((per_kv == per_kv[:, :1]).all())
    return Step(edit, on.to(device), by_key, shared, edit.kind == "prob" and edit.removes(layer))


def chunks(index: Int[Tensor, " row"], size: int = CHUNK) -> list[Tensor]:
    """Cut positions into pieces of at most `size`."""
    return list(index.split(size))


def _refuse_empty_rows(edit: LayerEdit, visible: Visibility) -> None:
    removing = [
        (step.on, (step.factor > 0).float())
        for step in edit.steps
        if step.factor is not None and step.removes
    ]
    batch = edit.on.shape[0]
    for part in chunks(edit.on.any(0).nonzero()[:, 0]):
        index = part[None].expand(batch, -1)
        opened = visible.open_rows(index)
        if opened is None:
            opened = torch.ones(1, 1, 1, visible.n_keys, dtype=torch.bool, device=edit.on.device)
        left = opened.float()
        for on, kept in removing:
            rows = on.gather(1, index)[:, None, :, None]
            left = left * torch.where(rows, kept[:, :, None], torch.ones_like(kept[:, :, None]))
        on = edit.on.gather(1, index)[:, None]
        empty = (left.sum(-1) == 0) & opened.any(-1) & on
        if bool(empty.any()):
            item, head, row = (int(x) for x in empty.nonzero()[0])
            raise UsageError(
                f"the prob edit removes every key that query {visible.offset + int(part[row])} of item "
                f"{item} sees (layer {edit.layer}, head {head}); leave a group it sees with a factor above 0, "
                "or edit fewer queries"
            )


def holds_for_all(edit: LayerEdit, visible: Visibility) -> bool:
    """Whether every query that sees a changed key is edited: changing the keys once is the whole edit."""
    if edit.everyone:
        return True
    if any(step.factor is None for step in edit.steps):
        return bool(edit.on.all())
    left = ~edit.on
    if not bool(left.any()):
        return True
    changed = torch.stack([(step.factor != 1).any(1) for step in edit.steps if step.factor is not None]).any(
        0
    )
    for part in chunks(left.any(0).nonzero()[:, 0]):
        index = part[None].expand(changed.shape[0], -1)
        opened = visible.open_rows(index)
        sees = changed[:, None, None] if opened is None else opened & changed[:, None, None]
        if bool((sees.any(-1) & left.gather(1, index)[:, None]).any()):
            return False
    return True

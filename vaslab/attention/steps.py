"""Edits resolved for one layer and one call: which queries, which factors, in which order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from vaslab.attention.request import CustomEdit, Edit, indicators
from vaslab.attention.visibility import Visibility
from vaslab.errors import UsageError

AnyEdit = Edit | CustomEdit

# exp(-1e4) is 0 in every type, and the number itself is finite in float16.
REMOVED = -1e4


@dataclass(frozen=True)
class Step:
    """One edit resolved for one layer and call.

    Args:
        edit: the edit.
        on: which queries of the call it edits; of a table, those that see a key that it changes.
        factor: what each head does to each key, one row where all do the same; None where the edit is code.
        shared: the heads that share keys all do the same.
        removes: whether some factor of a `prob` edit is 0.
        binary: a `prob` edit whose factors are 0 and 1 alone.
        spared: which queries are left alone although they see what is changed; None = not one.
        layer: index of the layer, for code.
    """

    edit: AnyEdit
    on: Bool[Tensor, "batch query"]
    factor: Float[Tensor, "batch any key"] | None = None
    shared: bool = False
    removes: bool = False
    binary: bool = False
    spared: Bool[Tensor, "batch query"] | None = None
    layer: int = 0

    def scores(
        self, scores: Float[Tensor, "batch head row key"], positions: Int[Tensor, "batch row"]
    ) -> Float[Tensor, "batch head row key"]:
        """The scores of rows that are edited, after the edit."""
        if isinstance(self.edit, CustomEdit):
            return self._by_code(self.edit, scores, positions)
        assert self.factor is not None
        factor = self.factor[:, :, None]
        if self.edit.kind == "prob":
            return scores + factor.log().clamp(min=REMOVED)
        # A key that an earlier edit removed stays removed: 0 * -1e4 would bring it back.
        return torch.where(scores <= REMOVED / 2, scores, scores * factor)

    def _by_code(self, edit: CustomEdit, scores: Tensor, positions: Tensor) -> Tensor:
        if not edit.n_groups:
            return edit.scores(self.layer, scores, positions)
        belongs = indicators(edit.groups(self.layer, scores.shape[-1]), edit.n_groups)
        belongs = belongs.to(scores.device)[:, None]
        factors = edit.factors(self.layer, scores.softmax(-1) @ belongs)
        return scores + factors.log().clamp(min=REMOVED) @ belongs.transpose(-1, -2)


@dataclass(frozen=True)
class LayerEdit:
    """The edits of one layer and call, in the order in which they apply.

    Args:
        steps: each edit.
        offset: absolute position of the call's first query.
    """

    steps: tuple[Step, ...]
    offset: int

    @cached_property
    def on(self) -> Bool[Tensor, "batch query"]:
        """Which queries any of them edits."""
        if len(self.steps) == 1:
            return self.steps[0].on
        return torch.stack([step.on for step in self.steps]).any(0)

    @property
    def everyone(self) -> bool:
        """Whether every step edits every query that sees what it changes: changing the keys once is all of it."""
        return all(step.spared is None for step in self.steps)

    @cached_property
    def by_operands(self) -> bool:
        """Whether all of it is one change of keys that is the same for every query that is edited."""
        if any(step.factor is None for step in self.steps):
            return False
        return self.everyone or all(
            step.on is self.on or torch.equal(step.on, self.on) for step in self.steps
        )

    @cached_property
    def leading(self) -> int:
        """How many queries of the call come up to the last one that an item leaves alone, and that would change."""
        spared = [step.spared for step in self.steps if step.spared is not None]
        if not spared:
            return 0
        left = (torch.stack(spared).any(0) & ~self.on).any(0).nonzero()
        return int(left[-1]) + 1 if len(left) else 0

    @cached_property
    def rows(self) -> Int[Tensor, " row"]:
        """Queries of the call that the plain output does not hold for, or not for every item."""
        rest = torch.arange(self.on.shape[1], device=self.on.device) >= self.leading
        return (self.on.any(0) | rest).nonzero()[:, 0]

    def scores(
        self, scores: Float[Tensor, "batch head row key"], index: Int[Tensor, "batch row"]
    ) -> Float[Tensor, "batch head row key"]:
        """Scaled scores of the queries at `index`, each edited by the edits that hold for it."""
        for step in self.steps:
            changed = step.scores(scores, index + self.offset)
            on = step.on.gather(1, index)[:, None, :, None]
            scores = changed if self.everyone else torch.where(on, changed, scores)
        return scores


@dataclass(frozen=True)
class Plans:
    """What was resolved in one call of the decoder: layers whose edits and masks are the same share it."""

    found: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def step(self, edit: Edit, layer: int, visible: Visibility, n_kv_heads: int, device: torch.device) -> Any:
        """The step of a table of factors, resolved once; None where it changes nothing here."""
        key = (id(edit), edit.likeness(layer), *self._shape(visible), n_kv_heads, device)
        if key not in self.found:
            # What is kept with a step keeps its id from being given to another object.
            self.found[key] = (_table_step(edit, layer, visible, n_kv_heads, device), edit, visible.mask)
        return self.found[key][0]

    def whole(self, steps: Sequence[Step], layer: int, visible: Visibility) -> LayerEdit:
        """The steps of a layer together; refused where a query would keep no key."""
        tables = all(step.factor is not None for step in steps)
        key = (*map(id, steps), *self._shape(visible))
        if tables and key in self.found:
            return self.found[key]
        whole = LayerEdit(tuple(steps), visible.offset)
        removing = [step for step in steps if step.removes]
        if removing:
            _refuse_empty_rows(removing, visible, layer)
        if tables:
            self.found[key] = whole
        return whole

    @staticmethod
    def _shape(visible: Visibility) -> tuple[int, bool, int, int]:
        return id(visible.mask), visible.causal, visible.n_queries, visible.n_keys


def resolve(
    edits: Sequence[AnyEdit],
    layer: int,
    visible: Visibility,
    n_heads: int,
    n_kv_heads: int,
    batch: int,
    device: torch.device,
    plans: Plans | None = None,
) -> LayerEdit | None:
    """The edits of this layer and call, None where they change no score.

    Args:
        plans: what other layers of the call have resolved.

    Raises:
        UsageError: a `factor` does not cover the layers or heads of the model, an edit is of another batch, or
            a query would keep no key.
    """
    plans = plans or Plans()
    steps = []
    for edit in edits:
        if isinstance(edit, CustomEdit):
            step = _custom_step(edit, layer, visible, batch, device)
        elif edit.active(layer):
            _check_batch(edit.groups.shape[0], batch)
            if edit.factor.shape[1] != n_heads:
                raise UsageError(
                    f"Edit.factor covers {edit.factor.shape[1]} heads, layer {layer} has {n_heads}; give one a "
                    "head"
                )
            step = plans.step(edit, layer, visible, n_kv_heads, device)
        else:
            step = None
        if step is not None:
            steps.append(step)
    return plans.whole(steps, layer, visible) if steps else None


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
    if not bool(on.any()):
        return None
    return Step(edit, on, spared=None if bool(on.all()) else ~on, layer=layer)


def _table_step(
    edit: Edit, layer: int, visible: Visibility, n_kv_heads: int, device: torch.device
) -> Step | None:
    # Known without asking the device: a question at each step would hold a GPU up.
    new = visible.offset >= edit.queries.shape[1]
    if new and True not in edit.new_of_items:
        return None
    table = edit.factor[layer].to(device, torch.float32)
    shared = len(table) == n_kv_heads or edit.uniform(layer)
    if edit.uniform(layer):
        table = table[:1]
    elif not shared:
        per_kv = table.unflatten(0, (n_kv_heads, -1))
        shared = bool((per_kv == per_kv[:, :1]).all())
    groups = edit.key_groups(visible.n_keys).to(device)
    # One more group, for keys that are left alone.
    by_key = pad(table, (0, 1), value=1.0)[:, torch.where(groups < 0, table.shape[1], groups)].transpose(0, 1)
    said = (shared, edit.kind == "prob" and edit.removes(layer), edit.kind == "prob" and edit.binary(layer))
    if new and False not in edit.new_of_items:
        on = torch.ones(len(groups), visible.n_queries, dtype=torch.bool, device=device)
        return Step(edit, on, by_key, *said)
    chosen = edit.edited_queries(visible.n_keys)[:, visible.offset :].to(device)
    if visible.n_queries == 1:
        # The only row of an item is left alone by leaving its keys alone.
        by_key, chosen = torch.where(chosen[..., None], by_key, 1.0), torch.ones_like(chosen)
        if new:
            return Step(edit, chosen, by_key, *said)
    sees = visible.reach((by_key != 1).any(1, keepdim=True)).any(1)
    on, spared = chosen & sees, ~chosen & sees
    if not bool(on.any()):
        return None
    return Step(edit, on, by_key, *said, spared if bool(spared.any()) else None)


def _refuse_empty_rows(removing: Sequence[Step], visible: Visibility, layer: int) -> None:
    """Raise where a query that sees a key would keep none of those that it sees."""
    together = sum(step.on.long() << number for number, step in enumerate(removing))
    assert isinstance(together, Tensor)
    for code in together.unique().tolist():
        kept = [
            step.factor > 0 for n, step in enumerate(removing) if code >> n & 1 and step.factor is not None
        ]
        if not kept:
            continue
        left = kept[0]
        for each in kept[1:]:
            left = left & each
        empty = ~visible.reach(left) & visible.reach(torch.ones_like(left)) & (together == code)[:, None]
        if bool(empty.any()):
            item, head, row = (int(x) for x in empty.nonzero()[0])
            raise UsageError(
                f"the prob edit removes every key that query {visible.offset + row} of item {item} sees (layer "
                f"{layer}, head {head}); leave a group it sees with a factor above 0, or edit fewer queries"
            )

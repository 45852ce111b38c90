"""What every intervention is: settings, and edits of attention that follow from them for a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from jaxtyping import Bool
from torch import Tensor
from transformers import PreTrainedModel

from vaslab.attention import AnyEdit, Edit
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.target import check_queries, head_mask

Begin: TypeAlias = Callable[[Batch], Sequence[AnyEdit]]
"""Called at the start of each batch for the edits that hold until the next one."""


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """Settings of a change of attention, and whom it touches.

    Args:
        layers: `all`, `middle`, `FIRST-LAST`, or indices.
        heads: (layer, head) pairs, whatever `layers` says; None = every head of the layers.
        queries: names of sets of queries (see `vaslab.interventions.batch.QUERIES`).
        steps: (first, end) of the answer's tokens whose rows are edited; None = no limit.

    Raises:
        UsageError: settings that name nothing.
    """

    layers: Any = "all"
    heads: Any = None
    queries: Any = "after_image"
    steps: Any = None

    def __post_init__(self) -> None:
        check_queries(self.queries)
        if self.steps is not None:
            first, end = _pair(self.steps)
            if first < 0 or (end is not None and end <= first):
                raise UsageError(f"steps is {self.steps!r}; expected (first, end) with 0 <= first < end")

    @contextmanager
    def live(self, model: PreTrainedModel) -> Iterator[Begin]:  # noqa: ARG002
        """Put in place what the intervention needs of the model beside edits; taken away afterwards."""
        yield self.edits

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """Edits of one batch, in order."""
        raise NotImplementedError

    def touched(self, batch: Batch) -> Bool[Tensor, "layer head"]:
        """Which heads are touched."""
        return head_mask(self.layers, self.heads, batch.n_layers, batch.n_heads)

    def edited(self, batch: Batch) -> tuple[Bool[Tensor, "batch query"], bool]:
        """Which positions are edited as queries, and whether later ones are."""
        steps = None if self.steps is None else _pair(self.steps)
        return batch.queries(check_queries(self.queries), steps)

    def table(
        self,
        batch: Batch,
        groups: dict[str, Bool[Tensor, "batch seq"]],
        factors: dict[str, int | float],
        kind: Any,
        new: str | None = None,
    ) -> Edit:
        """An edit that multiplies groups of keys by one factor each, in the heads that are touched.

        Args:
            batch: the batch.
            groups: which keys belong to each group; a key of none is left alone.
            factors: factor of each group.
            kind: `logit` or `prob`.
            new: the group of keys generated later; None leaves them alone.
        """
        labels = torch.full_like(batch.roles, -1)
        factor = torch.ones(batch.n_layers, batch.n_heads, len(groups))
        touched = self.touched(batch)
        names = list(groups)
        for number, (name, keys) in enumerate(groups.items()):
            labels[keys & batch.real] = number
            factor[..., number] = torch.where(touched, factors[name], 1.0)
        queries, later = self.edited(batch)
        new_group = -1 if new is None else names.index(new)
        return Edit(labels, factor, queries, kind, new_group=new_group, new_queries=later)


def fits(mask: Bool[Tensor, "batch known"], n: int, new: bool = False) -> Bool[Tensor, "batch n"]:
    """A mask over the first `n` positions; those past it hold `new`."""
    missing = n - mask.shape[1]
    if missing <= 0:
        return mask[:, :n]
    return torch.cat([mask, mask.new_full((mask.shape[0], missing), new)], dim=1)


def number_in(name: str, value: Any, least: int | float, most: int | float = float("inf")) -> None:
    """Raise UsageError unless a setting is a number between two limits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        limits = f"at least {least:g}" if most == float("inf") else f"{least:g} to {most:g}"
        raise UsageError(f"{name} is {value!r}; expected a number, {limits}")


def chosen_heads(mask: Bool[Tensor, "layer head"], layer: int, like: Tensor) -> Bool[Tensor, "1 head 1 1"]:
    """The heads of one layer as a mask over scores."""
    return mask[layer].to(like.device)[None, :, None, None]


def _pair(steps: Any) -> tuple[int, int | None]:
    if isinstance(steps, str) or not isinstance(steps, Sequence) or len(steps) != 2:
        raise UsageError(f"steps is {steps!r}; expected (first, end), end None for no end")
    return int(steps[0]), None if steps[1] is None else int(steps[1])

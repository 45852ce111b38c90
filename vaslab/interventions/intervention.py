"""What every intervention is: settings, and edits of attention that follow from them for a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from hashlib import sha256
from math import inf, isinf
from numbers import Integral, Real
from typing import Any, TypeAlias

import torch
from jaxtyping import Bool
from torch import Tensor
from transformers import PreTrainedModel

from vaslab.attention import AnyEdit, Edit
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.settings import heads_of, keys_of, layers_of, queries_of, steps_of
from vaslab.interventions.target import Region, head_mask, region_mask, regions_of
from vaslab.prompts.roles import Role

Begin: TypeAlias = Callable[[Batch], Sequence[AnyEdit]]
"""Called at the start of each batch for the edits that hold until the next one."""


_LARGEST = torch.finfo(torch.float32).max
VISUAL = ("image", "video")
"""Roles of visual tokens."""


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
        self._set(layers=layers_of(self.layers), heads=heads_of(self.heads))
        self._set(queries=queries_of(self.queries), steps=steps_of(self.steps))

    def _set(self, **values: Any) -> None:
        """Keep settings in the form in which they are used."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def check_fits(self, config: Any) -> None:
        """Raise UsageError where a model has not what the settings name, such as a layer.

        Args:
            config: the model's config.
        """
        text = config.get_text_config(decoder=True)
        head_mask(self.layers, self.heads, text.num_hidden_layers, text.num_attention_heads)

    @contextmanager
    def live(self, model: PreTrainedModel) -> Iterator[Begin]:  # noqa: ARG002
        """Put in place what the intervention needs of the model beside edits; taken away afterwards."""
        yield self.edits

    def to_dict(self) -> dict[str, Any]:
        """Every setting, as YAML writes it: what a run notes of it. A tensor is told by its shape and digest."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """Edits of one batch, in order."""
        raise NotImplementedError

    def touched(self, batch: Batch) -> Bool[Tensor, "layer head"]:
        """Which heads are touched."""
        return head_mask(self.layers, self.heads, batch.n_layers, batch.n_heads)

    def edited(self, batch: Batch) -> tuple[Bool[Tensor, "batch query"], Bool[Tensor, " batch"]]:
        """Which positions are edited as queries, and of which items later ones are."""
        chosen, later = batch.queries(self.queries, self.steps)
        some = self.items(batch)
        return chosen & some[:, None], later & some

    def items(self, batch: Batch) -> Bool[Tensor, " batch"]:
        """Which items may be edited at all; the rows of the others are left alone, also those to come."""
        return batch.real.any(1)

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
        queries, later = self.edited(batch)
        # An item none of whose rows is edited has no group, so that the others can be edited through their keys.
        labelled = batch.real & (queries.any(1) | later)[:, None]
        for number, (name, keys) in enumerate(groups.items()):
            labels[keys & labelled] = number
            factor[..., number] = torch.where(touched, factors[name], 1.0)
        if new is None and not bool((labels >= 0).any()):
            later = torch.zeros_like(later)
        new_group = -1 if new is None else names.index(new)
        return Edit(labels, factor, queries, kind, new_group=new_group, new_queries=later)


@dataclass(frozen=True, kw_only=True)
class OnKeys(Intervention):
    """An intervention whose formula changes some keys, V; by default the visual ones.

    Args:
        keys: names of the roles whose keys are V.
        regions: V is the visual tokens in these boxes instead: one for all items, or one an item, None for an item
            that is left alone.
    """

    keys: Any = VISUAL
    regions: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(keys=keys_of("keys", self.keys), regions=regions_of(self.regions))
        if self.regions is not None and self.keys != VISUAL:
            raise UsageError(
                f"keys is {', '.join(self.keys)} and regions are given, which are of visual tokens; give one of both"
            )

    def items(self, batch: Batch) -> Bool[Tensor, " batch"]:
        """Those with a region, where regions are given."""
        return super().items(batch) if self.regions is None else region_mask(self.regions, batch).any(1)

    def chosen_keys(self, batch: Batch) -> tuple[Bool[Tensor, "batch seq"], bool]:
        """V: which positions belong to it as keys, and whether later ones do."""
        if self.regions is not None:
            return region_mask(self.regions, batch), False
        return keys_named(batch, self.keys), "response" in self.keys


def keys_named(batch: Batch, names: tuple[str, ...]) -> Bool[Tensor, "batch seq"]:
    """Positions of some roles."""
    wanted = [int(Role[name]) for name in names]
    return torch.isin(batch.roles, torch.tensor(wanted, device=batch.roles.device))


def number_in(name: str, value: Any, least: int | float, most: int | float = inf) -> None:
    """Raise UsageError unless a setting is a number between two limits."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not least <= value <= min(most, _LARGEST):
        limits = f"at least {least:g}" if isinf(most) else f"{least:g} to {most:g}"
        limits += " and within float32" if number and _LARGEST < value < inf else ""
        raise UsageError(f"{name} is {value!r}; expected a finite number, {limits}")


def chosen_heads(mask: Bool[Tensor, "layer head"], layer: int, like: Tensor) -> Bool[Tensor, "1 head 1 1"]:
    """The heads of one layer as a mask over scores."""
    return mask[layer].to(like.device)[None, :, None, None]


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        digest = sha256(value.detach().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]
        return {"shape": list(value.shape), "sha256": digest}
    if isinstance(value, Region):
        return {"box": _plain(value.box), "size": _plain(value.size)} | {
            name: getattr(value, name) for name in ("picture", "overlap")
        }
    if isinstance(value, Real) and not isinstance(value, int | float):  # of numpy
        return int(value) if isinstance(value, Integral) else float(value)
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value

"""Ablate heads: their output is zero, its mean over a reference set, or what attending to the sink alone gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from vaslab.attention import AnyEdit, CustomEdit, fits
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import Intervention, number_in
from vaslab.interventions.settings import choice

MODES = ("zero", "mean", "sink")


@dataclass(frozen=True, kw_only=True)
class Ablate(Intervention):
    """Settings of the ablation, of every head unless `heads` or `layers` choose.

    Args:
        mode: `zero`: the head's output is 0. `mean`: it is `means`. `sink`: all weight lies on the first position.
        means: what `head_means` returned, for `mean`.
        strength: share of the way there, 0 to 1; in `sink`, the share of the weights elsewhere that is taken away.
    """

    queries: Any = "all"
    mode: Any = "zero"
    means: Any = None
    strength: Any = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("strength", self.strength, 0, 1)
        choice("mode", self.mode, MODES)
        if self.means is not None and not (isinstance(self.means, Tensor) and self.means.ndim == 3):
            raise UsageError(f"means is a {type(self.means).__name__}; expected what head_means returned")
        if (self.mode == "mean") != (self.means is not None):
            raise UsageError(
                "mode 'mean' and means belong together; give both: means=head_means(vlm, prompts)"
            )

    def check_fits(self, config: Any) -> None:
        """See `Intervention`."""
        super().check_fits(config)
        there = shape_of_means(config)
        if self.means is not None and self.means.shape != there:
            raise UsageError(
                f"means has shape {tuple(self.means.shape)}, those of the model are {there} (layers, heads, width); "
                "measure them on this model, with head_means"
            )

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """A table of factors on weights for `sink`, a change of the heads' output otherwise."""
        if self.mode == "sink":
            first = batch.real & (batch.real.cumsum(1) == 1)
            groups = {"rest": batch.real & ~first}
            return [self.table(batch, groups, {"rest": 1 - self.strength}, "prob", new="rest")]
        if self.strength == 0:
            return []
        touched = self.touched(batch)
        return [_Replaced(touched, *self.edited(batch), self.means, self.strength)]


def shape_of_means(config: Any) -> tuple[int, int, int]:
    """Layers, heads and width of a head: the shape of the mean outputs of a model with this config."""
    text = config.get_text_config(decoder=True)
    n_heads = int(text.num_attention_heads)
    return (
        int(text.num_hidden_layers),
        n_heads,
        int(getattr(text, "head_dim", None) or text.hidden_size // n_heads),
    )


class _Replaced(CustomEdit):
    """Output of heads moved towards a constant."""

    def __init__(
        self,
        touched: Bool[Tensor, "layer head"],
        queries: Bool[Tensor, "batch query"],
        later: Bool[Tensor, " batch"],
        means: Float[Tensor, "layer head width"] | None,
        strength: int | float,
    ) -> None:
        self.touched, self.chosen, self.later = touched, queries, later
        self.means, self.strength = means, strength

    def output(
        self, layer: int, out: Shaped[Tensor, "batch query head width"], offset: int
    ) -> Shaped[Tensor, "batch query head width"]:
        """See `CustomEdit`."""
        if not bool(self.touched[layer].any()):
            return out
        rows = fits(self.chosen, offset + out.shape[1], self.later)[:, offset:].to(out.device)
        where = rows[:, :, None, None] & self.touched[layer].to(out.device)[:, None]
        means = self.means
        constant = out.new_zeros(()) if means is None else means[layer].to(out.device, out.dtype)
        return torch.where(where, out + self.strength * (constant - out), out)


class HeadMeans(CustomEdit):
    """Watches the outputs of all heads and keeps their mean over the real positions; changes nothing."""

    def __init__(self, n_layers: int) -> None:
        self.sums: list[Tensor | None] = [None] * n_layers
        self.counts = [0] * n_layers
        self.real: Tensor | None = None

    def output(
        self, layer: int, out: Shaped[Tensor, "batch query head width"], offset: int
    ) -> Shaped[Tensor, "batch query head width"]:
        """See `CustomEdit`."""
        assert self.real is not None
        rows = fits(self.real, offset + out.shape[1], True)[:, offset:].to(out.device)
        added = out[rows].double().sum(0)
        before = self.sums[layer]
        self.sums[layer] = added if before is None else before + added
        self.counts[layer] += int(rows.sum())
        return out

    def means(self) -> Float[Tensor, "layer head width"]:
        """Mean output of each head. Raises UsageError where nothing was seen."""
        if not all(self.counts):
            raise UsageError("no position was seen, so heads have no mean output; give at least one prompt")
        pairs = zip(self.sums, self.counts, strict=True)
        return torch.stack([total / count for total, count in pairs if total is not None]).float().cpu()

"""SPARC: visual tokens that gain attention along the answer count for more from then on (arXiv 2502.01419).

a_t: attention of the row of step t to each visual token, in one layer, mean over heads; m: its moving average. A
token is selected at step t if (a_t - m) / m >= tau, and then m <- (1 - beta) a_t + beta m. From step t + 1 on its
value is multiplied by alpha, in every layer, once for each time it was selected. As released: values are scaled,
which is attention weights times alpha without renormalising; the masses do not show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaslab.attention import AnyEdit, CustomEdit, fits
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import OnKeys, number_in
from vaslab.interventions.settings import whole
from vaslab.interventions.target import layer_indices

# The released code selects in layer 20 of LLaVA's 32.
_SELECTING = 20 / 32


@dataclass(frozen=True, kw_only=True)
class Sparc(OnKeys):
    """Settings of SPARC, those of the released script for LLaVA-1.5-7B.

    Args:
        alpha: factor for each selection; 1 changes nothing.
        tau: least relative gain of attention that selects.
        beta: weight of the past in the moving average, 0 to 1.
        layer: the layer that selects; None = layer 20 of 32, or the same share of the depth.
    """

    queries: Any = "response"
    alpha: Any = 1.1
    tau: Any = 1.5
    beta: Any = 0.1
    layer: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("alpha", self.alpha, 0)
        number_in("tau", self.tau, 0)
        number_in("beta", self.beta, 0, 1)
        if self.layer is not None:
            whole("layer", self.layer)
        if self.heads is not None or self.steps is not None or self.queries != ("response",):
            raise UsageError(
                "sparc scales values for all heads from step to step; heads, queries and steps cannot be set"
            )
        if "response" in self.keys:
            raise UsageError("sparc scales values of the prompt; leave response out of keys")

    def check_fits(self, config: Any) -> None:
        """See `Intervention`."""
        super().check_fits(config)
        self._selecting(config.get_text_config(decoder=True).num_hidden_layers)

    def _selecting(self, n_layers: int) -> int:
        selecting = round(_SELECTING * n_layers) if self.layer is None else self.layer
        return layer_indices([selecting], n_layers)[0]

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """Values scaled by what has been seen up to the step before.

        Raises:
            UsageError: the answer is already there, so there are no steps; or padding follows an item, so that the
            last row of the batch is not its own.
        """
        if self.alpha == 1 or not bool(self.chosen_keys(batch)[0].any()):
            return []
        if batch.answered:
            raise UsageError(
                "sparc follows an answer step by step, and this call holds one: let the model generate it, with its "
                "cache (not use_cache=False)"
            )
        if batch.padded_right:
            raise UsageError("sparc looks at the last row of each prompt; pad the batch on the left")
        layers = layer_indices(self.layers, batch.n_layers)
        return [_Recalibrated(self, batch, self._selecting(batch.n_layers), frozenset(layers))]


class _Recalibrated(CustomEdit):
    """Gains of one batch, and the attention that decides them."""

    def __init__(self, settings: Sparc, batch: Batch, selecting: int, layers: frozenset[int]) -> None:
        self.settings, self.selecting, self.layers = settings, selecting, layers
        self.keys, _ = settings.chosen_keys(batch)
        self.gains = torch.ones_like(batch.roles, dtype=torch.float32)
        self.selected = torch.zeros_like(self.keys)
        self.average: Tensor | None = None
        self.last = -1
        batch.moved.append(self._move)

    def _move(self, rows: Int[Tensor, " batch"]) -> None:
        rows = rows.to(self.gains.device)
        self.gains, self.selected = self.gains[rows], self.selected[rows]
        self.average = None if self.average is None else self.average[rows.to(self.average.device)]

    def gain(self, layer: int, n_keys: int) -> Float[Tensor, "batch key"] | None:
        """See `CustomEdit`. The first layer of a step takes over what the step before selected."""
        if layer == 0 and n_keys > self.gains.shape[1]:
            self.gains = torch.where(self.selected, self.gains * self.settings.alpha, self.gains)
            self.selected = torch.zeros_like(self.selected)
        if layer not in self.layers or n_keys <= self.gains.shape[1]:
            return None
        rest = self.gains.new_ones(self.gains.shape[0], n_keys - self.gains.shape[1])
        return torch.cat([self.gains, rest], dim=1)

    def queries(self, layer: int, n_positions: int) -> Bool[Tensor, "batch query"] | None:
        """See `CustomEdit`. The last row of the selecting layer is looked at."""
        if layer != self.selecting:
            return None
        looked = torch.zeros(self.keys.shape[0], n_positions, dtype=torch.bool, device=self.keys.device)
        looked[:, -1] = True
        return looked

    def scores(
        self,
        layer: int,  # noqa: ARG002
        scores: Float[Tensor, "batch head row key"],
        positions: Int[Tensor, "batch row"],
    ) -> Float[Tensor, "batch head row key"]:
        """See `CustomEdit`. Nothing is changed; each position is looked at once."""
        last = scores.shape[-1] - 1
        rows = (positions[0] == last).nonzero()
        if last > self.last and len(rows):
            weights = scores[:, :, int(rows[0])].softmax(-1).mean(1)[:, : self.keys.shape[1]]
            self._look(weights, last)
        return scores

    def _look(self, weights: Float[Tensor, "batch key"], last: int) -> None:
        self.last = last
        if self.average is None:
            self.average = weights
            return
        gained = (weights - self.average) / self.average
        keys = fits(self.keys, weights.shape[1]).to(weights.device)
        self.selected = keys & (gained >= self.settings.tau)
        beta = self.settings.beta
        self.average = (1 - beta) * weights + beta * self.average

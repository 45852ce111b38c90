"""AdaptVis: the temperature of attention to the picture by the model's confidence (arXiv 2503.01773).

A first plain pass gives c, the probability of the likeliest first token. Then, in the prompt's last row, scores of
visual keys Z <- w Z, with w = unsure where c < threshold (a softer look around), else sure (a sharper one).

The paper runs two passes. As no other row of the prompt changes, generation here takes its keys and values from the
first and runs the last row alone again; where more is asked than that (a measurement of the prompt, other rows edited,
another intervention around it), there are two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from vaslab.attention import AnyEdit
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import Begin, OnKeys, number_in
from vaslab.interventions.plain import plain_forward, prompt_into_cache


@dataclass(frozen=True, kw_only=True)
class AdaptVis(OnKeys):
    """Settings of AdaptVis. The released code names 0.5 and 0.8, 1.2 to 2.0, and 0.3 as examples.

    Args:
        unsure: factor where the model is not confident.
        sure: factor where it is.
        threshold: of confidence; ScalingVis, one factor for all, is threshold 0.
        strength: share of the way from 1 to the factor.
    """

    queries: Any = "last"
    unsure: Any = 0.5
    sure: Any = 1.2
    threshold: Any = 0.3
    strength: Any = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("unsure", self.unsure, 0)
        number_in("sure", self.sure, 0)
        number_in("threshold", self.threshold, 0, 1)
        number_in("strength", self.strength, 0, 1)

    @contextmanager
    def live(self, model: PreTrainedModel) -> Iterator[Begin]:
        """Ask the plain model for its confidence at the start of each batch."""

        def begin(batch: Batch) -> Sequence[AnyEdit]:
            if not bool(self.chosen_keys(batch)[0].any()):
                return []
            if batch.answered:
                raise UsageError(
                    "adaptvis asks for the model's confidence before it answers, and this call holds an answer: let "
                    "the model generate it, with its cache (not use_cache=False)"
                )
            if self.strength == 0 or self.unsure == self.sure == 1:
                return []
            if self.threshold == 0 or self.unsure == self.sure:
                return self.by_confidence(batch, torch.ones(len(batch), device=batch.roles.device))
            plain = prompt_into_cache(model, batch.inputs) if self._last_row_alone(batch) else None
            if plain is None:
                taken = ("past_key_values", "use_cache", "logits_to_keep", "labels")
                inputs = {name: value for name, value in batch.inputs.items() if name not in taken}
                last = batch.last
                kept = batch.roles.shape[1] - int(last.min())
                plain = plain_forward(model, **inputs, use_cache=False, logits_to_keep=kept)
                column = last - last.min()
            else:
                column = torch.zeros_like(batch.last)
            rows = torch.arange(len(batch), device=plain.logits.device)
            first = plain.logits[rows, column.to(rows.device)]
            return self.by_confidence(batch, first.float().softmax(-1).amax(-1))

        yield begin

    def _last_row_alone(self, batch: Batch) -> bool:
        """Whether the rest of the prompt is as in the plain pass, and the last token is of text."""
        edited, _ = self.edited(batch)
        return not bool((edited[:, :-1] | batch.visual[:, -1:]).any())

    def by_confidence(self, batch: Batch, confidence: Float[Tensor, " batch"]) -> Sequence[AnyEdit]:
        """The edits of a batch whose confidences are known."""
        doubtful = (confidence < self.threshold)[:, None]
        keys, _ = self.chosen_keys(batch)
        groups = {"unsure": keys & doubtful, "sure": keys & ~doubtful}
        factors = {
            name: 1 + self.strength * (weight - 1)
            for name, weight in (("unsure", self.unsure), ("sure", self.sure))
        }
        return [self.table(batch, groups, factors, "logit")]

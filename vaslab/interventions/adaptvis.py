"""AdaptVis: the temperature of attention to the picture by the model's confidence (arXiv 2503.01773).

A first plain pass gives c, the probability of the likeliest first token. Then, in the prompt's last row, scores of
visual keys Z <- w Z, with w = unsure where c < threshold (a softer look around), else sure (a sharper one).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from vaslab.attention import AnyEdit
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import Begin, OnKeys, number_in
from vaslab.interventions.plain import plain_forward


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
            if bool((batch.first_emitting != batch.roles.shape[1] - 1).any()):
                raise UsageError(
                    "adaptvis asks for the model's confidence before it answers, and this prompt holds an answer; "
                    "let the model generate it"
                )
            taken = ("past_key_values", "use_cache", "logits_to_keep", "return_dict")
            inputs = {name: value for name, value in batch.inputs.items() if name not in taken}
            logits = plain_forward(model, **inputs, use_cache=False, logits_to_keep=1).logits[:, -1]
            return self.by_confidence(batch, logits.float().softmax(-1).amax(-1))

        yield begin

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

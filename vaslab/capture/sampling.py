"""How an answer is drawn, where it is not the most likely token at every step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vaslab.errors import UsageError


@dataclass(frozen=True)
class Sampling:
    """Draw each token from softmax(logits / temperature), cut to the likeliest.

    Args:
        temperature: above 0; 1 is the model's own distribution.
        top_p: keep the likeliest tokens that together reach this probability (Holtzman et al. 2020); 1 keeps all.
        top_k: keep this many of the likeliest tokens; 0 keeps all.
        seed: of the draws of one batch.

    Raises UsageError for values out of range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise UsageError(f"temperature is {self.temperature}; expected above 0, or greedy decoding")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p is {self.top_p}; expected above 0 and at most 1, which keeps all tokens")
        if self.top_k < 0:
            raise UsageError(f"top_k is {self.top_k}; expected at least 1, or 0, which keeps all tokens")

    @property
    def words(self) -> str:
        """What a capture and a summary say of it; the seed stands elsewhere."""
        cuts = [f"top-p {self.top_p:g}"] * (self.top_p < 1) + [f"top-k {self.top_k}"] * (self.top_k > 0)
        return ", ".join([f"sampled at temperature {self.temperature:g}", *cuts])


def decoding_words(sampling: Sampling | None) -> str:
    """Name a decoding: `greedy`, or the sampling in words."""
    return "greedy" if sampling is None else sampling.words

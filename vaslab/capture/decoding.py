"""How an answer is written: the most likely token at every step, or drawn with a seed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from vaslab.errors import UsageError
from vaslab.models import Vlm


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


def generation_options(vlm: Vlm, max_new_tokens: int, sampling: Sampling | None) -> dict[str, Any]:
    """Return the keywords of `generate`; what the checkpoint's generation config says of decoding is set aside.

    Visual placeholders are never generated, for no picture could stand behind them. Raises UsageError for an
    answer of no token.
    """
    if max_new_tokens < 1:
        raise UsageError(f"max_new_tokens is {max_new_tokens}; expected at least 1")
    config = vlm.model.config
    visual = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    found = [getattr(config, name, None) for name in visual]
    drawn: dict[str, Any] = dict.fromkeys(("temperature", "top_p", "top_k"))
    if sampling is not None:
        drawn = {name: getattr(sampling, name) for name in drawn}
    return {
        "max_new_tokens": max_new_tokens,
        "num_beams": 1,
        "do_sample": sampling is not None,
        **drawn,
        **dict.fromkeys(("min_p", "typical_p", "top_h", "epsilon_cutoff", "eta_cutoff")),
        "repetition_penalty": 1.0,
        "suppress_tokens": [token for token in found if token is not None],
        "return_dict_in_generate": False,
    }


@contextmanager
def seeded(vlm: Vlm, sampling: Sampling | None) -> Iterator[None]:
    """Draw from the sampling's own seed inside; the generators outside are left as they were."""
    if sampling is None:
        yield
        return
    devices = [vlm.device.index or 0] if vlm.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(sampling.seed)
        yield

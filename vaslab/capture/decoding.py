"""What `generate` is told: the most likely token at every step, or tokens drawn with a seed of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from vaslab.capture.sampling import Sampling
from vaslab.errors import UsageError
from vaslab.models import Vlm


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

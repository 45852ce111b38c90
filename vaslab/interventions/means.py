"""Mean outputs of heads over a reference set, for mean ablation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vaslab.attention import attached, editing
from vaslab.errors import UsageError
from vaslab.interventions.ablate import HeadMeans
from vaslab.models import Vlm
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt


@torch.no_grad()
def head_means(vlm: Vlm, prompts: Sequence[Prompt], batch_size: int = 8) -> Float[Tensor, "layer head width"]:
    """Mean output of every head, before heads are mixed, over all real positions of the prompts.

    Raises:
        UsageError: no prompts.
    """
    if not prompts:
        raise UsageError("head_means needs at least one prompt")
    watching = HeadMeans(vlm.n_layers)
    with vlm.lock, attached(vlm.model), editing(vlm.model, lambda: [watching]):
        for start in range(0, len(prompts), batch_size):
            inputs = encode(vlm.processor, prompts[start : start + batch_size]).to(vlm.device).inputs
            watching.real = inputs["attention_mask"].bool()
            vlm.model(**inputs, use_cache=False, logits_to_keep=1)
    return watching.means()

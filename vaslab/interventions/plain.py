"""One pass of the model as it is, in the middle of an edited or traced one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicLayer

from vaslab.attention import carrying_nothing, n_carrying

# Keywords of generate's first call: of each position, of the pictures, and what stays as it is in the next.
_PLACED = {"input_ids", "position_ids", "mm_token_type_ids"}
_PICTURED = {
    *("pixel_values", "pixel_values_videos", "image_grid_thw", "video_grid_thw", "second_per_grid_ts"),
    "mm_encoder_outputs",
}
_KEPT = {"past_key_values", "use_cache", "attention_mask", "return_dict", "logits_to_keep"}


@torch.no_grad()
def plain_forward(model: PreTrainedModel, **inputs: Any) -> Any:
    """Run the model's forward with no request, edit, trace or hook of the model itself; its output has names."""
    with carrying_nothing(model), _untraced(model):
        return type(model).forward(model, **{**inputs, "return_dict": True})


def prompt_into_cache(model: PreTrainedModel, inputs: dict[str, Any]) -> Any | None:
    """Run the plain model over a prompt into the call's own cache, and leave to the call the last position alone.

    An edit of the last row leaves what comes before it as it is, so that the prompt need not run twice.

    Args:
        model: the model that is about to run.
        inputs: keywords of its call; changed to those of a call that goes on with the last position.

    Returns:
        the plain output; or None, with nothing changed, where the call is not the first one of a generation, or
        something else measures, edits or traces it.
    """
    layers = getattr(inputs.get("past_key_values"), "layers", None)
    asked = {name for name, value in inputs.items() if value is not None and value is not False}
    if (
        not {"input_ids", "position_ids", "use_cache"} <= asked <= _PLACED | _PICTURED | _KEPT
        or inputs.get("logits_to_keep") != 1
        or not layers
        or any(type(layer) is not DynamicLayer for layer in layers)
        or torch.is_grad_enabled()
        or n_carrying(model) > 1
        or any(_tracer(module) for module in model.modules())
    ):
        return None
    found = plain_forward(model, **inputs)
    inputs["past_key_values"].crop(-1)
    for name in _PICTURED & inputs.keys():
        del inputs[name]
    for name in _PLACED & asked:
        inputs[name] = inputs[name][..., -1:]
    return found


@contextmanager
def _untraced(model: PreTrainedModel) -> Iterator[None]:
    """Set tracing controllers aside: a pass within a traced one would be taken for it.

    nnsight puts them in each module's own `forward`; what others put there, such as offloading, stays.
    """
    aside = []
    for module in model.modules():
        own = _tracer(module)
        if own is not None:
            aside.append((vars(module), own))
            del vars(module)["forward"]
    try:
        yield
    finally:
        for attributes, own in aside:
            attributes["forward"] = own


def _tracer(module: nn.Module) -> Any | None:
    own = vars(module).get("forward")
    return own if type(own).__module__.partition(".")[0] == "nnsight" else None

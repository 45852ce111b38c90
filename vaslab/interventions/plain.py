"""One pass of the model as it is, in the middle of an edited or traced one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from vaslab.attention import carrying_nothing


@torch.no_grad()
def plain_forward(model: PreTrainedModel, **inputs: Any) -> Any:
    """Run the model's forward with no request, edit, trace or hook of the model itself."""
    with carrying_nothing(model), _untraced(model):
        return type(model).forward(model, **inputs)


@contextmanager
def _untraced(model: PreTrainedModel) -> Iterator[None]:
    """Set tracing controllers aside: a pass within a traced one would be taken for it.

    nnsight puts them in each module's own `forward`; what others put there, such as offloading, stays.
    """
    aside = []
    for module in model.modules():
        own = vars(module).get("forward")
        if own is not None and type(own).__module__.partition(".")[0] == "nnsight":
            aside.append((vars(module), own))
            del vars(module)["forward"]
    try:
        yield
    finally:
        for attributes, own in aside:
            attributes["forward"] = own

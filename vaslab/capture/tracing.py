"""The nnsight side of a capture: traces of one forward and of one generation, and a model left as it was
found.

Every trace body of vaslab stands in this file and in `source_route.py`. nnsight compiles their source, so
each is short, starts on its own line, and reads modules in the order in which they run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import nnsight
import torch
from jaxtyping import Float, Float32, Int
from nnsight import NNsight
from nnsight.intervention.source import STATE
from torch import Tensor, nn

from vaslab.attention import Request, attached, requesting, require_mass, text_decoder
from vaslab.models import Vlm

Reduce: TypeAlias = Callable[[int, Float32[Tensor, "batch head row group"]], Any]
"""What becomes of one layer's mass inside the trace: called with the layer's index, returns what is kept of
it."""


class _Wrapped(NNsight):
    """nnsight moves inputs to the first parameter's device, which under CPU or disk offload is `meta` and
    would destroy them."""

    @property
    def device(self) -> torch.device | None:
        device = super().device
        return None if device is None or device.type == "meta" else device


@contextmanager
def wrapped(model: nn.Module) -> Iterator[NNsight]:
    """Wrap a model for tracing, and take every trace of the wrapping off its modules afterwards.

    nnsight installs its controller in each module's own `forward` and leaves it there; here what stood there
    before is put back, so that a captured model is the model that was loaded.
    """
    slots = ("forward", STATE)
    before = [
        (module.__dict__, {slot: module.__dict__[slot] for slot in slots if slot in module.__dict__})
        for module in model.modules()
    ]
    try:
        yield _Wrapped(model)
    finally:
        for attributes, found in before:
            for slot in slots:
                attributes.pop(slot, None)
            attributes.update(found)


@contextmanager
def tracing(vlm: Vlm) -> Iterator[Tracer]:
    """Lock the model, put its text decoder on vaslab's attention, wrap it; all of it is undone on the way
    out, also by an exception."""
    with vlm.lock, attached(vlm.model), wrapped(vlm.model) as wrapper:
        yield Tracer(vlm, wrapper)


class Tracer:
    """Runs traces of one wrapped model. Made by `tracing`."""

    def __init__(self, vlm: Vlm, wrapper: NNsight) -> None:
        path, _ = text_decoder(vlm.model)
        self.vlm, self.wrapper = vlm, wrapper
        self.layers = list(wrapper.get(path).layers)

    @torch.no_grad()
    def forward(
        self, request: Request, reduce: Reduce, **inputs: Any
    ) -> tuple[list[Any], Float[Tensor, "batch kept vocabulary"]]:
        """Run one forward; return what `reduce` kept of each layer, and the logits of the last position.

        Raises:
            VaslabError: a layer returned no mass.
        """
        kept: list[Any] = []
        inputs = {"use_cache": False, "logits_to_keep": 1, **inputs}
        with requesting(self.vlm.model, request):
            with self.wrapper.trace(**inputs):
                for index, layer in enumerate(self.layers):
                    kept.append(reduce(index, require_mass(layer.self_attn.output[1], index, request)))
                logits = nnsight.save(self.wrapper.output.logits)
        return kept, logits

    @torch.no_grad()
    def generate(
        self, request: Request, reduce: Reduce, options: dict[str, Any], **inputs: Any
    ) -> tuple[list[Any], Int[Tensor, "batch seq"]]:
        """Generate, measuring the prefill alone; return what `reduce` kept of each layer, and prompt and
        answer ids.

        The request is gone before the first decoding step, so every further step is the model's own. Nothing
        loops over the steps: what follows such a loop is lost when an answer ends early.

        Raises:
            VaslabError: a layer returned no mass.
        """
        kept: list[Any] = []
        with requesting(self.vlm.model, request, first_call_only=True):
            with self.wrapper.trace(fn=self.vlm.model.generate, **inputs, **options) as tracer:
                for index, layer in enumerate(self.layers):
                    kept.append(reduce(index, require_mass(layer.self_attn.output[1], index, request)))
                ids = nnsight.save(tracer.result)
        return kept, ids

"""Masses of a forward that is made anyway: what a model looks at, layer by layer, without a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainers.sets import N_GROUPS, Sets, on_sets
from vaslab.attention import Request, attached, requesting, require_mass, text_decoder
from vaslab.errors import UsageError, VaslabError


def refuse_dropout(text_config: Any) -> None:
    """Raise UsageError for a text decoder that drops attention weights: masses would be those of what is left."""
    rate = getattr(text_config, "attention_dropout", 0.0)
    if rate > 0:
        raise UsageError(
            f"attention_dropout is {rate}, and the masses would be those of dropped weights; set attention_dropout=0 "
            "in the model's config"
        )


@dataclass(eq=False)
class Looks:
    """Mass of every position of a batch on S and on V, filled by the forward inside `watching`."""

    layers: tuple[int, ...]
    found: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def masses(self) -> tuple[Float[Tensor, "layer batch head row"], Float[Tensor, "layer batch head row"]]:
        """On S and on V. Raises VaslabError where a layer measured nothing."""
        missing = [layer for layer in self.layers if layer not in self.found]
        if missing:
            raise VaslabError(
                f"layer {missing[0]} gave no attention mass; run the model's forward inside watching"
            )
        on_system, on_visual = zip(*(self.found[layer] for layer in self.layers), strict=True)
        return torch.stack(on_system), torch.stack(on_visual)


@contextmanager
def watching(model: nn.Module, sets: Sets, layers: Sequence[int]) -> Iterator[Looks]:
    """Measure the next forward of the model; its attention is put back on exit, after an exception too."""
    looks = Looks(tuple(layers))
    request = Request(sets.groups, N_GROUPS, layers=frozenset(layers), route="columns")

    def hook(layer: int) -> Callable[..., None]:
        def note(_: nn.Module, __: Any, output: tuple[Any, ...]) -> None:
            looks.found[layer] = on_sets(require_mass(output[1], layer, request).detach())

        return note

    with ExitStack() as stack:
        stack.enter_context(attached(model))
        decoder: Any = text_decoder(model)[1]
        for layer in layers:
            handle = decoder.layers[layer].self_attn.register_forward_hook(hook(layer))
            stack.callback(handle.remove)
        stack.enter_context(requesting(model, request))
        yield looks

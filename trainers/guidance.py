"""AGTO inside a training step: masses from the forward that trains, the losses' gradient attached in each layer.

The loss of a layer is attached to that layer's own output, so that it survives both kinds of gradient checkpointing
(the reentrant kind recomputes a layer apart from the rest of the graph), LoRA, and any wrapper of the model. Whatever
the trainer later does to the loss (scaling, division for accumulation) reaches it through a hook on the total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainers.looking import refuse_dropout
from trainers.losses import AgtoConfig, layer_losses
from trainers.sets import N_GROUPS, Sets, on_sets
from vaslab.attention import Request, attached, requesting, require_mass, text_decoder
from vaslab.errors import VaslabError
from vaslab.prompts.roles import MASS_FLOOR


@dataclass(eq=False)
class _Step:
    """One forward: its sets, its request, what its layers gave, and the gradient that its total received."""

    sets: Sets
    request: Request
    share: float
    found: dict[int, Float[Tensor, " number"]] = field(default_factory=dict)
    upstream: Tensor | None = None


class _Attach(torch.autograd.Function):
    """Passes a layer's output on; in the backward pass adds the gradient of `loss` times that of the total."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, loss: Tensor, step: _Step) -> Tensor:  # noqa: ARG004
        ctx.step = step
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        if ctx.step.upstream is None:
            raise VaslabError(
                "the guidance's gradient was asked for before that of the total loss; call backward on what "
                "Guidance.total returned"
            )
        return gradient, ctx.step.upstream.float(), None


NUMBERS = ("enhance", "suppress", "visual_mass", "system_mass", "vas")
"""What a layer notes: its two losses, and for the guided queries the mass on V, on S, and VAS (mean of ratios)."""


class Guidance:
    """Measures, and where asked guides, the attention of a model while it trains.

    Args:
        model: the model, or its PEFT or FSDP2 form; no wrapper with a forward of its own.
        config: what is guided.

    Raises:
        UsageError: a layer or head that the model does not have; dropout of attention, which masses would measure.
    """

    def __init__(self, model: nn.Module, config: AgtoConfig) -> None:
        self.model, self.config = model, config
        _, decoder = text_decoder(model)
        self.layers: Any = decoder.layers
        text = decoder.config
        self.heads = config.heads_by_layer(text.num_hidden_layers, text.num_attention_heads)
        refuse_dropout(text)
        self._step: _Step | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Run the model on vaslab's backend with the guidance in its layers; forward and backward both belong inside.

        Everything is put back afterwards, after an exception too.
        """
        with ExitStack() as stack:
            stack.enter_context(attached(self.model))
            for layer in self.heads:
                hook = self.layers[layer].self_attn.register_forward_hook(self._hook(layer))
                stack.callback(hook.remove)
            try:
                yield
            finally:
                self._step = None

    @contextmanager
    def guiding(self, sets: Sets, share: float = 1.0) -> Iterator[None]:
        """Measure the forward inside the block.

        Args:
            sets: Q, S and V of the batch.
            share: factor on the guidance's losses, where those of several batches are summed to one step: which part
                of the step's samples with a picture is in this one.
        """
        request = Request(
            sets.groups,
            N_GROUPS,
            layers=frozenset(self.heads),
            route="columns",
            grad=self.config.active,
            rerun=True,
        )
        self._step = _Step(sets, request, share)
        with requesting(self.model, request):
            yield

    def total(self, loss: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Return the loss with the guidance's added: the tensor on which backward is to be called.

        Raises:
            VaslabError: a layer measured nothing, so that the loss would be the plain one in silence.
        """
        step = self._noted()
        enhanced, suppressed = self._mean(step)[:2]
        value = step.share * (self.config.alpha * enhanced + self.config.beta * suppressed)
        total = loss + value.to(loss)
        if total.requires_grad:

            def remember(gradient: Tensor) -> None:
                step.upstream = gradient

            total.register_hook(remember)
        return total

    def numbers(self) -> Float[Tensor, " number"]:
        """NUMBERS of the last forward over guided layers and heads, times the samples that count; then their count."""
        step = self._noted()
        counted = step.sets.counted.sum().float()
        # a batch without pictures measured nothing: NaN must not reach the sum
        return torch.cat([torch.nan_to_num(self._mean(step)) * counted, counted[None]])

    def _noted(self) -> _Step:
        if self._step is None:
            raise VaslabError("no forward has run inside Guidance.guiding")
        missing = [layer for layer in self.heads if layer not in self._step.found]
        if missing:
            raise VaslabError(
                f"layer {missing[0]} gave no attention mass, so the loss would not guide it; train inside "
                "Guidance.active, with a model whose forward calls its decoder"
            )
        return self._step

    def _mean(self, step: _Step) -> Float[Tensor, " number"]:
        return torch.stack([step.found[layer] for layer in self.heads]).mean(0)

    def _hook(self, layer: int) -> Callable[..., Any]:
        heads = self.heads[layer]

        def hook(_: nn.Module, __: Any, output: tuple[Any, ...]) -> tuple[Any, ...] | None:
            out, mass = output[:2]
            step = self._step
            if step is None or mass is None:
                return None
            on_system, on_visual = on_sets(require_mass(mass, layer, step.request))
            enhanced, suppressed = layer_losses(on_system, on_visual, step.sets, heads, self.config.variant)
            with torch.no_grad():
                shown = _shown(on_system[:, list(heads)], on_visual[:, list(heads)], step.sets)
                step.found[layer] = torch.stack([enhanced.detach(), suppressed.detach(), *shown])
            loss = (self.config.alpha * enhanced + self.config.beta * suppressed) * (
                step.share / len(self.heads)
            )
            if loss.requires_grad:
                out = _Attach.apply(out, loss, step)
            return out, mass.detach(), *output[2:]

        return hook


def _shown(
    on_system: Float[Tensor, "batch head row"], on_visual: Float[Tensor, "batch head row"], sets: Sets
) -> list[Float[Tensor, ""]]:
    """Mass on V, mass on S and VAS: means over the queries of each counted sample, then over heads and samples."""
    queries = sets.queries & sets.counted[:, None]
    each = sets.queries.sum(-1).clamp(min=1)[:, None]
    values = (on_visual, on_system, on_visual / on_system.clamp(min=MASS_FLOOR))
    by_sample = [((value * queries[:, None]).sum(-1) / each).mean(1) for value in values]
    return [value.sum() / sets.counted.sum() for value in by_sample]

"""VAR: weight on attention sinks goes to the rest of the picture, in image-centric heads (arXiv 2503.03321).

A token is a sink of a layer if, of its hidden state x before the layer, max over dims d of |x_d| / rms(x) > tau. A
row of a head is image-centric if its visual mass is at least `least` and sinks hold at most `rho` of it. There, sinks
(of text and picture) keep p of their weight, and the rest is shared out over the other visual tokens in
proportion to their weights. A layer of an item none of whose visual tokens is a sink is left alone, whatever sinks
its text has.

That asks for masses before the weights are final. In the prefill of one prompt on the CPU the keys are taken in parts
and joined by their log-sum-exps, which tell the masses (`vaslab.attention.key_parts`); elsewhere the edited rows meet
the rest of the picture once more. A decoding step has its weights at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from transformers import PreTrainedModel

from vaslab.attention import AnyEdit, CustomEdit, fits, text_decoder
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import Begin, OnKeys, chosen_heads, number_in
from vaslab.interventions.settings import dims_of


@dataclass(frozen=True, kw_only=True)
class Var(OnKeys):
    """Settings of VAR, those of the released configuration for LLaVA-1.5-7B.

    Args:
        p: share of its weight that a sink keeps, 0 to 1; 1 changes nothing.
        tau: how far a hidden state must stand out.
        rho: the largest share of the visual mass on sinks in an image-centric row.
        least: the smallest visual mass of an image-centric row.
        dims: dimensions of the hidden state that are looked at. They belong to a model (2533 and 1415 for
            LLaMA-2-7B); None looks at all.
        layers: the released code spares the last one, and so does `all` here.
    """

    p: Any = 0.6
    tau: Any = 20.0
    rho: Any = 0.5
    least: Any = 0.2
    dims: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("p", "rho", "least"):
            number_in(name, getattr(self, name), 0, 1)
        number_in("tau", self.tau, 0)
        self._set(dims=dims_of(self.dims))

    def check_fits(self, config: Any) -> None:
        """See `Intervention`."""
        super().check_fits(config)
        width = int(config.get_text_config(decoder=True).hidden_size)
        if self.dims is not None and max(self.dims) >= width:
            raise UsageError(f"dims is {self.dims}; the hidden states have {width} dimensions")

    def touched(self, batch: Batch) -> Bool[Tensor, "layer head"]:
        """All layers means all but the last."""
        mask = super().touched(batch)
        if self.layers == "all" and self.heads is None:
            mask[-1] = False
        return mask

    @contextmanager
    def live(self, model: PreTrainedModel) -> Iterator[Begin]:
        """Watch hidden states before each layer for sinks."""
        decoder: Any = text_decoder(model)[1]
        watched: list[_Redistributed] = []

        def begin(batch: Batch) -> Sequence[AnyEdit]:
            watched.clear()
            if self.p == 1:
                return []
            watched.append(_Redistributed(self, batch))
            return list(watched)

        def watch(index: int) -> Any:
            def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                for edit in watched:
                    edit.see(index, args[0] if args else kwargs["hidden_states"])

            return hook

        handles = [
            layer.register_forward_pre_hook(watch(index), with_kwargs=True)
            for index, layer in enumerate(decoder.layers)
        ]
        try:
            yield begin
        finally:
            for handle in handles:
                handle.remove()


def sink_tokens(
    hidden: Shaped[Tensor, "batch token width"], tau: int | float, dims: Sequence[int] | None
) -> Bool[Tensor, "batch token"]:
    """Tokens one of whose dimensions stands out of the hidden state by more than `tau` root mean squares."""
    squares = hidden.float().square()
    looked = squares if dims is None else squares[..., list(dims)]
    return looked.amax(-1) > tau**2 * (squares.mean(-1) + 1e-6)


class _Redistributed(CustomEdit):
    """The redistribution in one batch: factors on sinks of the text, sinks of the picture, and the rest of it."""

    n_groups = 3

    def __init__(self, settings: Var, batch: Batch) -> None:
        self.settings = settings
        self.keys, self.later_keys = settings.chosen_keys(batch)
        self.n_visual = self.keys.sum(1)[:, None, None]
        self.touched = settings.touched(batch)
        self.chosen, self.later = settings.edited(batch)
        self.labels: dict[int, Tensor] = {}
        batch.moved.append(self._move)

    def see(self, layer: int, hidden: Shaped[Tensor, "batch token width"]) -> None:
        """Tell the sinks among the tokens that reach a layer."""
        sinks = sink_tokens(hidden, self.settings.tau, self.settings.dims)
        before = self.labels.get(layer)
        passed = 0 if before is None else before.shape[1]
        visual = fits(self.keys, passed + sinks.shape[1], self.later_keys)[:, passed:].to(sinks.device)
        found = torch.where(sinks, visual.int(), torch.where(visual, 2, -1))
        self.labels[layer] = found if before is None else torch.cat([before, found], dim=1)

    def _move(self, rows: Int[Tensor, " batch"]) -> None:
        self.labels = {layer: found[rows.to(found.device)] for layer, found in self.labels.items()}

    def queries(self, layer: int, n_positions: int) -> Bool[Tensor, "batch query"] | None:
        """See `CustomEdit`. Layers of an item without a visual sink are left alone."""
        if not bool(self.touched[layer].any()):
            return None
        some = (self.labels[layer] == 1).any(1, keepdim=True)
        return fits(self.chosen, n_positions, self.later).to(some.device) & some

    def groups(self, layer: int, n_keys: int) -> Int[Tensor, "batch key"]:
        """See `CustomEdit`."""
        return self.labels[layer][:, :n_keys]

    def factors(
        self, layer: int, mass: Float[Tensor, "batch head row group"]
    ) -> Float[Tensor, "batch head row group"]:
        """See `CustomEdit`: those of the row's heads that are touched and image-centric."""
        settings = self.settings
        text, held, left = mass.unbind(-1)
        # The released code adds 1e-6 to every visual weight before it sums them.
        visual = held + left
        share = held / (visual + 1e-6 * self.n_visual.to(mass.device))
        centric = (share <= settings.rho) & (visual >= settings.least) & (left > 0)
        given = (1 - settings.p) * (centric & chosen_heads(self.touched, layer, mass)[..., 0])
        gained = given * (text + held) / left.clamp(min=1e-30)
        return torch.stack([1 - given, 1 - given, 1 + gained], dim=-1)

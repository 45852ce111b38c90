"""Where heads look in one item: mass of each asked row on each patch, without an S x S matrix."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vaslab.attention import Request, attached, requesting, require_mass, text_decoder
from vaslab.interventions.var import sink_tokens
from vaslab.models import Vlm
from vaslab.prompts.encoded import Encoded
from vaslab.prompts.roles import KEY_ROLES, Role

SINK_TAU = 20.0
"""How far the hidden state of a sink stands out (arXiv 2503.03321)."""
SINK_WORDS = (
    "sinks: patches whose hidden state before the layer stands out more than 20-fold (arXiv 2503.03321)"
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Which rows of one item are measured.

    Args:
        measured: their positions, each once.
        shown: which of them (indices) are shown, one a token of the strip.
        own: which of them the stored mass is the mean of.
        texts: the token of each shown row; `emits`: the token that it gives the distribution of.
        roles: role name of each shown token.
    """

    measured: Int[Tensor, " row"]
    shown: slice
    own: slice
    texts: tuple[str, ...]
    emits: tuple[str, ...]
    roles: tuple[str, ...]

    def traits(self) -> list[dict[str, Any]]:
        """One mapping a shown row."""
        positions = self.measured[self.shown].tolist()
        named = zip(self.texts, self.roles, positions, self.emits, strict=True)
        return [dict(zip(("text", "role", "position", "emits"), each, strict=True)) for each in named]


@dataclass(frozen=True, eq=False)
class LayerSeen:
    """Masses of one layer: on each patch of all pictures in order (or on each part of them), on each key role, and the
    patches that are sinks.
    """

    cells: Float[np.ndarray, "head row cell"]
    roles: Float[np.ndarray, "head row key_role"]
    sinks: tuple[int, ...]


Keep: TypeAlias = Callable[[int, LayerSeen], Any]
"""What is kept of a layer; the rest is dropped before the next one runs."""


def rows_of(vlm: Vlm, encoded: Encoded, queries: str) -> Rows:
    """The rows of a query role in a batch of one item.

    Of a response the emitting rows are shown: token t with the row before it, whose output it was drawn from. The
    stored masses are those of the tokens' own rows, so the row after the last emitting one is measured too.
    """
    ids = encoded.inputs["input_ids"][0].tolist()
    own = encoded.rows(queries)[0]
    texts = [vlm.processor.tokenizer.decode([ids[at]]) for at in own.tolist()]
    roles = tuple(Role(int(encoded.roles[0, at])).name for at in own)
    if queries == "response":
        measured = torch.cat([own[:1] - 1, own])
        count = len(own)
        return Rows(measured, slice(0, count), slice(1, count + 1), tuple(texts), tuple(texts), roles)
    after = [vlm.processor.tokenizer.decode(ids[at + 1 : at + 2]) for at in own.tolist()]
    return Rows(own, slice(None), slice(None), tuple(texts), tuple(after), roles)


@torch.no_grad()
def look(
    vlm: Vlm,
    encoded: Encoded,
    rows: Rows,
    layers: Collection[int],
    keep: Keep,
    parts: Int[np.ndarray, " cell"] | None = None,
) -> dict[int, Any]:
    """Run one forward and return what `keep` made of each asked layer.

    The request goes through the ground floor, as a capture's does; the model is left as it was. Inside
    `vaslab.intervene` the masses are those after the edit.

    Args:
        vlm: the model.
        encoded: one item, with its answer where that is asked about.
        rows: what is measured.
        layers: which layers.
        keep: called with the layer's index and its masses.
        parts: the part (0, 1, ...) of each patch, where sums over parts are enough: far less to hold than all patches.

    Raises:
        VaslabError: a layer returned no mass.
    """
    visual = encoded.roles == Role.image
    n_roles = len(KEY_ROLES)
    labels = torch.arange(int(visual.sum())) if parts is None else torch.as_tensor(parts, dtype=torch.long)
    groups = torch.where(encoded.roles == Role.padding, -1, encoded.roles)
    groups[visual] = (n_roles + labels).to(groups)
    n_groups = n_roles + int(labels.max()) + 1
    request = Request(groups, n_groups, rows=rows.measured[None], layers=frozenset(layers), route="rows")
    kept: dict[int, Any] = {}

    def reduce(layer: int, mass: Tensor, hidden: Tensor) -> None:
        cells = mass[0, ..., n_roles:]
        roles = mass[0, ..., :n_roles].clone()
        roles[..., Role.image] += cells.sum(dim=-1)
        sinks = sink_tokens(hidden, SINK_TAU, None)[visual.to(hidden.device)].nonzero()[:, 0]
        seen = LayerSeen(cells.cpu().numpy(), roles.cpu().numpy(), tuple(sinks.tolist()))
        kept[layer] = keep(layer, seen)

    with vlm.lock, attached(vlm.model), requesting(vlm.model, request):
        with _reading(vlm.model, request, layers, reduce):
            vlm.model(**encoded.inputs, use_cache=False, logits_to_keep=1)
    return kept


@contextmanager
def _reading(
    model: nn.Module, request: Request, layers: Collection[int], reduce: Callable[[int, Tensor, Tensor], None]
) -> Iterator[None]:
    """Pass each layer's mass, and the hidden state before it, to `reduce`."""
    decoder: Any = text_decoder(model)[1]
    hidden: dict[int, Tensor] = {}
    handles = []

    def before(index: int) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden[index] = args[0] if args else kwargs["hidden_states"]

        return hook

    def after(index: int) -> Any:
        def hook(_: nn.Module, __: Any, output: tuple[Any, ...]) -> None:
            reduce(index, require_mass(output[1], index, request), hidden.pop(index))

        return hook

    try:
        for index in layers:
            layer = decoder.layers[index]
            handles.append(layer.register_forward_pre_hook(before(index), with_kwargs=True))
            handles.append(layer.self_attn.register_forward_hook(after(index)))
        yield
    finally:
        for handle in handles:
            handle.remove()

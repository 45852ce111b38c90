"""The independent route: attention mass from each layer's own query and key, read off an untouched SDPA
model.

It shares no line with `vaslab.attention`: the proof and the tests hold the two against each other.
"""

from __future__ import annotations

from typing import Any

import nnsight
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from vaslab.attention import text_decoder
from vaslab.capture.tracing import wrapped
from vaslab.errors import VaslabError
from vaslab.models import Vlm

_CALL = "attention_interface_1"
"""The call of the attention function inside an attention module's forward, as nnsight 0.8 numbers it (_0 is
the look-up)."""


@torch.no_grad()
def source_mass(
    vlm: Vlm, groups: Int[Tensor, "batch key"], n_groups: int, **inputs: Any
) -> tuple[list[Float32[Tensor, "batch head query group"]], Float[Tensor, "batch query vocabulary"]]:
    """Return every layer's mass of every query, and all logits, of one forward of the model as it was loaded.

    Mass = float32 softmax of scaled query-key products under the mask that SDPA got, summed over the keys of
    each group; query rows of padding are zero. Makes maps of query x key, one layer at a time: for short
    prompts.

    Raises:
        VaslabError: the layers do not call the attention function where nnsight 0.8 finds it.
    """
    path, _ = text_decoder(vlm.model)
    masses: list[Tensor] = []
    with vlm.lock, wrapped(vlm.model) as wrapper:
        layers = list(wrapper.get(path).layers)
        _check_call(layers[0].self_attn)
        with wrapper.trace(**inputs, use_cache=False):
            for layer in layers:
                masses.append(
                    _layer_mass(layer.self_attn.source.attention_interface_1.inputs, groups, n_groups)
                )
            logits = nnsight.save(wrapper.output.logits)
    return masses, logits


@torch.no_grad()
def eager_mass(
    vlm: Vlm, groups: Int[Tensor, "batch key"], n_groups: int, **inputs: Any
) -> list[Float32[Tensor, "batch head query group"]]:
    """Return every layer's mass of every query from full maps of the model run eagerly, one layer's map at a
    time.

    transformers' own `output_attentions=True` would leave hooks on the model.
    """
    path, decoder = text_decoder(vlm.model)
    before = decoder.config._attn_implementation
    member = _member(groups, n_groups)
    masses: list[Tensor] = []
    try:
        with vlm.lock, wrapped(vlm.model) as wrapper:
            decoder.set_attn_implementation("eager")
            with wrapper.trace(**inputs, use_cache=False):
                for layer in wrapper.get(path).layers:
                    masses.append(layer.self_attn.output[1].float() @ member[:, None])
    finally:
        decoder.set_attn_implementation(before)
    return masses


def _member(groups: Tensor, n_groups: int) -> Float32[Tensor, "batch key group"]:
    """1 where a key belongs to a group; padding belongs to none."""
    member = torch.nn.functional.one_hot(groups.clamp(min=0), n_groups).float()
    return member * (groups >= 0)[..., None]


def _check_call(attention: Any) -> None:
    names = attention.source.names
    if _CALL not in names:
        raise VaslabError(
            f"the source of {attention.path} has no call {_CALL} (found {', '.join(names)}); the "
            "independent route needs nnsight 0.8 and a model whose layers call transformers' attention interface"
        )


def _layer_mass(call: Any, groups: Tensor, n_groups: int) -> Tensor:
    (_, query, key, _, mask), options = call[0][:5], call[1]
    repeats = query.shape[1] // key.shape[1]
    scores = query.float() @ key.float().repeat_interleave(repeats, dim=1).transpose(-1, -2)
    scores = scores * options["scaling"]
    if mask is None:
        length = scores.shape[-1]
        visible = torch.ones(length, length, dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~visible, float("-inf"))
    elif mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, float("-inf"))
    else:
        scores = scores + mask.float()
    weights = scores.softmax(dim=-1).nan_to_num(0.0)
    groups = groups.to(weights.device)
    mass = torch.einsum("bhqk,bkg->bhqg", weights, _member(groups, n_groups))
    return mass * (groups >= 0)[:, None, :, None]

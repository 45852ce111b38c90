"""The seam into transformers: a backend of its attention interface, on the text decoder alone.

The model's own SDPA kernel computes the output; the mass takes the place of the attention weights. The
request rides in a keyword that a pre-hook of the decoder adds, so forward, generate and traces carry it and
the vision tower never sees it.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Float32, Shaped
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from vaslab.attention.mass import attention_and_mass
from vaslab.attention.request import CustomEdit, Request
from vaslab.attention.steps import AnyEdit, Plans
from vaslab.attention.visibility import Visibility
from vaslab.errors import UsageError, VaslabError

ATTENTION_NAME = "vaslab"
_KEYWORD = "vaslab_request"


@dataclass(frozen=True, eq=False)
class _Carried:
    """What is on its way to the layers, with the absolute position of the call's first query."""

    request: Request | None
    edits: tuple[AnyEdit, ...]
    offset: int
    plans: Plans = field(default_factory=Plans)


def vaslab_attention(
    module: nn.Module,
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch kv key dim"],
    value: Float[Tensor, "batch kv key width"],
    attention_mask: Shaped[Tensor, "..."] | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    vaslab_request: Any = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "batch query head width"], Float32[Tensor, "batch head row group"] | None]:
    """Attention by the model's own SDPA kernel, with the mass per group of keys where a request asks for it.

    The signature is that of transformers' attention interface; `vaslab_request` is what `requesting` and
    `editing` carry.

    Raises:
        UsageError: the layer cannot be measured as asked: cross-attention, keys that a cache dropped or
            padded, gradients asked where autograd is off, a position bias.
    """
    # dim: width of query and key. width: width of value. row: slots of the request. group: groups of keys.
    kwargs.pop("output_attentions", None)

    def kernel(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = attention_mask) -> Tensor:
        options = {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, **kwargs}
        return sdpa_attention_forward(module, q, k, v, mask, **options)[0]

    if vaslab_request is None:
        return kernel(query, key, value), None
    carried: _Carried = vaslab_request
    request = carried.request
    layer = getattr(module, "layer_idx", None)
    if layer is None:
        raise UsageError(
            f"{type(module).__name__} has no layer_idx, so its masses would have no layer; not supported"
        )
    edits = carried.edits
    if request is not None and request.edit is not None:
        edits = (*edits, request.edit)
    measured = request is not None and request.wants(layer)
    if not measured and not any(isinstance(edit, CustomEdit) or edit.active(layer) for edit in edits):
        return kernel(query, key, value), None
    _refuse(module, layer, carried, query.shape[2], key.shape[2], kwargs)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    visible = Visibility(attention_mask, bool(causal), query.shape[2], key.shape[2])
    return attention_and_mass(
        query,
        key,
        value,
        request,
        visible,
        lambda q, k, v, n: kernel(*visible.leading(q, k, v, n)),
        layer=layer,
        scaling=scaling,
        dropout=dropout,
        edits=carried.edits,
        plans=carried.plans,
    )


def _refuse(
    module: nn.Module, layer: int, carried: _Carried, n_queries: int, n_keys: int, kwargs: dict[str, Any]
) -> None:
    """Raise where the mass would be wrong without a sign of it."""
    name = f"layer {layer} ({type(module).__name__})"
    if "CrossAttention" in type(module).__name__:
        raise UsageError(
            f"{name} attends to encoder states, not to positions of the text, so groups of positions have "
            "no meaning there; set Request.layers to the self-attention layers (and leave Edit.factor at "
            "1 elsewhere)"
        )
    if n_keys != carried.offset + n_queries:
        window = getattr(module, "sliding_window", None)
        cause = (
            f"its window of {window} drops old keys from the cache"
            if window
            else "the cache pads or drops keys"
        )
        raise UsageError(
            f"{name} sees {n_keys} keys where {carried.offset + n_queries} positions have passed: {cause}; "
            "measure with one full forward (use_cache=False), or leave the layer out of Request.layers"
        )
    for extra in ("position_bias", "softcap", "s_aux", "cache"):
        if kwargs.get(extra) is not None:
            raise UsageError(f"{name} uses {extra!r}, which the attention mass does not cover; not supported")
    request = carried.request
    if request is not None and request.grad and not request.rerun and not torch.is_grad_enabled():
        raise UsageError(
            f"{name} runs with autograd off, so the mass would have no gradient (Request.grad=True): under "
            f"gradient "
            "checkpointing set gradient_checkpointing_kwargs={'use_reentrant': False}; outside training "
            "leave "
            "torch.no_grad() or set grad=False"
        )


def register() -> None:
    """Make the backend known to transformers: the attention function and, with it, the mask.

    Without the mask transformers passes none, and padding is seen in silence. Idempotent.

    Raises:
        VaslabError: the name belongs to somebody else, or the entry did not stay ours.
    """
    entries = ((AttentionInterface, vaslab_attention), (AttentionMaskInterface, sdpa_mask))
    for interface, ours in entries:
        found = interface._global_mapping.get(ATTENTION_NAME)
        if found is None:
            interface.register(ATTENTION_NAME, ours)
        if interface._global_mapping.get(ATTENTION_NAME) is not ours:
            raise VaslabError(
                f"{interface.__name__} has {found!r} under {ATTENTION_NAME!r}, expected vaslab's "
                f"{ours.__name__}; register that function under another name"
            )


def text_decoder(model: nn.Module) -> tuple[str, PreTrainedModel]:
    """The dotted path and the module of the text decoder: the one that holds the layers of the text config.

    Raises:
        UsageError: the model has none, or more than one.
    """
    config = getattr(model, "config", None)
    if config is None or not hasattr(config, "get_text_config"):
        raise UsageError(f"{type(model).__name__} has no transformers config; pass a transformers model")
    text = config.get_text_config(decoder=True)
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, PreTrainedModel) and module.config is text and hasattr(module, "layers")
    ]
    if len(found) != 1:
        names = ", ".join(name or "the model itself" for name, _ in found) or "none"
        raise UsageError(f"{type(model).__name__} should have one text decoder with layers, found {names}")
    return found[0]


def _configs(model: nn.Module) -> list[Any]:
    """Every config of the model and its parts, each once."""
    waiting: list[Any] = [part.config for part in model.modules() if isinstance(part, PreTrainedModel)]
    seen: dict[int, Any] = {}
    while waiting:
        config = waiting.pop()
        if config is None or id(config) in seen:
            continue
        seen[id(config)] = config
        waiting += [getattr(config, key, None) for key in getattr(config, "sub_configs", {})]
    return list(seen.values())


@contextmanager
def attached(model: nn.Module) -> Iterator[None]:
    """Run the text decoder on vaslab's backend inside the block; every config is put back afterwards.

    Raises:
        UsageError: the decoder does not follow the attention interface or knows no SDPA, or another part of
            the model has the backend.
    """
    register()
    path, decoder = text_decoder(model)
    before = [(config, config._attn_implementation_internal) for config in _configs(model)]
    try:
        if not decoder._supports_sdpa:
            raise UsageError(
                f"{type(decoder).__name__} does not support SDPA attention, which vaslab measures through"
            )
        decoder.set_attn_implementation(ATTENTION_NAME)
        if decoder.config._attn_implementation != ATTENTION_NAME:
            raise UsageError(
                f"{type(decoder).__name__} does not follow transformers' attention interface, so its "
                "attention cannot be measured; use a model whose layers call ALL_ATTENTION_FUNCTIONS"
            )
        for config in _configs(model):
            if config is not decoder.config and config._attn_implementation == ATTENTION_NAME:
                raise UsageError(
                    f"{type(config).__name__} is on the {ATTENTION_NAME!r} backend, which is for the text "
                    f"decoder ({path or 'the model itself'}) alone; load the model with "
                    "attn_implementation='sdpa' and let attached(model) switch it"
                )
        yield
    finally:
        for config, name in before:
            config._attn_implementation_internal = name


def _past(decoder: PreTrainedModel, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if "past_key_values" in kwargs or not args:
        return kwargs.get("past_key_values")
    signature = inspect.signature(type(decoder).forward)
    return signature.bind_partial(decoder, *args, **kwargs).arguments.get("past_key_values")


def _positions_passed(past: Any) -> int:
    """How many positions a cache has seen.

    Raises:
        UsageError: a static cache, whose unfilled keys have no position.
    """
    if past is None:
        return 0
    if any(getattr(layer, "is_compileable", False) for layer in getattr(past, "layers", [])):
        raise UsageError(
            f"{type(past).__name__} holds keys that no token filled; use the dynamic cache (drop "
            "cache_implementation)"
        )
    return int(past.get_seq_length())


@contextmanager
def requesting(model: nn.Module, request: Request, first_call_only: bool = False) -> Iterator[None]:
    """Every forward of the text decoder inside the block carries the request: in generate and traces too.

    Args:
        model: a model inside `attached`.
        request: what to measure or edit.
        first_call_only: carry it through the first call alone (the prefill of a generation).

    Raises:
        UsageError: the decoder is not on the backend, has no such layer, or carries another request already.
    """
    _, decoder = text_decoder(model)
    _require_backend(decoder)
    n_layers = decoder.config.num_hidden_layers
    absent = [layer for layer in sorted(request.layers or ()) if not 0 <= layer < n_layers]
    if absent:
        raise UsageError(
            f"Request.layers asks for layer {absent[0]}; the decoder has layers 0 to {n_layers - 1}"
        )
    calls = 0

    def add(carried: _Carried) -> _Carried:
        nonlocal calls
        calls += 1
        if first_call_only and calls > 1:
            return carried
        if carried.request is not None:
            raise UsageError(
                "the model carries another request already; leave that requesting(...) block first"
            )
        return replace(carried, request=request)

    with _carrying(decoder, add):
        yield


@contextmanager
def editing(model: nn.Module, edits: Callable[[], Sequence[AnyEdit]]) -> Iterator[None]:
    """Every forward of the text decoder inside the block is edited, also where nothing is measured.

    Blocks nest: an inner one's edits apply to what the outer ones left, and before that of a request. A
    request inside, or around, measures what all of them leave.

    Args:
        model: a model inside `attached`.
        edits: called before each forward of the decoder for the edits of that call, in order.

    Raises:
        UsageError: the decoder is not on the backend.
    """
    _, decoder = text_decoder(model)
    _require_backend(decoder)

    def add(carried: _Carried) -> _Carried:
        return replace(carried, edits=(*carried.edits, *edits()))

    with _carrying(decoder, add):
        yield


def n_carrying(model: nn.Module) -> int:
    """How many requests and blocks of edits a pass of the text decoder would carry."""
    hooks = text_decoder(model)[1]._forward_pre_hooks.values()
    return sum(bool(getattr(hook, "carries", False)) for hook in hooks)


@contextmanager
def carrying_nothing(model: nn.Module) -> Iterator[None]:
    """Inside the block, passes of the text decoder carry no request and no edit: the plain model beside an
    edited one.
    """
    _, decoder = text_decoder(model)
    hooks = decoder._forward_pre_hooks
    ours = {key: hook for key, hook in hooks.items() if getattr(hook, "carries", False)}
    before = list(hooks.items())
    for key in ours:
        del hooks[key]
    try:
        yield
    finally:
        hooks.clear()
        hooks.update(before)


@contextmanager
def _carrying(decoder: PreTrainedModel, add: Callable[[_Carried], _Carried]) -> Iterator[None]:
    def carry(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        carried = kwargs.get(_KEYWORD)
        if carried is None:
            carried = _Carried(None, (), _positions_passed(_past(decoder, args, kwargs)))
        carried = add(carried)
        if carried.request is None and not carried.edits:
            return None
        _require_backend(decoder)
        return args, {**kwargs, _KEYWORD: carried}

    carry.carries = True  # type: ignore[attr-defined]
    handle = decoder.register_forward_pre_hook(carry, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _require_backend(decoder: PreTrainedModel) -> None:
    found = decoder.config._attn_implementation
    if found != ATTENTION_NAME:
        raise UsageError(
            f"the text decoder runs on {found!r}, which ignores a request in silence; enter "
            f"attached(model) first, which sets {ATTENTION_NAME!r}"
        )

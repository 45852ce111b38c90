"""`vaslab.intervene`: run a model with its attention changed, and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from vaslab.attention import AnyEdit, attached, editing
from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch, ReadRoles, read_batch
from vaslab.interventions.chatml import chatml_roles
from vaslab.interventions.intervention import Begin, Intervention
from vaslab.interventions.registry import as_intervention
from vaslab.models import Vlm


@contextmanager
def intervene(
    vlm: Vlm | nn.Module, intervention: str | Intervention, **settings: Any
) -> Iterator[Intervention]:
    """Change the attention of every pass of the model inside the block.

        with vaslab.intervene(vlm, "vaf", alpha=0.15):
            vlm.generate(**inputs)

    Captures and answers inside the block measure what the intervention leaves. Blocks nest: an inner one changes
    what the outer ones left; the same one twice is applied twice. The model is locked to this thread until the
    end of the block, and is then as it was, after an exception too. At the values that `vaslab ls interventions`
    names as none, together, every bit of the logits is the plain model's.

    Any decoding of `generate` runs under it, with a cache that grows: a static one (`cache_implementation`) is
    refused, as is a generation from a batch padded on the right, where the model would go on after padding.

    Args:
        vlm: what `vaslab.load` returned; for a transformers model, see `EditedModel`.
        intervention: a name of `vaslab ls interventions`, or settings made before.
        settings: settings of a named one.

    Raises:
        UsageError: an unknown name or setting, or one that this model has not, or a model that is no `Vlm`; and,
            when the model runs, a call whose roles cannot be told.
    """
    if not isinstance(vlm, Vlm):
        raise UsageError(
            f"intervene is given a {type(vlm).__name__}; give what vaslab.load returns, or wrap a transformers model: "
            "vaslab.interventions.EditedModel(model, processor, ...)"
        )
    chosen = as_intervention(intervention, settings)
    with vlm.lock, running(vlm.model, chatml_roles(vlm.processor, vlm.model.config), chosen):
        yield chosen


@contextmanager
def running(model: PreTrainedModel, read_roles: ReadRoles, intervention: Intervention) -> Iterator[None]:
    """Run a transformers model under an intervention inside the block.

    Args:
        model: a model with a text decoder.
        read_roles: tells the roles of a batch from its ids and mask.
        intervention: what is changed.

    Raises:
        UsageError: the model has not what the intervention names, such as a layer.
    """
    intervention.check_fits(model.config)
    with attached(model), intervention.live(model) as begin:
        follower = _Follower(model, read_roles, begin)
        handle = model.register_forward_pre_hook(follower.see, with_kwargs=True)
        try:
            with editing(model, follower.current):
                yield
        finally:
            handle.remove()
            follower.let_go()


class _Follower:
    """Follows a model's calls: which begin a batch, and which go on with it."""

    def __init__(self, model: PreTrainedModel, read_roles: ReadRoles, begin: Begin) -> None:
        self.model, self.read_roles, self.begin = model, read_roles, begin
        self.batch: Batch | None = None
        self.edits: Sequence[AnyEdit] = ()
        self.passed = 0
        self.cache: Any = None

    def see(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at a call before it runs."""
        if args:
            raise UsageError("inside intervene the model takes keywords only: model(input_ids=..., ...)")
        past = kwargs.get("past_key_values")
        length = 0 if past is None else int(past.get_seq_length())
        ids = kwargs.get("input_ids")
        if length == 0:
            self.batch = None
            if getattr(past, "is_compileable", False):
                raise UsageError(
                    f"the call keeps a {type(past).__name__} of fixed length, whose empty places an intervention would "
                    "take for keys; generate without cache_implementation"
                )
            batch = read_batch(kwargs, self.read_roles, self.model.config)
            if past is not None and batch.padded_right:
                raise UsageError(
                    "the batch is padded on the right, so that its shorter items would go on after padding; pad on the "
                    "left: processor.tokenizer.padding_side = 'left'"
                )
            self.batch, self.edits, self.passed = batch, self.begin(batch), batch.roles.shape[1]
            self.let_go()
            if past is not None and batch.moved:
                self._follow_beams(past, batch)
            return
        if self.batch is None or length != self.passed or ids is None or len(ids) != len(self.batch):
            raise UsageError(
                f"the call goes on after {length} positions, and inside this intervene block {self.passed} have "
                "passed; begin each generation with its whole prompt, inside the block, without an assistant model or "
                "prompt lookup"
            )
        if ids.shape[1] > 1:
            raise UsageError(
                f"the call goes on with {ids.shape[1]} positions at once, and whose they are cannot be told; give the "
                "whole prompt in one call, and generate without chunked prefill or an assistant model"
            )
        self.passed += 1

    def _follow_beams(self, cache: Any, batch: Batch) -> None:
        """Move what is kept of each row where the cache moves its rows."""
        reorder = cache.reorder_cache

        def reorder_cache(rows: Tensor) -> None:
            reorder(rows)
            for move in batch.moved:
                move(rows)

        cache.reorder_cache = reorder_cache
        self.cache = cache

    def let_go(self) -> None:
        """Leave the cache that was followed as its class made it."""
        if self.cache is not None:
            vars(self.cache).pop("reorder_cache", None)
        self.cache = None

    def current(self) -> Sequence[AnyEdit]:
        """Edits of the call that is about to run."""
        if self.batch is None:
            raise UsageError(
                "the text decoder was called without its model, so its roles are unknown; call the model itself"
            )
        return self.edits

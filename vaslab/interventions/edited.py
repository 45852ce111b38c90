"""A model that answers under an intervention wherever it is used: what lmms-eval or VLMEvalKit can run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vaslab.errors import UsageError
from vaslab.interventions.batch import ReadRoles
from vaslab.interventions.chatml import chatml_roles
from vaslab.interventions.intervene import running
from vaslab.interventions.intervention import Intervention
from vaslab.interventions.registry import as_intervention

_RETURN_THE_MODEL = ("to", "eval", "train", "requires_grad_", "cuda", "cpu", "half", "float", "bfloat16")


class EditedModel:
    """A transformers model whose calls and generations run under an intervention; all else is the model's own, also
    what is set on it.

    The model itself, as `plain`, is changed only while a call runs. Each `generate` reads roles off its own input_ids.
    What is reached through it, such as `edited.model(...)` or `edited.get_decoder()(...)`, is a part of the plain
    model and runs unedited. See `vaslab.intervene` for generations that are refused.

        model = EditedModel(model, processor, "vaf", alpha=0.15)
        model.generate(**inputs)

    Args:
        model: a transformers model.
        processor: its processor or tokenizer.
        intervention: a name of `vaslab ls interventions`, or settings made before.
        read_roles: for chats that are not in Qwen's form: a function (input_ids, attention_mask) -> roles.
        settings: settings of a named intervention.

    Raises:
        UsageError: an unknown name or setting, or a tokenizer whose chats cannot be read.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        intervention: str | Intervention,
        *,
        read_roles: ReadRoles | None = None,
        **settings: Any,
    ) -> None:
        chosen = as_intervention(intervention, settings)
        chosen.check_fits(model.config)
        if processor is None and read_roles is None:
            raise UsageError("the processor is None, and roles are read with it; give it, or read_roles")
        vars(self).update(
            plain=model,
            intervention=chosen,
            _read_roles=read_roles or chatml_roles(processor, model.config),
        )

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """As the model's own, under the intervention."""
        return self._under(self.plain.generate, *args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the model's own, under the intervention."""
        return self._under(self.plain, *args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As a call: who asks for it by name gets no unedited answer."""
        return self(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the model's."""
        if "plain" not in vars(self):  # a copy that is being made
            raise AttributeError(name)
        found = getattr(self.plain, name)
        return self._chained(found) if name in _RETURN_THE_MODEL else found

    def __setattr__(self, name: str, value: Any) -> None:
        """What a harness sets, such as a generation config, reaches the model."""
        setattr(self.plain, name, value)

    def _under(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with running(self.plain, self._read_roles, self.intervention):
            return call(*args, **kwargs)

    def _chained(self, call: Callable[..., Any]) -> Callable[..., EditedModel]:
        """A method that returns the model returns this."""

        def chained(*args: Any, **kwargs: Any) -> EditedModel:
            call(*args, **kwargs)
            return self

        return chained

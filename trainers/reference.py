"""The reference of a KL term: read from this disk alone, and never taken for the policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate.utils import is_peft_model

from vaslab.errors import MissingError, UsageError
from vaslab.models.located import cached_folder

_OF_TRL = "ref"
"""What TRL calls its copy of an adapter that a model came with."""


@contextmanager
def reference_on_disk(model: Any, beta: float, lora: bool) -> Iterator[None]:
    """Have the model's config name a folder while TRL reads the reference by that name.

    A hub id would be resolved over the network, whatever the policy was read from.

    Args:
        model: the policy.
        beta: weight of the KL term; 0 has no reference.
        lora: whether the policy gets an adapter; its reference is the policy without it.

    Raises:
        UsageError: a model that was made in memory.
        MissingError: a hub id that is not in the local cache.
    """
    if beta == 0 or lora or is_peft_model(model):
        yield
        return
    name = str(model.config._name_or_path)
    model.config._name_or_path = _folder(name, getattr(model.config, "_commit_hash", None), beta)
    try:
        yield
    finally:
        model.config._name_or_path = name


def _folder(name: str, commit: str | None, beta: float) -> str:
    if not name:
        raise UsageError(
            f"kl (TRL's beta) is {beta}, and the model was made in memory, where the reference cannot be read again; "
            "load it from a folder, or set kl to 0"
        )
    if Path(name).is_dir():
        return name
    folder = cached_folder(name, commit)
    if folder is None:
        raise MissingError(
            f"kl (TRL's beta) is {beta}, and its reference {name} is neither a folder nor in the local Hugging Face "
            "cache; give --model a folder, allow the download (--online), or set kl to 0"
        )
    return folder


def is_policy(model: Any, policy: Any) -> bool:
    """Whether a pass of `model` is one of the policy as it is trained.

    It is not that of a reference: another model, or for LoRA the policy with its adapter off or TRL's copy of it on.
    """
    if model is not policy:
        return False
    if not is_peft_model(policy):
        return True
    status = policy.get_model_status()
    return status.enabled is True and _OF_TRL not in status.active_adapters

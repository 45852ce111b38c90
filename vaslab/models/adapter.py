"""A LoRA adapter as peft leaves it: a folder that names its base inside, measured within the layers of that base."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from vaslab.errors import MissingError, UsageError, VaslabError, one_line

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Adapter:
    """What a folder's adapter_config.json says.

    Args:
        folder: the adapter's.
        base: the model that it belongs to, as `load_model` takes it.
        revision: the base's, where it is a hub id.
    """

    folder: Path
    base: str
    revision: str | None

    @property
    def has_processor(self) -> bool:
        """Whether a whole processor was saved beside the adapter, to be taken in place of the base's."""
        pictures = ("processor_config.json", "preprocessor_config.json")
        return (self.folder / "tokenizer_config.json").is_file() and any(
            (self.folder / name).is_file() for name in pictures
        )


def read_adapter(name: str) -> Adapter | None:
    """Read the adapter of a folder; None for anything else, and for a whole model with an adapter beside it.

    A base that is a folder as seen from the adapter's is that one, wherever the command runs.

    Raises:
        VaslabError: an adapter_config.json that cannot be read.
        UsageError: an adapter of another kind than LoRA.
        MissingError: no base is named, or the weights are not there as safetensors.
    """
    folder = Path(name).expanduser()
    if not (folder / CONFIG).is_file() or (folder / "config.json").is_file():
        return None
    try:
        told = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind, base, revision = told["peft_type"], told.get("base_model_name_or_path"), told.get("revision")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise VaslabError(
            f"{folder / CONFIG} is not what peft writes ({one_line(error)}); save it again"
        ) from error
    if kind != "LORA":
        raise UsageError(
            f"{folder} is a {kind} adapter, and vaslab measures LoRA; merge it into its base with peft, and measure "
            "the whole"
        )
    if not isinstance(base, str) or not base:
        raise MissingError(
            f"{folder / CONFIG} names no base; write the model's folder or hub id as base_model_name_or_path"
        )
    if not (folder / WEIGHTS).is_file():
        raise MissingError(
            f"{folder} holds no {WEIGHTS}; vaslab reads safetensors alone: save the adapter again with "
            "safe_serialization=True"
        )
    beside = folder / base
    if beside.is_dir():
        base = str(beside)
    return Adapter(folder, base, revision if isinstance(revision, str) else None)


def with_adapter(model: PreTrainedModel, adapter: Adapter) -> PreTrainedModel:
    """Put the adapter into the model's layers, unmerged, and return the model itself, not peft's wrapper of it.

    Raises:
        MissingError: peft is not installed.
        VaslabError: weights that cannot be read, or that have no place in the model (which peft only warns of).
    """
    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError as error:
        raise MissingError(
            f"{adapter.folder} is a LoRA adapter, and peft is not installed; pip install 'vaslab[train]'"
        ) from error
    try:
        with warnings.catch_warnings():
            # peft asks the model by a name that transformers is about to drop
            warnings.simplefilter("ignore", FutureWarning)
            wrapped: Any = PeftModel.from_pretrained(model, str(adapter.folder))
        with safe_open(adapter.folder / WEIGHTS, "pt") as file:
            held = set(file.keys())
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise VaslabError(f"{adapter.folder} does not load into {adapter.base}: {one_line(error)}") from error
    # "auto" would look for the base's config on the hub
    placed = set(get_peft_model_state_dict(wrapped, save_embedding_layers=False))
    astray = sorted(name for name in held ^ placed if ".lora_" in name)
    if astray:
        raise VaslabError(
            f"{adapter.folder} does not belong to {adapter.base}: {len(astray)} of its weights and the model's have no "
            f"partner, the first is {astray[0]}; name the right base as base_model_name_or_path"
        )
    found: PreTrainedModel = wrapped.get_base_model()
    return found

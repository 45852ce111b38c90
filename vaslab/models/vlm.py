"""A loaded model with its processor, ready to be captured."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.processing_utils import ProcessorMixin

from vaslab.models.families import Family


@dataclass(eq=False)
class Vlm:
    """A vision-language model as `vaslab.load` returns it.

    Args:
        name: what it was loaded by.
        revision: the hub commit, or the digest of the weights of a folder.
        model: the transformers model; nothing of it is changed outside a capture.
        processor: its processor.
        family: its entry of the family table.
        proof: what the proof at load found; None when it was loaded with `prove=False`.
        lock: held by every capture, for one model can be traced by one thread at a time.
    """

    name: str
    revision: str
    model: PreTrainedModel
    processor: ProcessorMixin
    family: Family
    proof: Any = None
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def text_config(self) -> Any:
        """Config of the text decoder."""
        return self.model.config.get_text_config()

    @property
    def n_layers(self) -> int:
        """Decoder layers."""
        return int(self.text_config.num_hidden_layers)

    @property
    def n_heads(self) -> int:
        """Query heads per layer."""
        return int(self.text_config.num_attention_heads)

    @property
    def n_kv_heads(self) -> int:
        """Key-value heads per layer."""
        return int(getattr(self.text_config, "num_key_value_heads", None) or self.n_heads)

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights."""
        return self.model.dtype

    @property
    def device(self) -> torch.device:
        """Where inputs go: the device of the input embedding."""
        return next(self.model.get_input_embeddings().parameters()).device

    def generate(self, **inputs: Any) -> Any:
        """As the model's own `generate`."""
        model: Any = self.model
        return model.generate(**inputs)

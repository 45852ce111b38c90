"""One supervised run in a folder: config in, an ordinary Hugging Face folder with a card out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trl import SFTConfig

from trainers.checkpoints import lora
from trainers.data.collate import to_dataset
from trainers.data.record import Record
from trainers.methods import agto_of
from trainers.runs import SftRun
from trainers.sft import AvarSFTTrainer
from trainers.training import shared_arguments, train
from vaslab.models import Vlm


def run_sft(config: SftRun, parent: dict[str, Any] | None = None) -> Path:
    """Train to the end, or go on from the last state in the folder; return the checkpoint.

    `parent` is what the card says of the model it started from; None names `config.model`. Raises what `train` raises.
    """
    agto, arguments = agto_of(config), sft_arguments(config)

    def make(vlm: Vlm, records: Sequence[Record]) -> AvarSFTTrainer:
        return AvarSFTTrainer(
            vlm.model,
            arguments,
            agto,
            config.text_tokens,
            train_dataset=to_dataset(records),
            processing_class=vlm.processor,
            peft_config=lora(config.lora_rank),
        )

    return train(config, "sft", "response", make, parent)


def sft_arguments(config: SftRun) -> SFTConfig:
    """TRL's config of a run. Raises UsageError for a batch that the processes cannot split."""
    shared = shared_arguments(config, config.batch, "batch")
    return SFTConfig(**shared, warmup_steps=config.warmup, max_length=None)

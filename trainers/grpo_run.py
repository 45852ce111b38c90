"""One run of reinforcement learning in a folder: config in, an ordinary Hugging Face folder with a card out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trl import GRPOConfig

from trainers.checkpoints import lora
from trainers.data.collate import to_prompts
from trainers.data.record import Record
from trainers.grpo import AvarGRPOTrainer
from trainers.methods import credit_of, shaping_of
from trainers.runs import GrpoRun
from trainers.training import shared_arguments, train
from vaslab.errors import UsageError
from vaslab.models import Vlm


def run_grpo(config: GrpoRun, parent: dict[str, Any] | None = None) -> Path:
    """Train to the end, or go on from the last state in the folder; return the checkpoint.

    `parent` is what the card says of the model it started from; None names `config.model`. Raises what `train` raises.
    """
    shaping, credit, arguments = shaping_of(config), credit_of(config), grpo_arguments(config)

    def make(vlm: Vlm, records: Sequence[Record]) -> AvarGRPOTrainer:
        if len({bool(record.images) for record in records}) > 1:
            raise UsageError(
                f"{config.data} has prompts with pictures and without, and TRL's GRPO takes one kind in a batch; keep "
                "one"
            )
        return AvarGRPOTrainer(
            vlm.model,
            arguments,
            shaping,
            config.text_tokens,
            credit,
            train_dataset=to_prompts(records),
            processing_class=vlm.processor,
            peft_config=lora(config.lora_rank),
        )

    return train(config, "grpo", "answer", make, parent)


def grpo_arguments(config: GrpoRun) -> GRPOConfig:
    """TRL's config of a run. Raises UsageError for a batch that the processes cannot split."""
    return GRPOConfig(
        **shared_arguments(config, config.prompts * config.rollouts, "prompts x rollouts"),
        num_generations=config.rollouts,
        num_iterations=config.iterations,
        max_completion_length=config.max_new_tokens,
        temperature=config.temperature,
        beta=config.kl,
        use_vllm=config.vllm,
        vllm_mode="colocate",
    )

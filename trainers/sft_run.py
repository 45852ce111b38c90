"""One supervised run in a folder: config in, an ordinary Hugging Face folder with a card out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from trl import SFTConfig

from trainers.checkpoints import accumulation, last_state, lora, note_memory, write_checkpoint
from trainers.config import plain
from trainers.data.collate import to_dataset
from trainers.data.readers import read_records
from trainers.data.record import digest
from trainers.losses import AgtoConfig
from trainers.runs import SftRun
from trainers.sft import AvarSFTTrainer, freeze_vision
from vaslab.models.load import load_model


def run_sft(config: SftRun, parent: dict[str, Any] | None = None) -> Path:
    """Train to the end, or go on from the last state in the folder; return the checkpoint.

    Args:
        config: the run.
        parent: what the card says of the model it started from; None names `config.model`.

    Raises:
        UsageError, MissingError, RecordError: a run that cannot start; nothing has been written but the folder.
    """
    agto = AgtoConfig(config.alpha, config.beta, config.layers, config.heads, config.queries, config.variant)
    out = Path(config.out)
    records = read_records(Path(config.data)).require("response")
    vlm = load_model(config.model, dtype=config.dtype)
    if config.freeze_vision:
        freeze_vision(vlm.model)
    trainer = AvarSFTTrainer(
        vlm.model,
        sft_arguments(config),
        agto,
        config.text_tokens,
        train_dataset=to_dataset(records),
        processing_class=vlm.processor,
        peft_config=lora(config.lora_rank),
    )
    note_memory(trainer.network)
    trainer.train(resume_from_checkpoint=last_state(out))
    card = {
        "method": "sft",
        "parent": parent or {"name": config.model, "revision": vlm.revision},
        "data": {"source": config.data, "digest": digest(records), "records": len(records)},
        "config": plain(config),
    }
    return write_checkpoint(trainer, out, card, config.model if config.lora_rank else None)


def sft_arguments(config: SftRun) -> SFTConfig:
    """TRL's config of a run."""
    from accelerate import PartialState

    gpu = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(Path(config.out) / "state"),
        learning_rate=config.lr,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps,
        per_device_train_batch_size=config.per_device,
        gradient_accumulation_steps=accumulation(
            config.batch, config.per_device, PartialState().num_processes
        ),
        warmup_steps=config.warmup,
        lr_scheduler_type=config.schedule,
        gradient_checkpointing=config.checkpointing,
        bf16=gpu,
        use_cpu=not gpu,
        max_length=None,
        seed=config.seed,
        save_strategy="steps",
        save_steps=config.save_steps,
        save_total_limit=2,
        logging_steps=config.log_steps,
        disable_tqdm=not sys.stderr.isatty(),
        report_to=[],
    )

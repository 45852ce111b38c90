"""What every run of `avar sft` and `avar grpo` does: read, load, say the memory, train or go on, leave a checkpoint."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from trainers.checkpoints import accumulation, base_name, last_state, write_checkpoint
from trainers.config import held
from trainers.data.readers import read_records
from trainers.data.record import Record, digest
from trainers.memory import note_memory
from trainers.refusals import check_model, check_records, check_settings, refuse_model
from trainers.runs import GrpoRun, SftRun
from trainers.sft import freeze_vision
from vaslab.models import Vlm, load_model

_KEPT = {None: 2, "last": 2, "all": None}
"""States that stay on disk: the last two, for the newest may be half written."""


def train(
    config: SftRun | GrpoRun,
    method: str,
    needs: str,
    make: Callable[[Vlm, Sequence[Record]], Any],
    parent: dict[str, Any] | None,
) -> Path:
    """Train to the end, or go on from the last state in the folder; return the checkpoint.

    Args:
        config: the run.
        method: what the card calls it.
        needs: the field that every record must have.
        make: builds the trainer of the model and the records.
        parent: what the card says of the model it started from; None names `config.model`.

    Raises:
        UsageError, MissingError, RecordError: a run that cannot start; nothing has been written but the folder.
    """
    refuse_model(config.model)
    check_settings(config)
    check_model(config, load_model(config.model, device_map="meta", offline=not config.online))
    out = Path(config.out)
    # one process decodes the pictures for all
    first = int(os.environ.get("RANK", "0")) == 0
    records = read_records(Path(config.data), pictures=first).require(needs)
    check_records(config, len(records))
    if isinstance(config, SftRun) and config.batch > len(records) and first:
        print(
            f"note: batch is {config.batch} and there are {len(records)} records: a step is made of these, once",
            file=sys.stderr,
        )
    vlm = load_model(config.model, dtype=config.dtype, offline=not config.online)
    vlm.model.name_or_path = base_name(config.model)  # which PEFT writes into each adapter, of every state
    if config.freeze_vision:
        freeze_vision(vlm.model)
    trainer = make(vlm, records)
    note_memory(trainer)
    trainer.train(resume_from_checkpoint=last_state(out))
    if first and not _pulled(trainer.state.log_history):
        print(
            "note: no step that was logged had a gradient, so that nothing was learned (the answers to each prompt "
            "were rewarded alike); give other prompts, more --rollouts, or a longer --max-new-tokens",
            file=sys.stderr,
        )
    card = {
        "method": method,
        "parent": parent or {"name": config.model, "revision": vlm.revision},
        "data": {"source": config.data, "digest": digest(records), "records": len(records)},
        "config": held(config),
    }
    return write_checkpoint(trainer, out, card, config.model if config.lora_rank else None, config.dtype)


def _pulled(history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some logged step had a gradient; True where none was logged."""
    norms = [float(log["grad_norm"]) for log in history if "grad_norm" in log]
    return not norms or any(norms)


def shared_arguments(config: SftRun | GrpoRun, batch: int, told: str) -> dict[str, Any]:
    """What TRL's configs of both methods are told.

    Args:
        config: the run.
        batch: rows of one optimiser step, over all devices.
        told: what the run's fields call them.

    Raises:
        UsageError: a batch that cannot be split over forwards and processes.
    """
    from accelerate import PartialState

    gpu = torch.cuda.is_available()
    # without `cpu`, processes that share no GPU count as one each, and the batch would be a multiple of what was asked
    processes = PartialState(cpu=not gpu).num_processes
    return {
        "output_dir": str(Path(config.out) / "state"),
        "learning_rate": config.lr,
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps,
        "per_device_train_batch_size": config.per_device,
        "gradient_accumulation_steps": accumulation(batch, config.per_device, processes, told),
        "lr_scheduler_type": config.schedule,
        "gradient_checkpointing": config.checkpointing,
        "bf16": gpu,
        "use_cpu": not gpu,
        "seed": config.seed,
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "save_total_limit": _KEPT[config.keep],
        "logging_steps": config.log_steps,
        "disable_tqdm": not sys.stderr.isatty(),
        "report_to": [],
    }

"""What every run of `avar sft` and `avar grpo` does: read, load, say the memory, train or go on, leave a checkpoint."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from trainers.checkpoints import accumulation, last_state, write_checkpoint
from trainers.config import held
from trainers.data.readers import read_records
from trainers.data.record import Record, digest
from trainers.memory import note_memory
from trainers.methods import check_run
from trainers.runs import GrpoRun, SftRun
from trainers.sft import freeze_vision
from vaslab.errors import UsageError
from vaslab.models import Vlm, load_model

_MLLAMA = re.compile(r"llama-3\.2-\d+b-vision", re.IGNORECASE)
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
    out = Path(config.out)
    # one process decodes the pictures for all
    first = int(os.environ.get("RANK", "0")) == 0
    records = read_records(Path(config.data), pictures=first).require(needs)
    check_run(config, len(records))
    vlm = load_model(config.model, dtype=config.dtype, offline=not config.online)
    if config.freeze_vision:
        freeze_vision(vlm.model)
    trainer = make(vlm, records)
    note_memory(trainer)
    trainer.train(resume_from_checkpoint=last_state(out))
    card = {
        "method": method,
        "parent": parent or {"name": config.model, "revision": vlm.revision},
        "data": {"source": config.data, "digest": digest(records), "records": len(records)},
        "config": held(config),
    }
    return write_checkpoint(trainer, out, card, config.model if config.lora_rank else None)


def refuse_model(name: str) -> None:
    """Raise UsageError for a model that cannot be trained, before anything of it is read or fetched."""
    folder = Path(name).expanduser()
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise UsageError(
            f"{name} is a LoRA adapter, whose base would stay as it is; train on from the merged model (the "
            "checkpoint/ beside an adapter/ that avar wrote)"
        )
    try:
        held = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "")
    except (OSError, ValueError, AttributeError):
        held = ""
    if held == "mllama" or _MLLAMA.search(name):
        raise UsageError(
            f"{name} is refused: Llama-3.2-Vision sees the picture in cross-attention layers of its own, so that "
            "visual and system tokens never share a softmax: AGTO's losses and the reward of VARS have no meaning "
            "there, and TRL's GRPO drops its picture inputs. What works: a Qwen-VL model, as in "
            "trainers/configs/qwen2.5-vl-7b-sft.yaml; or plain supervised training of it with TRL's own SFTTrainer"
        )


def shared_arguments(config: SftRun | GrpoRun, batch: int) -> dict[str, Any]:
    """What TRL's configs of both methods are told; `batch` is the rows of one optimiser step, over all devices.

    Raises UsageError for a batch that cannot be split so.
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
        "gradient_accumulation_steps": accumulation(batch, config.per_device, processes),
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

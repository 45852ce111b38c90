"""What a training run leaves: states to go on from, and a checkpoint that `vaslab measure` takes as it is."""

from __future__ import annotations

import json
import re
import shutil
import sys
from importlib.metadata import version
from math import sqrt
from pathlib import Path
from typing import Any

from accelerate.utils import is_peft_model

import vaslab
from vaslab.errors import UsageError, VaslabError
from vaslab.models.load import load_model

LORA_TARGETS = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
CARD = "card.json"
_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate")
_KEPT_LOGS = 10

MOST_LOST = 0.05
"""Share of an adapter's change that merging may lose to rounding without a word."""


def last_state(out: Path) -> str | None:
    """The newest whole state of a run; one that a kill left half written is passed over."""
    # Trainer writes trainer_state.json last
    states = [each.parent for each in (out / "state").glob("checkpoint-*/trainer_state.json")]
    numbered = [
        (int(match[1]), state) for state in states if (match := re.fullmatch(r"checkpoint-(\d+)", state.name))
    ]
    return str(max(numbered)[1]) if numbered else None


class Resuming:
    """What a Trainer needs on top to go on from its own state.

    transformers 5 renames weights of some families (Qwen2.5-VL's among them) as it saves them. Trainer reads a state
    without the way back, finds none of the names, and goes on from the first weights with a warning.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        trainer: Any = self
        network = trainer.model if model is None else model
        if trainer.is_fsdp_enabled or is_peft_model(network):
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            return
        saved = type(network).from_pretrained(resume_from_checkpoint, dtype=network.dtype)
        network.load_state_dict(saved.state_dict())


def accumulation(batch: int, per_device: int, processes: int, told: str = "batch") -> int:
    """Forwards of one optimiser step on one device.

    Args:
        batch: rows of the step, over all processes.
        per_device: rows of one forward.
        processes: how many there are.
        told: what the message calls the rows of the step.

    Raises:
        UsageError: the batch cannot be split so.
    """
    at_once = per_device * processes
    if batch < 1 or per_device < 1 or batch % at_once:
        raise UsageError(
            f"{told} is {batch}, no multiple of per_device {per_device} times {processes} process(es); change one of "
            "them"
        )
    return batch // at_once


def base_name(model: str) -> str:
    """The name of an adapter's base that holds from any folder, and an organism's anywhere."""
    return str(Path(model).resolve()) if Path(model).is_dir() else model


def lora(rank: int) -> Any:
    """LoRA on every projection of the text decoder, and nowhere in the vision tower; None for rank 0."""
    if rank == 0:
        return None
    from peft import LoraConfig

    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=LORA_TARGETS, task_type="CAUSAL_LM")


def write_checkpoint(
    trainer: Any, out: Path, card: dict[str, Any], base: str | None = None, dtype: str = "auto"
) -> Path:
    """Write weights, config and processor with a card of how they came to be; return the folder.

    Args:
        trainer: the trainer, after training.
        out: the run folder; the checkpoint is its checkpoint/, whole or not there.
        card: what the card says beside metrics and versions.
        base: for LoRA: the model that the adapter belongs to. The adapter stays in adapter/, which names it, and the
            checkpoint is the merged model. Where rounding loses much of the adapter's change, a note says so.
        dtype: type that the merged weights have: that of the training.

    Raises:
        VaslabError: not one step was taken, so that this would be the parent under another name.
    """
    if trainer.state.global_step == 0:
        raise VaslabError(
            "not one optimiser step was taken, so nothing is written; give more data, or more --epochs or --max-steps"
        )
    folder, part = out / "checkpoint", out / "checkpoint.part"
    if trainer.is_world_process_zero() and part.exists():
        shutil.rmtree(part)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(out / "adapter" if base else part))
    if trainer.is_world_process_zero():
        if base is not None:
            card = {**card, "merge_lost": (lost := _merge(base, out / "adapter", part, dtype))}
            if lost > MOST_LOST:
                print(
                    f"note: rounding lost {lost:.0%} of what the adapter changes when it was merged; measure "
                    f"{out / 'adapter'}, which is whole, or train with --dtype float32",
                    file=sys.stderr,
                )
        for written in (part, out / "adapter"):
            (written / "training_args.bin").unlink(missing_ok=True)
        logs = [log for log in trainer.state.log_history if "loss" in log]
        whole = {
            **card,
            "steps": trainer.state.global_step,
            "metrics": _mean(logs[-_KEPT_LOGS:]),
            "versions": {"vaslab": vaslab.__version__, **{name: version(name) for name in _PACKAGES}},
        }
        (part / CARD).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        part.replace(folder)
    trainer.accelerator.wait_for_everyone()
    return folder


def _merge(base: str, adapter: Path, folder: Path, dtype: str) -> float:
    """Write base and adapter as one model; return which share of the adapter's change its rounding loses.

    A type of few bits drops changes that are small beside the weight: bfloat16 those below 1 part in 256. The share is
    the norm of what is lost over that of the change.
    """
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    vlm = load_model(base, dtype=dtype)
    adapted = PeftModel.from_pretrained(vlm.model, adapter)
    lost = whole = 0.0
    for layer in adapted.modules():
        if isinstance(layer, LoraLayer):
            adapts: Any = layer
            weight, change = adapts.get_base_layer().weight, adapts.get_delta_weight("default").float()
            kept = (weight.float() + change).to(weight.dtype).float() - weight.float()
            lost += float((kept - change).square().sum())
            whole += float(change.square().sum())
    merged = adapted.merge_and_unload()
    merged.save_pretrained(folder)
    vlm.processor.save_pretrained(folder)
    return sqrt(lost / whole) if whole else 0.0


def _mean(logs: list[dict[str, Any]]) -> dict[str, float]:
    """Mean of each number over the last lines of the log."""
    names = sorted({name for log in logs for name, value in log.items() if isinstance(value, int | float)})
    kept = {
        name: [float(log[name]) for log in logs if name in log]
        for name in names
        if name not in ("step", "epoch")
    }
    return {name: sum(values) / len(values) for name, values in kept.items()}

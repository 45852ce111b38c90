"""What a run will take of each device before it starts: weights, gradients and AdamW's moments, by arithmetic."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch

_MASTER = 4
_MOMENTS = 8
"""Bytes of a float32 copy of a weight, and of its two moments."""


@dataclass(frozen=True)
class Memory:
    """Bytes on each device; activations come on top."""

    weights: int | float
    gradients: int | float
    optimiser: int | float

    @property
    def total(self) -> int | float:
        """All of it."""
        return self.weights + self.gradients + self.optimiser


def estimate(
    model: torch.nn.Module,
    sharding: str,
    processes: int,
    bf16: bool,
    reference: torch.nn.Module | None = None,
) -> Memory:
    """Bytes on each of `processes` devices.

    Args:
        model: before it is sharded.
        sharding: `none` (one device, or copies on several), `full` (FSDP2), or DeepSpeed's `zero2` or `zero3`.
        processes: devices.
        bf16: whether DeepSpeed keeps weights and gradients in bfloat16, beside float32 copies in its optimiser.
        reference: the model of a KL term, which is sharded like the other.

    The optimiser is AdamW: two moments for each weight that is trained, and under DeepSpeed in bfloat16 a float32 copy.
    """
    held_weights = [p for each in (model, reference) if each is not None for p in each.parameters()]
    weights = sum(p.numel() * p.element_size() for p in held_weights)
    trained = [p for p in model.parameters() if p.requires_grad]
    gradients = sum(p.numel() * p.element_size() for p in trained)
    if sharding == "none":
        return Memory(weights, gradients, 2 * gradients)
    if sharding == "full":
        return Memory(weights / processes, gradients / processes, 2 * gradients / processes)
    every, count = sum(p.numel() for p in held_weights), sum(p.numel() for p in trained)
    each = 2 if bf16 else 4
    held = each * every / (processes if sharding == "zero3" else 1)
    copies = (_MASTER if bf16 else 0) + _MOMENTS
    return Memory(held, each * count / processes, copies * count / processes)


def note_memory(trainer: Any) -> None:
    """Say on stderr what each device will hold, and how much of it there is."""
    accelerator = trainer.accelerator
    kind = str(accelerator.distributed_type.value)
    sharding = {"FSDP": "full", "DEEPSPEED": "zero2"}.get(kind, "none")
    if kind == "DEEPSPEED" and accelerator.state.deepspeed_plugin.zero_stage == 3:
        sharding = "zero3"
    reference = getattr(trainer, "ref_model", None)
    found = estimate(trainer.network, sharding, accelerator.num_processes, trainer.args.bf16, reference)
    trained = sum(p.numel() for p in trainer.network.parameters() if p.requires_grad)
    if accelerator.is_main_process:
        print(told(found, accelerator.num_processes, trained, accelerator.device), file=sys.stderr)


def told(found: Memory, processes: int, trained: int, device: torch.device) -> str:
    """The note, with what a GPU has where there is one.

    Args:
        found: bytes on each device.
        processes: devices.
        trained: parameters that are trained, over all devices.
        device: this process's own.
    """
    parts = [each / 1e9 for each in (found.total, found.weights, found.gradients, found.optimiser)]
    text = (
        "note: each of {} device(s) will hold {:.3g} GB, {:.3g} of weights, {:.3g} of gradients and {:.3g} of "
        "optimiser, and activations on top; {:,} parameters are trained"
    ).format(processes, *parts, trained)
    if device.type != "cuda":
        return text
    there = torch.cuda.get_device_properties(device).total_memory
    short = (
        "" if found.total < there else ", which is too little: shard over more devices, or set --lora-rank"
    )
    return f"{text}. The device has {there / 1e9:.3g} GB{short}"

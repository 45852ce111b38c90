"""What a training run is told: frozen dataclasses, the one source for Python, YAML and the command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SftRun:
    """What `avar sft` trains, on what, and how. The defaults are the paper's (arXiv 2603.03825, cold start).

    Args:
        model: `organism:NAME`, a folder, or a hub id.
        data: a file of records, or a folder with records.jsonl.
        out: the run folder; its checkpoint/ is the model.
        alpha: weight of L_enh; with `beta` 0 too, plain supervised training.
        beta: weight of L_sup.
        layers: guided decoder layers; () takes all.
        heads: guided heads, as L3H1; () takes all.
        queries: `user`, `response` or `both`.
        variant: `paper` or `as_released`.
        text_tokens: special tokens that texts may use, as <think> in a model that has it.
        lr: highest learning rate.
        epochs: passes over the data.
        max_steps: optimiser steps, in place of `epochs`; -1 leaves it to these.
        batch: rows of one optimiser step, over all devices.
        per_device: rows of one forward.
        warmup: share of the steps that the learning rate rises over.
        schedule: `cosine`, `linear` or `constant`.
        lora_rank: rank of LoRA on the text decoder; 0 trains every weight. The checkpoint is merged.
        freeze_vision: leave the vision tower and its projector as they are.
        checkpointing: recompute activations in the backward pass.
        dtype: of the weights; bfloat16 autocast is on where there is a GPU.
        seed: of data order and new weights.
        save_steps: steps between states to go on from.
        log_steps: steps between lines of the log.
    """

    model: str
    data: str
    out: str
    alpha: float = 0.15
    beta: float = 0.15
    layers: tuple[int, ...] = ()
    heads: tuple[str, ...] = ()
    queries: str = "user"
    variant: str = "paper"
    text_tokens: tuple[str, ...] = ()
    lr: float = 5e-6
    epochs: float = 20.0
    max_steps: int = -1
    batch: int = 512
    per_device: int = 1
    warmup: float = 0.1
    schedule: str = "cosine"
    lora_rank: int = 0
    freeze_vision: bool = False
    checkpointing: bool = True
    dtype: str = "float32"
    seed: int = 0
    save_steps: int = 100
    log_steps: int = 10

"""What a training run is told: frozen dataclasses, the one source for Python, YAML and the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vaslab.errors import UsageError


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
        keep: `all` states, each a model that can be measured, or the `last` two; left out, last.
        log_steps: steps between lines of the log.
        online: a hub id may be downloaded.

    Raises:
        UsageError: values that no training can have.
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
    keep: str | None = None
    log_steps: int = 10
    online: bool = False

    def __post_init__(self) -> None:
        _check(self, {**_LEAST, "batch": 1, "warmup": 0}, ("epochs",), _WORDS)
        if self.warmup >= 1:
            raise UsageError(f"warmup is {self.warmup}; give a share of the steps, below 1")


@dataclass(frozen=True)
class GrpoRun:
    """What `avar grpo` trains, on what, and how. The defaults are the paper's (arXiv 2603.03825, reinforcement
    learning), whose batch is read as prompts.

    Args:
        model: `organism:NAME`, a folder, or a hub id.
        data: a file of records, or a folder with records.jsonl: prompts with an answer.
        out: the run folder; its checkpoint/ is the model.
        lambda_v: weight of r_visual.
        lambda_f: weight of r_format.
        form: of r_visual: `ratio` (the paper, unbounded), `clip`, `log`, `share` or `as_released`.
        cap: of the form `clip`.
        gated: no visual reward for a wrong answer.
        grader: `exact` or `math`.
        layers: decoder layers that r_visual reads; () takes all.
        credit: how tokens share an answer's advantage: `vppo`, `atrl`, or all alike where it is left out.
        vppo_tokens: share of an answer's tokens that VPPO trains; left out, 0.4.
        vppo_low: VPPO's least weight of an answer; left out, 0.9.
        vppo_high: VPPO's highest; left out, such that the mean weight is 1.
        vppo_masked: probability that a patch of the picture is blackened; left out, 0.5.
        vppo_kl: `sampled` or `exact`; left out, sampled.
        atrl_clusters: clusters of an answer's tokens; left out, 8.
        atrl_sharpness: power of a cluster's connectivity in its weight; left out, 1.
        text_tokens: special tokens that texts may use.
        lr: highest learning rate.
        epochs: passes over the prompts.
        max_steps: optimiser steps, in place of `epochs`; -1 leaves it to these.
        prompts: prompts of one optimiser step, over all devices.
        rollouts: answers to each prompt.
        per_device: answers in one forward.
        iterations: times that each answer is trained on.
        max_new_tokens: longest answer.
        temperature: of the answers.
        kl: weight of the KL term; 0 needs no reference model.
        schedule: `cosine`, `linear` or `constant`.
        lora_rank: rank of LoRA on the text decoder; 0 trains every weight. The checkpoint is merged.
        freeze_vision: leave the vision tower and its projector as they are.
        checkpointing: recompute activations in the backward pass.
        dtype: of the weights; bfloat16 autocast is on where there is a GPU.
        vllm: generate with vLLM, in the same process.
        seed: of the order of prompts, the answers and new weights.
        save_steps: steps between states to go on from.
        keep: `all` states, each a model that can be measured, or the `last` two; left out, last.
        log_steps: steps between lines of the log.
        online: a hub id may be downloaded.

    Raises:
        UsageError: values that no training can have.
    """

    model: str
    data: str
    out: str
    lambda_v: float = 0.3
    lambda_f: float = 0.1
    form: str = "ratio"
    cap: float = 10.0
    gated: bool = True
    grader: str = "math"
    layers: tuple[int, ...] = ()
    credit: str | None = None
    vppo_tokens: float | None = None
    vppo_low: float | None = None
    vppo_high: float | None = None
    vppo_masked: float | None = None
    vppo_kl: str | None = None
    atrl_clusters: int | None = None
    atrl_sharpness: float | None = None
    text_tokens: tuple[str, ...] = ()
    lr: float = 1e-6
    epochs: float = 4.0
    max_steps: int = -1
    prompts: int = 256
    rollouts: int = 8
    per_device: int = 8
    iterations: int = 1
    max_new_tokens: int = 2048
    temperature: float = 1.0
    kl: float = 0.0
    schedule: str = "constant"
    lora_rank: int = 0
    freeze_vision: bool = False
    checkpointing: bool = True
    dtype: str = "float32"
    vllm: bool = False
    seed: int = 0
    save_steps: int = 50
    keep: str | None = None
    log_steps: int = 1
    online: bool = False

    def __post_init__(self) -> None:
        least = {"prompts": 1, "rollouts": 2, "iterations": 1, "max_new_tokens": 1, "kl": 0}
        _check(self, {**_LEAST, **least}, ("epochs", "temperature"), _WORDS)
        if self.save_steps % self.iterations:
            raise UsageError(
                f"save_steps is {self.save_steps} and iterations {self.iterations}: a state inside a generation could "
                "not be gone on from; give a multiple"
            )


@dataclass(frozen=True)
class SynthesizeRun:
    """Records for `avar synthesize`: exact ones of the glyph world, or VARD chains by a model for prompts of your own.

    Args:
        out: a folder for records.jsonl and its images/.
        kind: of the glyph world's records: `text-cold-start`, `multimodal-cold-start`, `vard` or `rl`.
        count: how many of them, each about a scene of its own.
        seed: of scenes and questions; the three cold starts of a seed ask the same questions about the same scenes.
        data: prompts with answers, to be made into VARD chains by `model`; "" draws from the glyph world.
        endpoint: an OpenAI-compatible address, such as http://localhost:8000/v1; its key is read from AVAR_API_KEY.
        model: the model's name there; without an endpoint a model of this machine: a folder, `organism:NAME` or a hub
            id that is on disk.
        grader: how a chain's answer is compared with the record's: `exact` or `math`.
        anchors: fewest anchors of a chain.
        words: most words of a chain.
        workers: calls at once.
        temperature: of the replies.
        max_tokens: longest reply.
        price_in: of a million prompt tokens, to show the cost.
        price_out: of a million tokens written.
        online: a hub id may be downloaded.

    Raises:
        UsageError: values that no chain can be made with.
    """

    out: str
    kind: str = "vard"
    count: int = 1000
    seed: int = 0
    data: str = ""
    endpoint: str = ""
    model: str = ""
    grader: str = "math"
    anchors: int = 2
    words: int = 3000
    workers: int = 8
    temperature: float = 0.7
    max_tokens: int = 4096
    price_in: float = 0.0
    price_out: float = 0.0
    online: bool = False

    def __post_init__(self) -> None:
        least = {"anchors": 0, "words": 1, "workers": 1, "temperature": 0, "max_tokens": 1}
        _check(self, {**least, "price_in": 0, "price_out": 0}, (), {"grader": ("exact", "math")})


@dataclass(frozen=True)
class StagesRun:
    """What `avar stages` runs: stages from one base, for some seeds, on the glyph world's exact records.

    Args:
        out: the folder; a stage is out/seed-N/NAME, its model in checkpoint/.
        base: where stages without a parent start.
        seeds: a run of all stages for each: of records, their order and the answers.
        records: chats of each cold start.
        prompts: prompts of reinforcement learning.
        workers: processes at once: stages whose parents are done, then measurements.
        study: what the base and every stage are measured on, as in a file of `vaslab study`, less `models` and `out`;
            without it nothing is measured.
        stages: the stages, as a list of `name`, `method` (sft or grpo), `parent` (an earlier stage, or base), `kind`
            of records, and any field of the method's own run.
    """

    out: str
    base: str = "organism:base"
    seeds: tuple[int, ...] = (0,)
    records: int = 4000
    prompts: int = 1000
    workers: int = 1
    study: dict[str, object] | None = None
    stages: tuple[dict[str, object], ...] = ()


_LEAST = {"lr": 0, "per_device": 1, "lora_rank": 0, "save_steps": 1, "log_steps": 1, "seed": 0}
_WORDS = {
    "schedule": ("cosine", "linear", "constant"),
    "keep": (None, "all", "last"),
    "dtype": ("auto", "float32", "float16", "bfloat16"),
}
"""What both trainings need of their numbers, and the words that they know."""


def _check(
    run: Any,
    least: Mapping[str, int],
    above_zero: Sequence[str],
    words: Mapping[str, Sequence[str | None]],
) -> None:
    """Raise UsageError for the first field that is out of its range."""
    for name, low in least.items():
        if not low <= getattr(run, name) < math.inf:
            raise UsageError(f"{name} is {getattr(run, name)}; give at least {low}")
    for name in above_zero:
        if not 0 < getattr(run, name) < math.inf:
            raise UsageError(f"{name} is {getattr(run, name)}; give more than 0")
    for name, known in words.items():
        if getattr(run, name) not in known:
            expected = ", ".join(word for word in known if word)
            raise UsageError(f"{name} is {getattr(run, name)!r}; expected one of {expected}")
    steps = getattr(run, "max_steps", -1)
    if steps < 1 and steps != -1:
        raise UsageError(f"max_steps is {steps}; give at least 1, or -1 to leave it to epochs")

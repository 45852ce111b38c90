"""What a training run is told: frozen dataclasses, the one source for Python, YAML and the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainers.data.record import KINDS
from vaslab.errors import UsageError


@dataclass(frozen=True)
class PretrainConfig:
    """How the organism's base is trained (`avar organism`). Every field is written to the checkpoint's card.

    Args:
        steps: optimiser steps.
        batch: chats of one step.
        lr: highest learning rate.
        warmup: steps over which the learning rate rises.
        weight_decay: of AdamW.
        clip: greatest norm of the gradient.
        turns: questions of one chat.
        short_weight: weight in the loss of tokens of short answers.
        seed: seed of first weights and chats.
        pool: steps whose chats are drawn together and sorted by length.
        log_every: steps between lines of the log.
        exam_every: steps between exams, whose state a killed run goes on from.

    Raises:
        UsageError: values that no training can have.
    """

    steps: int = 3600
    batch: int = 64
    lr: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.05
    clip: float = 1.0
    turns: int = 2
    short_weight: float = 3.0
    seed: int = 0
    pool: int = 4
    log_every: int = 50
    exam_every: int = 500

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("steps", "batch", "turns", "pool", "log_every", "exam_every"), 1)
        _check(
            self, {**counts, "lr": 0, "warmup": 0, "weight_decay": 0, "seed": 0}, ("clip", "short_weight"), {}
        )


@dataclass(frozen=True)
class SftRun:
    """What `avar sft` trains, on what, and how. The defaults are the paper's (arXiv 2603.03825, cold start).

    Args:
        model: `organism:NAME`, a folder, or a hub id.
        data: chats to train on: a .jsonl, .json or .parquet file, or a folder with records.jsonl.
        out: the run folder; its checkpoint/ is the model.
        alpha: weight of L_enh, which raises attention to the picture; 0 leaves it out.
        beta: weight of L_sup, which lowers attention to the system message; 0 leaves it out.
        layers: decoder layers that are guided, counted from 0. Left out: all.
        heads: heads that are guided, as L3H1, in place of `layers`. Left out: all of the layers.
        queries: tokens whose attention is guided: `user`, `response` or `both`.
        variant: `paper`, or `as_released`: the token sets and epsilons of the authors' code.
        text_tokens: special tokens that texts may hold, such as <think> in a model that has it.
        lr: highest learning rate.
        epochs: passes over the data.
        max_steps: optimiser steps, in place of `epochs`; -1 goes by these.
        batch: rows of one optimiser step, over all devices and forwards.
        per_device: rows of one forward on one device.
        warmup: share of the steps over which the learning rate rises.
        schedule: how the learning rate goes on: `cosine`, `linear` or `constant`.
        lora_rank: rank of LoRA on the text decoder; 0 trains every weight. The adapter is left in adapter/, merged in
            checkpoint/.
        freeze_vision: leave the vision tower and its projector as they are.
        checkpointing: recompute activations in the backward pass: less memory, more time.
        dtype: type of the weights: `auto` (as stored), `float32`, `float16` or `bfloat16`. On a GPU forwards are
            autocast to bfloat16.
        seed: seed of the order of the data and of new weights.
        save_steps: steps between states, from the last of which a killed run goes on.
        keep: states that stay: `all`, each a model that can be measured, or the `last` two. Left out: last.
        log_steps: steps between lines of the log.
        online: allow the download of a hub id.

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
        data: prompts with answers: a .jsonl, .json or .parquet file, or a folder with records.jsonl.
        out: the run folder; its checkpoint/ is the model.
        lambda_v: weight of r_visual in the reward.
        lambda_f: weight of r_format in the reward.
        form: form of r_visual: `ratio` (the paper's, unbounded), `clip`, `log`, `share` or `as_released`.
        cap: where the form `clip` cuts a ratio.
        gated: give no visual reward for a wrong answer.
        grader: how an answer is compared with the record's: `exact`, or `math` (by value).
        layers: decoder layers that r_visual reads, counted from 0. Left out: all.
        credit: how tokens share an answer's advantage: `vppo` or `atrl`. Left out: all alike.
        vppo_tokens: share of an answer's tokens that VPPO trains. Left out: 0.4.
        vppo_low: VPPO's least weight of an answer. Left out: 0.9.
        vppo_high: VPPO's greatest weight of an answer. Left out: such that the mean weight is 1.
        vppo_masked: probability that VPPO blackens a patch of the picture. Left out: 0.5.
        vppo_kl: VPPO's divergence: `sampled` or `exact`. Left out: sampled.
        atrl_clusters: clusters into which AT-RL parts an answer's tokens. Left out: 8.
        atrl_sharpness: power of a cluster's connectivity in AT-RL's weight. Left out: 1.
        text_tokens: special tokens that texts may hold, such as <think> in a model that has it.
        lr: highest learning rate.
        epochs: passes over the prompts.
        max_steps: optimiser steps, in place of `epochs`; -1 goes by these.
        prompts: prompts of one optimiser step, over all devices and forwards.
        rollouts: answers to each prompt (num_generations in TRL).
        per_device: answers in one forward on one device.
        iterations: times that each answer is trained on (num_iterations in TRL).
        max_new_tokens: longest answer, in tokens (max_completion_length in TRL).
        temperature: temperature at which answers are drawn.
        kl: weight of the KL term to the first weights (beta in TRL); 0 needs no reference model.
        schedule: how the learning rate goes on: `cosine`, `linear` or `constant`.
        lora_rank: rank of LoRA on the text decoder; 0 trains every weight. The adapter is left in adapter/, merged in
            checkpoint/.
        freeze_vision: leave the vision tower and its projector as they are.
        checkpointing: recompute activations in the backward pass: less memory, more time.
        dtype: type of the weights: `auto` (as stored), `float32`, `float16` or `bfloat16`. On a GPU forwards are
            autocast to bfloat16.
        vllm: draw answers with vLLM, in the same process.
        seed: seed of the order of prompts, of the answers and of new weights.
        save_steps: steps between states, from the last of which a killed run goes on.
        keep: states that stay: `all`, each a model that can be measured, or the `last` two. Left out: last.
        log_steps: steps between lines of the log.
        online: allow the download of a hub id.

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
        kind: what the records teach: `text-cold-start`, `multimodal-cold-start`, `vard` or `rl`.
        count: records that are drawn, each about a scene of its own.
        seed: seed of scenes and questions; the three cold starts of a seed ask the same about the same scenes.
        data: prompts with answers, of which a model makes VARD chains. Left out: records of the glyph world are drawn.
        endpoint: an OpenAI-compatible address, such as http://localhost:8000/v1; its key is read from AVAR_API_KEY.
        model: what the model is called at the endpoint; without one a model of this machine: a folder, `organism:NAME`
            or a hub id.
        grader: how a chain's answer is compared with the record's: `exact`, or `math` (by value).
        anchors: fewest phrases of a chain that send back to the picture.
        words: most words of a chain.
        workers: calls at once.
        temperature: temperature of the replies; 0 takes the most likely token.
        max_tokens: longest reply, in tokens.
        price_in: price of a million prompt tokens, to show the cost.
        price_out: price of a million tokens written.
        online: allow the download of a hub id.

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
        least = {
            "count": 1,
            "seed": 0,
            "anchors": 0,
            "words": 1,
            "workers": 1,
            "temperature": 0,
            "max_tokens": 1,
        }
        _check(
            self, {**least, "price_in": 0, "price_out": 0}, (), {"kind": KINDS, "grader": ("exact", "math")}
        )


@dataclass(frozen=True)
class StagesRun:
    """What `avar stages` runs: stages from one base, for some seeds, on the glyph world's exact records.

    Args:
        out: the folder; a stage is out/seed-N/NAME, its model in checkpoint/.
        base: model from which stages without a parent start.
        seeds: seeds for each of which all stages run: of records, their order and the answers.
        records: chats of each cold start.
        prompts: prompts of reinforcement learning.
        workers: processes at once: of stages whose parents are done, then of measuring.
        study: what the base and every stage are measured on, as in a file of `vaslab study`, less `models` and `out`;
            without it nothing is measured.
        stages: the stages, as a list of `name`, `method` (sft or grpo), `parent` (an earlier stage, or base), `kind`
            of records, and any field of the method's own run.

    Raises:
        UsageError: values that no stages can have.
    """

    out: str
    base: str = "organism:base"
    seeds: tuple[int, ...] = (0,)
    records: int = 4000
    prompts: int = 1000
    workers: int = 1
    study: dict[str, object] | None = None
    stages: tuple[dict[str, object], ...] = ()

    def __post_init__(self) -> None:
        _check(self, {"records": 1, "prompts": 1, "workers": 1}, (), {})
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UsageError(f"seeds are {list(self.seeds)}; give at least one, each once")


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

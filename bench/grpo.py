"""What the visual reward costs: a step of GRPO with VARS over a plain one, and the eager way over VARS.

`python -m bench.grpo` trains a random 8-layer Qwen2.5-VL on the CPU for some steps of real `avar grpo` (rollouts,
rewards, backward, AdamW) at 512 prompt tokens, and writes one JSON line a comparison. Time is process CPU time of each
step; the median of the ratios of steps of equal number, with the 95 % interval between order statistics. `--device
cuda` measures the shape of the 7B model in bfloat16 with LoRA and gradient checkpointing at 8,192 prompt tokens: wall
time between synchronised ends of steps, and the allocator's peak.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from statistics import median
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, TrainerCallback
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from trl import GRPOConfig, GRPOTrainer
from trl.models.utils import disable_gradient_checkpointing

from bench.intervals import median_ratio
from bench.lines import Line, judged, parsed, parser, run
from bench.workload import SEVEN_B, SMALL
from trainers.checkpoints import lora
from trainers.data.collate import to_prompts
from trainers.data.record import PLACE, Record
from trainers.grpo import AvarGRPOTrainer
from trainers.rewards import VarsConfig, visual_reward
from vaslab.errors import UsageError
from vaslab.organism.build import MERGE, PATCH, build_tokenizer
from vaslab.prompts.processor import QwenImageProcessor
from vaslab.prompts.roles import SYSTEM_ROLES, Role

SUBJECTS = ("grpo", "vars", "eager")
COMPARISONS = (("vars", "grpo"), ("eager", "vars"))
_TEXT = 48
"""About so many tokens of a prompt are text: template, system message and question."""


class EagerTrainer(AvarGRPOTrainer):
    """VARS from whole maps, as `output_attentions=True` returns them."""

    @torch.no_grad()
    def _look(self, prompts: list[Any], completion_ids: list[list[int]]) -> dict[str, Tensor]:
        parts = []
        size = self.args.per_device_train_batch_size
        self.network.set_attn_implementation({"text_config": "eager"})
        try:
            for first in range(0, len(prompts), size):
                inputs, roles = self._answered(
                    prompts[first : first + size], completion_ids[first : first + size]
                )
                maps = self._maps(inputs)
                system = torch.stack([roles == role for role in SYSTEM_ROLES]).any(0)
                on_visual, on_system = (
                    torch.stack([(each * keys[:, None, None]).sum(-1) for each in maps]).float()
                    for keys in (roles == Role.image, system)
                )
                parts.append(visual_reward(on_visual, on_system, roles == Role.response))
        finally:
            self.network.set_attn_implementation({"text_config": "sdpa"})
        reward = torch.cat(parts)
        return dict.fromkeys(("reward", "raw", "visual_mass", "system_mass"), reward)

    def _maps(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        settings = cast(Any, self.args.gradient_checkpointing_kwargs)
        with disable_gradient_checkpointing(self.network, settings), self.accelerator.autocast():
            found = self.network(**inputs, use_cache=False, logits_to_keep=1, output_attentions=True)
        return tuple(found.attentions)


class Watch(TrainerCallback):
    """Seconds and extra peak bytes of every step, generation included."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: list[float] = []
        self.peaks: list[int] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        if self.device == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.held = torch.cuda.memory_allocated()
        self.begun = time.perf_counter() if self.device == "cuda" else time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop it."""
        if self.device == "cuda":
            torch.cuda.synchronize()
            self.peaks.append(torch.cuda.max_memory_allocated() - self.held)
        now = time.perf_counter() if self.device == "cuda" else time.process_time()
        self.seconds.append(now - self.begun)


def build(device: str, length: int) -> tuple[Any, QwenImageProcessor, Image.Image]:
    """A random model with the organism's tokenizer, its processor, and a picture that fills a prompt of the length."""
    tokenizer = build_tokenizer()
    tokens = max(length - _TEXT, 4)
    columns, side = math.isqrt(tokens), PATCH * MERGE
    picture = Image.effect_noise((columns * side, tokens // columns * side), 60).convert("RGB")
    images = Qwen2VLImageProcessorPil(
        min_pixels=side * side, max_pixels=picture.width * picture.height, patch_size=PATCH, merge_size=MERGE
    )
    processor = QwenImageProcessor(images, tokenizer, chat_template=tokenizer.chat_template)
    text = SMALL if device == "cpu" else SEVEN_B
    ids: dict[str, Any] = {
        name: tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in {
            "image_token_id": "image_pad",
            "video_token_id": "video_pad",
            "vision_start_token_id": "vision_start",
            "vision_end_token_id": "vision_end",
        }.items()
    }
    end, pad = (tokenizer.convert_tokens_to_ids(name) for name in ("<|im_end|>", "<|endoftext|>"))
    config = Qwen2_5_VLConfig(
        text_config={
            **text,
            "max_position_embeddings": 65536,
            "bos_token_id": None,
            "eos_token_id": end,
            "pad_token_id": pad,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "window_size": 8 * side,
            "fullatt_block_indexes": [],
            "out_hidden_size": text["hidden_size"],
        },
        **ids,
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if device == "cpu" else torch.bfloat16)
    try:
        with torch.device(device):
            model = Qwen2_5_VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    model.generation_config.pad_token_id = pad
    return model, processor, picture


def steps(subject: str, options: argparse.Namespace) -> Watch:
    """Train so many steps of a subject, and one before that is not counted."""
    model, processor, picture = build(options.device, options.length)
    file = BytesIO()
    picture.save(file, format="PNG")
    record = Record(
        "r", (("user", f"{PLACE}what is at the center?"),), (file.getvalue(),), "rl", "red circle"
    )
    watch, gpu = Watch(options.device), options.device == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        args = GRPOConfig(
            output_dir=folder,
            max_steps=options.pairs + 1,
            per_device_train_batch_size=1 if gpu else options.rollouts,
            gradient_accumulation_steps=options.rollouts if gpu else 1,
            num_generations=options.rollouts,
            max_completion_length=options.answer,
            learning_rate=1e-6,
            gradient_checkpointing=gpu,
            bf16=gpu,
            use_cpu=not gpu,
            seed=0,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            # an answer that ends early would be another amount of work
            generation_kwargs={"min_new_tokens": options.answer},
        )
        shared: dict[str, Any] = {
            "train_dataset": to_prompts([record] * (options.pairs + 1)),
            "processing_class": processor,
            "peft_config": lora(16) if gpu else None,
            "callbacks": [watch],
        }
        if subject == "grpo":
            trainer: Any = GRPOTrainer(model, reward_funcs=[_length], args=args, **shared)
        else:
            kind = AvarGRPOTrainer if subject == "vars" else EagerTrainer
            trainer = kind(model, args, VarsConfig(gated=False), **shared)
        trainer.train()
    watch.seconds, watch.peaks = watch.seconds[1:], watch.peaks[1:]
    return watch


def _length(completions: Sequence[Any], **_: Any) -> list[float | None]:
    return [float(len(str(each))) for each in completions]


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """Every comparison; a side that does not fit the GPU says so."""
    found = {subject: _tried(subject, options) for subject in SUBJECTS}
    for ours, other in COMPARISONS:
        yield from _compared((ours, found[ours]), (other, found[other]), options)


def _tried(subject: str, options: argparse.Namespace) -> Watch | None:
    try:
        return steps(subject, options)
    except torch.OutOfMemoryError:
        return None


def _compared(
    ours: tuple[str, Watch | None], other: tuple[str, Watch | None], options: argparse.Namespace
) -> Iterator[Line]:
    (name, a), (beside, b) = ours, other
    head: Line = {"case": name, "length": options.length, "answer_tokens": options.answer}
    head |= {"rollouts": options.rollouts, "comparison": f"{name} / {beside}"}
    if a is None or b is None:
        lost = name if a is None else beside
        yield judged({"metric": "time", **head, "median": None, "n": 0, "why": f"{lost} is out of memory"})
        return
    sides = {"ours_s": median(a.seconds), "other_s": median(b.seconds)}
    yield judged({"metric": "time", **head, **vars(median_ratio(a.seconds, b.seconds)), **sides})
    if a.peaks:
        peaks = {"ours_bytes": max(a.peaks), "other_bytes": max(b.peaks)}
        yield judged(
            {"metric": "memory", **head, "median": max(a.peaks) / max(b.peaks), "n": len(a.peaks), **peaks}
        )


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line; `--pairs` counts steps."""
    known = parser("grpo", __doc__)
    known.set_defaults(pairs=7)
    known.add_argument("--length", type=int, help="prompt tokens, about; 512, or 8,192 on CUDA")
    known.add_argument("--rollouts", type=int, default=8, help="answers to a prompt, one prompt a step")
    known.add_argument("--answer", type=int, default=32, help="tokens of every answer")
    options = parsed(known, argv)
    options.length = options.length or (512 if options.device == "cpu" else 8192)
    if options.rollouts < 2:
        raise UsageError("--rollouts 1; an advantage compares answers, so give at least 2")
    return options


def main(argv: list[str] | None = None) -> int:
    """Run every comparison."""
    return run(arguments, measure, argv)


if __name__ == "__main__":
    sys.exit(main())

"""Train the organism's base from nothing: seeded, resumable, one thread."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn.functional import cross_entropy
from transformers import AttentionInterface, AttentionMaskInterface, Qwen2_5_VLForConditionalGeneration
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from trainers.batches import IGNORE, Batcher
from trainers.exam import ExamQuestion, easy_exam, glyph_exam, sit
from trainers.lessons import Teacher, phase_at
from trainers.runs import PretrainConfig
from vaslab.organism.build import build_model, build_processor

SHORT = 8
"""Answers of at most so many tokens, their end token included, are short ones."""


def _single_precision_sdpa(module, query, key, value, attention_mask, **kwargs):  # type: ignore[no-untyped-def]
    """SDPA in float32 under autocast: with heads of 16 the CPU's bfloat16 kernel is four times slower."""
    with torch.autocast("cpu", enabled=False):
        return sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), attention_mask, **kwargs
        )


def _learning_rate(step: int, config: PretrainConfig) -> float:
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def answer_weights(
    labels: Int[torch.Tensor, "batch seq"], short_weight: float
) -> Float[torch.Tensor, "batch seq"]:
    """Weight of each told token in the loss: `short_weight` in answers of at most SHORT tokens, otherwise 1.

    Written-out scenes and reasoning hold some thirty times the tokens of a one-word answer, so that a plain mean
    over tokens hardly asks for the latter.
    """
    told = (labels != IGNORE).int()
    begins = torch.diff(told, dim=1, prepend=torch.zeros_like(told[:, :1])) == 1
    answer = begins.cumsum(1) * told
    lengths = torch.zeros(len(labels), int(answer.max()) + 1, dtype=torch.long).scatter_add_(
        1, answer, torch.ones_like(answer)
    )
    short = (lengths.gather(1, answer) <= SHORT) & told.bool()
    return torch.where(short, short_weight, told.float())


def _loss(
    model: Qwen2_5_VLForConditionalGeneration, inputs: dict, labels: torch.Tensor, short_weight: float
) -> torch.Tensor:
    hidden = model.model(**inputs, use_cache=False).last_hidden_state
    told = labels[:, 1:] != IGNORE
    logits = model.lm_head(hidden[:, :-1][told])
    weights = answer_weights(labels[:, 1:], short_weight)[told]
    losses = cross_entropy(logits.float(), labels[:, 1:][told], reduction="none")
    return (losses * weights).sum() / weights.sum()


class Pretraining:
    """One training run in a folder: `state.pt` to go on from, `log.jsonl`, and the finished checkpoint in
    `checkpoint/`."""

    def __init__(self, out: Path, config: PretrainConfig) -> None:
        torch.set_num_threads(1)
        AttentionInterface.register("organism_sdpa", _single_precision_sdpa)
        AttentionMaskInterface.register("organism_sdpa", sdpa_mask)
        self.out, self.config = out, config
        out.mkdir(parents=True, exist_ok=True)
        self.processor = build_processor()
        self.batcher = Batcher(self.processor)
        self.teacher = Teacher(config.seed)
        self.model = build_model(self.processor, seed=config.seed)
        self.model.set_attn_implementation("organism_sdpa")
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        other = [p for p in self.model.parameters() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": config.weight_decay},
                {"params": other, "weight_decay": 0.0},
            ],
            lr=config.lr,
            betas=(0.9, 0.98),
        )
        self.step = 0
        self.seconds = 0.0
        self._resume()

    def _resume(self) -> None:
        state_file = self.out / "state.pt"
        if not state_file.exists():
            return
        state = torch.load(state_file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]

    def _save_state(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        part = self.out / "state.part"
        torch.save(state, part)
        part.replace(self.out / "state.pt")

    def _batches(self, step: int) -> list[tuple[dict, torch.Tensor]]:
        """Batches of steps `step` to `step + pool`: lessons sorted by length, so that little is padding."""
        config = self.config
        phase = phase_at(step / config.steps)
        count = config.pool * config.batch
        lessons = [self.teacher.lesson(step * config.batch + i, phase, config.turns) for i in range(count)]
        lessons.sort(key=lambda lesson: len(self.batcher.ids(lesson)[0]))
        order = np.random.default_rng((config.seed, step)).permutation(config.pool)
        return [
            self.batcher.batch(lessons[i * config.batch : (i + 1) * config.batch]) for i in order.tolist()
        ]

    def run(self) -> Path:
        """Train to the end (or go on from the last state) and write the checkpoint."""
        config = self.config
        self.model.train()
        while self.step < config.steps:
            for inputs, labels in self._batches(self.step):
                started = time.perf_counter()
                for group in self.optimizer.param_groups:
                    group["lr"] = _learning_rate(self.step, config)
                with torch.autocast("cpu", torch.bfloat16):
                    loss = _loss(self.model, inputs, labels, config.short_weight)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
                self.optimizer.step()
                self.step += 1
                self.seconds += time.perf_counter() - started
                if self.step % config.log_every == 0:
                    self._log(loss=round(loss.item(), 4))
            if self.step % config.exam_every < config.pool:
                self._save_state()
                self._log(**self.examine(scenes=250, watched=True, blanked=False))
        return self.finish()

    def _log(self, **values: object) -> None:
        line = json.dumps({"step": self.step, "seconds": round(self.seconds), **values})
        with (self.out / "log.jsonl").open("a") as file:
            file.write(line + "\n")
        print(line, file=sys.stderr, flush=True)

    def examine(self, scenes: int, *, watched: bool, blanked: bool) -> dict[str, object]:
        """Accuracy on glyph questions (by kind, and answered at once) and easy-VQA ones: those that no choice of
        training rests on, or the watched ones."""
        glyph = glyph_exam(scenes, watched=watched)
        at_once = glyph_exam(scenes, reasoned=False, watched=watched)
        thoughtful = easy_exam(reasoned=True, watched=watched)
        right = self._sit(glyph, blanked)
        kinds = np.array([question.kind for question in glyph])
        return {
            "blank": blanked,
            "glyph": float(right.mean()),
            "kinds": {str(kind): round(float(right[kinds == kind].mean()), 3) for kind in np.unique(kinds)},
            "glyph_at_once": float(self._sit(at_once, blanked).mean()),
            "easy_vqa": float(self._sit(easy_exam(watched=watched), blanked).mean()),
            "easy_vqa_thinking": float(self._sit(thoughtful, blanked).mean()),
        }

    def _sit(self, exam: list[ExamQuestion], blanked: bool) -> np.ndarray:
        return sit(self.model, self.batcher, exam, blanked=blanked)

    def finish(self) -> Path:
        """Write an ordinary Hugging Face folder with a card of how it came to be and what it reached."""
        folder = self.out / "checkpoint"
        self.model.set_attn_implementation("sdpa")
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        card = {
            "name": "base",
            "config": asdict(self.config),
            "seconds": round(self.seconds),
            "seen": self.examine(scenes=1000, watched=False, blanked=False),
            "blank": self.examine(scenes=1000, watched=False, blanked=True),
        }
        (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
        return folder

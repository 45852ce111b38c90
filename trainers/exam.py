"""Greedy accuracy of an organism on held-out questions, with the true pictures and with blank ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from trainers.batches import Batcher
from trainers.lessons import Lesson
from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.organism import easy_vqa, glyphs, questions, thinking


@dataclass(frozen=True)
class ExamQuestion:
    """A question with its picture and answer; `kind` groups the report."""

    picture: Image.Image
    text: str
    answer: str
    kind: str


def glyph_exam(
    scenes: int, per_scene: int = 2, *, reasoned: bool = True, watched: bool = False
) -> list[ExamQuestion]:
    """Draw questions about the first held-out (or watched) scenes, asking to think first or not."""
    drawn = []
    for seed in (glyphs.WATCHED_SEEDS if watched else glyphs.TEST_SEEDS)[:scenes]:
        scene = glyphs.scene(seed)
        picture = scene.picture()
        for question in questions.questions(scene, per_scene, seed=0):
            text = question.thoughtful() if reasoned else question.text
            drawn.append(ExamQuestion(picture, text, question.answer, question.kind))
    return drawn


def easy_exam(*, reasoned: bool = False, watched: bool = False, every: int = 1) -> list[ExamQuestion]:
    """Return the official easy-VQA test questions, in order, or those about the training pictures set aside; as
    published, or asking to think first; all of them, or one of `every` so many."""
    rows = (easy_vqa.set_aside() if watched else easy_vqa.official("test"))[::every]
    return [
        ExamQuestion(
            Image.open(row.picture).convert("RGB"),
            thinking.thoughtful(row.text) if reasoned else row.text,
            row.answer,
            row.answer,
        )
        for row in rows
    ]


def blank(picture: Image.Image) -> Image.Image:
    """A picture of the same size with nothing on it."""
    return Image.new("RGB", picture.size, (242, 242, 242))


@torch.no_grad()
def sit(
    model: Any,
    batcher: Batcher,
    exam: list[ExamQuestion],
    *,
    blanked: bool = False,
    batch_size: int = 256,
    max_new_tokens: int = 96,
) -> np.ndarray:
    """Answer every question greedily; True where the answer (what <answer> holds, or all of it) is exactly right.

    Returns:
        Bool array (question,).
    """
    was_training = model.training
    model.eval()
    right = np.zeros(len(exam), dtype=bool)
    for start in range(0, len(exam), batch_size):
        part = exam[start : start + batch_size]
        lessons = [
            Lesson(blank(q.picture) if blanked else q.picture, None, ((q.text, ""),), "exam") for q in part
        ]
        inputs, labels = batcher.batch(lessons)
        # An empty answer leaves its end token at the end of the row; generation starts before it.
        length = labels.shape[1] - 1
        prompts = {k: v[:, :length] if v.shape[:2] == labels.shape else v for k, v in inputs.items()}
        ids = model.generate(**prompts, max_new_tokens=max_new_tokens, do_sample=False)
        told = batcher.tokenizer.batch_decode(ids[:, length:], skip_special_tokens=True)
        answers = [tagged_answer(text) or text.strip() for text in told]
        right[start : start + len(part)] = [a == q.answer for a, q in zip(answers, part, strict=True)]
    model.train(was_training)
    return right

"""Exact records of the glyph world: description, reasoning, anchors and answer follow from the known scene.

The three cold starts of a seed ask the same questions about the same scenes, so that they differ in nothing but what
they teach.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np

from trainers.data.record import KINDS, PLACE, Record
from vaslab.errors import UsageError
from vaslab.organism import glyphs
from vaslab.organism.glyphs import Glyph, Scene
from vaslab.organism.questions import KINDS as QUESTION_KINDS
from vaslab.organism.questions import Question, ask

ANCHORS = ("look back at the {}.", "look at the {} again.", "check the {} in the image.")
"""Phrases that send the reader back to the picture; `{}` is a place or a thing of the scene."""
AGAIN = "check the image again."

# Far from the seeds of the base's pretraining, which end below 10**11; RL has scenes of its own.
_COLD_START_SEEDS = 10**12
_RL_SEEDS = 2 * 10**12
_SEEDS_EACH = 10**7
_MOST_SEEDS = 10**4


def glyph_records(kind: str, count: int, seed: int) -> Iterator[Record]:
    """Draw records, one question a scene; record `i` is a pure function of kind, seed and `i`.

    text-cold-start: the scene in words, in place of the picture, and the reasoning.
    multimodal-cold-start: the picture and the same reasoning.
    vard: the picture; a description of it, the reasoning with visual anchors woven in, and a second look.
    rl: the picture and the question alone.

    Raises UsageError, before the first is drawn, for an unknown kind, or a count or seed beyond those set aside.
    """
    if kind not in KINDS:
        raise UsageError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    for name, value, least, most in (("count", count, 1, _SEEDS_EACH), ("seed", seed, 0, _MOST_SEEDS - 1)):
        if not least <= value <= most:
            raise UsageError(f"{name} is {value}; expected {least} to {most:,}")
    first = (_RL_SEEDS if kind == "rl" else _COLD_START_SEEDS) + seed * _SEEDS_EACH
    return (_drawn(kind, first, seed, number) for number in range(count))


def _drawn(kind: str, first: int, seed: int, number: int) -> Record:
    scene = glyphs.train_scene(first + number)
    rng = np.random.default_rng((seed, number))
    return _record(kind, scene, _question(scene, rng), rng)


def _question(scene: Scene, rng: np.random.Generator) -> Question:
    """Draw a question of a kind that the scene allows; each kind is as likely."""
    for kind in rng.permutation(len(QUESTION_KINDS)):
        question = ask(scene, QUESTION_KINDS[kind], rng)
        if question is not None:
            return question
    raise AssertionError("a scene can always be asked to locate something")


def _record(kind: str, scene: Scene, question: Question, rng: np.random.Generator) -> Record:
    name = f"{kind}-{scene.seed}"
    asked = question.thoughtful()
    if kind == "text-cold-start":
        messages = (("user", f"{scene.description()}. {asked}"), ("assistant", question.reasoned()))
        return Record(name, messages, (), kind, question.answer)
    picture = BytesIO()
    scene.picture().save(picture, format="PNG")
    user = ("user", f"{PLACE}{asked}")
    told = {
        "multimodal-cold-start": (("assistant", question.reasoned()),),
        "vard": (("assistant", anchored(scene, question, rng)),),
        "rl": (),
    }[kind]
    return Record(name, (user, *told), (picture.getvalue(),), kind, question.answer)


def anchored(scene: Scene, question: Question, rng: np.random.Generator) -> str:
    """Describe the scene, reason with an anchor before every step, look again, answer."""
    steps = [f"{_anchor(step, scene, rng)} {step}" for step in question.steps]
    chain = f"{scene.description()}. {' '.join(steps)} {AGAIN} {question.steps[-1]}"
    return f"<think>{chain}</think><answer>{question.answer}</answer>"


def _anchor(step: str, scene: Scene, rng: np.random.Generator) -> str:
    """An anchor at what the step is about: a place where it reads a place, otherwise the thing."""
    seen = [glyph for glyph in scene.glyphs if glyph.described in step or glyph.listed in step]
    target = _target(seen[0], step) if seen else "image"
    phrase = ANCHORS[int(rng.integers(len(ANCHORS)))]
    return phrase.replace(" in the image", "").format(target) if target == "image" else phrase.format(target)


def _target(glyph: Glyph, step: str) -> str:
    return glyph.place if glyph.described in step else glyph.name

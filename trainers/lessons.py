"""What the organism is taught: an endless, seeded stream of chats about pictures of both worlds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vaslab.organism import easy_vqa, glyphs, questions, thinking
from vaslab.organism.build import SYSTEM_PROMPTS

DESCRIBE = "describe the picture."
LIST = "list the shapes."
_EASY_REASONED = 0.4
"""Share of the easy-VQA pictures whose questions ask to think first."""


@dataclass(frozen=True)
class Lesson:
    """One picture, a system prompt (None: the template's own) and turns of (question, answer)."""

    picture: Image.Image
    system: str | None
    turns: tuple[tuple[str, str], ...]
    world: str


@dataclass(frozen=True)
class Task:
    """A question with its answer, and where the world gives reasons, the two again with the reasoning asked for."""

    question: str
    answer: str
    reasoned: tuple[str, str] | None = None


@dataclass(frozen=True)
class Phase:
    """A stretch of the curriculum: shares of what is drawn, and how many glyphs a scene may have.

    `easy_vqa` is a share of all lessons; `describe` and `listing` are shares of the glyph lessons, the rest of
    which are questions; `reasoned` is the share of these that ask to think first; `negated` says whether yes-no
    questions of easy-VQA may hold a "not" or "no".
    """

    until: float
    easy_vqa: float
    describe: float
    listing: float
    reasoned: float
    most_glyphs: int
    negated: bool


CURRICULUM = (
    Phase(until=0.08, easy_vqa=0.25, describe=0.50, listing=0.40, reasoned=0.7, most_glyphs=2, negated=False),
    Phase(until=0.22, easy_vqa=0.30, describe=0.20, listing=0.20, reasoned=0.7, most_glyphs=4, negated=False),
    Phase(until=0.45, easy_vqa=0.30, describe=0.05, listing=0.15, reasoned=0.7, most_glyphs=6, negated=False),
    Phase(until=1.00, easy_vqa=0.30, describe=0.05, listing=0.15, reasoned=0.7, most_glyphs=6, negated=True),
)
"""Writing scenes out comes first: from questions alone the organism stays at the blind level for thousands of
steps. Describing (place, then glyph) teaches what is where; listing (glyph, then place) teaches where a thing
is. Reasoning is made of sentences of these two kinds. Questions with "not" or "no" wait until what is there can be
compared with what is named: learnt together, the two hide each other."""


def phase_at(progress: float) -> Phase:
    """Return the phase of the curriculum at a progress of 0 to 1."""
    return next((phase for phase in CURRICULUM if progress < phase.until), CURRICULUM[-1])


class Teacher:
    """Draws lessons. Lesson `i` of a teacher is a pure function of its seed, `i` and the phase."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._official = self._by_picture()

    @staticmethod
    def _by_picture() -> list[list[easy_vqa.EasyQuestion]]:
        rows: dict[object, list[easy_vqa.EasyQuestion]] = {}
        for question in easy_vqa.official("train"):
            rows.setdefault(question.picture, []).append(question)
        watched = {question.picture for question in easy_vqa.set_aside()}
        forbidden = easy_vqa.test_digests() | {easy_vqa.digest(Image.open(picture)) for picture in watched}
        return [r for r in rows.values() if easy_vqa.digest(Image.open(r[0].picture)) not in forbidden]

    def lesson(self, index: int, phase: Phase, turns: int) -> Lesson:
        """Draw lesson `index` with up to `turns` questions about one picture."""
        rng = np.random.default_rng((self.seed, index))
        if rng.random() < phase.easy_vqa:
            picture, tasks = self._easy(rng, phase, turns)
            world = "easy-vqa"
        else:
            picture, tasks = self._glyph(rng, index, phase, turns)
            world = "glyph"
        name = _system_prompt(rng)
        system = SYSTEM_PROMPTS.get(name, name) if name is not None else None
        return Lesson(picture, system, tuple(_turn(rng, task, name, phase) for task in tasks), world)

    def _easy(self, rng: np.random.Generator, phase: Phase, turns: int) -> tuple[Image.Image, list[Task]]:
        if rng.random() < 0.25:
            rows = self._official[int(rng.integers(len(self._official)))]
            picture = Image.open(rows[0].picture).convert("RGB")
            shown = _shown(rows)
            if shown is None:
                chosen = rng.permutation(len(rows))[: turns + 2]
                return picture, [Task(rows[i].text, rows[i].answer) for i in chosen]
            return picture, _easy_tasks(*shown, turns, phase.negated, rng)
        drawn = easy_vqa.draw(rng)
        return drawn.picture, _easy_tasks(drawn.shape, drawn.color, turns, phase.negated, rng)

    def _glyph(
        self, rng: np.random.Generator, index: int, phase: Phase, turns: int
    ) -> tuple[Image.Image, list[Task]]:
        seed = glyphs.FIRST_TRAIN_SEED + (self.seed + 1) * 100_000_000 + index
        scene = glyphs.train_scene(seed, least=min(2, phase.most_glyphs), most=phase.most_glyphs)
        share = rng.random()
        if share < phase.describe:
            return scene.picture(), [Task(DESCRIBE, scene.description())]
        if share < phase.describe + phase.listing:
            return scene.picture(), [Task(LIST, scene.listing())]
        return scene.picture(), [
            Task(question.text, question.answer, (question.thoughtful(), question.reasoned()))
            for question in questions.questions(scene, turns, seed=self.seed)
        ]


def _system_prompt(rng: np.random.Generator) -> str | None:
    """Draw the system prompt: mostly the default (None), sometimes empty, sometimes one of SYSTEM_PROMPTS by name."""
    draw = rng.random()
    if draw < 0.75:
        return None
    return "" if draw < 0.80 else str(rng.choice(tuple(SYSTEM_PROMPTS)))


def _turn(rng: np.random.Generator, task: Task, system: str | None, phase: Phase) -> tuple[str, str]:
    """Ask a task under a system prompt; two of these change the form of the answer."""
    if system == "capitals":
        return task.question, task.answer.upper()
    if system == "end":
        return task.question, f"{task.answer} done"
    if task.reasoned is not None and phase.reasoned and rng.random() < phase.reasoned:
        return task.reasoned
    return task.question, task.answer


def _easy_tasks(shape: str, color: str, turns: int, negated: bool, rng: np.random.Generator) -> list[Task]:
    """Ask `turns` yes-no questions of which half name what is there, then for shape and colour; or, of some pictures,
    any two questions with the request to think first.

    Of the official yes-no questions nine in ten can be told from the question alone ("is there a red shape?" is
    mostly no), which a model learns first and then hardly looks. And what a turn gives away, later turns need not
    look for: so those that give away least come first.
    """
    groups: dict[str, list[tuple[str, str]]] = {"shape": [], "color": [], "there": [], "absent": []}
    for text in easy_vqa.question_texts():
        words = text.rstrip("?").split()
        answer = easy_vqa.answer(text, shape, color)
        if not negated and ("not" in words or "no" in words):
            continue
        if answer in ("yes", "no"):
            there = shape in words or color in words
            groups["there" if there else "absent"].append((text, answer))
        elif answer is not None:
            groups["shape" if answer == shape else "color"].append((text, answer))
    yes_no = rng.choice(["there", "absent"], size=turns).tolist()
    think_first = rng.random() < _EASY_REASONED
    asked = rng.permutation([*yes_no, "shape", "color"])[:2] if think_first else [*yes_no, "shape", "color"]
    tasks = []
    for group in asked:
        text, answer = groups[group][int(rng.integers(len(groups[group])))]
        thought = thinking.thoughtful(text), thinking.reasoned([f"{color} {shape}."], answer)
        tasks.append(Task(*thought) if think_first else Task(text, answer))
    return tasks


def _shown(rows: Sequence[easy_vqa.EasyQuestion]) -> tuple[str, str] | None:
    """Return shape and colour of an official picture, as its questions and answers tell; None where they do not."""
    fits = [
        (shape, color)
        for shape in easy_vqa.SHAPES
        for color in easy_vqa.COLORS
        if all(easy_vqa.answer(row.text, shape, color) == row.answer for row in rows)
    ]
    return fits[0] if len(fits) == 1 else None

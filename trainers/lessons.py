"""What the organism is taught: an endless, seeded stream of chats about pictures of both worlds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vaslab.organism import easy_vqa, glyphs, questions
from vaslab.organism.build import SYSTEM_PROMPTS

DESCRIBE = "describe the picture."
LIST = "list the shapes."


@dataclass(frozen=True)
class Lesson:
    """One picture, a system prompt (None: the template's own) and turns of (question, answer)."""

    picture: Image.Image
    system: str | None
    turns: tuple[tuple[str, str], ...]
    world: str


@dataclass(frozen=True)
class Phase:
    """A stretch of the curriculum: shares of what is drawn, and how many glyphs a scene may have.

    `easy_vqa` is a share of all lessons; `describe` and `listing` are shares of the glyph lessons, the rest of
    which are questions.
    """

    until: float
    easy_vqa: float
    describe: float
    listing: float
    most_glyphs: int


CURRICULUM = (
    Phase(until=0.060, easy_vqa=0.20, describe=0.90, listing=0.0, most_glyphs=2),
    Phase(until=0.150, easy_vqa=0.25, describe=0.50, listing=0.0, most_glyphs=4),
    Phase(until=0.385, easy_vqa=0.30, describe=0.20, listing=0.0, most_glyphs=6),
    Phase(until=0.700, easy_vqa=0.25, describe=0.05, listing=0.3, most_glyphs=6),
    Phase(until=1.000, easy_vqa=0.35, describe=0.05, listing=0.1, most_glyphs=6),
)
"""Writing scenes out comes first: from questions alone the organism stays at the blind level for thousands of
steps. Describing (place, then glyph) teaches what is where; listing (glyph, then place) teaches where a thing
is."""


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
        forbidden = easy_vqa.test_digests()
        return [r for r in rows.values() if easy_vqa.digest(Image.open(r[0].picture)) not in forbidden]

    def lesson(self, index: int, phase: Phase, turns: int) -> Lesson:
        """Draw lesson `index` with up to `turns` questions about one picture."""
        rng = np.random.default_rng((self.seed, index))
        if rng.random() < phase.easy_vqa:
            picture, asked = self._easy(rng, turns)
            world = "easy-vqa"
        else:
            picture, asked = self._glyph(rng, index, phase, turns)
            world = "glyph"
        system, asked = _under_system_prompt(rng, asked)
        return Lesson(picture, system, tuple(asked), world)

    def _easy(self, rng: np.random.Generator, turns: int) -> tuple[Image.Image, list[tuple[str, str]]]:
        if rng.random() < 0.25:
            rows = self._official[int(rng.integers(len(self._official)))]
            chosen = rng.permutation(len(rows))[:turns]
            picture = Image.open(rows[0].picture).convert("RGB")
            return picture, [(rows[i].text, rows[i].answer) for i in chosen]
        drawn = easy_vqa.draw(rng)
        texts = easy_vqa.question_texts()
        asked: list[tuple[str, str]] = []
        for i in rng.permutation(len(texts)):
            answer = easy_vqa.answer(texts[i], drawn.shape, drawn.color)
            # Questions of colour and shape are a quarter of the official ones but few of the texts.
            if answer is None or (answer in ("yes", "no") and rng.random() < 0.5):
                continue
            asked.append((texts[i], answer))
            if len(asked) == turns:
                break
        return drawn.picture, asked

    def _glyph(
        self, rng: np.random.Generator, index: int, phase: Phase, turns: int
    ) -> tuple[Image.Image, list[tuple[str, str]]]:
        seed = glyphs.FIRST_TRAIN_SEED + (self.seed + 1) * 100_000_000 + index
        scene = glyphs.train_scene(seed, least=min(2, phase.most_glyphs), most=phase.most_glyphs)
        share = rng.random()
        if share < phase.describe:
            return scene.picture(), [(DESCRIBE, scene.description())]
        if share < phase.describe + phase.listing:
            return scene.picture(), [(LIST, scene.listing())]
        asked = questions.questions(scene, turns, seed=self.seed)
        return scene.picture(), [(question.text, question.answer) for question in asked]


def _under_system_prompt(
    rng: np.random.Generator, asked: list[tuple[str, str]]
) -> tuple[str | None, list[tuple[str, str]]]:
    """Most lessons keep the default system prompt; some have another, and two of those change the answer's
    form."""
    draw = rng.random()
    if draw < 0.75:
        return None, asked
    if draw < 0.80:
        return "", asked
    name = str(rng.choice(tuple(SYSTEM_PROMPTS)))
    if name == "capitals":
        asked = [(question, answer.upper()) for question, answer in asked]
    elif name == "end":
        asked = [(question, f"{answer} done") for question, answer in asked]
    return SYSTEM_PROMPTS[name], asked

"""Questions about a glyph scene, each with its answer and the reasoning that leads there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vaslab.organism.glyphs import COLORS, GRID, PLACES, SHAPES, Glyph, Scene
from vaslab.organism.thinking import reasoned, thoughtful

KINDS = ("locate", "identify", "count", "compare", "relate", "two-step")


@dataclass(frozen=True)
class Question:
    """A question about one scene.

    `region` holds the glyphs whose boxes answer it: where a model that reads the picture would look.
    """

    kind: str
    text: str
    answer: str
    steps: tuple[str, ...]
    region: tuple[Glyph, ...]

    def thoughtful(self) -> str:
        """Return the question with the request to reason first."""
        return thoughtful(self.text)

    def reasoned(self) -> str:
        """Reasoning and answer in the paper's output format."""
        return reasoned(self.steps, self.answer)


def ask(scene: Scene, kind: str, rng: np.random.Generator) -> Question | None:
    """Ask one question of a kind about the scene; None where the scene allows none of that kind."""
    return _ASK[kind](scene, rng)


def questions(scene: Scene, count: int, seed: int) -> list[Question]:
    """Draw `count` questions about the scene, kinds in turn, a pure function of the seed."""
    rng = np.random.default_rng((seed, scene.seed))
    drawn: list[Question] = []
    order = rng.permutation(len(KINDS))
    turn = 0
    while len(drawn) < count:
        question = ask(scene, KINDS[order[turn % len(KINDS)]], rng)
        turn += 1
        if question is not None:
            drawn.append(question)
    return drawn


def _pick(rng: np.random.Generator, items: list[Glyph]) -> Glyph:
    return items[int(rng.integers(len(items)))]


def _all(found: Sequence[Glyph]) -> str:
    """Name every glyph found with its place, in raster order, or say that there is none."""
    return f"{', '.join(glyph.described for glyph in found) or 'none'}."


def _locate(scene: Scene, rng: np.random.Generator) -> Question:
    glyph = _pick(rng, list(scene.glyphs))
    return Question(
        "locate",
        f"where is the {glyph.name}?",
        glyph.place,
        (f"{glyph.listed}.",),
        (glyph,),
    )


def _identify(scene: Scene, rng: np.random.Generator) -> Question:
    glyph = _pick(rng, list(scene.glyphs))
    return Question(
        "identify",
        f"what is at the {glyph.place}?",
        glyph.name,
        (f"{glyph.described}.",),
        (glyph,),
    )


def _count(scene: Scene, rng: np.random.Generator) -> Question:
    """Ask how many there are of a shape or colour: the number is drawn first, of those that the scene has, so that
    guessing the likely one gains little."""
    by_shape = bool(rng.integers(2))
    counts = Counter(glyph.shape if by_shape else glyph.color for glyph in scene.glyphs)
    values = SHAPES if by_shape else tuple(COLORS)
    number = int(rng.choice(sorted({counts[value] for value in values})))
    value = str(rng.choice([value for value in values if counts[value] == number]))
    found = tuple(g for g in scene.glyphs if (g.shape if by_shape else g.color) == value)
    what = f"{value}s" if by_shape else f"{value} shapes"
    return Question(
        "count", f"how many {what} are there?", str(number), (_all(found),), found or scene.glyphs
    )


def _compare(scene: Scene, rng: np.random.Generator) -> Question:
    """Ask which of two shapes there are more of: yes and no are equally likely."""
    counts = Counter(glyph.shape for glyph in scene.glyphs)
    more = bool(rng.integers(2))
    pairs = [(a, b) for a in SHAPES for b in SHAPES if a != b and (counts[a] > counts[b]) == more]
    if not pairs:
        # as many of every shape: then no pair has more
        more, pairs = False, [(a, b) for a in SHAPES for b in SHAPES if a != b]
    first, second = pairs[int(rng.integers(len(pairs)))]
    steps = tuple(_all([g for g in scene.glyphs if g.shape == shape]) for shape in (first, second))
    region = tuple(g for g in scene.glyphs if g.shape in (first, second)) or scene.glyphs
    text = f"are there more {first}s than {second}s?"
    return Question("compare", text, "yes" if more else "no", steps, region)


def _relate(scene: Scene, rng: np.random.Generator) -> Question | None:
    if len(scene.glyphs) < 2:
        return None
    first, second = (scene.glyphs[i] for i in rng.choice(len(scene.glyphs), size=2, replace=False))
    across = first.cell % GRID - second.cell % GRID
    down = first.cell // GRID - second.cell // GRID
    choices = [name for name, value in (("left of", across), ("above", down)) if value]
    relation = str(rng.choice(choices))
    holds = (across if relation == "left of" else down) < 0
    steps = (f"{first.listed}.", f"{second.listed}.")
    text = f"is the {first.name} {relation} the {second.name}?"
    return Question("relate", text, "yes" if holds else "no", steps, (first, second))


def _two_step(scene: Scene, rng: np.random.Generator) -> Question | None:
    pairs = []
    for glyph in scene.glyphs:
        row, column = divmod(glyph.cell, GRID)
        for name, r, c in (
            ("right of", row, column + 1),
            ("left of", row, column - 1),
            ("above", row - 1, column),
            ("below", row + 1, column),
        ):
            if 0 <= r < GRID and 0 <= c < GRID and (r * GRID + c) in scene.by_cell:
                pairs.append((glyph, name, scene.by_cell[r * GRID + c]))
    if not pairs:
        return None
    start, relation, target = pairs[int(rng.integers(len(pairs)))]
    steps = (f"{start.listed}.", f"{target.described}.")
    text = f"what color is the shape {relation} the {start.name}?"
    return Question("two-step", text, target.color, steps, (target,))


_ASK = {
    "locate": _locate,
    "identify": _identify,
    "count": _count,
    "compare": _compare,
    "relate": _relate,
    "two-step": _two_step,
}

VOCABULARY = (*SHAPES, *COLORS, *PLACES)

"""easy-VQA: the published picture set (Victor Zhou, MIT), read from the installed package, and pictures drawn
in its manner.

The package holds 4,000 training and 1,000 test pictures of 64 x 64 with 38,575 and 9,673 questions. The
answers are 13 words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vaslab.errors import MissingError

SIDE = 64
SHAPES = ("circle", "rectangle", "triangle")
COLORS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "black": (0, 0, 0),
    "gray": (128, 128, 128),
    "teal": (0, 128, 128),
    "brown": (165, 42, 42),
    "yellow": (255, 255, 0),
}
ANSWERS = (*SHAPES, *COLORS, "yes", "no")
_OVERSAMPLE = 4
_SET_ASIDE = 60


@dataclass(frozen=True)
class EasyQuestion:
    """One official question: its text, answer, and the file of its picture."""

    text: str
    answer: str
    picture: Path


def folder() -> Path:
    """Return the data folder of the installed package. Raises MissingError when it is not installed."""
    found = find_spec("easy_vqa")
    if found is None or found.origin is None:
        raise MissingError("the package easy-vqa is not installed; install it with: pip install easy-vqa")
    return Path(found.origin).parent / "data"


@cache
def official(split: str) -> tuple[EasyQuestion, ...]:
    """Return the official questions of `train` or `test`, in the published order."""
    root = folder() / split
    rows = json.loads((root / "questions.json").read_text())
    return tuple(
        EasyQuestion(text, answer, root / "images" / f"{number}.png") for text, answer, number in rows
    )


@cache
def set_aside() -> tuple[EasyQuestion, ...]:
    """Return the questions about the first 60 official training pictures: training is watched on them, and
    draws none of them."""
    kept = sorted({question.picture for question in official("train")})[:_SET_ASIDE]
    return tuple(question for question in official("train") if question.picture in kept)


def digest(picture: Image.Image) -> str:
    """Hash a picture by its RGB values; equal pictures have equal digests whatever their file."""
    rgb = picture.convert("RGB")
    return sha256(f"{rgb.size}".encode() + rgb.tobytes()).hexdigest()


@cache
def test_digests() -> frozenset[str]:
    """Digests of the 1,000 official test pictures, none of which may enter training."""
    files = sorted({question.picture for question in official("test")})
    return frozenset(digest(Image.open(file)) for file in files)


@dataclass(frozen=True)
class Drawn:
    """A picture in the manner of easy-VQA: one shape on a light background."""

    picture: Image.Image
    shape: str
    color: str


def draw(rng: np.random.Generator) -> Drawn:
    """Draw one shape of random kind, colour, size and place; never one of the official test pictures."""
    while True:
        shape = str(rng.choice(SHAPES))
        color = str(rng.choice(tuple(COLORS)))
        scale = _OVERSAMPLE
        background = tuple(int(value) for value in rng.integers(230, 256, size=3))
        image = Image.new("RGB", (SIDE * scale, SIDE * scale), background)
        width = float(rng.uniform(8, 33))
        height = float(rng.uniform(8, 33)) if shape == "rectangle" else width
        if shape == "triangle":
            height = width * 3**0.5 / 2
        left, top = float(rng.uniform(0, SIDE - width)), float(rng.uniform(0, SIDE - height))
        x0, y0, x1, y1 = (scale * edge for edge in (left, top, left + width, top + height))
        brush = ImageDraw.Draw(image)
        if shape == "circle":
            brush.ellipse((x0, y0, x1, y1), fill=COLORS[color])
        elif shape == "rectangle":
            brush.rectangle((x0, y0, x1, y1), fill=COLORS[color])
        else:
            brush.polygon((((x0 + x1) / 2, y0), (x1, y1), (x0, y1)), fill=COLORS[color])
        picture = image.reduce(scale)
        if digest(picture) not in test_digests():
            return Drawn(picture, shape, color)


@cache
def question_texts() -> tuple[str, ...]:
    """Return the distinct texts of the official training questions, sorted."""
    return tuple(sorted({question.text for question in official("train")}))


def answer(text: str, shape: str, color: str) -> str | None:
    """Answer an official question about a drawn picture; None where its premise does not hold.

    "what color is the circle?" has no answer on a picture of a triangle.
    """
    words = text.rstrip("?").split()
    named = [word for word in words if word in SHAPES or word in COLORS]
    if words[0] == "what":
        if any(word not in (shape, color) for word in named):
            return None
        return color if "color" in words else shape
    holds = named[0] in (shape, color)
    negated = "not" in words or "no" in words
    return "yes" if holds != negated else "no"

"""The glyph world: a 3 x 3 grid of coloured shapes, and questions whose answers and reasoning follow from the
scene.

A scene is a pure function of its seed. Seeds in `WATCHED_SEEDS` and `TEST_SEEDS` are held out: `train_scene`
refuses them, and no other function of training draws scenes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw

from vaslab.errors import UsageError

SIDE = 96
GRID = 3
CELL = SIDE // GRID
SHAPES = ("circle", "square", "triangle", "diamond")
COLORS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 200, 30),
    "purple": (140, 60, 170),
    "black": (25, 25, 25),
}
PLACES = (
    "top left",
    "top middle",
    "top right",
    "middle left",
    "center",
    "middle right",
    "bottom left",
    "bottom middle",
    "bottom right",
)
WATCHED_SEEDS = range(1_000_000, 1_010_000)
"""Seeds of the scenes on which a training run is watched, and recipes were chosen."""
TEST_SEEDS = range(1_010_000, 1_100_000)
"""Seeds of held-out scenes that no choice of training rests on. Training starts at `FIRST_TRAIN_SEED`."""
FIRST_TRAIN_SEED = 2_000_000
_OVERSAMPLE = 4
_SHADE = 60
"""How much of 255 the ground loses of red over its width, and of blue over its height."""


@dataclass(frozen=True)
class Glyph:
    """One coloured shape: its cell in raster order (0-8) and its box in pixels (x0, y0, x1, y1)."""

    shape: str
    color: str
    cell: int
    box: tuple[float, float, float, float]

    @property
    def name(self) -> str:
        """Colour and shape, as questions name it."""
        return f"{self.color} {self.shape}"

    @property
    def place(self) -> str:
        """The cell in words."""
        return PLACES[self.cell]

    @property
    def described(self) -> str:
        """What is at a place."""
        return f"{self.place} {self.name}"

    @property
    def listed(self) -> str:
        """Where a thing is."""
        return f"{self.name} {self.place}"


@dataclass(frozen=True)
class Scene:
    """Glyphs in raster order on a light ground. Every pair of colour and shape occurs at most once.

    The ground loses red to the right and blue downwards, as under light that falls in from two sides, so that every
    patch that shows some of it tells where it lies. `background` is its colour in the top left corner.
    """

    seed: int
    glyphs: tuple[Glyph, ...]
    background: tuple[int, int, int]

    @cached_property
    def by_cell(self) -> dict[int, Glyph]:
        """The glyph of each occupied cell."""
        return {glyph.cell: glyph for glyph in self.glyphs}

    def ground(self, scale: int = 1) -> Image.Image:
        """Draw the scene without its glyphs."""
        side = SIDE * scale
        along = np.linspace(0, _SHADE, side)
        pixels = np.broadcast_to(np.array(self.background, dtype=float), (side, side, 3)).copy()
        pixels[:, :, 0] -= along[None, :]
        pixels[:, :, 2] -= along[:, None]
        return Image.fromarray(pixels.round().astype(np.uint8))

    def picture(self) -> Image.Image:
        """Draw the scene, `SIDE` x `SIDE` pixels, RGB, edges smoothed."""
        scale = _OVERSAMPLE
        image = self.ground(scale)
        draw = ImageDraw.Draw(image)
        for glyph in self.glyphs:
            x0, y0, x1, y1 = (scale * edge for edge in glyph.box)
            fill = COLORS[glyph.color]
            middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
            if glyph.shape == "circle":
                draw.ellipse((x0, y0, x1, y1), fill=fill)
            elif glyph.shape == "square":
                draw.rectangle((x0, y0, x1, y1), fill=fill)
            elif glyph.shape == "triangle":
                draw.polygon(((middle_x, y0), (x1, y1), (x0, y1)), fill=fill)
            else:
                draw.polygon(((middle_x, y0), (x1, middle_y), (middle_x, y1), (x0, middle_y)), fill=fill)
        return image.reduce(scale)

    def description(self) -> str:
        """Every glyph with its place, in raster order."""
        return ", ".join(glyph.described for glyph in self.glyphs) or "nothing"

    def listing(self) -> str:
        """Every glyph with its place, by colour and shape: what is where, instead of where is what."""
        ordered = sorted(self.glyphs, key=lambda glyph: glyph.name)
        return ", ".join(glyph.listed for glyph in ordered) or "nothing"


def scene(seed: int, least: int = 2, most: int = 6) -> Scene:
    """Draw the scene of a seed, with `least` to `most` glyphs (of 9 cells)."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(least, most + 1))
    cells = np.sort(rng.choice(GRID * GRID, size=count, replace=False))
    kinds = rng.choice(len(SHAPES) * len(COLORS), size=count, replace=False)
    colors = tuple(COLORS)
    glyphs = []
    for cell, kind in zip(cells.tolist(), kinds.tolist(), strict=True):
        size = float(rng.uniform(18, 26))
        left = (cell % GRID) * CELL + float(rng.uniform(2, CELL - 2 - size))
        top = (cell // GRID) * CELL + float(rng.uniform(2, CELL - 2 - size))
        box = (left, top, left + size, top + size)
        glyphs.append(Glyph(SHAPES[kind % len(SHAPES)], colors[kind // len(SHAPES)], cell, box))
    light = int(rng.integers(235, 256))
    return Scene(seed, tuple(glyphs), (light, light, light))


def train_scene(seed: int, least: int = 2, most: int = 6) -> Scene:
    """Draw a scene for training. Raises UsageError on a held-out seed."""
    if seed < FIRST_TRAIN_SEED:
        raise UsageError(
            f"seed {seed} is not a training seed: training starts at {FIRST_TRAIN_SEED}; "
            f"{WATCHED_SEEDS.start} to {TEST_SEEDS.stop - 1} are held out"
        )
    return scene(seed, least, most)

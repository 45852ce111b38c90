"""Is it the same picture, resized, recompressed or recoloured? A perceptual hash finds candidates, their ink decides.

Benchmarks hold many line drawings of one layout, whose coarse hashes are alike. So two pictures are the same only where
their hashes are near (Zauner 2010: signs of the lowest frequencies) and what is drawn lies at the same places, block by
block, give or take a few pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageFilter

HASH_BITS = 63
NEAREST = 16
"""Bits that the hashes of one picture may differ in, of HASH_BITS."""
MOST_MOVED = 0.15
"""Share of the ink that may lie elsewhere."""
WORST_BLOCK = 0.16
"""Mean difference that the worst block may show; a figure written into an empty field is met here."""
_LONGEST = 256
_SIDE, _COARSE, _BLOCK, _SHIFT = 64, 32, 8, 3
_ASPECT = 0.2
_FAINTEST = 24
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_WAVES = np.stack([np.cos(np.pi * (2 * np.arange(_COARSE) + 1) * u / (2 * _COARSE)) for u in range(8)])

Ink = Float[np.ndarray, "row column"]


@dataclass(frozen=True)
class View:
    """One way to see the ink of a picture.

    Args:
        hashes: of the whole picture, and of it without its margins.
        detail: the ink without margins, blurred, 0 (background) to 255.
        aspect: log of width over height, without margins.
    """

    hashes: Bool[np.ndarray, "2 bit"]
    detail: UInt8[np.ndarray, "row column"]
    aspect: float


@dataclass(frozen=True)
class Fingerprint:
    """A picture as it is compared: by how far its colours are from the background, and by its brightness alone."""

    views: tuple[View, View]

    @property
    def hashes(self) -> Bool[np.ndarray, "4 bit"]:
        """Every hash of the picture."""
        return np.concatenate([view.hashes for view in self.views])


def fingerprint(image: Image.Image) -> Fingerprint | None:
    """Return the fingerprint of an RGB picture; None for an empty one, whose likeness to others says nothing.

    The background is the median of the edge. Ink is the distance from it, scaled by its own strongest percent, so
    that tint, contrast, inversion and the colour of lines do not count.
    """
    small = image.convert("RGB")
    if max(small.size) > _LONGEST:
        small.thumbnail((_LONGEST, _LONGEST), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    apart = pixels - np.median(edge, axis=0)
    colour, brightness = np.abs(apart).max(axis=2), np.abs(apart @ _LUMA)
    if colour.max() < _FAINTEST:
        return None
    return Fingerprint((_view(colour), _view(brightness)))


def near(one: Bool[np.ndarray, "4 bit"], many: Bool[np.ndarray, "picture 4 bit"]) -> list[int]:
    """Return the pictures of which some hash is near to the same hash of this one."""
    apart = (many != one).sum(axis=2).min(axis=1)
    return [int(index) for index in np.flatnonzero(apart <= NEAREST)]


def likeness(one: Fingerprint, other: Fingerprint) -> float:
    """Return the share of ink that lies at the same places; 0 where the pictures are not the same."""
    return max(_likeness(*views) for views in zip(one.views, other.views, strict=True))


def _view(apart: Ink) -> View:
    ink = np.minimum(apart / (0.6 * max(float(np.percentile(apart, 99)), _FAINTEST)), 1.0)
    rows, columns = (np.flatnonzero((ink > 0.3).any(axis=axis)) for axis in (1, 0))
    inner = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if rows.size else ink
    blurred = _image(_sized(inner, _SIDE)).filter(ImageFilter.GaussianBlur(1))
    return View(
        np.stack([_hash(ink), _hash(inner)]), np.asarray(blurred), math.log(inner.shape[1] / inner.shape[0])
    )


def _hash(ink: Ink) -> Bool[np.ndarray, " bit"]:
    """The signs of the 63 lowest frequencies of the cosine transform, against their median."""
    lowest = (_WAVES @ _sized(ink, _COARSE) @ _WAVES.T).ravel()[1:]
    return np.asarray(lowest > np.median(lowest))


def _sized(ink: Ink, side: int) -> Float[np.ndarray, "{side} {side}"]:
    method = Image.Resampling.BOX if min(ink.shape) >= side else Image.Resampling.BICUBIC
    return np.asarray(_image(ink).resize((side, side), method), dtype=np.float32) / 255


def _image(ink: Ink) -> Image.Image:
    return Image.fromarray((ink * 255).astype(np.uint8))


def _likeness(one: View, other: View) -> float:
    if abs(one.aspect - other.aspect) > _ASPECT:
        return 0.0
    a, b = (view.detail.astype(np.float32) / 255 for view in (one, other))
    moved = max(_moved(a, b), _moved(b, a))
    return 1 - moved if moved <= MOST_MOVED else 0.0


def _moved(a: Ink, b: Ink) -> float:
    """Share of ink that differs, each block at its best shift; 1 where a block differs by too much."""
    total = float(a.sum())
    b = np.minimum(b * min(max(total / max(float(b.sum()), 1e-6), 0.5), 2.0), 1.0)
    wide = np.pad(b, _SHIFT, mode="edge")
    blocks = _SIDE // _BLOCK
    shifted = (
        wide[y : y + _SIDE, x : x + _SIDE] for y in range(2 * _SHIFT + 1) for x in range(2 * _SHIFT + 1)
    )
    apart = np.stack(
        [np.abs(a - each).reshape(blocks, _BLOCK, blocks, _BLOCK).mean(axis=(1, 3)) for each in shifted]
    ).min(axis=0)
    if apart.max() > WORST_BLOCK:
        return 1.0
    return float(apart.sum()) * _BLOCK**2 / (total + float(b.sum()) + 1e-6)

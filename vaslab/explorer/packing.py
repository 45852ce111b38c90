"""Attention over patches as bytes: one per value, one scale a row, and how far that is off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

LEVELS = 255
QUANTISATION = (
    f"Each patch is drawn from one byte, in steps of 1/{LEVELS} of the largest patch of its row: off by at most "
    "0.2 % of that. Shares and VAS are float32."
)


@dataclass(frozen=True, eq=False)
class Packed:
    """Rows of one head. A value is cells / 255 * scale, in parts of the row's attention.

    Args:
        share: mass of each row on all pictures; one entry, or one a row.
        scale: the largest cell of each row of `cells`.
        cells: quantised.
    """

    share: Float[np.ndarray, " _row"]
    scale: Float[np.ndarray, " row"]
    cells: UInt8[np.ndarray, "row cell"]

    @property
    def size(self) -> int:
        """Bytes held."""
        return self.share.nbytes + self.scale.nbytes + self.cells.nbytes

    @property
    def values(self) -> Float[np.ndarray, "row cell"]:
        """What a reader of the bytes gets."""
        return self.cells.astype(np.float32) / LEVELS * self.scale[:, None]

    def traits(self, run: int) -> dict[str, bytes]:
        """The bytes as the page names them."""
        return {
            f"share_{run}": float_bytes(self.share),
            f"scale_{run}": float_bytes(self.scale),
            f"cells_{run}": self.cells.tobytes(),
        }


NOTHING = Packed(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros((0, 0), np.uint8))
"""No rows."""


def pack(cells: Float[np.ndarray, "row cell"]) -> Packed:
    """Quantise rows of attention over patches.

    Args:
        cells: at least 0, in parts of the row's attention.

    Returns:
        The rows; each value is off by at most scale / 510, and a row without attention stays 0.
    """
    cells = np.asarray(cells, dtype=np.float32)
    scale = cells.max(axis=1, initial=0.0).astype(np.float32)
    # a row without attention would divide by 0
    parts = cells / np.where(scale > 0, scale, 1)[:, None]
    return Packed(
        share=cells.sum(axis=1, dtype=np.float64).astype(np.float32),
        scale=scale,
        cells=np.rint(LEVELS * parts).astype(np.uint8),
    )


def pack_mean(cells: Float[np.ndarray, "row cell"]) -> Packed:
    """Quantise the mean over rows alone; the share of every row stays."""
    mean = np.asarray(cells, dtype=np.float64).mean(axis=0, keepdims=True).astype(np.float32)
    kept = pack(mean)
    return Packed(pack(cells).share, kept.scale, kept.cells)


def float_bytes(values: Any) -> bytes:
    """Little-endian float32."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()

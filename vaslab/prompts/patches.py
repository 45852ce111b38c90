"""Where a visual token looks: token <-> merged patch <-> box in pixels of the original picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from vaslab.errors import UsageError

Length: TypeAlias = int | float
Box: TypeAlias = tuple[Length, Length, Length, Length]
"""(x0, y0, x1, y1) in pixels of the original picture: x to the right, y down, x1 and y1 outside."""


@dataclass(frozen=True)
class PatchGrid:
    """The grid of visual tokens that one picture became.

    `rows` x `cols` tokens in raster order (patch = row * cols + column); `width` x `height` pixels of the
    original, upright picture. Qwen's processor scales the whole picture to a whole number of patches, so
    every token covers an equal share of both sides. Raises UsageError for a size that is not positive, and
    for a patch, point or box outside.
    """

    rows: int
    cols: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.rows, self.cols, self.width, self.height) <= 0:
            raise UsageError(f"A patch grid needs positive sizes; this one has {self}.")

    @classmethod
    def from_thw(cls, thw: tuple[int, int, int], merge_size: int, width: int, height: int) -> PatchGrid:
        """Read a row of `image_grid_thw` (time, patch rows, patch columns, before merging) for a picture of
        width x height pixels.
        """
        time, patch_rows, patch_cols = thw
        if time != 1 or patch_rows % merge_size or patch_cols % merge_size:
            raise UsageError(
                f"image_grid_thw {thw} is no still picture whose sides divide by merge_size {merge_size}."
            )
        return cls(patch_rows // merge_size, patch_cols // merge_size, width, height)

    def __len__(self) -> int:
        """Count the visual tokens."""
        return self.rows * self.cols

    def box(self, patch: int) -> Box:
        """Return the box that a token covers, in pixels of the original picture."""
        if not 0 <= patch < len(self):
            raise UsageError(
                f"Patch {patch} is outside 0..{len(self) - 1} of a grid of {self.rows} x {self.cols}."
            )
        row, col = divmod(patch, self.cols)
        return (
            col * self.width / self.cols,
            row * self.height / self.rows,
            (col + 1) * self.width / self.cols,
            (row + 1) * self.height / self.rows,
        )

    def patch_at(self, x: Length, y: Length) -> int:
        """Return the token that covers a point; one on an inner edge belongs to the right or lower token."""
        if not (0 <= x <= self.width and 0 <= y <= self.height):
            raise UsageError(
                f"Point ({x}, {y}) is outside the picture of {self.width} x {self.height} pixels."
            )
        col = min(int(x * self.cols / self.width), self.cols - 1)
        row = min(int(y * self.rows / self.height), self.rows - 1)
        return row * self.cols + col

    def patches_in(self, box: Box, overlap: Length = 0) -> tuple[int, ...]:
        """Return the tokens that a box touches, in raster order.

        `overlap` is the least share of the token's own area that must lie in the box: 0 takes every token
        that shares any area with it, 0.5 those at least half inside, 1 those wholly inside. The part of the
        box outside the picture counts for nothing; a box wholly outside is refused.
        """
        if not 0 <= overlap <= 1:
            raise UsageError(f"overlap is a share of a token's area, 0 to 1; got {overlap}.")
        x0, y0, x1, y1 = box
        if x0 >= x1 or y0 >= y1:
            raise UsageError(f"Box {box} has no area; give (x0, y0, x1, y1) with x0 < x1 and y0 < y1.")
        if x1 <= 0 or y1 <= 0 or x0 >= self.width or y0 >= self.height:
            raise UsageError(f"Box {box} is outside the picture of {self.width} x {self.height} pixels.")
        across = _shares(x0, x1, self.width, self.cols)
        down = _shares(y0, y1, self.height, self.rows)
        # Shares are sums of rounded numbers: a token wholly inside can come out a hair below 1.
        return tuple(
            row * self.cols + col
            for row in range(self.rows)
            for col in range(self.cols)
            if down[row] * across[col] > 0 and down[row] * across[col] >= overlap - 1e-9
        )


def _shares(start: Length, stop: Length, length: int, cells: int) -> list[float]:
    """Return which share of each of `cells` equal stretches of 0..length lies between start and stop."""
    first, last = start * cells / length, stop * cells / length
    return [float(max(0, min(last, cell + 1) - max(first, cell))) for cell in range(cells)]

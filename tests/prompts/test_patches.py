"""Token, patch and pixel box, by hand and against the processor's own pixels."""

import pytest
import torch
from PIL import Image

from vaslab.errors import UsageError
from vaslab.prompts.encode import encode
from vaslab.prompts.patches import PatchGrid
from vaslab.prompts.prompt import Prompt

GRID = PatchGrid(rows=2, cols=3, width=100, height=50)


def test_boxes_by_hand():
    assert len(GRID) == 6
    assert GRID.box(0) == pytest.approx((0, 0, 100 / 3, 25))
    assert GRID.box(5) == pytest.approx((200 / 3, 25, 100, 50))
    assert GRID.box(4) == pytest.approx((100 / 3, 25, 200 / 3, 50))


def test_points_by_hand():
    assert GRID.patch_at(0, 0) == 0
    assert GRID.patch_at(33, 24.9) == 0
    assert GRID.patch_at(34, 25) == 4
    assert GRID.patch_at(100, 50) == 5


def test_boxes_to_patches_by_hand():
    assert GRID.patches_in((0, 0, 100, 50)) == (0, 1, 2, 3, 4, 5)
    assert GRID.patches_in((40, 10, 60, 20)) == (1,)
    assert GRID.patches_in((30, 20, 40, 30)) == (0, 1, 3, 4)
    # A third of column 0, all of column 1; the upper row alone.
    box = (200 / 9, 0, 200 / 3, 25)
    assert GRID.patches_in(box) == (0, 1)
    assert GRID.patches_in(box, overlap=0.3) == (0, 1)
    assert GRID.patches_in(box, overlap=0.34) == (1,)
    assert GRID.patches_in(box, overlap=1) == (1,)
    assert GRID.patches_in((-50, -50, 10, 10)) == (0,)


def test_every_patch_is_its_own_box():
    grid = PatchGrid(rows=7, cols=5, width=333, height=101)
    for patch in range(len(grid)):
        x0, y0, x1, y1 = grid.box(patch)
        assert grid.patches_in((x0, y0, x1, y1), overlap=1) == (patch,)
        assert grid.patch_at((x0 + x1) / 2, (y0 + y1) / 2) == patch


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GRID.box(6), r"Patch 6 is outside 0\.\.5 of a grid of 2 x 3"),
        (lambda: GRID.box(-1), "Patch -1 is outside"),
        (lambda: GRID.patch_at(101, 3), r"Point \(101, 3\) is outside the picture of 100 x 50"),
        (lambda: GRID.patches_in((5, 5, 5, 9)), "has no area"),
        (lambda: GRID.patches_in((200, 5, 210, 9)), "is outside the picture"),
        (lambda: GRID.patches_in((0, 0, 5, 5), overlap=1.5), "overlap is a share"),
        (lambda: PatchGrid(0, 3, 10, 10), "needs positive sizes"),
        (lambda: PatchGrid.from_thw((2, 4, 4), 2, 10, 10), "no still picture"),
        (lambda: PatchGrid.from_thw((1, 5, 4), 2, 10, 10), "divide by merge_size 2"),
    ],
)
def test_what_lies_outside_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize("size", [(48, 32), (50, 30), (31, 47), (1, 9), (333, 101)])
def test_a_bright_token_is_where_the_picture_is_bright(letters, size):
    """A spot painted in the middle of a token's box must be brightest in that token's own pixels."""
    grid = encode(letters, [Prompt(user="?", images=[Image.new("RGB", size)])]).grids[0][0]
    assert (grid.width, grid.height) == size
    for patch in {0, grid.cols - 1, len(grid) // 2, len(grid) - 1}:
        picture = Image.new("RGB", size)
        x0, y0, x1, y1 = grid.box(patch)
        spot = (int(x0), int(y0), max(int(x1), int(x0) + 1), max(int(y1), int(y0) + 1))
        picture.paste((255, 255, 255), spot)
        pixels = encode(letters, [Prompt(user="?", images=[picture])]).inputs["pixel_values"]
        merged = pixels.reshape(len(grid), -1).mean(dim=1)
        assert int(merged.argmax()) == patch or torch.isclose(merged.max(), merged[patch])


def test_the_grid_is_that_of_image_grid_thw(letters):
    encoded = encode(letters, [Prompt(user="?", images=[Image.new("RGB", (50, 30))])])
    assert encoded.inputs["image_grid_thw"].tolist() == [[1, 8, 12]]
    assert encoded.grids[0][0] == PatchGrid(rows=4, cols=6, width=50, height=30)

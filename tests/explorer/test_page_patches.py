"""What the canvas shows is where the attention lies, in the picture's own pixels; what is written is what was given."""

import re

import numpy as np
import pytest

from vaslab.prompts.patches import PatchGrid

from . import made_page as made

pytestmark = pytest.mark.browser

EVEN = np.full((7, 16), 0.01)


def planted(n_rows: int, n_cells: int, cell: int, peak: float = 0.2) -> np.ndarray:
    """Rows whose mean has its largest mass on one cell, and little, unevenly, elsewhere."""
    out = np.random.default_rng(cell).uniform(0, 0.1 * peak, (n_rows, n_cells))
    out[:, cell] = peak
    return out / max(1.0, out.sum(axis=1).max())


def brightest(page, grid: PatchGrid, which: int = 0) -> int:
    """Patch under the brightest place of a picture."""
    return grid.patch_at(*page.evaluate(f"probe.brightest({which}, {grid.width}, {grid.height})"))


def alpha(page) -> int:
    """Of the overlay on the second patch of the second row of a 4 x 4 picture."""
    return page.evaluate("probe.overlay(0.375, 0.375)")[3]


@pytest.mark.parametrize(
    ("width", "height", "rows", "cols", "cell"),
    [(280, 84, 3, 10, 17), (63, 210, 15, 4, 41), (112, 112, 4, 4, 0), (120, 90, 9, 12, 107)],
    ids=["wide", "tall", "first", "last"],
)
def test_the_brightest_patch_is_that_of_the_largest_mass(page, width, height, rows, cols, cell) -> None:
    given = made.traits(pictures=[made.picture(width, height, rows, cols)])
    shown = page(given, {"any": [made.attention(planted(7, rows * cols, cell))]})
    shown.click(".vx-tools input[type=checkbox]")
    assert brightest(shown, PatchGrid(rows, cols, width, height)) == cell
    assert f"row {cell // cols}, column {cell % cols}:" in shown.text(".vx-peak")


def test_with_several_pictures_each_shows_its_own_cells(page) -> None:
    wide, tall = PatchGrid(3, 10, 200, 60), PatchGrid(10, 3, 60, 200)
    cells = planted(7, 60, 30 + 22, 0.3)
    cells[:, 4] = 0.1
    pictures = [made.picture(200, 60, 3, 10, 0), made.picture(60, 200, 10, 3, 30)]
    shown = page(made.traits(pictures=pictures), {"any": [made.attention(cells)]})
    assert brightest(shown, wide) == 4
    assert "row 7, column 1 of picture 2" in shown.text(".vx-peak")
    name, _, share = shown.text(".vx-thumbs button", 1).partition(" · ")
    assert name == "picture 2"
    assert float(share.rstrip("%")) == pytest.approx(100 * cells[:, 30:].sum(axis=1).mean(), abs=0.2)
    shown.click(".vx-thumbs button:nth-child(2)")
    assert shown.evaluate("model.get('picture')") == 1
    assert brightest(shown, tall) == 22


def test_a_pinned_row_shows_that_row_and_its_numbers(page) -> None:
    cells = EVEN.copy()
    for row in range(7):
        cells[row, 2 * row] = 0.1 + 0.03 * row
    shown = page(made.traits(), {"any": [made.attention(cells)]})
    shown.click(".vx-tokens [data-row='5']")
    assert shown.evaluate("model.get('token')") == 5
    told = re.fullmatch(
        r"peak patch: row 2, column 2: 25\.0% of attention, ([\d.]+) × the mean patch", shown.text(".vx-peak")
    )
    # 25 % there and 1 % on each of 15 others, in bytes: a mean of 2.5 %
    assert float(told[1]) == pytest.approx(10, rel=0.02)
    title = shown.evaluate("document.querySelector('.vx-tokens [data-row=\"5\"]').title")
    assert title.endswith("40.0% on the picture")
    assert brightest(shown, PatchGrid(4, 4, 64, 64)) == 10
    shown.click(".vx-tokens [data-row='5']")
    assert shown.evaluate("model.get('token')") == -1
    shown.hover(".vx-tokens [data-row='3']")
    assert "row 1, column 2: 19.0%" in shown.text(".vx-peak")
    assert shown.evaluate("model.get('token')") == -1


def test_a_peak_is_one_patch_or_none(page) -> None:
    one, tied = planted(7, 16, 5, 0.2), np.full((7, 16), 0.001)
    tied[:, [3, 9]] = 0.1
    maps = {"0,0": one, "1,0": tied, "2,0": EVEN, "3,0": np.zeros((7, 16))}
    shown = page(made.traits(), {name: [made.attention(cells)] for name, cells in maps.items()})
    # bytes were added up
    assert shown.text(".vx-peak").startswith("peak patch: row 1, column 1: ≈ 20.0%")
    told = []
    for layer in (1, 2, 3):
        shown.evaluate(f"model.set('selected', [{layer}, 0])")
        shown.settle()
        told.append(shown.text(".vx-peak"))
    assert told[0].startswith("peak patch: row 0, column 3: ≈ 10.0%")
    assert told[0].endswith(", tied with 1 more")
    assert told[1].startswith("all 16 patches tie: each 1.00%")
    assert told[2] == "no attention on the picture: no patch is the peak"


def test_the_patch_under_the_mouse_is_told(page) -> None:
    given = made.traits(pictures=[made.picture(200, 100, 4, 8)])
    shown = page(given, {"any": [made.attention(planted(7, 32, 13, 0.2))]})
    _, _, width, height = shown.place(".vx-over")
    shown.hover(".vx-over", (width * 5.5 / 8, height * 1.5 / 4))
    told = shown.text(".vx-tip").split("\n")
    assert told[0] == "patch row 1, column 5"
    assert told[1].startswith("20.0% of attention, ")
    assert told[2] == "pixels x 125–150, y 25–50"


def test_a_scale_is_shared_until_asked_otherwise_and_says_which(page) -> None:
    maps = {
        "0,0": [made.attention(planted(7, 16, 5, 0.4))],
        "1,1": [made.attention(planted(7, 16, 5, 0.004))],
    }
    shown = page(made.traits(), maps)
    # five times an even share of 16 patches, rounded
    assert "shared scale: 0 to 30.0%" in shown.text(".vx-key")
    strong = alpha(shown)
    assert strong > 150
    shown.evaluate("model.set('selected', [1, 1])")
    shown.settle()
    assert "shared scale: 0 to 30.0%" in shown.text(".vx-key")
    assert alpha(shown) < strong / 4
    shown.enter(".vx-tools select", "own", 1)
    assert "this head: 0 to 0.40%" in shown.text(".vx-key")
    assert alpha(shown) > 150


def test_spotlight_darkens_what_is_not_looked_at(page) -> None:
    shown = page(made.traits(), {"any": [made.attention(planted(7, 16, 5, 0.29))]})
    heat = alpha(shown)
    shown.enter(".vx-tools select", "spot")
    assert alpha(shown) < heat / 3
    assert shown.evaluate("probe.overlay(0.875, 0.875)")[3] > 100


def test_clipped_patches_and_sinks_are_marked_and_named(page) -> None:
    cells = np.full((7, 16), 0.001)
    cells[:, 3] = 0.9
    plain = page(made.traits(), {"any": [made.attention(EVEN)]})
    assert "◥" not in plain.text(".vx-key")
    marks = made.attention(cells, sinks=[3, 9], sinks_words="sink patch (hidden state stands out)")
    shown = page(made.traits(), {"any": [marks]})
    assert "◥ beyond the scale" in shown.text(".vx-key")
    assert "× sink patch (hidden state stands out)" in shown.text(".vx-key")
    # the cross of cell 9, third row and second column: white on black
    square = "probe.ink('.vx-over', 0.25, 0.5, 0.5, 0.75)"
    shown.click(".vx-tools input[type=checkbox]")
    with_cross = shown.evaluate(square)
    assert with_cross > 20
    without = page(made.traits(), {"any": [made.attention(cells)]})
    without.click(".vx-tools input[type=checkbox]")
    assert without.evaluate(square) == 0


def test_no_overlay_of_another_head_while_maps_are_computed(page) -> None:
    maps = {"0,0": [made.attention(planted(7, 16, 5))], "0,1": [made.attention(planted(7, 16, 9))]}
    shown = page(made.traits(), maps, delay=400)
    assert shown.evaluate("probe.ink('.vx-over')") > 0
    shown.evaluate("model.set('selected', [0, 1])")
    shown.settle()
    shown.click(".vx-tools input[type=checkbox]")
    assert shown.evaluate("probe.ink('.vx-over')") == 0
    assert "computing" in shown.text(".vx-note")
    assert shown.text(".vx-peak") == ""
    shown.until("document.querySelector('.vx-peak').textContent.includes('row 2, column 1')")


def test_stored_means_are_labelled_and_keep_the_share_of_every_row(page) -> None:
    cells = planted(7, 16, 6, 0.3)
    shown = page(made.traits(), {"any": [made.attention(cells, state="mean", note="mean map of the run")]})
    assert shown.text(".vx-note") == "mean over rows; single rows are not stored · mean map of the run"
    shown.click(".vx-tokens [data-row='2']")
    assert "row 1, column 2: 30.0%" in shown.text(".vx-peak")
    title = shown.evaluate("document.querySelector('.vx-tokens [data-row=\"2\"]').title")
    assert title.endswith(f"{100 * cells[2].sum():.1f}% on the picture")


def test_without_maps_the_page_says_why_and_offers_to_load_them(page) -> None:
    nothing = {"state": "none", "note": "no picture on disk: a.png", "n_rows": 0, "n_cells": 0}
    shown = page(made.traits(), {"any": [nothing]})
    assert "no picture on disk: a.png" in shown.text(".vx-note")
    shown.click(".vx-note button")
    assert shown.evaluate("model.sent") == [{"type": "load"}]


def test_a_picture_whose_grid_is_not_known_yet_is_shown_bare(page) -> None:
    waiting = {"state": "waiting", "note": "loading organism:base …", "of": []}
    shown = page(made.traits(pictures=[made.picture(64, 64, 0, 0)]), {"any": [waiting]})
    assert "loading organism:base" in shown.text(".vx-note")
    assert shown.evaluate("probe.ink('.vx-over')") == 0
    assert shown.evaluate("probe.ink('.vx-ground')") > 0


def test_a_map_that_differs_from_the_run_is_said_in_colour_and_words(page) -> None:
    words = "DIFFERS from the run's stored mass by 0.03"
    shown = page(made.traits(), {"any": [made.attention(EVEN, differs=True, agreement=words)]})
    assert words in shown.text(".vx-note")
    assert shown.evaluate("document.querySelector('.vx-note').classList.contains('vx-differs')")

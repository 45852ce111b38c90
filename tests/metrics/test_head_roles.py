"""Heads with a part that is known: maps drawn by hand, regions known."""

import numpy as np
import pytest
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import head_shares, localisation, pointing, spatial_entropy


def test_entropy_of_pieces() -> None:
    flat = np.zeros((6, 6))
    one = flat.copy()
    one[2:4, 2:4] = 1
    assert spatial_entropy(one) == 0
    two = flat.copy()
    two[0, 0] = two[5, 5] = 1
    assert spatial_entropy(two) == pytest.approx(np.log(2))
    uneven = flat.copy()
    uneven[0, 0], uneven[4, 3:6] = 1, 1
    assert spatial_entropy(uneven) == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))
    touching = flat.copy()
    touching[1, 1] = touching[2, 2] = 1  # corner to corner is one piece
    assert spatial_entropy(touching) == 0
    assert np.isnan(spatial_entropy(flat + 0.2))


def test_shares_of_heads_by_hand() -> None:
    table = head_shares(made.hand())
    np.testing.assert_allclose(table["image"], [0.45, 0.525], rtol=1e-6)
    np.testing.assert_allclose(table["system"], [0.4, 0.3], rtol=1e-6)
    np.testing.assert_allclose(table["sink"], [0.125, 0.225], rtol=1e-6)
    # keys: 12 image of 21
    np.testing.assert_allclose(table["times_uniform"], np.array([0.45, 0.525]) * 21 / 12, rtol=1e-6)
    assert list(table["visual"]) == [False, False]
    parked = made.hand()
    parked["mass"][:, 1, 0, 0, 0] += 0.2
    assert list(head_shares(parked)["sink_head"]) == [False, True]


def mapped(
    rng: np.random.Generator, items: int = 12, grid: int = 5
) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """Four heads: one on the region, one on a fixed corner, one scattered, one that spares the picture."""
    capture = made.realistic(items, 2, 2)
    cells = grid * grid
    values = np.zeros((4, items, 2, cells), dtype="float32")
    regions = {}
    for item in range(items):
        at = int(rng.integers(1, cells))
        region = np.zeros((grid, grid), dtype=bool)
        region.ravel()[at] = True
        regions[f"item-{item:05d}"] = region
        values[0, item, 1] = 0.2 / cells
        values[0, item, 1, at] += 0.6
        values[1, item, 1, 0] = 0.8
        values[2, item, 1] = 0.7 * rng.dirichlet(np.ones(cells))
        values[3, item, 1] = 0.01 / cells
    item, row, cell = (x.ravel() for x in np.meshgrid(range(items), [7, 9], range(cells), indexing="ij"))
    return capture.assign(
        patch_map=(("map", "cell"), values.reshape(4, -1)),
        map_layer=("map", [0, 0, 1, 1]),
        map_head=("map", [0, 1, 0, 1]),
        cell_item=("cell", item),
        cell_row=("cell", row),
        cell_image=("cell", np.zeros_like(item)),
        cell_patch=("cell", cell),
        cell_y=("cell", cell // grid),
        cell_x=("cell", cell % grid),
    ), regions


def test_the_head_that_points_is_found() -> None:
    capture, regions = mapped(np.random.default_rng(0))
    table = localisation(capture, regions)
    assert list(table["hit_rate"].iloc[:2]) == [1, 0]
    np.testing.assert_allclose(table["inside"].iloc[:2], [(0.6 + 0.2 / 25) / 0.8, 0], rtol=1e-5)
    np.testing.assert_allclose(table["chance"], 1 / 25)
    np.testing.assert_allclose(table["attention"], [0.8, 0.8, 0.7, 0.01], rtol=1e-5)
    assert table["entropy"].iloc[2] > 0.5 > table["entropy"].iloc[0] == 0
    assert list(table["localises"]) == [True, False, False, False]
    # the mean over queries holds the empty first query: half the attention, the same places
    mean = localisation(capture, regions, query="mean")
    np.testing.assert_allclose(mean["attention"].iloc[0], 0.4, rtol=1e-5)
    assert mean["hit_rate"].iloc[0] == 1


def test_pointing_is_told_item_by_item() -> None:
    capture, regions = mapped(np.random.default_rng(0))
    found = pointing(capture, regions)
    assert found["hit"].dims == ("item", "map")
    np.testing.assert_array_equal(found["hit"][:, 0], np.ones(12))
    # the second head points at the corner, which is never the region
    np.testing.assert_array_equal(found["hit"][:, 1], np.zeros(12))
    np.testing.assert_allclose(found["chance"], np.full(12, 1 / 25))
    assert list(found["layer"].values) == [0, 0, 1, 1]
    one = pointing(capture, {"item-00003": regions["item-00003"]})
    assert list(one["item"].values) == ["item-00003"]


def test_regions_that_do_not_fit_are_refused() -> None:
    capture, regions = mapped(np.random.default_rng(0), items=2)
    with pytest.raises(UsageError, match="is 2 x 5 patches; its picture has 5 x 5"):
        localisation(capture, {"item-00000": np.ones((2, 5), dtype=bool)})
    with pytest.raises(UsageError, match="no item has a region"):
        localisation(capture, {"else": regions["item-00000"]})
    with pytest.raises(UsageError, match="kept no patch maps"):
        localisation(made.hand(), {"item-00000": np.ones((2, 2), dtype=bool)})
    with pytest.raises(UsageError, match="query is 'first'"):
        localisation(capture, regions, query="first")

"""Regions exchanged among pictures: against plain loops, and heads whose habit is known."""

import numpy as np
import xarray as xr

from vaslab.metrics import exchanged_hits, location_prior
from vaslab.statistics import exchange_p, mean_t


def pointed(peaks: np.ndarray, regions: list[np.ndarray], names: list[str] | None = None) -> xr.Dataset:
    """What `pointing` gives: highest patches (item, map) in raster order, and the region of each picture."""
    patches = max(region.size for region in regions)
    padded = np.full((len(regions), patches), np.nan, dtype="float32")
    hits = np.full(peaks.shape, np.nan)
    for i, region in enumerate(regions):
        padded[i, : region.size] = region.ravel()
        for head, peak in enumerate(peaks[i]):
            if np.isfinite(peak):
                hits[i, head] = region.ravel()[int(peak)]
    return xr.Dataset(
        {
            "hit": (("item", "map"), hits),
            "peak": (("item", "map"), peaks.astype(float)),
            "rows": ("item", np.array([len(region) for region in regions])),
            "cols": ("item", np.array([region.shape[1] for region in regions])),
            "region": (("item", "patch"), padded),
        },
        coords={"item": names or [f"q{i}" for i in range(len(regions))], "patch": np.arange(patches)},
    )


def looped(held: xr.Dataset, own: list[str]) -> np.ndarray:
    """Share of other pictures' regions at the same relative place, patch by patch."""
    out = np.full(held["hit"].shape, np.nan)
    for i in range(out.shape[0]):
        for head in range(out.shape[1]):
            peak = float(held["peak"][i, head])
            if np.isnan(peak):
                continue
            y, x = divmod(int(peak), int(held["cols"][i]))
            found = []
            for j in range(out.shape[0]):
                if own[j] == own[i]:
                    continue
                rows, cols = int(held["rows"][j]), int(held["cols"][j])
                at = (
                    int((y + 0.5) / int(held["rows"][i]) * rows),
                    int((x + 0.5) / int(held["cols"][i]) * cols),
                )
                found.append(float(held["region"][j, at[0] * cols + at[1]]))
            out[i, head] = np.mean(found)
    return out


def test_the_prior_is_that_of_loops_over_pictures_of_any_grid() -> None:
    rng = np.random.default_rng(0)
    shapes = [(4, 6), (4, 6), (8, 8), (3, 5), (4, 6), (8, 8)]
    regions = [rng.random(shape) < 0.4 for shape in shapes]
    peaks = np.array([[rng.integers(rows * cols) for _ in range(3)] for rows, cols in shapes], dtype=float)
    peaks[2, 1] = np.nan
    held = pointed(peaks, regions)
    own = ["a", "a", "b", "c", "d", "d"]
    cluster = xr.DataArray(own, dims="item", coords={"item": held["item"]})
    np.testing.assert_allclose(location_prior(held), looped(held, list("abcdef")))
    np.testing.assert_allclose(location_prior(held, cluster), looped(held, own))
    for head, hits in enumerate(exchanged_hits(held)):
        np.testing.assert_array_equal(np.diag(hits), held["hit"][:, head])


def test_a_head_that_always_looks_at_the_centre_does_not_exceed_its_prior() -> None:
    """Regions lie at the centre more often than their area tells: hits alone would call it a search."""
    rng = np.random.default_rng(1)
    items, centre = 60, 12
    regions = []
    for _ in range(items):
        region = np.zeros((5, 5), dtype=bool)
        region.ravel()[centre if rng.random() < 0.5 else rng.integers(25)] = True
        regions.append(region)
    asked = np.array([region.ravel().argmax() for region in regions])
    searching = np.where(rng.random(items) < 0.6, asked, rng.integers(0, 25, items))
    held = pointed(np.stack([np.full(items, centre), searching], axis=1), regions)
    area = mean_t(held["hit"] - 1 / 25)["p"].values
    assert (area < 1e-3).all()
    np.testing.assert_allclose(location_prior(held).mean("item")[0], held["hit"].mean("item")[0])
    always, follows = (exchange_p(hits, np.arange(items)) for hits in exchanged_hits(held))
    assert always == 1
    assert follows < 1e-3


def test_one_picture_has_no_prior() -> None:
    held = pointed(np.zeros((3, 1)), [np.eye(2, dtype=bool)] * 3)
    same = xr.DataArray(["a"] * 3, dims="item", coords={"item": held["item"]})
    assert location_prior(held, same).isnull().all()

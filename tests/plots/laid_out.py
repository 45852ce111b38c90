"""Answers and places as if measured again: curves along answers and hits of heads, laid out by hand."""

import numpy as np
import xarray as xr

from vaslab.plots import Answers
from vaslab.prompts.roles import KEY_ROLES

TEXTS = ["<think>", *"abcdef", "</think>", "yes", "."]


def answers(curves: list[np.ndarray], texts: list[str] = TEXTS, layers: int = 2) -> Answers:
    """One answer a curve: image mass of each token, the same in every layer."""
    n = len(curves[0])
    image = np.concatenate(curves)
    mass = np.zeros((len(image), layers, len(KEY_ROLES)))
    mass[:, :, 3], mass[:, :, 7] = image[:, None], 1 - image[:, None]
    ids = [f"q{i}" for i in range(len(curves))]
    capture = xr.Dataset(
        {
            "row_mass": (("row", "layer", "key_role"), mass.astype("float32")),
            "row_item": ("row", np.repeat(np.arange(len(curves)), n)),
            "row_position": ("row", np.tile(np.arange(n), len(curves)) + 20),
            "row_role": ("row", np.full(len(image), 7)),
        },
        coords={"item": ids, "layer": np.arange(layers), "key_role": [role.name for role in KEY_ROLES]},
    )
    return Answers(capture, dict.fromkeys(ids, texts))


def curves(start: float, end: float, items: int = 12, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.linspace(start, end, len(TEXTS)) + rng.normal(0, 0.01) for _ in range(items)]


def pointed(
    rates: list[float], items: int = 40, area: float = 0.1, seed: int = 0, heads: int = 2
) -> xr.Dataset:
    """Heads that hit with these rates, layer by layer, of regions that lie anywhere in a strip of ten patches."""
    rng = np.random.default_rng(seed)
    hits = (rng.random((items, len(rates))) < rates).astype(float)
    n = len(rates)
    order = np.argsort(np.random.default_rng(seed + 1).random((items, 10)), axis=1)
    size = round(10 * area)
    region = np.zeros((items, 10), dtype="float32")
    np.put_along_axis(region, order[:, :size], 1, axis=1)
    chosen = np.random.default_rng(seed + 2).random((items, n))
    within = np.where(hits == 1, chosen * size, size + chosen * (10 - size)).astype(int)
    return xr.Dataset(
        {
            "attention": (("item", "map"), np.full((items, n), 0.4)),
            "entropy": (("item", "map"), rng.random((items, n))),
            "hit": (("item", "map"), hits),
            "inside": (("item", "map"), 0.5 * hits),
            "peak": (("item", "map"), np.take_along_axis(order, within, axis=1).astype(float)),
            "chance": ("item", np.full(items, area)),
            "rows": ("item", np.ones(items, dtype=int)),
            "cols": ("item", np.full(items, 10)),
            "region": (("item", "patch"), region),
        },
        coords={
            "patch": np.arange(10),
            "item": [f"q{i}" for i in range(items)],
            "layer": ("map", np.arange(n) // heads),
            "head": ("map", np.arange(n) % heads),
        },
    )

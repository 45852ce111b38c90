"""Captures with numbers a reader can check by hand, shaped as the contract in docs/architecture.md."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

KEYS = ["system_sink", "system", "user", "image", "video", "marker", "history", "response"]
MEASURED = ("item", "layer", "head", "query_role")


def build(
    mass: np.ndarray,
    vas: np.ndarray,
    vas_no_sink: np.ndarray,
    clamped: np.ndarray,
    n_queries: np.ndarray,
    n_keys: np.ndarray,
    before_image: np.ndarray,
    query_roles: Sequence[str] = ("user",),
    items: Sequence[str] | None = None,
    **attrs: object,
) -> xr.Dataset:
    """Dataset of the contract from plain arrays: mass (item, layer, head, query_role, 8), rest as there."""
    n, layers, heads = mass.shape[:3]
    return xr.Dataset(
        {
            "mass": ((*MEASURED, "key_role"), mass.astype("float32")),
            "vas": (MEASURED, vas.astype("float32")),
            "vas_no_sink": (MEASURED, vas_no_sink.astype("float32")),
            "clamped": (MEASURED, clamped.astype("float32")),
            "n_queries": (("item", "query_role"), n_queries),
            "n_keys": (("item", "key_role"), n_keys),
            "before_image": (("item", "query_role"), before_image.astype("float32")),
        },
        coords={
            "item": list(items) if items is not None else [f"item-{i:05d}" for i in range(n)],
            "layer": np.arange(layers),
            "head": np.arange(heads),
            "query_role": list(query_roles),
            "key_role": KEYS,
        },
        attrs=attrs,
    )


def from_rows(rows: dict[tuple[int, int, int], list[list[float]]], n_keys: list[list[int]]) -> xr.Dataset:
    """Capture of one query set from single attention rows, by plain loops straight from the paper's formula.

    Args:
        rows: (item, layer, head) -> one list of eight masses (order of KEYS) for each query.
        n_keys: per item, positions of each role.
    """
    shape = tuple(max(key[axis] for key in rows) + 1 for axis in range(3))
    mass = np.full((*shape, 1, 8), np.nan)
    vas, bare, clamped = (np.full((*shape, 1), np.nan) for _ in range(3))
    for where, queries in rows.items():
        mass[where][0] = [sum(column) / len(queries) for column in zip(*queries, strict=True)]
        vas[where] = sum(q[3] / max(q[0] + q[1], 1e-6) for q in queries) / len(queries)
        bare[where] = sum(q[3] / max(q[1], 1e-6) for q in queries) / len(queries)
        clamped[where] = sum(q[0] + q[1] < 1e-6 for q in queries) / len(queries)
    n_queries = np.array([[len(rows[item, 0, 0])] for item in range(shape[0])])
    return build(mass, vas, bare, clamped, n_queries, np.array(n_keys), np.full((shape[0], 1), 0.25))


def hand() -> xr.Dataset:
    """Two items, two layers, one head.

    item 0, layer 0: two queries with (sink, system, user, image) = (.1, .1, .4, .4) and (.2, .2, .2, .4):
    ratios 2 and 1. item 0, layer 1: (.4, .1, .25, .25) twice: ratios 0.5.
    item 1, layer 0: one query (.1, .4, .0, .5): ratio 1.  item 1, layer 1: (.05, .05, .1, .8): ratio 8.
    Keys: item 0 has S = 1 + 3, V = 8; item 1 has S = 1 + 1, V = 4.
    """

    def row(sink: float, system: float, user: float, image: float) -> list[float]:
        return [sink, system, user, image, 0, 0, 0, 0]

    return from_rows(
        {
            (0, 0, 0): [row(0.1, 0.1, 0.4, 0.4), row(0.2, 0.2, 0.2, 0.4)],
            (0, 1, 0): [row(0.4, 0.1, 0.25, 0.25)] * 2,
            (1, 0, 0): [row(0.1, 0.4, 0.0, 0.5)],
            (1, 1, 0): [row(0.05, 0.05, 0.1, 0.8)],
        },
        [[1, 3, 2, 8, 0, 0, 0, 0], [1, 1, 1, 4, 0, 0, 0, 0]],
    )


def blank(capture: xr.Dataset, item: int, why: str) -> xr.Dataset:
    """`capture` with one item that has no VAS: `why` is "system", "image" or "query"."""
    out = capture.copy(deep=True)
    out["vas"][item] = np.nan
    out["vas_no_sink"][item] = np.nan
    if why == "query":
        out["n_queries"][item] = 0
        out["mass"][item] = np.nan
        out["clamped"][item] = np.nan
        out["before_image"][item] = np.nan
        return out
    lost = [0, 1] if why == "system" else [3]
    mass = out["mass"].values
    mass[item, ..., 2] += mass[item][..., lost].sum(-1)
    for column in lost:
        mass[item, ..., column] = 0
        out["n_keys"][item, column] = 0
    return out


def realistic(
    items: int = 40,
    layers: int = 28,
    heads: int = 28,
    kv_heads: int | None = 4,
    seed: int = 0,
    lift: float = 0.0,
    query_roles: Sequence[str] = ("user",),
    **attrs: object,
) -> xr.Dataset:
    """A capture that looks like a real model's: for figures, not for numbers. `lift` raises image mass."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, layers)
    curve = (
        -1.6
        + 1.9 * np.exp(-(((x - 0.06) / 0.05) ** 2))
        + (1.7 + lift) * np.exp(-(((x - 0.62) / 0.16) ** 2))
        - 0.8 * x
    )
    spread = rng.standard_t(4, (layers, heads)) * 0.55
    level = curve[:, None] + spread + lift * 0.2
    noise = np.random.default_rng(seed + 1 + int(1000 * lift))
    roles = len(query_roles)
    logit = level[None, :, :, None] + noise.normal(0, 0.5, (items, layers, heads, roles))
    logit += noise.normal(0, 0.25, (items, 1, 1, roles))
    user = 0.05 + 0.04 * np.exp(-(((x - 0.3) / 0.15) ** 2))[None, :, None, None] + 0 * logit
    user *= np.exp(noise.normal(0, 0.15, (items, 1, 1, roles)))
    ratio = np.exp(logit)
    rest = 1 - user - 0.1
    image, system = rest * ratio / (1 + ratio), rest / (1 + ratio)
    zero = np.zeros_like(user)
    mass = np.stack([0.7 * system, 0.3 * system, user, image, zero, zero + 0.1, zero, zero], axis=-1)
    n_keys = np.tile([1, 20, 30, 120, 0, 12, 0, 0], (items, 1))
    if kv_heads is not None:
        attrs["n_kv_heads"] = kv_heads
    return build(
        mass,
        ratio * np.exp(0.02),
        ratio / 0.3,
        zero,
        np.full((items, roles), 30),
        n_keys,
        np.full((items, roles), 0.1),
        query_roles,
        **attrs,
    )

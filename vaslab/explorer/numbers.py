"""The numbers of the head map: VAS, its interval, shares, and the change between two checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import VaslabError
from vaslab.explorer.entries import Entry, Source
from vaslab.explorer.packing import float_bytes
from vaslab.metrics import Definition, floored, masses, vas_of, vas_per_head
from vaslab.plots.compare_numbers import compare_table
from vaslab.plots.head_grid import limit_of
from vaslab.statistics import mean_interval

Floats: TypeAlias = NDArray[np.float64]
Traits: TypeAlias = dict[str, Any]

SHARES = ("image", "system", "user")
"""Roles of `shares`, in order; the fourth is everything else."""
UNIT = "none, a ratio of attention masses"


def of_item(entries: Sequence[Entry], queries: str, shape: tuple[int, int]) -> Traits:
    """One item: VAS and shares of every head, without intervals; with two runs, the ratio without a test."""
    parts = [entry.part if entry.measured(queries) else None for entry in entries]
    levels = [_vas(part, queries, shape) for part in parts]
    note = "One item: no interval."
    if len(levels) == 2:
        note = "One item: no interval, and no test of the change."
    if any(part is None for part in parts):
        note = f"The {queries} rows of this item were not measured."
    traits = {
        "vas": float_bytes(np.stack(levels)),
        "low": b"",
        "high": b"",
        "floored": float_bytes(np.stack([_floored(part, queries, shape) for part in parts])),
        "shares": float_bytes(np.stack([_shares(part, queries, shape) for part in parts])),
        "map": _map(levels, 1, "", note),
        **_unchanged(len(levels) == 2, shape),
    }
    if len(levels) == 2:
        ratio = _ratio(*levels)
        traits |= {"change": float_bytes(ratio)}
        traits["map"]["change_limit"] = 2 ** limit_of(ratio.ravel())
    return traits


def of_run(
    sources: Sequence[Source], queries: str, shape: tuple[int, int], cluster: xr.DataArray | None
) -> Traits:
    """All items: mean VAS of every head with its interval; with two runs, the ratio, paired, FDR 5 % over heads."""
    captures = [source.capture for source in sources]
    there = [each for each in captures if each is not None and queries in each["query_role"].values]
    if len(there) < len(captures) or not captures:
        empty = [np.full(shape, np.nan)] * len(captures)
        note = (
            "Nothing has been asked yet."
            if captures[0] is None
            else f"This run measured no {queries} rows: measure it with --queries {queries}, or look at single items."
        )
        return _nothing(empty, shape, note)
    levels, lows, highs = [], [], []
    try:
        for capture in there:
            levels.append(vas_per_head(capture, Definition(queries)).values)
            band = mean_interval(vas_of(capture, Definition(queries), over=()), cluster=cluster)
            band = band.transpose("layer", "head")
            lows.append(band["low"].values)
            highs.append(band["high"].values)
    except VaslabError as error:
        return _nothing([np.full(shape, np.nan)] * len(captures), shape, f"{error}.") | {
            "shares": float_bytes(np.stack([_shares(capture, queries, shape) for capture in there]))
        }
    n = there[0].sizes["item"]
    note = f"Mean over {n} item{'s' * (n != 1)}"
    traits = {
        "vas": float_bytes(np.stack(levels)),
        "low": float_bytes(np.stack(lows)),
        "high": float_bytes(np.stack(highs)),
        "floored": float_bytes(np.stack([_floored(capture, queries, shape) for capture in there])),
        "shares": float_bytes(np.stack([_shares(capture, queries, shape) for capture in there])),
        "map": _map(levels, n, "95 % CI" if n > 1 else "", f"{note}."),
        **_unchanged(len(there) == 2, shape),
    }
    if len(there) == 2:
        table = compare_table(there[0], there[1], Definition(queries), cluster=cluster)
        grid = {name: table[name].to_numpy(dtype=float).reshape(shape) for name in ("ratio", "low", "high")}
        changed = table["changed"].to_numpy(dtype=bool).reshape(shape)
        traits |= {
            "change": float_bytes(grid["ratio"]),
            "change_low": float_bytes(grid["low"]),
            "change_high": float_bytes(grid["high"]),
            "significant": changed.astype(np.uint8).tobytes() if n > 1 else b"",
        }
        over = "pictures" if cluster is not None else "items"
        traits["map"]["change_limit"] = 2 ** limit_of(grid["ratio"].ravel())
        traits["map"]["note"] = f"{note}: no interval, and no test of the change."
    if len(there) == 2 and n > 1:
        traits["map"]["note"] = (
            f"{note}, the same in both; change: mean VAS of the second over that of the first, paired by item, "
            f"jackknife t over {over}, FDR 5 % over heads; intervals by the same t."
        )
    return traits


def nothing(n_runs: int, shape: tuple[int, int], note: str) -> Traits:
    """No number yet."""
    return _nothing([np.full(shape, np.nan)] * n_runs, shape, note)


def _nothing(levels: Sequence[Floats], shape: tuple[int, int], note: str) -> Traits:
    return {
        "vas": float_bytes(np.stack(levels)),
        "low": b"",
        "high": b"",
        "floored": b"",
        "shares": float_bytes(np.full((len(levels), *shape, 4), np.nan)),
        "map": _map(levels, 0, "", note),
        **_unchanged(len(levels) == 2, shape),
    }


def _unchanged(two: bool, shape: tuple[int, int]) -> Traits:
    names = ("change", "change_low", "change_high")
    missing = float_bytes(np.full(shape, np.nan)) if two else b""
    # empty: nothing was tested, which is not the same as nothing found
    return {**dict.fromkeys(names, missing), "significant": b""}


def _map(levels: Sequence[Floats], n: int, band: str, note: str) -> Traits:
    limit = 2 ** limit_of(np.concatenate([level.ravel() for level in levels]))
    return {"limit": limit, "n": n, "unit": UNIT, "band": band, "note": note, "change_limit": 2}


def _vas(part: xr.Dataset | None, queries: str, shape: tuple[int, int]) -> Floats:
    if part is None:
        return np.full(shape, np.nan)
    try:
        return np.asarray(vas_per_head(part, Definition(queries)).values, dtype=np.float64)
    except VaslabError:
        # this item has none: no picture, no system turn, no such query
        return np.full(shape, np.nan)


def _floored(part: xr.Dataset | None, queries: str, shape: tuple[int, int]) -> Floats:
    """(layer, head): share of rows whose system mass is below 1e-6 and taken as that, so that VAS is a bound."""
    if part is None:
        return np.full(shape, np.nan)
    try:
        return np.asarray(floored(part, Definition(queries), over=("item",)).values, dtype=np.float64)
    except VaslabError:
        # as of VAS: this item has none
        return np.full(shape, np.nan)


def _shares(part: xr.Dataset | None, queries: str, shape: tuple[int, int]) -> Floats:
    """(layer, head, 4): image (video included), system, user, other."""
    if part is None:
        return np.full((*shape, 4), np.nan)
    mass = masses(part, queries, over=("item",)).transpose("layer", "head", "role")
    named = [mass.sel(role=role).values.astype(np.float64) for role in SHARES]
    named[0] = named[0] + mass.sel(role="video").values
    return np.stack([*named, 1 - sum(named)], axis=-1)


def _ratio(first: Floats, second: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = second / first
    return np.where(np.isfinite(ratio) & (ratio > 0), ratio, np.nan)

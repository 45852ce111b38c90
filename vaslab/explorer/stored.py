"""What a capture stored of a head: the map it may have kept, and the masses that a recomputed map is held against."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float

from vaslab.explorer.entries import Entry
from vaslab.explorer.head_map import Grid, HeadMap
from vaslab.explorer.packing import pack
from vaslab.prompts.roles import KEY_ROLES

TOLERANCE = {"float32": 1e-4}
LOW_PRECISION = 2e-2
"""Largest difference of a mean mass from the stored one that batching and padding explain, by dtype."""


def agreement_of(
    entry: Entry, queries: str, layer: int, head: int, roles: Float[np.ndarray, " key_role"]
) -> tuple[str, bool]:
    """Hold mean masses against the stored ones of the same head, on every key role.

    Returns:
        the sentence, and whether they are further apart than batching and padding explain.
    """
    if not entry.measured(queries):
        return f"nothing to compare with: no {queries} rows were measured", False
    names = [role.name for role in KEY_ROLES]
    mass = entry.capture["mass"].isel(item=entry.at).sel(query_role=queries)
    there = mass.isel(layer=layer, head=head).sel(key_role=names).values.astype(np.float64)
    if np.isnan(there).all():
        return "nothing to compare with: no mass was stored for this item", False
    apart = float(np.nanmax(np.abs(there - roles)))
    limit = TOLERANCE.get(str(entry.capture.attrs.get("dtype")), LOW_PRECISION)
    if apart <= limit:
        return f"agrees with the stored mass of this head within {max(apart, 1e-9):.0e}", False
    return (
        f"DIFFERS from the stored mass of this head by {apart:.2g} (expected at most {limit:g}): this map is not of "
        "the run's own numbers",
        True,
    )


def stored(entry: Entry, queries: str, layer: int, head: int, why: str) -> HeadMap:
    """The map that a capture kept, labelled `why`; or none."""
    capture = entry.capture
    if "patch_map" not in capture:
        return HeadMap(
            "none", f"{why}; and no maps were stored" if why.startswith("not") else "no maps were stored"
        )
    heads = list(zip(capture["map_layer"].values.tolist(), capture["map_head"].values.tolist(), strict=True))
    if (layer, head) not in heads:
        held = ", ".join(f"layer {at} head {number}" for at, number in heads[:6])
        return HeadMap("none", f"{why}; maps were stored of {held}{' and others' * (len(heads) > 6)} alone")
    if not entry.measured(queries):
        return HeadMap("none", f"{why}; no {queries} rows were measured")
    cells = capture.isel(cell=np.flatnonzero(capture["cell_item"].values == entry.at))
    positions, row = np.unique(cells["cell_row"].values, return_inverse=True)
    chosen = _of_role(entry, positions, queries)
    grids = stored_grids(entry)
    if not len(chosen) or not grids:
        return HeadMap("none", f"{why}; of this item no map was stored")
    sizes = [rows * cols for rows, cols in grids]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    table = np.zeros((len(positions), sum(sizes)), dtype=np.float32)
    place = starts[cells["cell_image"].values] + cells["cell_patch"].values
    table[row, place] = cells["patch_map"].values[heads.index((layer, head))]
    rows = [
        {"text": f"#{at}", "role": queries.partition("_")[0], "position": int(at), "emits": ""}
        for at in positions[chosen]
    ]
    own = "; rows are the tokens' own, not those that emit them" if queries == "response" else ""
    return HeadMap("full", why + own, pack(table[chosen]), tuple(rows), grids)


def stored_grids(entry: Entry) -> tuple[Grid, ...]:
    """(rows, columns) of an item's pictures, from the maps that a capture kept; () where it kept none."""
    capture = entry.capture
    if "patch_map" not in capture:
        return ()
    own = capture["cell_item"].values == entry.at
    image, y, x = (capture[f"cell_{name}"].values[own] for name in ("image", "y", "x"))
    return tuple(
        (int(y[image == number].max()) + 1, int(x[image == number].max()) + 1) for number in np.unique(image)
    )


def _of_role(entry: Entry, positions: np.ndarray, queries: str) -> np.ndarray:
    """Which of an item's stored positions (sorted) belong to a query role: answers stand last."""
    counts: xr.DataArray = entry.capture["n_queries"].isel(item=entry.at)

    def count(role: str) -> int:
        return int(counts.sel(query_role=role)) if entry.measured(role) else 0

    n, answer = len(positions), count("response")
    if queries == "response":
        return np.arange(n - answer, n)
    of_user = np.arange(n - answer)
    wanted = count(queries)
    return of_user[len(of_user) - wanted :] if queries == "user_after_image" else of_user[:wanted]

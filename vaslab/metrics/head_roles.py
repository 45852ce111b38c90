"""What a head does: looks at the picture, parks on the first token, points at the place that was asked for."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import label

from vaslab.errors import UsageError
from vaslab.metrics.location_prior import location_prior
from vaslab.metrics.masses import masses
from vaslab.metrics.patches import patch_maps

SINK_SHARE = 0.3
"""Mean attention on the first token above which a head is a sink head (Gu et al. 2024, arXiv 2410.10781, epsilon)."""


def head_shares(capture: xr.Dataset, queries: str = "user") -> pd.DataFrame:
    """What each head spends its attention on, and which heads are visual or sinks.

    Args:
        capture: a Capture. queries: the query set.

    Returns:
        One row a head: layer, head, image, system, sink, user (shares, mean over items), times_uniform (the image
        share over the share of keys that are image tokens: 1 is what a head that spreads evenly over all keys of the
        prompt spends), visual (times_uniform > 1), sink_head (sink > 0.3, Gu et al. 2024, arXiv 2410.10781).

    Raises:
        UsageError: an unknown query set.
    """
    share = masses(capture, queries, sink="exclude", over=("item",))
    keys = capture["n_keys"].sum("item")
    even = float(keys.sel(key_role="image") / keys.sum())
    layer, head = np.meshgrid(capture["layer"].values, capture["head"].values, indexing="ij")

    def column(role: str) -> NDArray[np.float64]:
        return np.asarray(share.sel(role=role).transpose("layer", "head").values.ravel(), dtype=np.float64)

    table = pd.DataFrame({"layer": layer.ravel(), "head": head.ravel()})
    table["image"], table["sink"], table["user"] = column("image"), column("system_sink"), column("user")
    table["system"] = column("system") + table["sink"]
    table["times_uniform"] = table["image"] / even if even > 0 else np.nan
    table["visual"] = table["times_uniform"] > 1
    table["sink_head"] = table["sink"] > SINK_SHARE
    return table


def spatial_entropy(attention: NDArray[np.float32] | NDArray[np.float64]) -> float:
    """How scattered a map is: entropy of its patches above the mean, by connected piece (Kang et al., CVPR 2025, arXiv
    2503.06287, after Batty 1974).

    Args:
        attention: map over the patches of a picture, (y, x), >= 0.

    Returns:
        -sum p log p in nats, p the share of the above-mean patches that lie in a piece (8 neighbours); 0 for one
        piece, NaN for a map without mass or all equal.
    """
    pieces, n = label(attention > attention.mean(), structure=np.ones((3, 3)))
    if n == 0:
        return float("nan")
    size = np.bincount(pieces.ravel())[1:]
    p = size / size.sum()
    # + 0.0, so that one piece gives 0 and not -0
    return float(-(p * np.log(p)).sum() + 0.0)


def pointing(
    capture: xr.Dataset, regions: Mapping[str, NDArray[np.bool_]], query: str = "last", image: int = 0
) -> xr.Dataset:
    """What `localisation` averages, item by item.

    Returns:
        Dataset, dims (item, map): attention, entropy, hit (1 where the highest patch lies in the region, else 0; NaN
        for a map without mass), inside, peak (the highest patch, raster order; NaN as hit); dims (item): chance, rows
        and cols of the picture's grid; dims (item, patch): region (1 or 0, raster order; NaN past the grid).
        Coordinates layer and head of each map. Of several captures they are joined along `item`, patches by name.

    Raises:
        UsageError: as `localisation`.
    """
    if query not in ("last", "mean"):
        raise UsageError(f"query is {query!r}; expected 'last' or 'mean'")
    ids = [str(name) for name in capture["item"].values]
    used = [name for name in ids if name in regions and np.asarray(regions[name]).any()]
    if not used:
        raise UsageError("no item has a region; give {item id: bool (y, x)} with a true patch")
    per_item, held = [], []
    for name in used:
        maps = patch_maps(capture, name, image)
        picked = maps.isel(query=-1) if query == "last" else maps.mean("query")
        region = np.asarray(regions[name], dtype=bool)
        if region.shape != picked.shape[1:]:
            raise UsageError(
                f"the region of item {name} is {region.shape[0]} x {region.shape[1]} patches; its picture has "
                f"{picked.shape[1]} x {picked.shape[2]}"
            )
        values = picked.values.astype(np.float64)
        flat = values.reshape(len(values), -1)
        total = flat.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            inside = flat[:, region.ravel()].sum(1) / total
        hit = np.where(total > 0, region.ravel()[flat.argmax(1)], np.nan)
        peak = np.where(total > 0, flat.argmax(1), np.nan)
        entropy = [spatial_entropy(each) for each in values]
        per_item.append(np.stack([total, entropy, hit, inside, peak]))
        held.append(region)
    columns = np.stack(per_item, axis=1)
    names = ("attention", "entropy", "hit", "inside", "peak")
    padded = np.full((len(used), max(region.size for region in held)), np.nan, dtype=np.float32)
    for row, region in zip(padded, held, strict=True):
        row[: region.size] = region.ravel()
    return xr.Dataset(
        {name: (("item", "map"), column) for name, column in zip(names, columns, strict=True)}
        | {
            "chance": ("item", np.array([region.mean() for region in held])),
            "rows": ("item", np.array([region.shape[0] for region in held])),
            "cols": ("item", np.array([region.shape[1] for region in held])),
            "region": (("item", "patch"), padded),
        },
        coords={
            "item": used,
            "patch": np.arange(padded.shape[1]),
            "layer": ("map", capture["map_layer"].values),
            "head": ("map", capture["map_head"].values),
        },
    )


def localisation(
    capture: xr.Dataset,
    regions: Mapping[str, NDArray[np.bool_]],
    query: str = "last",
    image: int = 0,
    cluster: xr.DataArray | None = None,
) -> pd.DataFrame:
    """Does a head point at the place that was asked for?

    Args:
        capture: with patch maps of the heads in question (`patches=` of vaslab.capture).
        regions: item id -> which patches hold what was asked for, bool (y, x); items without a true patch are
            left out, as are those not named.
        query: "last" measured query of an item (Kang et al., arXiv 2503.06287) or their "mean".
        image: which of an item's pictures.
        cluster: picture of each item, dims (item); None where each has its own.

    Returns:
        One row a head: layer, head, attention (mean mass on the picture), entropy (mean `spatial_entropy`), hit_rate
        (share of items whose highest patch lies in the region), inside (share of the picture's attention that lies
        in the region), chance (what a head that spreads evenly has: mean share of patches in the region; also the hit
        rate of one that points anywhere), prior (hit rate of the head's own highest patches on the regions of other
        pictures, see `location_prior`: what a head has that always points at one place; NaN where there is no other
        picture), n_items. `elbow` marks heads whose attention lies above the knee of the sorted attention (criterion 1
        of the paper; knee: the farthest point from the chord), `localises` those of them whose entropy is below their
        median and whose hit rate is above chance and prior.

    Raises:
        UsageError: no maps, no region of a known item, or one of another shape than its picture's grid.
    """
    return head_places(pointing(capture, regions, query, image), cluster)


def head_places(pointed: xr.Dataset, cluster: xr.DataArray | None = None) -> pd.DataFrame:
    """The table of `localisation`, from what `pointing` gave for its items, in one piece or joined along `item`."""
    means = pointed[["attention", "entropy", "hit", "inside", "chance"]].mean("item")
    table = pd.DataFrame({"layer": pointed["layer"].values, "head": pointed["head"].values})
    for column, name in (
        ("attention", "attention"),
        ("entropy", "entropy"),
        ("hit_rate", "hit"),
        ("inside", "inside"),
    ):
        table[column] = means[name].values
    table["chance"] = float(means["chance"])
    table["prior"] = location_prior(pointed, cluster).mean("item").values
    table["n_items"] = pointed.sizes["item"]
    table["elbow"] = table["attention"] >= _knee(table["attention"].to_numpy())
    chosen = table.loc[table["elbow"], "entropy"]
    above = table["hit_rate"] > table[["chance", "prior"]].max(axis=1)
    table["localises"] = table["elbow"] & (table["entropy"] <= chosen.median()) & above
    return table


def _knee(values: NDArray[np.float64]) -> float:
    """The sorted value that lies farthest below the chord from the lowest to the highest."""
    ordered = np.sort(values)
    if len(ordered) < 3 or ordered[-1] == ordered[0]:
        return float(ordered[-1])
    x = np.linspace(0, 1, len(ordered))
    y = (ordered - ordered[0]) / (ordered[-1] - ordered[0])
    return float(ordered[int(np.argmax(x - y))])

"""The Capture: an xarray Dataset whose axes have names, and what each of its variables means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaslab.capture.reduce import LayerSummary, Plan
from vaslab.errors import UsageError
from vaslab.prompts.encoded import Encoded
from vaslab.prompts.roles import KEY_ROLES, Role

FORMAT = "vaslab-capture-1"

DEFINITIONS = {
    "mass": "mean over the item's queries of the attention mass (post-softmax, 0 to 1) on keys of that role; "
    "key roles sum to 1",
    "vas": "mean over the item's queries of image mass / max(system_sink + system mass, 1e-6); dimensionless "
    "(arXiv 2603.03825)",
    "vas_no_sink": "mean over the item's queries of image mass / max(system mass without the sink, 1e-6); "
    "dimensionless",
    "clamped": "share of the item's queries whose system_sink + system mass is below 1e-6",
    "n_queries": "queries measured",
    "n_keys": "positions of that role",
    "before_image": "share of the item's queries that stand before its last image token and cannot wholly see it",
    "row_mass": "attention mass of one query on keys of that role, mean over heads",
    "row_item": "item (index) of the query",
    "row_position": "position of the query in its item, padding not counted",
    "row_role": "role (index into all roles) of the query",
    "patch_map": "attention mass of one query of a chosen head on one image patch",
    "map_layer": "layer of a chosen head",
    "map_head": "head index of a chosen head",
    "cell_item": "item (index) of the cell",
    "cell_row": "position of the query in its item, padding not counted",
    "cell_image": "picture of the item",
    "cell_patch": "patch of the picture, raster order",
    "cell_y": "row of the patch in its picture's grid, from the top",
    "cell_x": "column of the patch in its picture's grid, from the left",
}
VERSIONED = ("torch", "transformers", "nnsight", "xarray", "zarr")


def to_dataset(
    plan: Plan, encoded: Encoded, layers: Sequence[LayerSummary], item_ids: Sequence[str]
) -> xr.Dataset:
    """Lay the summaries of one batch out as a Capture, without provenance."""
    per_head = ("item", "layer", "head", "query_role")
    n_queries = plan.selection.sum(dim=-1)
    roles = encoded.roles
    n_keys = torch.stack([(roles == role).sum(dim=1) for role in KEY_ROLES], dim=1)
    before = torch.stack([encoded.before_image(role) for role in plan.query_roles], dim=1)
    no_system = (n_keys[:, Role.system_sink] + n_keys[:, Role.system] == 0)[:, None, None, None]
    no_image = (n_keys[:, Role.image] == 0)[:, None, None, None]
    only_sink = (n_keys[:, Role.system] == 0)[:, None, None, None]
    nan = float("nan")

    def stack(name: str) -> Tensor:
        return torch.stack([getattr(layer, name) for layer in layers], dim=1)

    undefined = no_system | no_image
    variables: dict[str, Any] = {
        "mass": ((*per_head, "key_role"), stack("mass")),
        "vas": (per_head, stack("vas").masked_fill(undefined, nan)),
        "vas_no_sink": (per_head, stack("vas_no_sink").masked_fill(undefined | only_sink, nan)),
        "clamped": (per_head, stack("clamped").masked_fill(no_system, nan)),
        "n_queries": (("item", "query_role"), n_queries),
        "n_keys": (("item", "key_role"), n_keys),
        "before_image": (("item", "query_role"), before),
    }
    if plan.keep_rows:
        variables |= _row_variables(plan, encoded, layers)
    if plan.patched:
        variables |= _map_variables(plan, encoded, layers)
    arrays = {name: (dims, _numpy(values)) for name, (dims, values) in variables.items()}
    dataset = xr.Dataset(
        arrays,
        coords={
            "item": np.asarray(item_ids, dtype=object),
            "layer": np.arange(len(layers)),
            "head": np.arange(layers[0].mass.shape[1]),
            "query_role": np.asarray(plan.query_roles, dtype=object),
            "key_role": np.asarray([role.name for role in KEY_ROLES], dtype=object),
        },
        attrs={"format": FORMAT},
    )
    for name in dataset.data_vars:
        dataset[name].attrs["definition"] = DEFINITIONS[str(name)]
    return dataset


def _numpy(values: Any) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _offsets(encoded: Encoded) -> Tensor:
    """Padding before each item."""
    return (encoded.roles == Role.padding).sum(dim=1)


def _row_variables(plan: Plan, encoded: Encoded, layers: Sequence[LayerSummary]) -> dict[str, Any]:
    item, slot = (plan.rows >= 0).nonzero(as_tuple=True)
    position = plan.rows[item, slot]
    kept = torch.stack([layer.row_mass for layer in layers if layer.row_mass is not None], dim=2)
    return {
        "row_mass": (("row", "layer", "key_role"), kept[item, slot].half()),
        "row_item": (("row",), item),
        "row_position": (("row",), position - _offsets(encoded)[item]),
        "row_role": (("row",), encoded.roles[item, position]),
    }


def _map_variables(plan: Plan, encoded: Encoded, layers: Sequence[LayerSummary]) -> dict[str, Any]:
    visual = encoded.roles == Role.image
    counts = visual.sum(dim=1)
    width = int(counts.max())
    has_patch = torch.arange(width, device=counts.device)[None] < counts[:, None]
    item, slot, rank = ((plan.rows >= 0)[:, :, None] & has_patch[:, None, :]).nonzero(as_tuple=True)
    images, patches = (_by_rank(values, visual, width) for values in (encoded.image, encoded.patch))
    maps = torch.cat([layer.patch_mass for layer in layers if layer.patch_mass is not None], dim=1)
    image, patch = images[item, rank], patches[item, rank]
    cols = torch.tensor(
        [encoded.grids[i][j].cols for i, j in zip(item.tolist(), image.tolist(), strict=True)]
    )
    return {
        "patch_map": (("map", "cell"), maps[item, :, slot, rank].T),
        "map_layer": (("map",), [layer for layer, _ in plan.patched]),
        "map_head": (("map",), [head for _, head in plan.patched]),
        "cell_item": (("cell",), item),
        "cell_row": (("cell",), plan.rows[item, slot] - _offsets(encoded)[item]),
        "cell_image": (("cell",), image),
        "cell_patch": (("cell",), patch),
        "cell_y": (("cell",), patch.cpu() // cols),
        "cell_x": (("cell",), patch.cpu() % cols),
    }


def _by_rank(values: Tensor, visual: Tensor, width: int) -> Tensor:
    """Values of an item's visual tokens in order, (batch, width), -1 past its last."""
    out = values.new_full((len(values), width), -1)
    for row, (value, where) in enumerate(zip(values, visual, strict=True)):
        found = value[where]
        out[row, : len(found)] = found
    return out


def join_captures(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join captures of different items of one run, in order.

    Raises:
        UsageError: nothing to join, parts that differ in layers, heads, roles or provenance, or an item that
            occurs twice.
    """
    if not parts:
        raise UsageError("there is nothing to join; give at least one capture")
    first = parts[0]
    for part in parts[1:]:
        differing = sorted(
            key for key in {*first.attrs, *part.attrs} if first.attrs.get(key) != part.attrs.get(key)
        )
        if differing:
            raise UsageError(f"the captures differ in {', '.join(differing)}; join only captures of one run")
        for name in ("layer", "head", "query_role", "key_role"):
            if list(first[name].values) != list(part[name].values):
                raise UsageError(f"the captures differ in {name}; join only captures of one run")
        if set(first.data_vars) != set(part.data_vars):
            raise UsageError("the captures hold different variables; join only captures of one run")
    items = [item for part in parts for item in part["item"].values]
    if len(set(items)) != len(items):
        twice = sorted({str(item) for item in items if items.count(item) > 1})
        raise UsageError(f"items occur twice: {', '.join(twice[:5])}; give every item its own id")
    joined = {}
    starts = np.cumsum([0, *(part.sizes["item"] for part in parts)])
    for name in map(str, first.data_vars):
        arrays = [part[name] for part in parts]
        if name in ("row_item", "cell_item"):
            arrays = [array + start for array, start in zip(arrays, starts, strict=False)]
        growing = next((dim for dim in ("item", "row", "cell") if dim in arrays[0].dims), None)
        joined[name] = arrays[0] if growing is None else xr.concat(arrays, dim=growing)
        joined[name].attrs = first[name].attrs
    return xr.Dataset(joined, attrs=first.attrs)


@cache
def versions() -> Mapping[str, str]:
    """Versions of the libraries that a measurement depends on; read once, for each batch asks."""
    return {name: version(name) for name in VERSIONED}

"""Whom an intervention touches: layers, heads, queries, steps of the answer; and regions of a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeAlias

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool
from torch import Tensor

from vaslab.errors import UsageError
from vaslab.interventions.batch import Batch
from vaslab.interventions.settings import heads_of, layers_of, whole
from vaslab.metrics.definition import Definition
from vaslab.metrics.head_roles import head_shares
from vaslab.metrics.vas import masses, vas_per_head
from vaslab.prompts.patches import PatchGrid
from vaslab.prompts.roles import Role

Layers: TypeAlias = Any
"""`all`, `middle`, `FIRST-`, `FIRST-LAST`, or indices."""
Heads: TypeAlias = Any
"""(layer, head) pairs."""

# ClearSight's released code edits layers 9 to 14 of LLaVA's 32.
_MIDDLE = (9 / 32, 15 / 32)


def layer_indices(layers: Layers, n_layers: int) -> tuple[int, ...]:
    """Indices of layers.

    Args:
        layers: `all`; `middle` (the share of the depth that ClearSight edits: layers 9 to 14 of 32); `FIRST-` or
            `FIRST-LAST`, the last included; or indices, negative ones from the end.
        n_layers: how many there are.

    Raises:
        UsageError: a layer that is not there, or another word.
    """
    told = layers_of(layers)
    if told == "all":
        return tuple(range(n_layers))
    if told == "middle":
        first, end = (round(share * n_layers) for share in _MIDDLE)
        return tuple(range(first, max(end, first + 1)))
    if isinstance(told, str):
        first_word, _, last_word = told.partition("-")
        wanted: Sequence[int] = range(int(first_word), int(last_word) + 1 if last_word else n_layers)
    else:
        wanted = [layer + n_layers * (layer < 0) for layer in told]
    if not wanted:
        raise UsageError(
            f"layers is {layers!r}, which names no layer; the model has layers 0 to {n_layers - 1}"
        )
    absent = [layer for layer in wanted if not 0 <= layer < n_layers]
    if absent:
        raise UsageError(
            f"layers is {layers!r}, and there is no layer {absent[0]}; the model has layers 0 to {n_layers - 1}"
        )
    return tuple(sorted(set(wanted)))


def head_mask(layers: Layers, heads: Heads | None, n_layers: int, n_heads: int) -> Bool[Tensor, "layer head"]:
    """Which heads are touched: those of the layers, or the (layer, head) pairs given, whatever their layer.

    Raises:
        UsageError: a layer or head that is not there.
    """
    chosen = torch.zeros(n_layers, n_heads, dtype=torch.bool)
    if heads is None:
        chosen[list(layer_indices(layers, n_layers))] = True
        return chosen
    for layer, head in heads_of(heads) or ():
        if not (0 <= layer < n_layers and 0 <= head < n_heads):
            raise UsageError(
                f"there is no head ({layer}, {head}); the model has layers 0 to {n_layers - 1} and heads 0 to "
                f"{n_heads - 1}"
            )
        chosen[layer, head] = True
    return chosen


def top_heads(
    capture: xr.Dataset, k: Any, score: str = "vas", queries: str = "user", lowest: bool = False
) -> list[tuple[int, int]]:
    """The k heads with the largest measured score, best first; ties by layer and head.

    Args:
        capture: what `vaslab.capture` returned.
        k: how many.
        score: `vas` (mean of ratios) or a key role, whose mean attention mass it is (`image`, `system`, ...).
        queries: query role of the capture.
        lowest: the k smallest instead.

    Raises:
        UsageError: no such score, role or number of heads.
    """
    if score == "vas":
        values = vas_per_head(capture, Definition(queries))
    else:
        found = masses(capture, queries, over=("item",))
        if score not in found["role"].values:
            known = ", ".join(["vas", *map(str, found["role"].values)])
            raise UsageError(f"unknown score {score!r} of heads; expected {known}")
        values = found.sel(role=score).transpose("layer", "head")
    if not 1 <= whole("k", k) <= values.size:
        raise UsageError(f"k is {k}; the capture has {values.size} heads")
    flat = np.nan_to_num(values.values.ravel(), nan=np.inf if lowest else -np.inf)
    order = np.argsort(flat if lowest else -flat, kind="stable")[:k]
    return [(int(place) // values.sizes["head"], int(place) % values.sizes["head"]) for place in order]


HEAD_ROLES = {"visual": "visual", "sink": "sink_head"}
"""Roles of heads -> the column of `vaslab.metrics.head_roles.head_shares` that tells them."""


def heads_of_role(capture: xr.Dataset, role: str, queries: str = "user") -> list[tuple[int, int]]:
    """The heads of a role, by layer and head.

    Args:
        capture: what `vaslab.capture` returned.
        role: `visual` (more attention on the picture than spread evenly) or `sink` (more than 0.3 on the first token).
        queries: query role of the capture.

    Raises:
        UsageError: an unknown role or query role, or no head has it.
    """
    check_head_role(role)
    table = head_shares(capture, queries)
    found = table.loc[table[HEAD_ROLES[role]], ["layer", "head"]].to_numpy()
    if not len(found):
        raise UsageError(f"none of the {len(table)} heads is a {role} head; choose heads by score")
    return [(int(layer), int(head)) for layer, head in found]


def check_head_role(role: Any) -> None:
    """Raise UsageError for a role of heads that is unknown."""
    if role not in HEAD_ROLES:
        raise UsageError(f"unknown role {role!r} of heads; expected {', '.join(HEAD_ROLES)}")


@dataclass(frozen=True)
class Region:
    """A box of a picture.

    Args:
        box: (x0, y0, x1, y1) in pixels of the original picture.
        size: (width, height) of that picture.
        picture: which of the item's pictures.
        overlap: the least share of a patch that must lie in the box; 0 takes every patch that it touches.

    Raises:
        UsageError: no box with an area inside the picture, or another wrong value.
    """

    box: Any
    size: Any
    picture: Any = 0
    overlap: Any = 0

    def __post_init__(self) -> None:
        box = _numbers("box", self.box, "(x0, y0, x1, y1) in pixels")
        size = _numbers("size", self.size, "(width, height) of the picture in pixels")
        if len(box) != 4 or len(size) != 2:
            raise UsageError(
                f"a region has box {self.box!r} and size {self.size!r}; expected (x0, y0, x1, y1) and (width, height)"
            )
        width, height = (whole("size of a region", side) for side in size)
        if whole("picture of a region", self.picture) < 0:
            raise UsageError(f"picture of a region is {self.picture}; pictures are counted from 0")
        PatchGrid(1, 1, width, height).patches_in(
            box, *_numbers("overlap", [self.overlap], "a share, 0 to 1")
        )

    def mask(self, batch: Batch, item: int) -> Bool[Tensor, " seq"]:
        """Positions of the item's visual tokens in the box.

        Raises:
            UsageError: no such picture, or a box outside it.
        """
        grids = batch.grids[item]
        if not 0 <= self.picture < len(grids):
            raise UsageError(
                f"item {item} has {len(grids)} pictures in this call; a region asks for number {self.picture}, counted "
                "from 0, so give the whole prompt with its pictures in one call, without prefill_chunk_size"
            )
        rows, columns = grids[self.picture]
        patches = PatchGrid(rows, columns, *self.size).patches_in(self.box, self.overlap)
        if not patches:
            raise UsageError(
                f"the box {self.box} covers no patch of item {item} by {self.overlap}; lower overlap"
            )
        inside = torch.isin(batch.patch[item], torch.tensor(patches, device=batch.patch.device))
        return inside & (batch.image[item] == self.picture)


def _numbers(name: str, values: Any, expected: str) -> tuple[Any, ...]:
    try:
        if isinstance(values, str):
            raise TypeError
        found = tuple(values)
        if not all(isfinite(each) for each in found):
            raise TypeError
    except TypeError as error:
        raise UsageError(f"{name} of a region is {values!r}; expected {expected}") from error
    return found


Regions: TypeAlias = Region | Sequence[Region | None]
"""One region for all items, or one an item; None leaves that item alone."""


def regions_of(regions: Any) -> Region | tuple[Region | None, ...] | None:
    """Regions as given, or None where none are.

    Raises:
        UsageError: what is neither a region nor a list of them, such as a word that a sweep would understand.
    """
    if regions is None or isinstance(regions, Region):
        return regions
    expected = "Region((x0, y0, x1, y1), size=(width, height)), one for all items or a list of one an item"
    if isinstance(regions, str | Mapping) or not isinstance(regions, Iterable):
        words = "; 'answer' and 'other' are words of a sweep" if isinstance(regions, str) else ""
        raise UsageError(f"regions is {regions!r}; expected {expected}{words}")
    found = tuple(regions)
    if not found:
        raise UsageError(f"regions is empty; expected {expected}")
    for number, each in enumerate(found):
        if each is not None and not isinstance(each, Region):
            raise UsageError(
                f"regions[{number}] is {each!r}; expected {expected}, None for an item left alone"
            )
    return found


def region_mask(regions: Regions, batch: Batch) -> Bool[Tensor, "batch seq"]:
    """Visual tokens in each item's region; one region holds for all items, and None is an empty one.

    Where `generate` repeats the rows of each item, for beams or several answers, its region is repeated with them.

    Raises:
        UsageError: another number of regions than items.
    """
    given = [regions] * len(batch) if isinstance(regions, Region) else list(regions)
    times, over = divmod(len(batch), len(given))
    if times > 1 and not over and _repeated(batch, times):
        given = [region for region in given for _ in range(times)]
    if len(given) != len(batch):
        raise UsageError(f"{len(given)} regions for a batch of {len(batch)} items; give one an item, or one")
    nothing = torch.zeros_like(batch.visual[0])
    return torch.stack(
        [nothing if region is None else region.mask(batch, item) for item, region in enumerate(given)]
    )


def _repeated(batch: Batch, times: int) -> bool:
    """Whether each `times` rows that follow each other are one prompt; answers may differ."""
    ids = batch.inputs.get("input_ids", batch.roles)
    told = torch.stack([batch.roles, ids, batch.patch]).masked_fill(batch.roles == Role.response, -1)
    groups = told.unflatten(1, (-1, times))
    return bool((groups == groups[:, :, :1]).all())

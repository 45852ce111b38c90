"""The map of a head: recomputed and held against the stored mass, or what was stored, or why there is none."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Float

from vaslab.errors import VaslabError, one_line
from vaslab.explorer.entries import Entry, NotThereError, Source
from vaslab.explorer.head_map import Grid, HeadMap
from vaslab.explorer.packing import Packed, pack, pack_mean
from vaslab.explorer.region import Region, shares_of
from vaslab.explorer.stored import agreement_of, stored, stored_grids
from vaslab.prompts.images import open_image
from vaslab.prompts.patches import PatchGrid

if TYPE_CHECKING:
    from vaslab.explorer.recompute import LayerSeen, Rows
    from vaslab.prompts.encoded import Encoded

AT_ONCE = 24_000_000
"""Bytes up to which all layers, or all heads of a layer, are kept of one forward."""
KEPT = 256_000_000
"""Bytes of recent maps."""
_Key: TypeAlias = tuple[int, str, str, int, int]


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of one head: its rows, its mean mass on each key role over its own rows, its layer's sinks."""

    packed: Packed
    roles: Float[np.ndarray, " key_role"]
    sinks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Item:
    """One item encoded, with the rows asked for, and what is to be said of its answer."""

    encoded: Encoded
    rows: Rows
    said: str

    @property
    def grids(self) -> tuple[Grid, ...]:
        """(rows, columns) of each picture."""
        return tuple((grid.rows, grid.cols) for grid in self.encoded.grids[0])

    @property
    def n_cells(self) -> int:
        """Patches of all pictures."""
        return sum(rows * cols for rows, cols in self.grids)


@dataclass(eq=False)
class Maps:
    """Maps of the heads of some runs, recent ones kept."""

    sources: Sequence[Source]
    _kept: OrderedDict[_Key, Kept] = field(default_factory=OrderedDict)
    _items: OrderedDict[tuple[int, str, str], Item] = field(default_factory=OrderedDict)

    def at_hand(self, run: int, entry: Entry, queries: str, layer: int, head: int) -> HeadMap:
        """The map, if no model has to be loaded for it."""
        source = self.sources[run]
        if source.loaded:
            return self.of(run, entry, queries, layer, head)
        found = stored(entry, queries, layer, head, "stored with the capture")
        if found.state == "none" and source.load is not None:
            return HeadMap(
                "none", f"Choose a head: the first one loads {source.model} and asks it this item."
            )
        return found

    def of(self, run: int, entry: Entry, queries: str, layer: int, head: int) -> HeadMap:
        """The map, recomputed where that can be, else as stored; the note says which, or why there is none."""
        source = self.sources[run]
        if source.load is None:
            return stored(entry, queries, layer, head, "stored with the capture")
        started = time.perf_counter()
        loading = not source.loaded
        key = (run, entry.id, queries, layer, head)
        try:
            fresh = key not in self._kept
            item = self.item(run, entry, queries)
            if fresh:
                self._recompute(run, entry, queries, item, layer, head)
        except (VaslabError, OSError, RuntimeError) as error:
            # torch has no one error for a memory that is too small
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            return stored(entry, queries, layer, head, f"not recomputed: {one_line(error)[:300]}")
        self._kept.move_to_end(key)
        done = f"loaded {source.model} and asked it this item" if loading else "recomputed from the model"
        found = _recomputed(entry, queries, item, layer, head, self._kept[key], done)
        return replace(found, seconds=time.perf_counter() - started) if fresh else found

    def whole(
        self, run: int, entry: Entry, queries: str, full: Collection[tuple[int, int]]
    ) -> dict[tuple[int, int], HeadMap]:
        """Every head of an item from one forward: all rows of the heads in `full`, the mean over rows of the others.

        Raises:
            VaslabError, OSError: as `item`.
        """
        item = self.item(run, entry, queries)
        from vaslab.explorer.recompute import look

        vlm = self.sources[run].vlm()
        n_layers, n_heads, _ = self.sources[run].shape

        def keep(layer: int, seen: LayerSeen) -> dict[int, Kept]:
            return {head: kept_of(seen, item.rows, head, (layer, head) in full) for head in range(n_heads)}

        with entry.edited(vlm):
            found = look(vlm, item.encoded, item.rows, range(n_layers), keep)
        out = {}
        for layer, by_head in found.items():
            for head, kept in by_head.items():
                made = _recomputed(entry, queries, item, layer, head, kept, "recomputed from the model")
                state = "full" if (layer, head) in full else "mean"
                out[layer, head] = replace(made, state=state)
        return out

    def on_region(
        self, run: int, entry: Entry, queries: str, region: Region
    ) -> Float[np.ndarray, "layer head 2"]:
        """Attention of every head outside and inside a region of the pictures, mean over the shown rows.

        One forward, without a map of every patch; where there is no model, from the maps that were stored.

        Raises:
            UsageError: the region is no part of the picture.
            VaslabError, OSError: as `item`; no map was stored.
        """
        source = self.sources[run]
        if source.load is None:
            return self._stored_on_region(run, entry, queries, region)
        from vaslab.explorer.recompute import look

        item = self.item(run, entry, queries)
        inside = region.cells(item.encoded.grids[0])

        def keep(_: int, seen: LayerSeen) -> Float[np.ndarray, "head 2"]:
            return seen.cells[:, item.rows.shown].astype(np.float64).mean(axis=1)

        vlm = source.vlm()
        with entry.edited(vlm):
            found = look(vlm, item.encoded, item.rows, range(source.shape[0]), keep, inside.astype(np.int64))
        return np.stack([found[layer] for layer in range(source.shape[0])])

    def _stored_on_region(
        self, run: int, entry: Entry, queries: str, region: Region
    ) -> Float[np.ndarray, "layer head 2"]:
        n_layers, n_heads, _ = self.sources[run].shape
        places = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
        maps = {place: stored(entry, queries, *place, "stored with the capture") for place in places}
        there = {place: found for place, found in maps.items() if found.state != "none"}
        if not there:
            raise NotThereError(f"heads cannot be ranked: {maps[0, 0].note}, and there is no model to ask")
        sizes = [picture.size for picture in map(open_image, entry.prompt().images)]
        grids = [PatchGrid(*grid, *size) for grid, size in zip(stored_grids(entry), sizes, strict=True)]
        return shares_of(there, region.cells(grids), (n_layers, n_heads))

    def item(self, run: int, entry: Entry, queries: str) -> Item:
        """Encode an item for one query role.

        Raises:
            VaslabError, OSError: no model, picture or answer; no such row, or no picture.
        """
        key = (run, entry.id, queries)
        if key not in self._items:
            from vaslab.explorer.recompute import rows_of
            from vaslab.prompts.encode import encode

            # the picture first: without it the model need not be loaded
            prompt = entry.prompt()
            vlm = self.sources[run].vlm()
            ids, said = entry.told(vlm) if queries == "response" else ([], "")
            encoded = encode(vlm.processor, [prompt], [ids] if ids else None).to(vlm.device)
            item = Item(encoded, rows_of(vlm, encoded, queries), said)
            if not item.n_cells:
                raise NotThereError("this item has no picture to look at")
            if not len(item.rows.texts):
                raise NotThereError(f"this item has no {queries} tokens")
            self._items[key] = item
            while len(self._items) > 8:
                self._items.popitem(last=False)
        return self._items[key]

    def grids(self, run: int, entry: Entry) -> tuple[Grid, ...]:
        """Grids of an item's pictures, where they are known already."""
        for (at, name, _), item in self._items.items():
            if (at, name) == (run, entry.id):
                return item.grids
        return stored_grids(entry)

    def _recompute(self, run: int, entry: Entry, queries: str, item: Item, layer: int, head: int) -> None:
        """Ask the model once, and keep as many heads of it as is little enough."""
        from vaslab.explorer.recompute import look

        vlm = self.sources[run].vlm()
        n_layers, n_heads, _ = self.sources[run].shape
        per_head = len(item.rows.texts) * item.n_cells
        layers: Collection[int] = range(n_layers) if per_head * n_heads * n_layers <= AT_ONCE else [layer]
        heads: Collection[int] = range(n_heads) if per_head * n_heads <= AT_ONCE else [head]

        def keep(_: int, seen: LayerSeen) -> dict[int, Kept]:
            return {number: kept_of(seen, item.rows, number) for number in heads}

        with entry.edited(vlm):
            found = look(vlm, item.encoded, item.rows, layers, keep)
        for at, by_head in found.items():
            for number, kept in by_head.items():
                self._kept[run, entry.id, queries, at, number] = kept
        size = sum(kept.packed.size for kept in self._kept.values())
        wanted = (run, entry.id, queries, layer, head)
        self._kept.move_to_end(wanted)
        while size > KEPT and len(self._kept) > 1:
            size -= self._kept.popitem(last=False)[1].packed.size


def kept_of(seen: LayerSeen, rows: Rows, head: int, whole: bool = True) -> Kept:
    """What is kept of one head of a layer: all its rows, or their mean."""
    own = seen.roles[head, rows.own].astype(np.float64).mean(axis=0)
    cells = seen.cells[head, rows.shown]
    return Kept(pack(cells) if whole else pack_mean(cells), own, seen.sinks)


def _recomputed(
    entry: Entry, queries: str, item: Item, layer: int, head: int, kept: Kept, done: str
) -> HeadMap:
    from vaslab.explorer.recompute import SINK_WORDS

    agreement, differs = agreement_of(entry, queries, layer, head, kept.roles)
    return HeadMap(
        state="full",
        note="; ".join(filter(None, (done, entry.edit, item.said))),
        packed=kept.packed,
        rows=tuple(item.rows.traits()),
        grids=item.grids,
        sinks=kept.sinks,
        sinks_words=SINK_WORDS,
        agreement=agreement,
        differs=differs,
    )

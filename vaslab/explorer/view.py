"""What is looked at, and the values a page draws it from: the same for the notebook, the server and the saved page."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from vaslab.errors import UsageError, VaslabError, one_line
from vaslab.explorer import numbers
from vaslab.explorer.entries import Entry, Source, floored_of, vas_of
from vaslab.explorer.head_map import HeadMap
from vaslab.explorer.maps import Maps
from vaslab.explorer.numbers import Floats
from vaslab.explorer.packing import NOTHING, QUANTISATION
from vaslab.explorer.region import ranked, told_region
from vaslab.explorer.shown import definition_of, item_trait, rows_words, shown_pictures
from vaslab.statistics import aligned

Traits: TypeAlias = dict[str, Any]
SCOPES = ("item", "run")


@dataclass(frozen=True)
class State:
    """What is looked at: an item (-1 = none), a query role, one item's or all items' numbers, a head."""

    item: int
    queries: str
    scope: str
    selected: tuple[int, int]


class View:
    """One run, or two of the same items, or a model that is asked.

    Args:
        sources: one or two.
        live: whether new questions may be asked.

    Raises:
        UsageError: two runs that do not align, or share no query role; live with two.
    """

    def __init__(self, sources: Sequence[Source], *, live: bool = False) -> None:
        if live and len(sources) > 1:
            raise UsageError("live asks one model; explore one run, or compare two without live")
        self.sources = list(sources)
        self.live = live
        first = self.sources[0]
        self.stored_queries = [
            role for role in first.queries if all(role in each.queries for each in self.sources)
        ]
        if len(self.sources) == 2:
            self._align()
        self.shape = first.shape[:2]
        self.maps = Maps(self.sources)
        self._runs: dict[str, Traits] = {}
        self._pictures: OrderedDict[tuple[int, int | None], list[Traits]] = OrderedDict()
        self._measured: dict[tuple[int, str, str], xr.Dataset] = {}
        self.items = self._items()

    def _align(self) -> None:
        """Bring the second run's items into the first one's order."""
        one, two = self.sources
        captures = [each.capture for each in self.sources if each.capture is not None]
        if len(captures) < 2 or not self.stored_queries:
            raise UsageError(
                f"the runs share no query role: {', '.join(one.queries) or 'none'} and "
                f"{', '.join(two.queries) or 'none'}; measure both with the same --queries"
            )
        first, second = (each["mass"].sel(query_role=self.stored_queries) for each in captures)
        aligned(first, second)
        by_id = {entry.id: entry for entry in two.entries}
        two.entries = [by_id[entry.id] for entry in one.entries]
        if one.name == two.name:
            one.name, two.name = one.label, two.label
        if one.name == two.name:
            one.name, two.name = f"A: {one.name}", f"B: {two.name}"

    @property
    def kernel(self) -> bool:
        """Whether maps can be computed."""
        return any(source.load is not None for source in self.sources)

    @property
    def queries(self) -> list[str]:
        """Query roles that can be looked at: those stored, and the answer where a model can be asked again."""
        found = list(self.stored_queries) or ["user"]
        return [*found, "response"] if self.kernel and "response" not in found else found

    def meta(self) -> Traits:
        """What does not change."""
        layers, heads, kv = self.sources[0].shape
        names = " and ".join(source.name for source in self.sources)
        notes = [f"{source.name}: {source.note}" for source in self.sources if source.note]
        return {
            "version": 1,
            "title": f"{names} · {self.sources[0].data}" if self.sources[0].data else names,
            "runs": [
                {
                    "name": source.label,
                    "label": source.name,
                    "model": source.model,
                    "data": source.data,
                    "decoding": source.decoding,
                    "n_items": len(source.entries),
                }
                for source in self.sources
            ],
            "layers": layers,
            "heads": heads,
            "kv_group": heads // kv if kv else 1,
            "queries": self.queries,
            "definitions": {name: definition_of(name) for name in self.queries},
            "rows_words": {name: rows_words(name) for name in self.queries},
            "run_id": ", ".join(source.run_id for source in self.sources if source.run_id),
            "kernel": self.kernel,
            "live": self.live,
            "quantisation": QUANTISATION,
            "note": " ".join(notes),
        }

    def start(self) -> State:
        """The first item, and the head with the largest VAS over all of them."""
        state = State(
            0 if self.items else -1, self.queries[0], "run" if len(self.items) > 1 else "item", (0, 0)
        )
        vas = np.frombuffer(self.numbers(state)["vas"], dtype="<f4")[: self.shape[0] * self.shape[1]]
        if not np.isfinite(vas).any():
            return state
        layer, head = divmod(int(np.nanargmax(vas)), self.shape[1])
        return replace(state, selected=(layer, head))

    def entries(self, item: int) -> list[Entry]:
        """An item in each run."""
        return [source.entries[item] for source in self.sources]

    def item_of(self, name: int | str) -> int:
        """Index of an item by its id or index. Raises UsageError for one that is not there."""
        ids = [item["id"] for item in self.items]
        if isinstance(name, str) and name in ids:
            return ids.index(name)
        if isinstance(name, int) and 0 <= name < len(ids):
            return name
        raise UsageError(f"there is no item {name!r}; the first of {len(ids)} are {', '.join(ids[:5])}")

    def checked(self, told: Mapping[str, Any]) -> State:
        """A state that a page sent. Raises UsageError for one that cannot be."""
        item, queries, scope, selected = (told.get(name) for name in ("item", "queries", "scope", "selected"))
        whole = isinstance(selected, list | tuple) and len(selected) == 2 and all(map(_is_count, selected))
        if not _is_count(item) or not -1 <= int(item or 0) < len(self.items) or not whole:
            raise UsageError(f"no item {item!r} or head {selected!r}")
        layer, head = (int(each) for each in selected or ())
        if not (0 <= layer < self.shape[0] and 0 <= head < self.shape[1]):
            raise UsageError(f"no head {selected!r}; there are {self.shape[0]} layers of {self.shape[1]}")
        if queries not in self.queries or scope not in SCOPES:
            raise UsageError(f"no query role {queries!r} or scope {scope!r}")
        return State(int(item or 0), str(queries), str(scope), (layer, head))

    def numbers(self, state: State) -> Traits:
        """The head map."""
        if state.scope == "run" or state.item < 0:
            if state.queries not in self._runs:
                self._runs[state.queries] = numbers.of_run(
                    self.sources, state.queries, self.shape, self._cluster()
                )
            return self._runs[state.queries]
        entries = [
            self._with_numbers(run, entry, state.queries)
            for run, entry in enumerate(self.entries(state.item))
        ]
        return numbers.of_item(entries, state.queries, self.shape)

    def top_heads(self, state: State, count: int) -> set[tuple[int, int]]:
        """The heads of the largest VAS, of those that have one; of two runs, the largest in either."""
        vas = np.frombuffer(self.numbers(state)["vas"], dtype="<f4").reshape(len(self.sources), -1)
        best = np.where(np.isfinite(vas), vas, -np.inf).max(axis=0)
        order = [int(at) for at in np.argsort(-best, kind="stable")[:count] if np.isfinite(best[at])]
        return {divmod(at, self.shape[1]) for at in order}

    def pictures(self, item: int, most: int | None = None) -> Traits:
        """The pictures of an item, of `most` bytes together, with their grids where these are known."""
        if item < 0:
            return {"pictures": []}
        entry = self.entries(item)[0]
        grids = self.maps.grids(0, entry)
        key = (item, most)
        if key not in self._pictures:
            self._pictures[key] = shown_pictures(entry, grids, most)
            while len(self._pictures) > 16:
                self._pictures.popitem(last=False)
        out, first = [], 0
        for number, picture in enumerate(self._pictures[key]):
            rows, cols = grids[number] if number < len(grids) else (0, 0)
            out.append({**picture, "rows": rows, "cols": cols, "first_cell": first})
            first += rows * cols
        return {"pictures": out}

    def attention(self, state: State, *, load: bool = True) -> Traits:
        """The selected head on the item, in each run. Without `load` no model is loaded for it."""
        of = [state.item, state.queries, *state.selected]
        found = [self._map(run, state, load) for run in range(len(self.sources))]
        grids = [each.grids for each in found if each.grids]
        if len(grids) == 2 and grids[0] != grids[1]:
            found[1] = HeadMap("none", "this checkpoint cuts the picture into another grid of patches")
        traits: Traits = {
            "rows": [list(each.rows) for each in found],
            "attention": [each.trait(of) for each in found],
        }
        for run in range(2):
            traits |= (found[run].packed if run < len(found) else NOTHING).traits(run)
        return traits

    def looks(self, state: State, told: Any) -> Traits:
        """Which heads look most at what is asked about, in each run.

        Args:
            state: what is looked at.
            told: {} for where the answer is seen, else {"picture": index, "box": [x0, y0, x1, y1]}.
        """
        shown: Traits = {"state": "none", "note": "", "of": [state.item, state.queries, told], "runs": []}
        if state.item < 0:
            return {"looks": shown | {"note": "no item is chosen"}}
        entries = self.entries(state.item)
        started = time.perf_counter()
        try:
            region = told_region(told, entries[0].boxes())
            shares = [
                self.maps.on_region(run, entry, state.queries, region) for run, entry in enumerate(entries)
            ]
        except (VaslabError, OSError) as error:
            return {"looks": shown | {"note": one_line(error)[:300]}}
        seconds = round(time.perf_counter() - started, 3)
        found = [ranked(each) for each in shares]
        note = "; ".join(filter(None, map(self._partial, self.sources, shares)))
        return {"looks": shown | {"state": "done", "note": note, "runs": found, "seconds": seconds}}

    def _partial(self, source: Source, shares: Floats) -> str:
        """What is to be said of a ranking that does not know every head."""
        known = np.isfinite(shares[..., 1])
        if known.all():
            return ""
        n = int(known.sum())
        which = "one head whose map was" if n == 1 else f"{n} heads whose maps were"
        words = f"only the {which} stored, of {known.size}"
        return words if len(self.sources) == 1 else f"{source.name}: {words}"

    def _map(self, run: int, state: State, load: bool) -> HeadMap:
        if state.item < 0:
            return HeadMap("none", "no item is chosen")
        entry = self.entries(state.item)[run]
        ask = self.maps.of if load else self.maps.at_hand
        return ask(run, entry, state.queries, *state.selected)

    def _with_numbers(self, run: int, entry: Entry, queries: str) -> Entry:
        """The entry with the numbers of a query role: measured now where the run has none and its model is loaded."""
        source = self.sources[run]
        if entry.measured(queries) or not source.loaded:
            return entry
        key = (run, entry.id, queries)
        if key not in self._measured:
            from vaslab.capture.capture import capture

            try:
                ids, _ = entry.told(source.vlm())
                with entry.edited(source.vlm()):
                    found = capture(source.vlm(), [entry.prompt()], (queries,), responses=[ids])
            except (VaslabError, OSError):
                # the map of the head says why
                return entry
            self._measured[key] = found
        return replace(entry, capture=self._measured[key], at=0)

    def _cluster(self) -> xr.DataArray | None:
        """The picture of each item, where items share pictures and both runs agree on them."""
        if not all(source.clustered and source.capture is not None for source in self.sources):
            return None
        names = [[entry.picture for entry in source.entries[: self._n_stored]] for source in self.sources]
        if any(each != names[0] for each in names):
            return None
        ids = [entry.id for entry in self.sources[0].entries[: self._n_stored]]
        return xr.DataArray(names[0], dims="item", coords={"item": ids}, name="picture")

    @property
    def _n_stored(self) -> int:
        capture = self.sources[0].capture
        return 0 if capture is None else capture.sizes["item"]

    def _items(self) -> list[Traits]:
        means = [source.vas_of_items() for source in self.sources]
        floors = [source.floored_of_items() for source in self.sources]
        out = []
        for at, entry in enumerate(self.sources[0].entries):
            told = self.entries(at)
            vas = [
                {queries: values[told[run].at] for queries, values in each.items()}
                for run, each in enumerate(means)
            ]
            low = [
                {queries: values[told[run].at] for queries, values in each.items()}
                for run, each in enumerate(floors)
            ]
            out.append(item_trait(entry, told, vas, low))
        return out

    def add(self, entry: Entry) -> int:
        """Add an item that was asked here; return its index."""
        self.sources[0].entries.append(entry)
        names = [str(queries) for queries in entry.capture["query_role"].values]
        vas = {queries: vas_of(entry.part, queries)[0] for queries in names}
        low = {queries: floored_of(entry.part, queries)[0] for queries in names}
        # a new list: who holds the old one is to see that it changed
        self.items = [*self.items, item_trait(entry, [entry], [vas], [low])]
        return len(self.items) - 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

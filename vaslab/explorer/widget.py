"""The explorer in a notebook: JupyterLab, Notebook 7, marimo."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from vaslab.errors import UsageError
from vaslab.explorer import live
from vaslab.explorer.module import module_text
from vaslab.explorer.page import write_page
from vaslab.explorer.shown import KEPT_PICTURES, kept_items
from vaslab.explorer.view import State, View

if TYPE_CHECKING:
    import pandas as pd


def _synced(kind: Any) -> Any:
    return kind.tag(sync=True)


class HeadExplorer(anywidget.AnyWidget):
    """A linked view of heads, a picture under their attention, and the tokens that look at it.

    Made by `vaslab.explore`. The page sets item, queries, scope, selected, token, picture, region and pinned; Python
    may set them too, and `observe` them. Everything else follows. Bytes are little-endian float32 unless said.

    Args:
        view: what is looked at.
        state: what is looked at first.
    """

    _esm = module_text()

    meta = _synced(traitlets.Dict())
    items = _synced(traitlets.List())
    n_items = _synced(traitlets.Int(0))
    item = _synced(traitlets.Int(-1))
    queries = _synced(traitlets.Unicode("user"))
    scope = _synced(traitlets.Unicode("item"))
    selected = _synced(traitlets.List([0, 0]))
    token = _synced(traitlets.Int(-1))
    picture = _synced(traitlets.Int(0))
    pinned = _synced(traitlets.List())
    map = _synced(traitlets.Dict())
    vas = _synced(traitlets.Bytes())
    low = _synced(traitlets.Bytes())
    high = _synced(traitlets.Bytes())
    floored = _synced(traitlets.Bytes())
    shares = _synced(traitlets.Bytes())
    change = _synced(traitlets.Bytes())
    change_low = _synced(traitlets.Bytes())
    change_high = _synced(traitlets.Bytes())
    significant = _synced(traitlets.Bytes())
    pictures = _synced(traitlets.List())
    rows = _synced(traitlets.List())
    attention = _synced(traitlets.List())
    share_0 = _synced(traitlets.Bytes())
    scale_0 = _synced(traitlets.Bytes())
    cells_0 = _synced(traitlets.Bytes())
    share_1 = _synced(traitlets.Bytes())
    scale_1 = _synced(traitlets.Bytes())
    cells_1 = _synced(traitlets.Bytes())
    region = _synced(traitlets.Dict())
    looks = _synced(traitlets.Dict())
    live = _synced(traitlets.Dict())

    def __init__(self, view: View, state: State) -> None:
        self.view = view
        super().__init__(
            meta=view.meta(),
            items=list(kept_items(view.items, state.item)),
            n_items=len(view.items),
            item=state.item,
            queries=state.queries,
            scope=state.scope,
            selected=list(state.selected),
            live=live.idle(view),
            **view.numbers(state),
            **view.attention(state, load=False),
            **view.pictures(state.item, KEPT_PICTURES),
        )
        self.observe(self._changed, ["item", "queries", "scope", "selected"])
        self.on_msg(self._heard)

    @property
    def state(self) -> State:
        """What is looked at. Raises UsageError for values that name nothing."""
        told = {name: getattr(self, name) for name in ("item", "queries", "scope", "selected")}
        return self.view.checked(told)

    def to_html(self, path: Path | str, top: int = 24) -> Path:
        """Write the current item as one page that needs no kernel and no network; return its path.

        Args:
            path: where.
            top: heads kept with all their rows: those of the largest VAS, and the one selected; of the others the
                mean over rows is kept. The page says so.
        """
        return write_page(self.view, self.state, path, top)

    def select(self, layer: int, head: int) -> None:
        """Look at a head. Raises UsageError for one that is not there.

        A figure of heads can lead the explorer by it: `vaslab.plots.clicks.clickable(figure, explorer.select)`.
        """
        self.selected = [layer, head]

    def ranking(self) -> pd.DataFrame:
        """Heads of the item by their attention on what is asked about, or on `region`, most first.

        Returns:
            layer, head, attention (on it, in parts of the head's attention, mean over the rows) and of_picture (its
            part of the head's attention on all pictures); of two runs also `run`. Where only some maps were stored, a
            warning says so, and `attrs["note"]`.

        Raises:
            UsageError: nothing is marked in the item, or no map can be had; the message says why.
        """
        import pandas as pd

        looks = self.view.looks(self.state, self.region)["looks"]
        if looks["state"] != "done":
            raise UsageError(looks["note"])
        columns = ["layer", "head", "attention", "of_picture"]
        tables = [pd.DataFrame(heads, columns=columns) for heads in looks["runs"]]
        table = tables[0]
        if len(tables) > 1:
            names = [source.name for source in self.view.sources]
            table = pd.concat(tables, keys=names, names=["run", ""]).reset_index("run")
        table.attrs["note"] = looks["note"]
        if looks["note"]:
            warnings.warn(f"not of all heads: {looks['note']}", stacklevel=2)
        return table

    def _changed(self, change: Any) -> None:
        """Follow the page, or Python."""
        name = change["name"]
        state = self.state
        if name in ("item", "queries", "scope"):
            self._set(self.view.numbers(state))
        if name == "item":
            if self.n_items > len(self.items):
                self.items = list(kept_items(self.view.items, state.item))
            self._set({"token": -1, "picture": 0, "region": {}, **self._pictures(state)})
        if name != "scope":
            self._look(state)

    def _look(self, state: State) -> None:
        """Get the selected head's map; the first time this loads the model, and the page says so meanwhile."""
        waiting = [source.load is not None and not source.loaded for source in self.view.sources]
        if any(waiting) and state.item >= 0:
            names = " and ".join(
                source.model for source, wait in zip(self.view.sources, waiting, strict=True) if wait
            )
            self.attention = [_waiting(f"loading {names} …") for _ in self.view.sources]
        self._set(self.view.attention(state))
        self._set(self._pictures(state))
        if state.scope == "item":
            # numbers that the run does not hold can be measured now
            self._set(self.view.numbers(state))

    def _rank(self) -> None:
        """Rank the heads by their attention on what is asked about, and look at the first."""
        self.looks = {"state": "busy", "note": "asking the model …", "of": [], "runs": []}
        found = self.view.looks(self.state, self.region)
        self._set(found)
        runs = found["looks"]["runs"]
        best = [int(at) for at in runs[0][0][:2]] if runs and runs[0] else self.selected
        if best == self.selected:
            # nothing changes by setting it, but the model may be there only now
            self._look(self.state)
        else:
            self.selected = best

    def _pictures(self, state: State) -> dict[str, Any]:
        return self.view.pictures(state.item, KEPT_PICTURES)

    def _set(self, traits: dict[str, Any]) -> None:
        with self.hold_sync():
            for name, value in traits.items():
                setattr(self, name, value)

    def _heard(self, _: Any, content: Any, __: Any) -> None:
        """Take a message of the page: "load", "rank", "items" or "ask"."""
        told = content if isinstance(content, dict) else {}
        if told.get("type") == "load":
            self._look(self.state)
        elif told.get("type") == "rank":
            self._rank()
        elif told.get("type") == "items":
            # a message, not a trait: a notebook saves traits
            self.send({"type": "items", "items": self.view.items})
        elif told.get("type") == "ask":
            self.live = live.busy(self.live)
            found, item = live.ask(self.view, self.state, told)
            if item is not None:
                texts = list(kept_items(self.view.items, item))
                self._set({"items": texts, "n_items": len(self.view.items), "scope": "item"})
                self.item = item
            self.live = found


def _waiting(note: str) -> dict[str, Any]:
    return {"state": "waiting", "note": note, "seconds": 0, "n_rows": 0, "n_cells": 0, "sinks": [], "of": []}

"""Which checkpoints may stand behind one correlation: each once, on one data set; on which items, layers and heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import PAPER, Definition, vas_of
from vaslab.plots.text import counted

DIGESTED = ("mass", "vas", "vas_no_sink", "clamped", "n_keys")
MEASURED = ("mass", "vas", "vas_no_sink")
NAMED = 3
"""Checkpoints that a sentence names."""


@dataclass(frozen=True)
class Shared:
    """Items that several checkpoints were measured and graded on: how many of them all, and each at least and most."""

    common: tuple[str | int, ...]
    least: int
    most: int

    @property
    def equal(self) -> bool:
        """Whether all were asked the same."""
        return len(self.common) == self.most

    @property
    def words(self) -> str:
        """That they were not, for a sentence; "" where they were."""
        if self.equal:
            return ""
        each = f"{self.least:,} to {self.most:,}" if self.least < self.most else f"{self.most:,}"
        return f"unequal items: {len(self.common):,} answered by all, {each} by each"


def check_checkpoints(captures: Mapping[str, xr.Dataset]) -> None:
    """Refuse what no correlation over checkpoints may hold.

    A checkpoint is told by the revision its capture names (the hub commit, or the hash of its weights); a capture that
    names none, by its numbers.

    Raises:
        UsageError: captures of several data sets, or one checkpoint twice.
    """
    data = {str(capture.attrs["data"]): name for name, capture in captures.items() if "data" in capture.attrs}
    if len(data) > 1:
        first, second = list(data)[:2]
        raise UsageError(
            f"{data[first]} was measured on {first}, {data[second]} on {second}: r would compare data sets, not "
            f"checkpoints; name runs of one of them, as --data {first}"
        )
    seen: dict[str, str] = {}
    for name, capture in captures.items():
        revision = capture.attrs.get("revision")
        mark = f"revision {revision}" if revision else _digest(capture)
        if mark in seen:
            raise UsageError(
                f"{seen[mark]} and {name} are the same checkpoint ({mark}): it would count twice in r; name one run "
                "of each checkpoint (several system prompts: vaslab figure system-prompts)"
            )
        seen[mark] = name


def shared_items(
    captures: Mapping[str, xr.Dataset], right: Mapping[str, xr.DataArray] | None = None
) -> Shared:
    """Items behind the points of a correlation: measured, and graded where `right` holds the grades.

    Raises:
        UsageError: no item stands behind all of them.
    """
    sets = []
    for name, capture in captures.items():
        own = set(capture["item"].values.tolist())
        sets.append(own if right is None else own & set(right[name].dropna("item")["item"].values.tolist()))
    if not sets:
        return Shared((), 0, 0)
    common = set.intersection(*sets)
    if not common:
        raise UsageError(
            f"no item was answered by all {counted(len(sets), 'checkpoint')}: r would compare questions, not "
            "checkpoints; measure them with the same --data, --limit and --seed"
        )
    sizes = [len(each) for each in sets]
    return Shared(tuple(sorted(common)), min(sizes), max(sizes))


@dataclass(frozen=True)
class SharedHeads:
    """Captures on the layers and heads that all have a value of, and which those are; `words` is "" where they are all.

    `captures` hold the shared layers; a head of them that is not shared is NaN in all.
    """

    captures: dict[str, xr.Dataset]
    words: str


def on_shared_heads(
    captures: Mapping[str, xr.Dataset],
    queries: Sequence[str] = (PAPER.queries,),
    sinks: Sequence[str] = (PAPER.sink,),
) -> SharedHeads:
    """Keep the layers and heads that have a VAS in every item that has one, in every capture.

    A level is a mean over layers and heads: of other ones in one checkpoint than in another it compares layers, not
    checkpoints. A capture whose items have no VAS at all takes no part in this.

    Args:
        captures: checkpoint name -> Capture.
        queries, sinks: VAS must be there for each of these, as `vaslab.metrics.vas`.

    Raises:
        UsageError: no head is shared, or an unknown query set.
    """
    held = {}
    for name, capture in captures.items():
        there = has_value(capture, queries, sinks)
        if there is not None:
            held[name] = there
    if not held:
        return SharedHeads(dict(captures), "")
    layers, heads = (
        sorted({key for each in held.values() for key in each[dim].values.tolist()})
        for dim in ("layer", "head")
    )
    every = {name: each.reindex(layer=layers, head=heads, fill_value=False) for name, each in held.items()}
    shared = np.logical_and.reduce([each.values for each in every.values()])
    if shared.all():
        return SharedHeads(dict(captures), "")
    lacking = [name for name, each in every.items() if not each.values.all()]
    if not shared.any():
        raise UsageError(
            f"no layer and head has a VAS in every checkpoint ({_few(lacking)} lack some): nothing compares; "
            "measure all with the same layers"
        )
    kept = [layer for layer, row in zip(layers, shared, strict=True) if row.any()]
    mask = xr.DataArray(shared, dims=("layer", "head"), coords={"layer": layers, "head": heads})
    return SharedHeads(
        {name: _restricted(capture, mask, kept) for name, capture in captures.items()},
        f"{_which(shared, layers, kept)}, which all checkpoints have (not all: {_few(lacking)})",
    )


def has_value(capture: xr.Dataset, queries: Sequence[str], sinks: Sequence[str]) -> xr.DataArray | None:
    """Which heads have a VAS in every item that has one: dims (layer, head); None where no item has."""
    found = None
    for role in queries:
        for sink in sinks:
            try:
                own = vas_of(capture, Definition(role, sink=sink), over=()).notnull()
            except UsageError:
                raise
            except VaslabError:
                # no item has one
                continue
            complete = (own | ~own.any(("layer", "head"))).all("item").drop_attrs().transpose("layer", "head")
            found = complete if found is None else found & complete
    return found


def _restricted(capture: xr.Dataset, mask: xr.DataArray, layers: list[int]) -> xr.Dataset:
    """A capture on some layers, NaN where the mask is not."""
    out = capture.sel(layer=[layer for layer in layers if layer in capture["layer"].values])
    heads = [head for head in mask["head"].values.tolist() if head in out["head"].values]
    own = mask.sel(layer=out["layer"].values, head=heads)
    out = out.sel(head=heads)
    if not bool(own.all()):
        out = out.assign(
            {name: out[name].where(own).astype(out[name].dtype) for name in MEASURED if name in out}
        )
    return out


def _which(shared: NDArray[np.bool_], layers: list[int], kept: list[int]) -> str:
    """Layers 0–4, where whole layers are shared; else a count of heads."""
    if not (shared.all(1) | ~shared.any(1)).all():
        return f"{int(shared.sum()):,} of {counted(shared.size, 'head')}"
    runs: list[list[int]] = []
    for layer in kept:
        if runs and layers.index(layer) == layers.index(runs[-1][-1]) + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    told = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
    return f"layer{'' if len(kept) == 1 else 's'} {told}"


def _few(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _digest(capture: xr.Dataset) -> str:
    """Hash of what was measured."""
    found = sha256(repr([str(item) for item in capture["item"].values]).encode())
    for name in DIGESTED:
        if name in capture:
            found.update(np.ascontiguousarray(capture[name].values).tobytes())
    return f"equal numbers, sha256 {found.hexdigest()[:12]}"

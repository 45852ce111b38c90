"""Which checkpoints may stand behind one correlation: each once, on one data set, and on which items."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import xarray as xr

from vaslab.errors import UsageError
from vaslab.plots.text import counted

DIGESTED = ("mass", "vas", "vas_no_sink", "clamped", "n_keys")


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


def shared_items(captures: Mapping[str, xr.Dataset], right: Mapping[str, xr.DataArray]) -> Shared:
    """Items behind the points of a correlation.

    Raises:
        UsageError: no item stands behind all of them.
    """
    sets = []
    for name, capture in captures.items():
        graded = right[name].dropna("item")["item"].values.tolist()
        sets.append(set(graded) & set(capture["item"].values.tolist()))
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


def _digest(capture: xr.Dataset) -> str:
    """Hash of what was measured."""
    found = sha256(repr([str(item) for item in capture["item"].values]).encode())
    for name in DIGESTED:
        if name in capture:
            found.update(np.ascontiguousarray(capture[name].values).tobytes())
    return f"equal numbers, sha256 {found.hexdigest()[:12]}"

"""The heads of a map as arrays, and what follows from all of them together: colour limits and the highest."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLIPPED_AT_MOST = 0.02


@dataclass
class Grid:
    """The table as arrays (layer, head), and what follows from all heads together."""

    vas: Floats
    layers: list[object]
    heads: list[object]
    per_group: int | None
    limit: int
    top: list[tuple[int, int]]

    @property
    def n_layers(self) -> int:
        """Layers drawn."""
        return self.vas.shape[0]

    @property
    def n_heads(self) -> int:
        """Heads of a layer."""
        return self.vas.shape[1]

    @property
    def level(self) -> Floats:
        """log2 VAS; -inf where no attention is on the image."""
        with np.errstate(divide="ignore"):
            return np.log2(self.vas)

    @property
    def clipped(self) -> Floats:
        """log2 VAS within the limits."""
        return np.clip(self.level, -self.limit, self.limit)

    @classmethod
    def of(cls, table: pd.DataFrame, top: int) -> "Grid":
        """From the rows of `heads_table`."""
        layers, names = list(table["layer"].unique()), list(table["head"].unique())
        shape = (len(layers), len(names))
        value = table["vas"].to_numpy(dtype=float).reshape(shape)
        groups = table["kv_group"].nunique() if "kv_group" in table else 0
        marked = table["rank"].to_numpy(dtype=float, na_value=np.inf).reshape(shape)
        n_top = min(top, max(1, value.size // 4))
        order = np.argsort(marked, axis=None)[:n_top]
        places = [(int(a), int(b)) for a, b in zip(*np.unravel_index(order, shape), strict=True)]
        places = [at for at in places if np.isfinite(value[at])]
        return cls(value, layers, names, len(names) // groups if groups else None, limit_of(value), places)


def kv_groups(capture: xr.Dataset) -> NDArray[np.int64] | None:
    """Key-value group of each head; None where it is not known: the capture does not say, or holds only some heads."""
    count, heads = int(capture.attrs.get("n_kv_heads") or 0), capture["head"].values
    n = len(heads)
    if count < 1 or n % count or list(heads) != list(range(n)):
        return None
    return np.arange(n) // (n // count)


def limit_of(value: Floats) -> int:
    """Smallest power of 2, at least 2, outside whose range (1/limit .. limit) at most 2 % of heads lie; its
    log2.

    Heads without any attention on the image (VAS 0) lie outside every range and are not counted.
    """
    size = np.abs(np.log2(value[np.isfinite(value) & (value > 0)]))
    allowed = int(CLIPPED_AT_MOST * size.size)
    power = 1
    while (size > power).sum() > allowed:
        power += 1
    return power


def quartiles(value: Floats) -> Floats:
    """Quartiles over the heads of each layer, (3, layer); NaN for a layer in which no head has a value."""
    out = np.full((3, len(value)), np.nan)
    for layer, row in enumerate(value):
        if np.isfinite(row).any():
            out[:, layer] = np.nanquantile(row, [0.25, 0.5, 0.75])
    return out

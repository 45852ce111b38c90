"""Every reasonable definition of VAS, so that no finding rests on the choice of one."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics.definition import FORMS, PAPER, Definition
from vaslab.metrics.vas import vas_masses, vas_of

Floats = NDArray[np.float64]

LAYERS = ("all layers", "first third", "middle third", "last third")
HEADS = ("mean of heads", "median head")


@dataclass(frozen=True)
class Specification:
    """One way to make one number of a capture: a definition of VAS, over which layers and heads."""

    definition: Definition = PAPER
    layers: str = "all layers"
    heads: str = "mean of heads"

    def __post_init__(self) -> None:
        if self.layers not in LAYERS or self.heads not in HEADS:
            raise UsageError(
                f"layers {self.layers!r}, heads {self.heads!r}; expected one of {', '.join(LAYERS)}, and one of "
                f"{', '.join(HEADS)}"
            )

    @property
    def paper(self) -> bool:
        """Whether this is the paper's own."""
        return self == Specification()

    def choices(self) -> dict[str, str]:
        """What was chosen, in words, by question."""
        return {
            "form": self.definition.form.replace("_", " "),
            "first token": "in" if self.definition.sink == "include" else "left out",
            "masses": "per token" if self.definition.per_token else "summed",
            "queries": self.definition.queries,
            "layers": self.layers,
            "heads": self.heads,
        }


def specifications(query_sets: Sequence[str] = ("user",)) -> Iterator[Specification]:
    """Every combination: 2 forms, first token in or out, per token or not, query sets, 4 parts of the layers, mean or
    median head. The median head needs a ratio per head, so it goes with both forms alike.
    """
    for form, sink, per_token, queries, layers, heads in product(
        FORMS, ("include", "exclude"), (False, True), query_sets, LAYERS, HEADS
    ):
        yield Specification(Definition(queries, form, sink, per_token), layers, heads)


def vas_as(capture: xr.Dataset, specification: Specification) -> float:
    """VAS of a capture under a specification; NaN where no item has one.

    Raises:
        UsageError: as `vas`.
    """
    return vas_under(capture, [specification])[0]


def vas_under(capture: xr.Dataset, wanted: Sequence[Specification]) -> list[float]:
    """VAS of a capture under each specification, in their order; what they share is read once. As `vas_as`."""
    parts: dict[Definition, list[Floats]] = {}
    out = []
    for each in wanted:
        if each.definition not in parts:
            parts[each.definition] = _per_head(capture, each.definition)
        own = layers_of(capture.sizes["layer"], each.layers)
        out.append(_reduced([part[:, own] for part in parts[each.definition]], each.heads == "median head"))
    return out


def _per_head(capture: xr.Dataset, definition: Definition) -> list[Floats]:
    """(item, layer, head): the ratios; or image mass, system mass and the floor of the latter."""
    order = ("item", "layer", "head")
    if definition.form == "mean_of_ratios":
        try:
            return [vas_of(capture, definition, over=()).transpose(*order).values]
        except VaslabError as error:
            if isinstance(error, UsageError):
                raise
            # undefined for every item: this definition has no point here, the others stand
            return [np.full([capture.sizes[dim] for dim in order], np.nan)]
    masses = vas_masses(capture, definition)
    image, system = (masses[name].transpose(*order).values for name in ("image", "system"))
    return [image, system, np.broadcast_to(masses["floor"].values[:, None, None], image.shape)]


def _reduced(parts: list[Floats], median: bool) -> float:
    """Means over heads within an item, then over items; or over items, then the median of heads."""
    axes: list[tuple[int, ...]] = [(0,)] if median else [(1, 2), (0,)]
    with warnings.catch_warnings():
        # what is all NaN has no mean, and stays NaN
        warnings.simplefilter("ignore", RuntimeWarning)
        for axis in axes:
            parts = [np.nanmean(part, axis=axis) for part in parts]
        values = parts[0] if len(parts) == 1 else parts[0] / np.fmax(parts[1], parts[2])
        return float(np.nanmedian(values) if median else values)


def layers_of(n: int, name: str) -> slice:
    """The part of n layers that a name of LAYERS means; thirds of few layers hold at least one."""
    if name == "all layers":
        return slice(0, n)
    edges = np.round(np.linspace(0, n, 4)).astype(int)
    third = LAYERS.index(name) - 1
    return slice(int(min(edges[third], n - 1)), int(max(edges[third + 1], min(edges[third], n - 1) + 1)))

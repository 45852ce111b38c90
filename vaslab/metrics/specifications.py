"""Every reasonable way to make one number of a capture, so that no finding rests on the choice of one: a specification
curve (Simonsohn, Simmons and Nelson 2020)."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics.arrays import DIMS, not_below
from vaslab.metrics.definition import FORMS, PAPER, Definition
from vaslab.metrics.vas import vas_masses, vas_of
from vaslab.prompts.roles import MASS_FLOOR

Floats = NDArray[np.float64]

LAYERS = ("all layers", "first third", "middle third", "last third")
HEADS = ("mean of heads", "median head")
RATIOS = ("queries", "heads")
HEAD_RATIOS = "mean of heads' ratios"
FLOORS = (1e-8, MASS_FLOOR, 1e-4, 1e-2)
"""Floors of the system mass that is divided by; 1e-6 is that of VAS."""


@dataclass(frozen=True)
class Specification:
    """One way to make one number of a capture; the defaults are the paper's.

    Args:
        definition: of VAS.
        layers: one of LAYERS.
        heads: one of HEADS.
        ratios: what a mean of ratios takes them of: "queries" (the paper), or "heads", whose masses are averaged over
            an item's queries first. A ratio of means takes one, whatever stands here.
        floor: of the system mass that is divided by. A capture keeps no single queries: their ratios are held to 1e-6.

    Raises:
        UsageError: an unknown part of the layers, of the heads or kind of ratios, or ratios of queries with another
            floor than the capture's.
    """

    definition: Definition = PAPER
    layers: str = "all layers"
    heads: str = "mean of heads"
    ratios: str = "queries"
    floor: float = MASS_FLOOR

    def __post_init__(self) -> None:
        if self.layers not in LAYERS or self.heads not in HEADS or self.ratios not in RATIOS:
            raise UsageError(
                f"layers {self.layers!r}, heads {self.heads!r}, ratios of {self.ratios!r}; expected one of "
                f"{', '.join(LAYERS)}; of {', '.join(HEADS)}; of {', '.join(RATIOS)}"
            )
        if self.of_queries and self.floor != MASS_FLOOR:
            raise UsageError(
                f"a floor of {self.floor:g} under ratios of queries; a capture holds them with {MASS_FLOOR:g} alone, "
                "take ratios of heads"
            )

    @property
    def paper(self) -> bool:
        """Whether this is the paper's own."""
        return self == Specification()

    @property
    def of_queries(self) -> bool:
        """Whether each query has a ratio of its own, as the capture holds it."""
        return self.definition.form == "mean_of_ratios" and self.ratios == "queries"

    def choices(self) -> dict[str, str]:
        """What was chosen, in words, by question."""
        form = self.definition.form.replace("_", " ")
        if self.definition.form == "mean_of_ratios" and not self.of_queries:
            form = HEAD_RATIOS
        return {
            "form": form,
            "first token": "in" if self.definition.sink == "include" else "left out",
            "masses": "per token" if self.definition.per_token else "summed",
            "floor": floor_text(self.floor),
            "queries": self.definition.queries,
            "layers": self.layers,
            "heads": self.heads,
        }


def floor_text(floor: float) -> str:
    """A floor as a reader writes it: 1e-6."""
    return f"{floor:.0e}".replace("e-0", "e-")


def specifications(query_sets: Sequence[str] = (PAPER.queries,)) -> Iterator[Specification]:
    """Every combination: 2 forms, first token in or out, per token or not, query sets, 4 parts of the layers, mean or
    median head; of the mean of ratios those of queries, and those of heads with 4 floors; of the ratio of means 4
    floors. The median head needs a ratio per head, so it goes with all forms alike.
    """
    for form, sink, per_token, queries, layers, heads in product(
        FORMS, ("include", "exclude"), (False, True), query_sets, LAYERS, HEADS
    ):
        definition = Definition(queries, form, sink, per_token)
        if form == "mean_of_ratios":
            yield Specification(definition, layers, heads)
        for floor in FLOORS:
            yield Specification(definition, layers, heads, "heads", floor)


def vas_as(capture: xr.Dataset, specification: Specification) -> float:
    """VAS of a capture under a specification; NaN where no item has one.

    Raises:
        UsageError: as `vas`.
    """
    return vas_under(capture, [specification])[0]


def vas_under(capture: xr.Dataset, wanted: Sequence[Specification]) -> list[float]:
    """VAS of a capture under each specification, in their order; what they share is read once. As `vas_as`."""
    masses: dict[Definition, _Masses] = {}
    summed: dict[tuple[Definition, bool, float], tuple[_Summed, ...]] = {}
    out = []
    for each in wanted:
        key = (each.definition, each.of_queries, each.floor)
        if key not in summed:
            summed[key] = _summed(capture, each, masses)
        own = layers_of(capture.sizes["layer"], each.layers)
        out.append(_reduced(summed[key], own, each.heads == "median head"))
    return out


class _Masses(NamedTuple):
    """Image mass and system mass, (item, layer, head), and the floor of the latter for a floor of 1, (item, 1, 1)."""

    image: Floats
    system: Floats
    unit: Floats


class _Summed(NamedTuple):
    """What every mean of a table (item, layer, head) is made of: sums and counts over heads (item, layer), and the
    mean over items of each head (layer, head)."""

    total: Floats
    there: NDArray[np.int64]
    per_head: Floats


def _summed(
    capture: xr.Dataset, wanted: Specification, held: dict[Definition, _Masses]
) -> tuple[_Summed, ...]:
    """Of the ratios; or of image mass, system mass and its floor, which are divided once averaged."""
    definition = wanted.definition
    if wanted.of_queries:
        return (_sums(_ratios(capture, definition)),)
    if definition not in held:
        held[definition] = _masses(capture, definition)
    image, system, unit = held[definition]
    floor = wanted.floor * unit
    if definition.form == "mean_of_ratios":
        return (_sums(image / not_below(system, floor)),)
    return _sums(image), _sums(system), _sums(np.where(np.isnan(image), np.nan, floor))


def _ratios(capture: xr.Dataset, definition: Definition) -> Floats:
    """The capture's own ratios, (item, layer, head); NaN where no item has one."""
    try:
        return vas_of(capture, definition, over=()).transpose(*DIMS).values
    except UsageError:
        raise
    except VaslabError:
        # undefined for every item: this definition has no point here, the others stand
        return np.full([capture.sizes[dim] for dim in DIMS], np.nan)


def _masses(capture: xr.Dataset, definition: Definition) -> _Masses:
    masses = vas_masses(capture, definition)
    image, system = (masses[name].transpose(*DIMS).values for name in ("image", "system"))
    return _Masses(image, system, masses["floor"].values[:, None, None] / MASS_FLOOR)


def _sums(values: Floats) -> _Summed:
    there = ~np.isnan(values)
    full = np.where(there, values, 0.0)
    with np.errstate(invalid="ignore"):
        return _Summed(full.sum(2), there.sum(2), full.sum(0) / there.sum(0))


def _reduced(parts: Sequence[_Summed], own: slice, median: bool) -> float:
    """Means over layers and heads within an item, then over items; or over items, then the median of heads."""
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        # what is all NaN has no mean, and stays NaN
        warnings.simplefilter("ignore", RuntimeWarning)
        if median:
            means = [part.per_head[own] for part in parts]
        else:
            per_item = [part.total[:, own].sum(1) / part.there[:, own].sum(1) for part in parts]
            means = [np.nanmean(each, keepdims=True) for each in per_item]
        values = means[0] if len(means) == 1 else means[0] / not_below(means[1], means[2])
        return float(np.nanmedian(values))


def layers_of(n: int, name: str) -> slice:
    """The part of n layers that a name of LAYERS means; thirds of few layers hold at least one."""
    if name == "all layers":
        return slice(0, n)
    edges = np.round(np.linspace(0, n, 4)).astype(int)
    third = LAYERS.index(name) - 1
    return slice(int(min(edges[third], n - 1)), int(max(edges[third + 1], min(edges[third], n - 1) + 1)))

"""Every reasonable definition of VAS, so that no finding rests on the choice of one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics.vas import vas

LAYERS = ("all layers", "first third", "middle third", "last third")
HEADS = ("mean of heads", "median head")


@dataclass(frozen=True)
class Definition:
    """One way to make one number of a capture: what is divided, over which queries, layers and heads."""

    form: str = "mean_of_ratios"
    sink: str = "include"
    per_token: bool = False
    queries: str = "user"
    layers: str = "all layers"
    heads: str = "mean of heads"

    @property
    def paper(self) -> bool:
        """Whether this is the paper's own."""
        return self == Definition()

    def choices(self) -> dict[str, str]:
        """What was chosen, in words, by question."""
        return {
            "form": self.form.replace("_", " "),
            "first token": "in" if self.sink == "include" else "left out",
            "masses": "per token" if self.per_token else "summed",
            "queries": self.queries,
            "layers": self.layers,
            "heads": self.heads,
        }


def definitions(query_sets: Sequence[str] = ("user",)) -> Iterator[Definition]:
    """Every combination: 2 forms, first token in or out, per token or not, query sets, 4 parts of the layers, mean or
    median head. The median head needs a ratio per head, so it goes with both forms alike.
    """
    for form, sink, per_token, queries, layers, heads in product(
        ("mean_of_ratios", "ratio_of_means"), ("include", "exclude"), (False, True), query_sets, LAYERS, HEADS
    ):
        yield Definition(form, sink, per_token, queries, layers, heads)


def vas_as(capture: xr.Dataset, definition: Definition) -> float:
    """VAS of a capture under a definition; NaN where no item has one.

    Raises:
        UsageError: as `vas`, or unknown layers or heads.
    """
    if definition.layers not in LAYERS or definition.heads not in HEADS:
        raise UsageError(
            f"layers {definition.layers!r}, heads {definition.heads!r}; expected one of {', '.join(LAYERS)}, and "
            f"one of {', '.join(HEADS)}"
        )
    part = capture.isel(layer=layers_of(capture.sizes["layer"], definition.layers))
    median = definition.heads == "median head"
    over = ("item",) if median else ("layer", "head", "item")
    try:
        value = vas(
            part, definition.queries, definition.form, definition.sink, definition.per_token, over=over
        )
    except VaslabError as error:
        if isinstance(error, UsageError):
            raise
        # undefined for every item: this definition has no point here, the others stand
        return float("nan")
    return float(value.median()) if median else float(value)


def layers_of(n: int, name: str) -> slice:
    """The part of n layers that a name of LAYERS means; thirds of few layers hold at least one."""
    if name == "all layers":
        return slice(0, n)
    edges = np.round(np.linspace(0, n, 4)).astype(int)
    third = LAYERS.index(name) - 1
    return slice(int(min(edges[third], n - 1)), int(max(edges[third + 1], min(edges[third], n - 1) + 1)))

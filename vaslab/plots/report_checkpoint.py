"""A checkpoint as the report sees it, and how the report writes numbers with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics import Definition
from vaslab.plots.forgetting_numbers import Answers


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as the report sees it.

    Args:
        name: as it is called on the page.
        capture: its Capture.
        right: 1 right, 0 wrong, NaN not graded; dims (item).
        facts: provenance by name, in words.
        confounders: name -> one number: mean response length, image tokens, ...
        answers: some of its answers, measured token by token; None where they were not.
        pointed: result of `vaslab.metrics.pointing` for all its heads; None where no region is known, or none was
            measured.
    """

    name: str
    capture: xr.Dataset
    right: xr.DataArray
    facts: dict[str, str] = field(default_factory=dict)
    confounders: dict[str, float] = field(default_factory=dict)
    answers: Answers | None = None
    pointed: xr.Dataset | None = None


@dataclass(frozen=True)
class Told:
    """What every section needs besides the checkpoints: the query set, pictures, words for figures, the seed."""

    queries: str
    cluster: xr.DataArray | None
    data: str | None
    decoding: str | None
    run: str
    seed: int

    @property
    def definition(self) -> Definition:
        """The paper's form of VAS, of these queries."""
        return Definition(self.queries)

    @property
    def over(self) -> str:
        """What intervals are over."""
        return "items" if self.cluster is None else "pictures"


def with_ends(row: Mapping[Any, Any], name: str, scale: int = 1) -> str:
    """A number with its interval: 0.57 [0.51, 0.64]."""
    middle, low, high = (figures(scale * row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{middle} [{low}, {high}]" if np.isfinite(row[f"{name}_low"]) else middle


def figures(value: float) -> str:
    """A number in three figures; a large one whole: 0.57, 11, 956,000."""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def listed(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows of a table, as mappings."""
    return list(rows.to_dict("records"))

"""What two checkpoints can be compared on: item by item, the heads that have a value in both."""

import numpy as np
import xarray as xr

from vaslab.plots.levels import Terms
from vaslab.statistics import aligned


def shared_terms(terms: Terms) -> Terms:
    """Terms on the same items, each NaN where one of them is.

    A mean over heads would otherwise stand for other heads in the one checkpoint than in the other, and move with them.

    Args:
        terms: of `change_terms`: values with dims (item, layer, head), those of the first checkpoint last.

    Raises:
        UsageError: items, layers or heads do not align.
    """
    first = terms[-1][0]
    values = [aligned(first, each)[1] for each, _ in terms]
    there = xr.ones_like(first, dtype=bool)
    for each in values:
        there = there & np.isfinite(each)
    return [(each.where(there), power) for each, (_, power) in zip(values, terms, strict=True)]

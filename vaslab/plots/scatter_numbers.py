"""The numbers behind the scatter figure: one row a checkpoint, and what they say together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import vas_per_item
from vaslab.plots.kinds import kind_of
from vaslab.plots.levels import accuracy_level, row_of, vas_level
from vaslab.statistics import (
    Correlation,
    LeaveOneOut,
    Line,
    TwoLevel,
    correlate,
    fit_line,
    leave_one_out,
    two_level,
)
from vaslab.statistics.correlation import FEWEST

COLUMNS = ("checkpoint", "vas", "accuracy")


@dataclass(frozen=True)
class Findings:
    """What checkpoints say together; everything but `used` is None for fewer than 4, or where a side is constant."""

    used: pd.DataFrame
    left_out: tuple[str, ...]
    pearson: Correlation | None
    spearman: Correlation | None
    without: LeaveOneOut | None
    line: Line | None
    reason: str

    @property
    def clear(self) -> bool:
        """Whether the printed interval leaves out 0, and the permutation test agrees."""
        r = self.pearson
        return r is not None and (r.low > 0 or r.high < 0) and r.p < 0.05


def scatter_table(
    captures: Mapping[str, xr.Dataset],
    right: Mapping[str, xr.DataArray],
    queries: str = "user",
    form: str = "mean_of_ratios",
    sink: str = "include",
    per_token: bool = False,
    cluster: xr.DataArray | None = None,
    kinds: Mapping[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """VAS and accuracy of each checkpoint, with 95 % intervals.

    Args:
        captures: checkpoint name -> Capture.
        right: checkpoint name -> 1 right, 0 wrong, NaN not graded; dims (item). Its items may be more than those
            of the capture.
        queries, form, sink, per_token: as `vaslab.metrics.vas`.
        cluster: picture of each item, dims (item): intervals then resample pictures.
        kinds: checkpoint name -> training kind; by default what its name says.
        seed: of the bootstrap.

    Returns:
        Columns checkpoint, kind, vas, vas_low, vas_high, accuracy, accuracy_low, accuracy_high (parts of one),
        clamped_share (of rows whose system mass is taken as 1e-6), n_items (measured), n_graded. `attrs["vas"]` holds
        the attributes of the VAS; `attrs["two_level"]` the interval over items and
        checkpoints where all of them answered the same items.

    Raises:
        UsageError: a capture without grades, or no capture.
        VaslabError: as `vaslab.metrics.vas`.
    """
    if not captures:
        raise UsageError("no checkpoint to draw; expected {name: capture, ...}")
    rows, values, said = [], {}, {}
    for name, capture in captures.items():
        if name not in right or not bool(right[name].notnull().any()):
            raise UsageError(f"{name} has no graded item; measure it on data with reference answers")
        per_item = vas_per_item(capture, queries, form, sink, per_token)
        said = dict(per_item.attrs)
        vas = vas_level(capture, queries, form, sink, per_token, cluster, seed)
        accuracy = accuracy_level(right[name], cluster, seed)
        rows.append(
            {
                "checkpoint": name,
                "kind": (kinds or {}).get(name) or kind_of(name),
                **row_of("vas", vas),
                **row_of("accuracy", accuracy),
                "clamped_share": float(per_item.attrs["clamped_share"]),
                "n_items": int(vas["n"]),
                "n_graded": int(accuracy["n"]),
            }
        )
        values[name] = per_item
    table = pd.DataFrame(rows)
    table.attrs["vas"] = said
    table.attrs["clustered"] = cluster is not None
    both = _both_levels(values, right, form, cluster, seed)
    if both is not None:
        table.attrs["two_level"] = both
    return table


def _both_levels(
    values: Mapping[str, xr.DataArray],
    right: Mapping[str, xr.DataArray],
    form: str,
    cluster: xr.DataArray | None,
    seed: int,
) -> TwoLevel | None:
    """Uncertainty from items and from checkpoints, where all checkpoints answered the same items."""
    first = next(iter(values.values()))["item"].values
    same = all(set(each["item"].values) == set(first) for each in [*values.values(), *right.values()])
    if len(values) < FEWEST or form != "mean_of_ratios" or not same:
        return None
    names = xr.Variable("checkpoint", list(values))
    x, y = (
        xr.concat(
            [side[name].sel(item=first) for name in values], dim=names, coords="minimal", compat="override"
        )
        for side in (values, right)
    )
    try:
        return two_level(x, y, cluster, seed=seed)
    except VaslabError:
        # a checkpoint without VAS, or no spread: the findings say so, and there is nothing to resample
        return None


def findings(table: pd.DataFrame, seed: int = 0) -> Findings:
    """Correlate log2 VAS with accuracy over the rows of a table (see `scatter_table`).

    Rows whose VAS or accuracy is missing, or whose VAS is 0, are left out and named.

    Raises:
        UsageError: a column is missing.
    """
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        raise UsageError(f"the table lacks {', '.join(absent)}; it has {', '.join(map(str, table.columns))}")
    fit = np.isfinite(table["vas"]) & (table["vas"] > 0) & np.isfinite(table["accuracy"])
    used, lost = table[fit], tuple(str(name) for name in table["checkpoint"][~fit])
    x, y = np.log2(used["vas"].to_numpy(dtype=float)), used["accuracy"].to_numpy(dtype=float)
    names = [str(name) for name in used["checkpoint"]]
    try:
        pearson, spearman = (correlate(x, y, kind, seed=seed) for kind in ("pearson", "spearman"))
        line = fit_line(x, y)
    except VaslabError as error:
        return Findings(used, lost, None, None, None, None, str(error))
    try:
        without = leave_one_out(x, y, names)
    except VaslabError as error:
        return Findings(used, lost, pearson, spearman, None, line, str(error))
    return Findings(used, lost, pearson, spearman, without, line, "")

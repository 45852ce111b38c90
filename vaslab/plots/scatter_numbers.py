"""The numbers behind the scatter figure: one row a checkpoint, and what they say together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import PAPER, Definition, floored, vas_of, vas_per_item
from vaslab.plots.checkpoint_sets import check_checkpoints, on_shared_heads, shared_items
from vaslab.plots.kinds import kind_of
from vaslab.plots.levels import accuracy_level, row_of, vas_level
from vaslab.plots.text import FLOORED
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
from vaslab.statistics.correlation import FEWEST, coefficient

COLUMNS = ("checkpoint", "vas", "accuracy")


@dataclass(frozen=True)
class Findings:
    """What checkpoints say together; everything but `used` is None for fewer than 4, or where a side is constant.

    `vas` names VAS with its form. `other` is r of the same checkpoints with VAS in its other form (`other_vas` names
    it), where the table holds it. `floored` names the checkpoints whose VAS rests on the floor of its denominator;
    `unfloored` is r without them, where 4 remain that differ.
    """

    used: pd.DataFrame
    left_out: tuple[str, ...]
    pearson: Correlation | None
    spearman: Correlation | None
    without: LeaveOneOut | None
    line: Line | None
    reason: str
    vas: str = "VAS"
    other: Correlation | None = None
    other_vas: str = ""
    floored: tuple[str, ...] = ()
    unfloored: Correlation | None = None

    @property
    def clear(self) -> bool:
        """Whether r is told from 0; see `vaslab.statistics.is_clear`."""
        return self.pearson is not None and self.pearson.clear

    @property
    def carrier(self) -> str:
        """The checkpoint without which r leaves its own interval towards 0 or beyond; "" where there is none."""
        r, without = self.pearson, self.without
        if r is None or without is None or not r.clear:
            return ""
        if r.estimate > 0:
            return without.low_without if without.low < r.low else ""
        return without.high_without if without.high > r.high else ""

    @property
    def forms_differ(self) -> bool:
        """Whether the two forms of VAS say different things: one clear and one not, or other signs."""
        if self.pearson is None or self.other is None:
            return False
        return _verdict(self.pearson) != _verdict(self.other)


def _verdict(r: Correlation) -> int:
    return 0 if not r.clear else 1 if r.estimate > 0 else -1


def scatter_table(
    captures: Mapping[str, xr.Dataset],
    right: Mapping[str, xr.DataArray],
    definition: Definition = PAPER,
    cluster: xr.DataArray | None = None,
    kinds: Mapping[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """VAS and accuracy of each checkpoint, with 95 % intervals.

    Args:
        captures: checkpoint name -> Capture.
        right: checkpoint name -> 1 right, 0 wrong, NaN not graded; dims (item). Its items may be more than those
            of the capture.
        definition: of VAS.
        cluster: picture of each item, dims (item): intervals then resample pictures.
        kinds: checkpoint name -> training kind; by default what its name says.
        seed: of the bootstrap.

    Returns:
        Columns checkpoint, kind, vas, vas_low, vas_high, accuracy, accuracy_low, accuracy_high (parts of one),
        clamped_share (of denominators that are taken as 1e-6, see `vaslab.metrics.floored`), vas_other_form (the other
        of the two forms) with _low, _high and _clamped, n_items (measured), n_graded. `attrs["vas"]` holds the
        attributes of the VAS; `attrs["other_form"]` the name of the other; `attrs["two_level"]` the interval over
        items and checkpoints where all of them answered the same items; where they did not, `attrs["unequal"]` says so
        in words and `attrs["r_common"]` is r over the items that all answered, None where there is none. Levels are
        over the layers and heads that all checkpoints have; `attrs["heads"]` names them in words, "" where those are
        all.

    Raises:
        UsageError: a capture without grades, no capture, captures of several data sets or without an item or a head in
            common, or one checkpoint twice.
        VaslabError: as `vaslab.metrics.vas`.
    """
    if not captures:
        raise UsageError("no checkpoint to draw; expected {name: capture, ...}")
    check_checkpoints(captures)
    same = on_shared_heads(captures, (definition.queries,), (definition.sink,))
    captures, other = same.captures, definition.other_form
    rows, values, said = [], {}, {}
    for name, capture in captures.items():
        if name not in right or not bool(right[name].notnull().any()):
            raise UsageError(f"{name} has no graded item; measure it on data with reference answers")
        per_item = vas_per_item(capture, definition)
        said = dict(per_item.attrs)
        level = vas_level(capture, definition, cluster, seed)
        accuracy = accuracy_level(right[name], cluster)
        rows.append(
            {
                "checkpoint": name,
                "kind": (kinds or {}).get(name) or kind_of(name),
                **row_of("vas", level),
                **row_of("accuracy", accuracy),
                "clamped_share": float(floored(capture, definition)),
                **row_of("vas_other_form", vas_level(capture, other, cluster, seed)),
                "vas_other_form_clamped": float(floored(capture, other)),
                "n_items": int(level["n"]),
                "n_graded": int(accuracy["n"]),
            }
        )
        values[name] = per_item
    table = pd.DataFrame(rows)
    table.attrs["vas"] = said
    table.attrs["other_form"] = other.form
    table.attrs["clustered"] = cluster is not None
    table.attrs["heads"] = same.words
    shared = shared_items(captures, right)
    table.attrs["unequal"] = shared.words
    if not shared.equal:
        table.attrs["r_common"] = _r_over(shared.common, captures, right, definition)
    both = _both_levels(values, right, definition, cluster, seed)
    if both is not None:
        table.attrs["two_level"] = both
    return table


def _r_over(
    items: tuple[str | int, ...],
    captures: Mapping[str, xr.Dataset],
    right: Mapping[str, xr.DataArray],
    definition: Definition,
) -> float | None:
    """r of log2 VAS and accuracy over some of the items."""
    own = [capture.sel(item=list(items)) for capture in captures.values()]
    try:
        x = np.array([float(vas_of(each, definition)) for each in own])
    except VaslabError:
        # no VAS on any of them
        return None
    y = np.array(
        [float(grades.sel(item=list(items)).mean()) for grades in (right[name] for name in captures)]
    )
    fit = np.isfinite(x) & (x > 0) & np.isfinite(y)
    r = float(coefficient(np.log2(x[fit]), y[fit])) if fit.sum() >= FEWEST else np.nan
    return r if np.isfinite(r) else None


def _both_levels(
    values: Mapping[str, xr.DataArray],
    right: Mapping[str, xr.DataArray],
    definition: Definition,
    cluster: xr.DataArray | None,
    seed: int,
) -> TwoLevel | None:
    """Uncertainty from items and from checkpoints, where all checkpoints answered the same items."""
    first = next(iter(values.values()))["item"].values
    same = all(set(each["item"].values) == set(first) for each in [*values.values(), *right.values()])
    if len(values) < FEWEST or definition.form != "mean_of_ratios" or not same:
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
    said = table.attrs.get("vas", {})
    definition = Definition.of(said) if said else None
    named = "VAS" if definition is None else definition.name
    try:
        pearson, spearman = (correlate(x, y, kind, seed=seed) for kind in ("pearson", "spearman"))
        line = fit_line(x, y)
    except VaslabError as error:
        return Findings(used, lost, None, None, None, None, str(error), named)
    without, reason = None, ""
    try:
        without = leave_one_out(x, y, names)
    except VaslabError as error:
        reason = str(error)
    other, other_named = _other_form(used, definition, seed)
    low, unfloored = _unfloored(used, x, y, seed)
    return Findings(
        used, lost, pearson, spearman, without, line, reason, named, other, other_named, low, unfloored
    )


def _unfloored(
    used: pd.DataFrame, x: np.ndarray, y: np.ndarray, seed: int
) -> tuple[tuple[str, ...], Correlation | None]:
    """Checkpoints whose VAS is a bound, and r without them; None where fewer than 4 remain, or they do not differ."""
    low = (
        used["clamped_share"].to_numpy(dtype=float) > FLOORED
        if "clamped_share" in used
        else np.zeros(len(x), bool)
    )
    names = tuple(str(name) for name in used["checkpoint"][low])
    if not names:
        return (), None
    try:
        return names, correlate(x[~low], y[~low], seed=seed)
    except VaslabError:
        return names, None


def _other_form(
    used: pd.DataFrame, definition: Definition | None, seed: int
) -> tuple[Correlation | None, str]:
    """r with the other form of VAS, and its name; None where the table does not hold it, or it gives none."""
    if "vas_other_form" not in used or definition is None:
        return None, ""
    x = used["vas_other_form"].to_numpy(dtype=float)
    if not (np.isfinite(x) & (x > 0)).all():
        return None, ""
    try:
        found = correlate(np.log2(x), used["accuracy"].to_numpy(dtype=float), seed=seed)
    except VaslabError:
        return None, ""
    return found, definition.other_form.name

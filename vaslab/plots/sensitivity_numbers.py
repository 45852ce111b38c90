"""The numbers behind the sensitivity figure: r of VAS and accuracy under every definition of VAS."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import specifications, vas_under
from vaslab.plots.checkpoint_sets import check_checkpoints, on_shared_heads, shared_items
from vaslab.statistics.correlation import FEWEST, coefficient, fisher_interval, is_clear, too_few
from vaslab.statistics.permutation import permutation_p

SAME = 1e-5
"""Part of the spread over checkpoints within which values are the same: float32 rounds to a hundredth of it."""


def sensitivity_table(
    captures: Mapping[str, xr.Dataset],
    accuracy: Mapping[str, float | xr.DataArray],
    query_sets: tuple[str, ...] | None = None,
) -> pd.DataFrame:
    """Correlate accuracy with log2 VAS, for every definition (see `vaslab.metrics.specifications`).

    Args:
        captures: checkpoint name -> Capture.
        accuracy: checkpoint name -> 1 right, 0 wrong, NaN not graded, dims (item); or the accuracy, in parts of one.
        query_sets: by default those that all captures hold.

    Returns:
        One row a definition, the lowest r first: form, first token, masses, floor, queries, layers, heads (what was
        chosen, in words), paper (whether it is the paper's own), r, low, high (Fisher's 95 %), p (permutation), clear
        (see `vaslab.statistics.is_clear`), n (checkpoints with a VAS above 0), group and repeats. r is NaN where fewer
        than 4 have one, or all have the same; these rows stand last.

        Definitions whose values over the checkpoints are the same up to a factor (masses per token where the numbers
        of tokens are the same in all items) are one definition: they share a `group`, and all but one of them (the
        paper's, else the first) have `repeats` True, so that `table[~table["repeats"]]` counts each once.

        Values are over the layers and heads that all checkpoints have for every query set (`attrs["heads"]` names them,
        "" where those are all); `attrs["unequal"]` says where the checkpoints were asked other items.

    Raises:
        UsageError: no accuracy of a checkpoint, no query set that all captures hold, captures of several data sets or
            without an item or a head in common, or one checkpoint twice.
        VaslabError: fewer than 4 checkpoints, or an accuracy that is the same for all.
    """
    names = list(captures)
    level = {
        name: float(given.mean()) if isinstance(given, xr.DataArray) else given
        for name, given in accuracy.items()
    }
    absent = [name for name in names if name not in level or not np.isfinite(level[name])]
    if absent:
        raise UsageError(f"{absent[0]} has no accuracy; measure it on data with reference answers")
    if len(names) < FEWEST:
        raise VaslabError(too_few(len(names)))
    check_checkpoints(captures)
    grades = {name: given for name, given in accuracy.items() if isinstance(given, xr.DataArray)}
    items = shared_items(captures, grades if set(names) <= set(grades) else None)
    y = np.array([level[name] for name in names], dtype=np.float64)
    if np.ptp(y) == 0:
        raise VaslabError(f"all {len(names)} checkpoints have the same accuracy: there is no correlation")
    shared = [
        str(role)
        for role in next(iter(captures.values()))["query_role"].values
        if all(role in capture["query_role"].values for capture in captures.values())
    ]
    asked = list(query_sets) if query_sets is not None else shared
    if not asked or any(role not in shared for role in asked):
        raise UsageError(f"query sets {asked}; the captures all hold {', '.join(shared) or 'none'}")
    every = list(specifications(asked))
    same = on_shared_heads(captures, asked, ("include", "exclude"))
    values = np.array([vas_under(same.captures[name], every) for name in names])
    groups = _groups(values.T)
    of = {first: _correlated(values[:, first], y) for first in dict.fromkeys(groups)}
    rows = [
        {**each.choices(), "paper": each.paper, **of[first], "group": first}
        for each, first in zip(every, groups, strict=True)
    ]
    table = pd.DataFrame(rows)
    # the paper's own first, so that it is the one of its group that counts
    ordered = table.sort_values("paper", ascending=False, kind="stable")
    table["repeats"] = ordered["group"].duplicated().sort_index()
    table = table.sort_values("r", kind="stable", na_position="last").reset_index(drop=True)
    table.attrs |= {"n_checkpoints": len(names), "heads": same.words, "unequal": items.words}
    return table


def _groups(values: np.ndarray) -> list[int]:
    """Number of the first of (definition, checkpoint) that each is a multiple of; its own where there is none."""
    held: list[tuple[int, np.ndarray, np.ndarray]] = []
    out = []
    for at, own in enumerate(values):
        fit = np.isfinite(own) & (own > 0)
        log = np.log2(own[fit])
        # a factor is a shift of the logarithm
        log = log - log.mean() if log.size else log
        near = SAME * max(float(np.ptp(log)) if log.size else 0.0, SAME)
        same = (
            first
            for first, where, other in held
            if (where == fit).all() and (not log.size or np.abs(log - other).max() <= near)
        )
        found = next(same, at)
        if found == at:
            held.append((at, fit, log))
        out.append(found)
    return out


def _correlated(x: np.ndarray, y: np.ndarray) -> dict[str, float | int | bool]:
    fit = np.isfinite(x) & (x > 0)
    found = {"r": np.nan, "low": np.nan, "high": np.nan, "p": np.nan}
    if fit.sum() >= FEWEST and np.ptp(y[fit]) > 0:
        log = np.log2(x[fit])
        r = float(coefficient(log, y[fit]))
        if np.isfinite(r):
            low, high = fisher_interval(r, int(fit.sum()))
            found = {"r": r, "low": low, "high": high, "p": permutation_p(log, y[fit])[0]}
    clear = is_clear(found["low"], found["high"], found["p"])
    return {**found, "clear": clear, "n": int(fit.sum())}

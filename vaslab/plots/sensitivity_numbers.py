"""The numbers behind the sensitivity figure: r of VAS and accuracy under every definition of VAS."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import definitions, vas_under
from vaslab.statistics.correlation import FEWEST, coefficient, fisher_interval, too_few
from vaslab.statistics.permutation import permutation_p


def sensitivity_table(
    captures: Mapping[str, xr.Dataset],
    accuracy: Mapping[str, float],
    query_sets: tuple[str, ...] | None = None,
) -> pd.DataFrame:
    """Correlate accuracy with log2 VAS, for every definition (see `vaslab.metrics.definitions`).

    Args:
        captures: checkpoint name -> Capture.
        accuracy: checkpoint name -> parts of one.
        query_sets: by default those that all captures hold.

    Returns:
        One row a definition, the lowest r first: form, first token, masses, queries, layers, heads (what was chosen, in
        words), paper (whether it is the paper's own), r, low, high (Fisher's 95 %), p (permutation), n (checkpoints
        with a VAS above 0). r is NaN where fewer than 4 have one, or all have the same; these rows stand last.

    Raises:
        UsageError: no accuracy of a checkpoint, or no query set that all captures hold.
        VaslabError: fewer than 4 checkpoints, or an accuracy that is the same for all.
    """
    names = list(captures)
    absent = [name for name in names if name not in accuracy or not np.isfinite(accuracy[name])]
    if absent:
        raise UsageError(f"{absent[0]} has no accuracy; measure it on data with reference answers")
    if len(names) < FEWEST:
        raise VaslabError(too_few(len(names)))
    y = np.array([accuracy[name] for name in names], dtype=np.float64)
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
    every = list(definitions(asked))
    values = np.array([vas_under(captures[name], every) for name in names])
    rows = [
        {**definition.choices(), "paper": definition.paper, **_correlated(x, y)}
        for definition, x in zip(every, values.T, strict=True)
    ]
    table = pd.DataFrame(rows).sort_values("r", kind="stable", na_position="last").reset_index(drop=True)
    table.attrs["n_checkpoints"] = len(names)
    return table


def _correlated(x: np.ndarray, y: np.ndarray) -> dict[str, float | int]:
    fit = np.isfinite(x) & (x > 0)
    nothing: dict[str, float | int] = {
        "r": np.nan,
        "low": np.nan,
        "high": np.nan,
        "p": np.nan,
        "n": int(fit.sum()),
    }
    if fit.sum() < FEWEST or np.ptp(y[fit]) == 0:
        return nothing
    log = np.log2(x[fit])
    r = float(coefficient(log, y[fit]))
    if not np.isfinite(r):
        return nothing
    low, high = fisher_interval(r, int(fit.sum()))
    return {"r": r, "low": low, "high": high, "p": permutation_p(log, y[fit])[0], "n": int(fit.sum())}

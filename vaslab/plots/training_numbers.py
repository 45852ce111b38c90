"""The numbers behind the training figure: VAS of each checkpoint of one training run against its first, by layer."""

from collections.abc import Mapping

import pandas as pd
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import PAPER, Definition, floored, vas_per_item
from vaslab.plots.levels import (
    Terms,
    accuracy_change,
    accuracy_level,
    add_change,
    change_terms,
    row_of,
    tested,
    vas_level,
)
from vaslab.plots.shared_heads import lost_words, shared_sides, there_of
from vaslab.statistics import product_t


def training_table(
    captures: Mapping[int, xr.Dataset],
    right: Mapping[int, xr.DataArray] | None = None,
    definition: Definition = PAPER,
    cluster: xr.DataArray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """VAS of every layer at every step, over the same at the first step.

    Args:
        captures: training step -> Capture of the checkpoint, all of the same items, layers and heads.
        right: training step -> 1 right, 0 wrong, NaN not graded; dims (item).
        definition: of VAS.
        cluster: picture of each item; its items count together. seed: of the bootstrap of levels.

    Returns:
        One row a step and layer, in their order: step, layer, ratio, low, high (95 %), p (both by `product_t`),
        p_adjusted (Benjamini-Hochberg over all steps and layers), changed, n_items; the first step has ratio 1
        and no test. `attrs["steps"]` has one row a step: step, vas and accuracy with _low and _high, vas_ratio with
        vas_ratio_low and so on (as above, over all layers), accuracy_change with _low, _high and _p (paired), and
        floored, the share of system masses that are taken as 1e-6. `attrs["vas"]` holds the attributes of the VAS,
        `attrs["lost"]` what is said of ratios that are infinite or missing. A
        head without a value at one of two steps is left out of both.

    Raises:
        UsageError: no checkpoint, a negative step, or captures that do not align.
        VaslabError: as `vas`.
    """
    steps = sorted(captures)
    if not steps or steps[0] < 0:
        raise UsageError(f"steps are {steps}; expected one capture a training step, counted from 0")
    first = captures[steps[0]]
    said = dict(vas_per_item(first, definition).attrs)
    layers = first["layer"].values
    grades = right or {}
    rows, whole = [], []
    for step in steps:
        terms, over_all = (
            _terms(first, captures[step], definition, steps[0], step, over)
            for over in (("head",), ("layer", "head"))
        )
        changes = product_t(terms, cluster=cluster)
        row = pd.DataFrame({"step": step, "layer": layers})
        add_change(row, changes.transpose("layer"))
        rows.append(row)
        own, base = grades.get(step), grades.get(steps[0])
        change = product_t(over_all, cluster=cluster)
        whole.append(
            {
                "step": step,
                "n_items": int(change["n"]),
                "floored": float(floored(captures[step], definition)),
            }
            | row_of("vas", vas_level(captures[step], definition, cluster, seed))
            | row_of("vas_ratio", change)
            | row_of("accuracy", accuracy_level(own, cluster))
            | accuracy_change(base if step != steps[0] else None, own, cluster)
        )
    table = pd.concat(rows, ignore_index=True)
    table = tested(table, "", table["step"] != steps[0])
    summary = pd.DataFrame(whole)
    table.attrs["steps"] = tested(summary, "vas_ratio", summary["step"] != steps[0])
    table.attrs["vas"] = said
    sides = [shared_sides(first, captures[step], definition)[1] for step in steps]
    table.attrs["lost"] = lost_words(there_of(sides), whole=True)
    table.attrs["clustered"] = cluster is not None
    return table


def _terms(
    first: xr.Dataset,
    other: xr.Dataset,
    definition: Definition,
    from_step: int,
    step: int,
    over: tuple[str, ...],
) -> Terms:
    try:
        return change_terms(first, other, definition, over)
    except UsageError as error:
        raise UsageError(f"steps {from_step} (first) and {step} (second): {error}") from error

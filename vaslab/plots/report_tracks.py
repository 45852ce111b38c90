"""The report's answers to: does VAS track accuracy, and does that survive other definitions and confounders?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vaslab.errors import VaslabError
from vaslab.metrics import Definition
from vaslab.plots.page import Section
from vaslab.plots.report_checkpoint import Checkpoint, Told, with_ends
from vaslab.plots.scatter import scatter
from vaslab.plots.scatter_numbers import findings
from vaslab.plots.scatter_words import clamped_words, statistics_of, title_of
from vaslab.plots.sensitivity import counted_once, sensitivity
from vaslab.plots.sensitivity_numbers import sensitivity_table
from vaslab.plots.sensitivity_words import basis_words, floor_words, repeats_words
from vaslab.plots.sensitivity_words import title_of as sensitivity_title
from vaslab.plots.text import FLOORED, coefficient, p_text
from vaslab.statistics import partial_correlation
from vaslab.statistics.correlation import FEWEST


def tracks_section(table: pd.DataFrame, told: Told) -> Section:
    """r with everything that qualifies it, in both forms of VAS.

    Args:
        table: result of `scatter_table`.
    """
    found = findings(table, told.seed)
    shown = pd.DataFrame(
        {
            "checkpoint": table["checkpoint"],
            found.vas: [_bound(row) + with_ends(row, "vas") for row in table.to_dict("records")],
            Definition.of(table.attrs["vas"]).other_form.name: [
                _bound(row, "vas_other_form_clamped") + with_ends(row, "vas_other_form")
                for row in table.to_dict("records")
            ],
            "accuracy %": [with_ends(row, "accuracy", 100) for row in table.to_dict("records")],
            "graded": table["n_graded"],
        }
    )
    words = [line if line.endswith(".") else f"{line}." for line in statistics_of(found)]
    if found.pearson is not None:
        words[0] = f"Of log₂ {found.vas} and accuracy: {words[0]}"
    clamped = clamped_words(found)
    if clamped:
        words.append(clamped)
    words.append(f"In brackets: 95% intervals of each level, bootstrap over {told.over}; of accuracy Wilson.")
    drawn = []
    if len(found.used) > 1:
        drawn.append(scatter(table, data=told.data, decoding=told.decoding, run=told.run, seed=told.seed))
    several = len(found.used) >= FEWEST
    return Section(
        "Does VAS track accuracy?" if several else "VAS and accuracy",
        f"{title_of(found)}." if several else "",
        words,
        [shown],
        drawn,
    )


def levels_of(table: pd.DataFrame) -> str:
    """VAS and accuracy of the first checkpoint of a table, with their intervals, as a title says them."""
    row, definition = table.iloc[0].to_dict(), Definition.of(table.attrs["vas"])
    return (
        f"{row['checkpoint']}: {definition.name} is {_bound(row)}{with_ends(row, 'vas')}, "
        f"accuracy {with_ends(row, 'accuracy', 100)} %, 95% intervals"
    )


def _bound(row: Mapping[Any, Any], share: str = "clamped_share") -> str:
    return "≥ " if row[share] > FLOORED else ""


def survives_section(graded: Sequence[Checkpoint], table: pd.DataFrame, told: Told) -> Section:
    """r under other definitions, and with confounders held still."""
    heading = "Does it survive other definitions, and confounders?"
    words = _held_still(graded, table)
    curve = sensitivity_table(
        {each.name: each.capture for each in graded}, {each.name: each.right for each in graded}
    )
    drawn = counted_once(curve)
    words += [told for told in (repeats_words(curve), *floor_words(curve), *basis_words(curve)) if told]
    if drawn.empty:
        return Section(heading, "No definition of VAS gives an r here.", words)
    figure = sensitivity(curve, data=told.data, run=told.run)
    return Section(heading, f"{sensitivity_title(drawn)}.", words, figures=[figure])


def _held_still(graded: Sequence[Checkpoint], table: pd.DataFrame) -> list[str]:
    """Partial correlations, one sentence a confounder."""
    words = []
    x, y = table["vas"].to_numpy(dtype=float), table["accuracy"].to_numpy(dtype=float)
    fit = np.isfinite(x) & (x > 0) & np.isfinite(y)
    named = findings(table).vas
    given = {
        name: np.array([each.confounders.get(name, np.nan) for each in graded])
        for name in dict.fromkeys(name for each in graded for name in each.confounders)
    }
    equal = [name for name, values in given.items() if len(set(values[fit].tolist())) == 1]
    if equal:
        words.append(f"The same for all checkpoints, so that r cannot come of it: {', '.join(equal)}.")
    for name, values in given.items():
        if name in equal:
            continue
        try:
            found = partial_correlation(np.log2(x[fit]), y[fit], {name: values[fit]})
        except VaslabError as error:
            words.append(f"{name}: no partial r, {error}.")
            continue
        words.append(
            f"With {name} held still, r of {named} = {coefficient(found.estimate)} (95% CI {coefficient(found.low)} to "
            f"{coefficient(found.high)}, Fisher z), p {p_text(found.p)} (Student's t)."
        )
    return words

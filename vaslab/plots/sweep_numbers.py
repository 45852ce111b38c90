"""The numbers behind the sweep's figures: what each intervention changes, and which changes stand."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vaslab.errors import UsageError

CHANGES = ("accuracy_change", "vas_ratio", "visual_change", "system_change")
SIDE_CHANGES = (
    "formatted_change",
    "obeys_capitals_change",
    "obeys_end_change",
    "length_change",
    "perplexity_ratio",
)
"""Side effects, of which a sweep has those that it asked."""

RATIOS = ("vas_ratio", "perplexity_ratio")
"""Changes that are ratios, edited over plain; the others are differences."""

PS = {
    "accuracy_change": "p_adjusted",
    "vas_ratio": "vas_p_adjusted",
    "visual_change": "visual_p_adjusted",
    "system_change": "system_p_adjusted",
    "formatted_change": "formatted_p_adjusted",
    "obeys_capitals_change": "obeys_capitals_p_adjusted",
    "obeys_end_change": "obeys_end_p_adjusted",
    "length_change": "length_p_adjusted",
    "perplexity_ratio": "perplexity_p_adjusted",
}
BLANK = "blank picture"
"""Label of the row that tells the level which needs no picture."""
GROUP = ("model", "data", "system", "seed")
PLACE = ("intervention", "label", "line", "axis", "strength", "queries", "n")

FORMS = {"mean_of_ratios": "vas", "ratio_of_means": "vas_means"}
"""Forms of VAS -> how the columns of a sweep's table begin."""

FALSE_FINDINGS = 0.05
"""Share of findings that may be false, of all that the sweep tested of one kind."""

LEAST = 1e-4
"""A smaller change of a mass or a ratio, in parts of one, is none: two passes of one model agree to about 1e-6."""


def sweep_cells(table: pd.DataFrame, form: str = "mean_of_ratios") -> list[pd.DataFrame]:
    """One table for each model, benchmark, system prompt and seed of a sweep, a row an intervention and strength.

    Args:
        table: table.parquet of a sweep.
        form: of VAS: "mean_of_ratios" (the paper; heavy-tailed) or "ratio_of_means".

    Returns:
        The columns `GROUP`, `PLACE`, each of `CHANGES` with _low and _high, the adjusted p of each, the same of those
        `SIDE_CHANGES` that the sweep asked, name (the label, with the strength also where it is the default) and
        vas_form. The row of the blank picture, where there is one, is the reference and no setting.

    Raises:
        UsageError: an unknown form, a column that is missing, or no intervention.
    """
    if form not in FORMS:
        raise UsageError(f"unknown form {form!r} of VAS; expected one of {', '.join(FORMS)}")
    cells = table[table["intervention"] != "none"] if "intervention" in table else table
    if cells.empty or (cells["intervention"] == BLANK).all():
        raise UsageError("no intervention of the sweep is done yet; give the same vaslab intervene again")
    if "accuracy_change" not in cells:  # no reference answers
        cells = cells.assign(**{f"accuracy_change{end}": np.nan for end in ("", "_low", "_high")})
    changes = (*CHANGES, *(name for name in SIDE_CHANGES if name in cells))
    wanted = {name: name for name in (*GROUP, *PLACE, *(PS[name] for name in changes))}
    wanted |= {f"{name}{end}": f"{name}{end}" for name in changes for end in ("", "_low", "_high")}
    own = FORMS[form]
    wanted |= {f"vas_ratio{end}": f"{own}_ratio{end}" for end in ("", "_low", "_high")}
    wanted["vas_p_adjusted"] = f"{own}_p_adjusted"
    missing = [name for name in wanted.values() if name not in cells]
    if missing:
        raise UsageError(
            f"the sweep's table lacks {missing[0]}; give the same vaslab intervene again, which writes it"
        )
    chosen = pd.DataFrame({name: cells[source] for name, source in wanted.items()})
    chosen["name"] = [_told(row) for row in chosen.to_dict("records")]
    chosen["vas_form"] = form.replace("_", " ")
    return [part.reset_index(drop=True) for _, part in chosen.groupby(list(GROUP), sort=False)]


def _told(row: Mapping[Any, Any]) -> str:
    said = not row["axis"] or f" {row['axis']}=" in row["label"]
    return str(row["label"]) if said else f"{row['label']} {row['axis']}={row['strength']:g}"


def group_name(cells: pd.DataFrame, parts: Sequence[pd.DataFrame]) -> str:
    """What tells one table of a sweep from the others, as part of a file name."""
    differ = [name for name in GROUP if len({part.at[0, name] for part in parts}) > 1]
    row = cells.to_dict("records")[0]
    words = [f"seed{row[name]}" if name == "seed" else str(row[name]) for name in differ]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(words)).strip("-.")


def stands(cells: pd.DataFrame, name: str) -> np.ndarray:
    """Which changes of a kind stand at a false discovery rate of 5 % over the sweep.

    Args:
        cells: of `sweep_cells`.
        name: of `CHANGES` or `SIDE_CHANGES`.
    """
    found = cells[name].to_numpy(dtype=float)
    none = 1.0 if name in RATIOS else 0.0
    least = LEAST if name in (*RATIOS, "visual_change", "system_change") else 0.0
    return (cells[PS[name]].to_numpy(dtype=float) <= FALSE_FINDINGS) & (np.abs(found - none) > least)


def without_dose(cells: pd.DataFrame) -> np.ndarray:
    """Which settings leave the measured rows wholly alone: they edit other rows, or nothing."""
    found = [cells[name].to_numpy(dtype=float) for name in ("visual_change", "system_change")]
    return np.all([each == 0 for each in found], axis=0) & (cells["vas_ratio"].to_numpy(dtype=float) == 1)


def settings(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of interventions, without that of the blank picture."""
    return cells[cells["intervention"] != BLANK]


def blank(cells: pd.DataFrame) -> tuple[float, float, float] | None:
    """Change of accuracy with blank pictures and its interval, in parts of one; None where it was not measured."""
    columns = [f"accuracy_change{end}" for end in ("", "_low", "_high")]
    found = cells.loc[cells["intervention"] == BLANK, columns].to_numpy(dtype=float)
    if not len(found) or not np.isfinite(found[0, 0]):
        return None
    change, low, high = map(float, found[0])
    return change, low, high


def sides(cells: pd.DataFrame) -> tuple[str, ...]:
    """Side effects that the sweep asked, of `SIDE_CHANGES`."""
    return tuple(name for name in SIDE_CHANGES if name in cells and bool(cells[name].notna().any()))


def tested(cells: pd.DataFrame) -> int:
    """How many changes of accuracy were tested."""
    return int(cells["p_adjusted"].notna().sum())

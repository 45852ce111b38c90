"""The numbers behind the sweep's figures: what each intervention changes, and which changes stand."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vaslab.errors import UsageError

CHANGES = ("accuracy_change", "vas_ratio", "visual_change", "system_change")
PS = {
    "accuracy_change": "p_adjusted",
    "vas_ratio": "vas_p_adjusted",
    "visual_change": "visual_p_adjusted",
    "system_change": "system_p_adjusted",
}
GROUP = ("model", "data", "system", "seed")
PLACE = ("intervention", "label", "line", "axis", "strength", "queries", "n")

FORMS = {"mean_of_ratios": "vas", "ratio_of_means": "vas_means"}
"""Forms of VAS -> how the columns of a sweep's table begin."""

FALSE_FINDINGS = 0.05
"""Share of findings that may be false, of all that the sweep tested of one kind."""

LEAST = 1e-4
"""A smaller change of a mass, in parts of one, is none: two passes of one model agree to about 1e-6."""


def sweep_cells(table: pd.DataFrame, form: str = "mean_of_ratios") -> list[pd.DataFrame]:
    """One table for each model, benchmark, system prompt and seed of a sweep, a row an intervention and strength.

    Args:
        table: table.parquet of a sweep.
        form: of VAS: "mean_of_ratios" (the paper; heavy-tailed) or "ratio_of_means".

    Returns:
        The columns `GROUP`, `PLACE`, each of `CHANGES` with _low and _high, the adjusted p of each, name (the label,
        with the strength also where it is the default) and vas_form.

    Raises:
        UsageError: an unknown form, a column that is missing, or no intervention.
    """
    if form not in FORMS:
        raise UsageError(f"unknown form {form!r} of VAS; expected one of {', '.join(FORMS)}")
    cells = table[table["intervention"] != "none"] if "intervention" in table else table
    if cells.empty:
        raise UsageError("no intervention of the sweep is done yet; give the same vaslab intervene again")
    if "accuracy_change" not in cells:  # no reference answers
        cells = cells.assign(**{f"accuracy_change{end}": np.nan for end in ("", "_low", "_high")})
    wanted = {name: name for name in (*GROUP, *PLACE, *PS.values())}
    wanted |= {f"{name}{end}": f"{name}{end}" for name in CHANGES for end in ("", "_low", "_high")}
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
    said = f" {row['axis']}=" in row["label"]
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
        name: of `CHANGES`.
    """
    found = cells[name].to_numpy(dtype=float)
    none = 1.0 if name == "vas_ratio" else 0.0
    least = 0.0 if name == "accuracy_change" else LEAST
    return (cells[PS[name]].to_numpy(dtype=float) <= FALSE_FINDINGS) & (np.abs(found - none) > least)


def tested(cells: pd.DataFrame) -> int:
    """How many changes of accuracy were tested."""
    return int(cells["p_adjusted"].notna().sum())

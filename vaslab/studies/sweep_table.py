"""The table of a sweep: each intervention against the plain model, paired on items, side effects beside the gain."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.benchmarks import Item
from vaslab.benchmarks.item import graded
from vaslab.errors import MissingError, VaslabError
from vaslab.statistics import fdr
from vaslab.studies.study_config import StudyRun
from vaslab.studies.sweep_cell import Cell
from vaslab.studies.sweep_changes import (
    change_of_share,
    level,
    number_change,
    perplexity,
    perplexity_change,
    share,
    sides_changed,
    vas_ratios,
)
from vaslab.studies.sweep_measured import Measured
from vaslab.studies.sweep_regions import Place
from vaslab.studies.sweep_verdict import BLANK_LABEL, verdict

PARQUET, CSV = "table.parquet", "table.csv"
TESTED = (
    *("", "vas_", "vas_means_", "visual_", "system_"),
    *("formatted_", "length_", "obeys_capitals_", "obeys_end_", "perplexity_", "over_blank_"),
)
"""Prefixes of the columns that hold a p, each a family of its own: of accuracy, VAS in both forms, visual mass and
system mass; of side effects; and of accuracy against that of a blank picture."""


def table_row(
    base: StudyRun, cell: Cell | str, found: Measured, plain: Measured | None = None
) -> dict[str, Any]:
    """Return the row of one run.

    `line` and `strength` (a value of the setting `axis`) say where figures put the row. Each level has its 95 %
    interval over pictures: score interval for shares (accuracy, formatted, obeys_NAME), bootstrap for length and
    perplexity. `X_change`, `X_change_low`, `X_change_high`: mean over items of edited less plain, paired, with its
    95 % interval over pictures. `vas_ratio`: VAS of edited over plain, as a mean of ratios; `vas_means_ratio` as a
    ratio of means; `perplexity_ratio` the same of perplexity. `p`: of "no change of accuracy"; `X_p` of the others.
    Each is the test whose interval stands beside it: by score for shares (Tango), Student's t for numbers and for
    logarithms of ratios (`vaslab.studies.sweep_changes`). VAS and masses are of `queries`, the run's first query set.
    Shares and masses are in parts of one.

    Args:
        base: the plain run.
        cell: the intervention, or the label of a run without one.
        found: what was measured.
        plain: the plain run's; None is that run's own row.
    """
    edited = None if isinstance(cell, str) else cell
    row: dict[str, Any] = {
        "model": base.model,
        "data": base.data,
        "system": base.system,
        "seed": base.seed,
        "intervention": cell if edited is None else edited.name,
        "settings": "" if edited is None else json.dumps(dict(edited.settings), sort_keys=True),
        "label": cell if edited is None else edited.label,
        "line": cell if edited is None else edited.line,
        "axis": "" if edited is None else edited.axis,
        "strength": np.nan if edited is None else float(edited.strength),
        "queries": base.config.queries[0],
        "n": int(found.right.notnull().sum()),
        **share("accuracy", found.right, found.picture),
        "vas": float(found.vas.mean()),
        "visual_mass": float(found.visual.mean()),
        "system_mass": float(found.system.mean()),
        **level("length", found.length, found.picture),
        **share("formatted", found.formatted, found.picture),
        "finished": float(found.finished.mean()),
        **_side_levels(found),
    }
    return row if plain is None else row | _changes(plain, found)


def _side_levels(found: Measured) -> dict[str, Any]:
    levels: dict[str, Any] = {}
    for name, obeyed in found.obeyed.items():
        levels |= share(f"obeys_{name}", obeyed, _pictures(found, obeyed))
    if found.loss is not None and found.tokens is not None:
        levels |= perplexity(found.loss, found.tokens, _pictures(found, found.loss))
    return levels


def _changes(plain: Measured, found: Measured) -> dict[str, Any]:
    by = plain.picture
    row: dict[str, Any] = change_of_share("accuracy_change", plain.right, found.right, by, "p")
    row |= sides_changed(plain.right, found.right) if row else {}
    for name in ("visual", "system", "length"):
        row |= number_change(name, getattr(plain, name), getattr(found, name), by)
    row |= change_of_share("formatted_change", plain.formatted, found.formatted, by, "formatted_p")
    row |= vas_ratios((plain.vas, plain.visual, plain.system), (found.vas, found.visual, found.system), by)
    for name, obeyed in found.obeyed.items():
        first = plain.obeyed[name]
        row |= change_of_share(
            f"obeys_{name}_change", first, obeyed, _pictures(plain, first), f"obeys_{name}_p"
        )
    if plain.loss is not None and found.loss is not None and plain.tokens is not None:
        row |= perplexity_change(plain.loss, found.loss, plain.tokens, _pictures(plain, plain.loss))
    return row


def _pictures(measured: Measured, beside: xr.DataArray) -> xr.DataArray:
    """Picture of each side item; one that was not measured itself stands alone."""
    return measured.picture.reindex(item=beside["item"].values).fillna(beside["item"])


def against_blank(found: Measured, blank: Measured) -> dict[str, Any]:
    """Accuracy less that of the same questions with blank pictures, as `over_blank` with its paired interval and p."""
    return change_of_share("over_blank", blank.right, found.right, found.picture, "over_blank_p")


def other_rate(
    base: StudyRun, plain: Measured, found: Measured, items: Sequence[Item], places: Mapping[str, Place]
) -> dict[str, Any]:
    """How often the answer becomes that of the object steered to, of the items that were answered rightly before.

    Returns:
        other_rate with other_rate_low and other_rate_high, its 95 % interval; other_n items.
    """
    benchmark = base.config.benchmark()
    right = dict(zip(plain.right["item"].values, plain.right.values, strict=True))
    asked = [item for item in items if item.id in places and right.get(item.id) == 1]
    if not asked:
        return {"other_n": 0}
    told = [
        bool(graded(benchmark, replace(item, answer=places[item.id].answer), found.responses[item.id]).right)
        for item in asked
    ]
    ids = [item.id for item in asked]
    values = xr.DataArray(np.asarray(told, dtype=float), dims="item", coords={"item": ids})
    return {"other_n": len(asked), **share("other_rate", values, plain.picture.sel(item=ids))}


def write_sweep_table(folder: Path, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Adjust p over the whole sweep, say each verdict, and write the table, each file whole or not at all."""
    table = pd.DataFrame(rows)
    for prefix in TESTED:
        p = table[f"{prefix}p"].to_numpy(float) if f"{prefix}p" in table else np.full(len(table), np.nan)
        # a reference is no member of the family
        p = np.where(table["intervention"] == BLANK_LABEL, np.nan, p)
        table[f"{prefix}p_adjusted"] = fdr(xr.DataArray(p, dims="cell")).values
    table["verdict"] = [verdict(row) for row in records(table)]
    for name, write in ((PARQUET, table.to_parquet), (CSV, table.to_csv)):
        part = folder / f".{name}.{os.getpid()}.part"
        write(part, index=False)
        part.replace(folder / name)
    return table


def read_sweep_table(folder: Path) -> pd.DataFrame:
    """Read the table of a sweep folder.

    Raises:
        MissingError: there is none.
        VaslabError: it cannot be read.
    """
    path = folder / PARQUET
    if not path.is_file():
        raise MissingError(
            f"{folder} holds no {PARQUET}, so it is no sweep that was begun; give a sweep folder"
        )
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise VaslabError(
            f"{path} cannot be read; give the same vaslab intervene again, which writes it"
        ) from error


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, by column."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]

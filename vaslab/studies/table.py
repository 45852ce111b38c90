"""The table of a study: one row a run, written as parquet and CSV for the statistics."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from vaslab.errors import MissingError
from vaslab.studies.study_config import StudyRun
from vaslab.studies.summary import FORMS, SHOWN_ROLES

PARQUET, CSV = "table.parquet", "table.csv"
Cell: TypeAlias = tuple[StudyRun, dict[str, Any] | None, str]
"""A run, its summary where it is complete, and why it is not."""

_TEXT = ("system_prompt", "error", "revision", "dtype", "items", "decoding", "grading", "failed", "queries")
_SAID = ("revision", "dtype", "items", "decoding", "grading", "n", "n_measured", "n_unfinished")


def table_row(run: StudyRun, summary: dict[str, Any] | None, error: str = "") -> dict[str, Any]:
    """Return the row of a run; what is not known is None.

    `X`, `X_low`, `X_high` are an estimate and its 95 % interval. Accuracy, chance, masses and shares are in
    parts of one; `system_mass` has the sink in it, as S of the paper. Columns of the first query set have no
    prefix, those of others its name.
    """
    row: dict[str, Any] = {
        "run": run.name,
        "model": run.model,
        "model_name": run.config.model,
        "data": run.data,
        "data_name": run.config.data,
        "system": run.system,
        "system_prompt": run.config.system,
        "seed": run.config.seed,
        "max_new_tokens": run.config.max_new_tokens,
        "error": error,
    }
    if summary is None:
        return row
    row |= {name: summary[name] for name in _SAID}
    row["n_failed"] = sum(summary["failed"].values())
    row["failed"] = json.dumps(summary["failed"])
    row |= _estimate("accuracy", summary["accuracy"])
    row["n_graded"] = summary["accuracy"]["n"]
    row["n_not_extracted"] = summary["accuracy"]["not_extracted"]
    row["n_guessed"] = summary["accuracy"]["guessed"]
    row["n_not_graded"] = sum(summary["not_graded"].values())
    row["chance"] = summary["chance"]
    row |= {f"score_{name}": value for name, value in summary["scores"].items()}
    for number, (queries, found) in enumerate(summary["queries"].items()):
        prefix = f"{queries}_" if number else ""
        row |= {} if number else {"queries": queries}
        row |= {prefix + name: value for name, value in _of_queries(found).items()}
    return row


def write_table(folder: Path, cells: Sequence[Cell]) -> None:
    """Write the table of these runs into a study's folder, each file whole or not at all."""
    table = _typed([table_row(*cell) for cell in cells])
    for name, write in ((PARQUET, table.to_parquet), (CSV, table.to_csv)):
        part = folder / f".{name}.{os.getpid()}.part"
        write(part, index=False)
        part.replace(folder / name)


def read_table(folder: Path | str) -> pd.DataFrame:
    """Read a study's table, one row a run; see `table_row`. Raises MissingError where there is none."""
    path = Path(folder) / PARQUET
    if not path.is_file():
        raise MissingError(f"there is no study at {folder}; measure one with `vaslab study`")
    return pd.read_parquet(path)


def _typed(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Lay rows out with one type a column, whatever is missing: counts, texts, and otherwise floats."""
    table = pd.DataFrame(rows, dtype=object)
    types = {}
    for name in map(str, table):
        held = {type(value) for value in table[name] if not pd.isna(value)}
        types[name] = "string" if held == {str} or name in _TEXT else "Int64" if held == {int} else "Float64"
    return table.astype(types)


def _of_queries(found: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for form in FORMS:
        row |= _estimate(form, found.get(form, {}))
    for role in SHOWN_ROLES:
        row |= _estimate("visual_mass" if role == "image" else f"{role}_mass", found["masses"][role])
    row |= {name: found.get(name) for name in ("clamped_share", "before_image_share", "n_queries")}
    return row


def _estimate(name: str, found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: found.get("estimate"),
        f"{name}_low": found.get("low"),
        f"{name}_high": found.get("high"),
    }

"""The table of a sweep: each intervention against the plain model, paired on items, side effects beside the gain."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.capture.files import load_capture
from vaslab.metrics.vas import masses, vas_per_item
from vaslab.statistics import difference_interval, fdr, paired_accuracy
from vaslab.studies.run import CAPTURE, ITEMS
from vaslab.studies.side_effects import in_format
from vaslab.studies.study_config import StudyRun
from vaslab.studies.sweep_config import Cell

PARQUET, CSV = "table.parquet", "table.csv"
FINDING = 0.05


@dataclass(frozen=True)
class Measured:
    """A finished run as the table wants it: one value an item, dims (item)."""

    right: xr.DataArray
    vas: xr.DataArray
    visual: xr.DataArray
    system: xr.DataArray
    length: xr.DataArray
    formatted: xr.DataArray
    finished: xr.DataArray
    picture: xr.DataArray


def read_measured(run: StudyRun) -> Measured:
    """Read a finished run's rows and capture."""
    folder, queries = Path(run.config.out), run.config.queries[0]
    rows = [json.loads(line) for line in (folder / ITEMS).read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if not row["error"]]
    ids = [row["id"] for row in rows]
    capture = load_capture(folder / CAPTURE)
    mass = masses(capture, queries, over=("layer", "head"))

    def each(values: Sequence[Any], kind: Any = float) -> xr.DataArray:
        return xr.DataArray(np.asarray(values, dtype=kind), dims="item", coords={"item": ids})

    return Measured(
        right=each([np.nan if row["right"] is None else row["right"] for row in rows]),
        vas=vas_per_item(capture, queries).sel(item=ids),
        visual=mass.sel(role="image", drop=True).sel(item=ids),
        system=mass.sel(role="system", drop=True).sel(item=ids),
        length=each([row["n_tokens"] for row in rows]),
        formatted=each([in_format(row["response"]) for row in rows]),
        finished=each([row["finished"] for row in rows]),
        picture=each([row["picture"] or row["id"] for row in rows], object),
    )


def table_row(
    base: StudyRun, cell: Cell | None, found: Measured | None, plain: Measured, sides: dict[str, Any]
) -> dict[str, Any]:
    """Return the row of one run.

    `X_change`, `X_change_low`, `X_change_high`: mean over items of edited less plain, and its 95 % interval by
    bootstrap over pictures. `p`: t test of the change of accuracy with errors clustered by picture. VAS is the mean
    of ratios over the run's first query set. Shares and masses are in parts of one.
    """
    row: dict[str, Any] = {
        "model": base.model,
        "data": base.data,
        "system": base.system,
        "intervention": "none" if cell is None else cell.name,
        "settings": "" if cell is None else json.dumps(dict(cell.settings), sort_keys=True),
        "label": "none" if cell is None else cell.label,
    }
    own = plain if found is None else found
    row |= {
        "n": int(own.right.notnull().sum()),
        "accuracy": float(own.right.mean()),
        "vas": float(own.vas.mean()),
        "visual_mass": float(own.visual.mean()),
        "system_mass": float(own.system.mean()),
        "length": float(own.length.mean()),
        "formatted": float(own.formatted.mean()),
        "finished": float(own.finished.mean()),
    }
    row |= {name: sides[name] for name in sides if name != "n"}
    if found is None:
        return row
    if bool((plain.right.notnull() & found.right.notnull()).any()):
        pair = paired_accuracy(plain.right, found.right, plain.picture)
        row |= {"fixed": pair.fixed, "broken": pair.broken, "p": pair.p_clustered}
        row |= _change("accuracy", pair.difference, pair.low, pair.high)
    for name in ("vas", "visual", "system", "length", "formatted"):
        change = difference_interval(getattr(plain, name), getattr(found, name), cluster=plain.picture)
        row |= _change(name, *(float(change[part]) for part in ("estimate", "low", "high")))
    return row


def _change(name: str, estimate: float, low: float, high: float) -> dict[str, float]:
    return {f"{name}_change": estimate, f"{name}_change_low": low, f"{name}_change_high": high}


def write_sweep_table(folder: Path, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Adjust p over the whole sweep, say each verdict, and write the table, each file whole or not at all."""
    table = pd.DataFrame(rows)
    p = table["p"].to_numpy(float) if "p" in table else np.full(len(table), np.nan)
    table["p_adjusted"] = fdr(xr.DataArray(p, dims="cell")).values
    table["verdict"] = [verdict(row) for row in records(table)]
    for name, write in ((PARQUET, table.to_parquet), (CSV, table.to_csv)):
        part = folder / f".{name}.{os.getpid()}.part"
        write(part, index=False)
        part.replace(folder / name)
    return table


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, by column."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def verdict(row: dict[str, Any]) -> str:
    """What a row shows of accuracy, in words, at a false discovery rate of 5 % over the sweep."""
    change, low, high = (
        100 * row.get(f"accuracy_change{part}", float("nan")) for part in ("", "_low", "_high")
    )
    if not np.isfinite(change):
        return ""
    interval = f"{change:+.1f} points [{low:+.1f}, {high:+.1f}]"
    if row["p_adjusted"] <= FINDING and change != 0:
        return f"{'raises' if change > 0 else 'lowers'} accuracy: {interval}"
    return f"no change of accuracy shown: {interval}"

"""The table of a sweep: each intervention against the plain model, paired on items, side effects beside the gain."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.benchmarks import Item
from vaslab.benchmarks.item import graded
from vaslab.capture.files import load_capture
from vaslab.errors import MissingError, VaslabError
from vaslab.metrics.vas import masses, vas_per_item
from vaslab.statistics import (
    difference_interval,
    fdr,
    mean_interval,
    mean_p,
    paired_accuracy,
    product_interval,
)
from vaslab.studies.run import CAPTURE, ITEMS
from vaslab.studies.side_effects import in_format
from vaslab.studies.study_config import StudyRun
from vaslab.studies.sweep_config import Cell
from vaslab.studies.sweep_regions import Place

PARQUET, CSV = "table.parquet", "table.csv"
FINDING = 0.05
TESTED = ("", "vas_", "vas_means_", "visual_", "system_")
"""Prefixes of the columns that hold a p: of accuracy, VAS in both forms, visual mass and system mass."""


@dataclass(frozen=True)
class Measured:
    """A finished run as the table wants it: one value an item, dims (item); responses by item id."""

    right: xr.DataArray
    vas: xr.DataArray
    visual: xr.DataArray
    system: xr.DataArray
    length: xr.DataArray
    formatted: xr.DataArray
    finished: xr.DataArray
    picture: xr.DataArray
    responses: Mapping[str, str]


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
        responses={row["id"]: row["response"] for row in rows},
    )


def table_row(
    base: StudyRun, cell: Cell | None, found: Measured | None, plain: Measured, sides: dict[str, Any]
) -> dict[str, Any]:
    """Return the row of one run.

    `line` and `strength` (a value of the setting `axis`) say where figures put the row. `X_change`, `X_change_low`,
    `X_change_high`: mean over items of edited less plain, and its 95 % interval by bootstrap over pictures.
    `vas_ratio`: VAS of edited over plain, as a mean of ratios; `vas_means_ratio` as a ratio of means. `p`: t test of
    the change of accuracy with errors clustered by picture; `X_p` the same of VAS and masses. VAS and masses are of
    `queries`, the run's first query set. Shares and masses are in parts of one.
    """
    row: dict[str, Any] = {
        "model": base.model,
        "data": base.data,
        "system": base.system,
        "seed": base.seed,
        "intervention": "none" if cell is None else cell.name,
        "settings": "" if cell is None else json.dumps(dict(cell.settings), sort_keys=True),
        "label": "none" if cell is None else cell.label,
        "line": "none" if cell is None else cell.line,
        "axis": "" if cell is None else cell.axis,
        "strength": np.nan if cell is None else float(cell.strength),
        "queries": base.config.queries[0],
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
        row |= _change("accuracy_change", pair.difference, pair.low, pair.high)
    for name in ("vas", "visual", "system", "length", "formatted"):
        change = difference_interval(getattr(plain, name), getattr(found, name), cluster=plain.picture)
        row |= _named(f"{name}_change", change)
        row[f"{name}_p"] = float(mean_p(getattr(found, name) - getattr(plain, name), plain.picture))
    if float(found.visual.max()) == 0:
        # nothing is left of it, and 0 has no logarithm
        return row | _change("vas_ratio", 0, 0, 0) | _change("vas_means_ratio", 0, 0, 0)
    ratios = [(found.vas, 1), (plain.vas, -1)]
    means = [(found.visual, 1), (plain.system, 1), (found.system, -1), (plain.visual, -1)]
    row |= _named("vas_ratio", product_interval(ratios, cluster=plain.picture))
    changed = product_interval(means, cluster=plain.picture)
    return row | _named("vas_means_ratio", changed) | {"vas_means_p": float(changed["p"])}


def other_rate(
    base: StudyRun, plain: Measured, found: Measured, items: Sequence[Item], places: Mapping[str, Place]
) -> dict[str, Any]:
    """How often the answer becomes that of the object steered to, of the items that were answered rightly before.

    Returns:
        other_rate with other_rate_low and other_rate_high, its 95 % interval by bootstrap over pictures; other_n items.
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
    return {
        "other_n": len(asked),
        **_named("other_rate", mean_interval(values, cluster=plain.picture.sel(item=ids))),
    }


def _named(name: str, found: xr.Dataset) -> dict[str, float]:
    return _change(name, *(float(found[part]) for part in ("estimate", "low", "high")))


def _change(name: str, estimate: float | int, low: float | int, high: float | int) -> dict[str, float]:
    return {name: estimate, f"{name}_low": low, f"{name}_high": high}


def write_sweep_table(folder: Path, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Adjust p over the whole sweep, say each verdict, and write the table, each file whole or not at all."""
    table = pd.DataFrame(rows)
    for prefix in TESTED:
        p = table[f"{prefix}p"].to_numpy(float) if f"{prefix}p" in table else np.full(len(table), np.nan)
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


def verdict(row: dict[str, Any]) -> str:
    """What a row shows of accuracy, in words, at a false discovery rate of 5 % over the sweep."""
    change, low, high = (
        100 * row.get(f"accuracy_change{part}", float("nan")) for part in ("", "_low", "_high")
    )
    if not np.isfinite(change):
        return ""
    interval = f"{change:+.1f} points [{low:+.1f}, {high:+.1f}]"
    told = f"no change of accuracy shown: {interval}"
    if row["p_adjusted"] <= FINDING and change != 0:
        told = f"{'raises' if change > 0 else 'lowers'} accuracy: {interval}"
    return f"{told}{_rate_words(row)}"


def _rate_words(row: dict[str, Any]) -> str:
    rate, low, high = (100 * row.get(f"other_rate{part}", float("nan")) for part in ("", "_low", "_high"))
    if not np.isfinite(rate):
        return ""
    return (
        f"; {rate:.1f} % [{low:.1f}, {high:.1f}] of {row['other_n']:.0f} right answers become that of the object "
        "steered to"
    )

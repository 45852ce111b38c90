"""The results of `avar stages`: every stage's accuracy, VAS and masses, of each seed and over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from scipy.stats import t as student

from vaslab.errors import VaslabError
from vaslab.studies.table import read_table

CSV, MARKDOWN = "table.csv", "table.md"
OVER_SEEDS = "mean"
"""What stands for the seed in a row over all of them."""


class Column(NamedTuple):
    """One number of the table: its name in a study's table, its heading, and how it is written."""

    name: str
    heading: str
    factor: float
    digits: int


COLUMNS = (
    Column("accuracy", "accuracy %", 100, 1),
    Column("vas", "VAS, mean of ratios", 1, 0),
    Column("vas_ratio_of_means", "VAS, ratio of means", 1, 2),
    Column("visual_mass", "visual mass", 1, 4),
    Column("system_mass", "system mass", 1, 4),
)


@dataclass(frozen=True)
class Measured:
    """A model that a study measured: its stage, the seed that it was trained with (None: the base), its name."""

    stage: str
    seed: int | None
    name: str

    @property
    def label(self) -> str:
        """How the study calls it."""
        return self.stage if self.seed is None else f"{self.stage} seed {self.seed}"


def write_stage_table(study: Path, models: Sequence[Measured], out: Path) -> None:
    """Write table.csv and table.md into `out`.

    Raises VaslabError where the study lacks a model's run.
    """
    table = stage_table(read_table(study), models)
    for name, text in ((CSV, table.to_csv(index=False)), (MARKDOWN, markdown(table))):
        part = out / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(out / name)


def stage_table(study: pd.DataFrame, models: Sequence[Measured]) -> pd.DataFrame:
    """Lay a study's rows out by benchmark, stage and seed; rows over the seeds follow each stage.

    Each of COLUMNS stands with `_low` and `_high`, its 95 % interval: of a seed's row over the items (as the study has
    it), of a row over the seeds by Student's t over their values: where the mean over many seeds may lie. Other masses
    that the study holds follow without intervals.

    Args:
        study: a study's table, one row a run.
        models: what it measured, in the order of the rows.

    Raises:
        VaslabError: a model whose run is not there or not complete.
    """
    parts = []
    for data in study["data"].drop_duplicates():
        found = study[study["data"] == data].set_index("model")
        for stage in dict.fromkeys(model.stage for model in models):
            seeds = [model for model in models if model.stage == stage]
            absent = [each.label for each in seeds if each.label not in found.index]
            failed = [each.label for each in seeds if not absent and pd.isna(found.loc[each.label, "n"])]
            if absent or failed:
                raise VaslabError(
                    f"{(absent + failed)[0]} is not measured on {data}; give the same command again"
                )
            rows = [_row(found.loc[each.label], stage, str(data), each.seed) for each in seeds]
            parts += [*rows, *([_over_seeds(rows)] if len(rows) > 1 else [])]
    return pd.DataFrame(parts)


def _row(found: pd.Series, stage: str, data: str, seed: int | None) -> dict[str, object]:
    numbers = [name for column in COLUMNS for name in _names(column)]
    others = [name for name in found.index if name.endswith("_mass") and name not in numbers]
    return {
        "benchmark": data,
        "stage": stage,
        "seed": "" if seed is None else str(seed),
        "interval": "items",
        "n": int(found["n"]),
        **{name: float("nan" if pd.isna(found[name]) else found[name]) for name in [*numbers, *others]},
    }


def _names(column: Column) -> tuple[str, str, str]:
    return column.name, f"{column.name}_low", f"{column.name}_high"


def _over_seeds(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    values = pd.DataFrame(rows)
    row = {**rows[0], "seed": OVER_SEEDS, "interval": f"{len(rows)} seeds"}
    half = student.ppf(0.975, len(rows) - 1) / len(rows) ** 0.5
    for name in [name for name in values if name in row and values[name].dtype == float]:
        row[name] = values[name].mean()
    for column in COLUMNS:
        mean, low, high = _names(column)
        reach = half * values[mean].std()
        row[low], row[high] = values[mean].mean() - reach, values[mean].mean() + reach
    return row


def markdown(table: pd.DataFrame) -> str:
    """Write one table a benchmark; a cell is an estimate with its 95 % interval."""
    parts = []
    for data in table["benchmark"].drop_duplicates():
        rows = table[table["benchmark"] == data]
        headings = ["stage", "seed", *(column.heading for column in COLUMNS)]
        lines = [
            f"**{data}**, {rows['n'].iloc[0]} items",
            "",
            _line(headings),
            _line(["---"] * len(headings)),
        ]
        lines += [_line(_cells(row)) for _, row in rows.iterrows()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: pd.Series) -> list[str]:
    seed = "-" if row["seed"] == "" or pd.isna(row["seed"]) else str(row["seed"])
    cells = [str(row["stage"]), seed, *(_cell(row, column) for column in COLUMNS)]
    return [f"**{cell}**" for cell in cells] if seed == OVER_SEEDS else cells


def _cell(row: pd.Series, column: Column) -> str:
    written = [f"{column.factor * float(row[name]):,.{column.digits}f}" for name in _names(column)]
    return "-" if pd.isna(row[column.name]) else f"{written[0]} [{written[1]}, {written[2]}]"

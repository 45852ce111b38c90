"""The table of `avar stages`: accuracy, VAS and the two masses of every stage, with intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vaslab.cli.console import table

COLUMNS = (
    "benchmark",
    "stage",
    "seed",
    "accuracy %",
    "VAS, mean of ratios",
    "ratio of means",
    "visual mass",
    "system mass",
)


def show(results: Path) -> None:
    """Print the table of a results.json on stderr."""
    rows = json.loads(results.read_text(encoding="utf-8"))["rows"]
    if not rows:
        return
    shown = [
        [
            row["benchmark"],
            row["stage"],
            "-" if row["seed"] is None else row["seed"],
            _cell(row["accuracy"], 100, 1),
            _cell(row["vas"], 1, 1),
            _cell(row["vas_ratio_of_means"], 1, 2),
            _cell(row["visual_mass"], 1, 3),
            _cell(row["system_mass"], 1, 3),
        ]
        for row in sorted(rows, key=lambda row: row["benchmark"])
    ]
    caption = (
        "Queries: user text. In brackets: 95 % intervals over the items of one checkpoint, not over seeds."
    )
    table(f"{len(rows)} measurements of {rows[0]['n']} items", COLUMNS, shown, caption)


def _cell(number: dict[str, Any], factor: float, digits: int) -> str:
    if number["estimate"] is None:
        return "-"
    estimate, low, high = (f"{factor * number[name]:.{digits}f}" for name in ("estimate", "low", "high"))
    return f"{estimate} [{low}, {high}]"

"""A sweep by kind of question: accuracy, and how it lies to that of a blank picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vaslab.benchmarks import Item
from vaslab.studies.study_config import StudyRun
from vaslab.studies.sweep_changes import change_of_share, share
from vaslab.studies.sweep_measured import Measured
from vaslab.studies.sweep_verdict import FINDING, level_words

KINDS = "kinds.csv"


def kind_rows(
    base: StudyRun, label: str, items: Sequence[Item], found: Measured, blank: Measured | None
) -> list[dict[str, Any]]:
    """A row for each kind of question, and one for all of them.

    `formatted_accuracy` is that of the answers in the paper's format alone. `over_blank` with its paired 95 % interval
    is accuracy less that of the same questions with blank pictures; `blank_words` says it, at 5 % each.
    """
    there = set(found.right["item"].values)
    kinds = dict.fromkeys(item.kind for item in items if item.kind)
    rows = []
    for kind in ["", *kinds] if len(kinds) > 1 else [""]:
        ids = [item.id for item in items if item.id in there and kind in ("", item.kind)]
        if not ids:
            continue
        part = found.only(ids)
        row: dict[str, Any] = {
            "model": base.model,
            "data": base.data,
            "system": base.system,
            "seed": base.seed,
            "label": label,
            "kind": kind or "all",
            "n": int(part.right.notnull().sum()),
            **share("accuracy", part.right, part.picture),
            **share("formatted", part.formatted, part.picture),
            **share("formatted_accuracy", part.right.where(part.formatted == 1), part.picture),
        }
        if blank is not None:
            other = blank.only(ids)
            row |= change_of_share("over_blank", other.right, part.right, part.picture, "over_blank_p")
            if "over_blank" in row:
                apart = row["over_blank_p"] <= FINDING
                row["blank_words"] = level_words(
                    row["over_blank"], row["over_blank_low"], row["over_blank_high"], apart
                )
        rows.append(row)
    return rows


def write_kinds(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write kinds.csv, whole or not at all."""
    part = folder / f".{KINDS}.{os.getpid()}.part"
    pd.DataFrame(rows).to_csv(part, index=False)
    part.replace(folder / KINDS)

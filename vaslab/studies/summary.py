"""What a run found, in numbers with their intervals: accuracy, VAS, the masses behind it, and what failed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import xarray as xr

from vaslab.benchmarks import Benchmark, Grade, Item
from vaslab.errors import VaslabError
from vaslab.metrics import PAPER, Definition, divisor_per_item, masses, vas_masses, vas_per_item
from vaslab.statistics import accuracy_interval, mean_interval, ratio_interval
from vaslab.studies.rows import Row, measured

SHOWN_ROLES = ("image", "system", "user")

FORMS = {
    "vas": PAPER,
    "vas_no_sink": Definition(sink="exclude"),
    "vas_per_token": Definition(per_token=True),
    "vas_ratio_of_means": Definition(form="ratio_of_means"),
    "vas_ratio_of_means_no_sink": Definition(form="ratio_of_means", sink="exclude"),
    "vas_ratio_of_means_per_token": Definition(form="ratio_of_means", per_token=True),
}
"""The definitions of VAS in a summary, of each of its query sets; the first is the paper's."""


def summarise(
    benchmark: Benchmark,
    items: Sequence[Item],
    rows: Sequence[Row],
    capture: xr.Dataset,
    about: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Summarise a run.

    Args:
        benchmark, items: what was asked.
        rows: all rows of items.jsonl, one an item.
        capture: the joined capture.
        about: what to say of model and data, put first.
        seed: of the bootstrap.

    Returns:
        Numbers ready for JSON; None stands for what is undefined, with a reason beside it. Masses, accuracy,
        scores and chance are in parts of one, S = system_sink + system; VAS is dimensionless. Masses are over the
        items that have a picture, unless none has. Intervals are 95 %: Wilson for the accuracy, bootstrap over
        items for the others.
    """
    failed = Counter(str(row["error_kind"]) for row in rows if row["error"])
    return {
        **about,
        "n": len(rows),
        "n_measured": sum(map(measured, rows)),
        "n_unfinished": sum(row["finished"] is False for row in rows),
        "failed": dict(sorted(failed.items())),
        **_correctness(benchmark, items, rows),
        "queries": {
            str(role): _of_queries(capture, str(role), seed) for role in capture["query_role"].values
        },
    }


def _correctness(benchmark: Benchmark, items: Sequence[Item], rows: Sequence[Row]) -> dict[str, Any]:
    """Accuracy over the graded items, what guessing would reach on them, and the benchmark's own numbers."""
    graded = [(item, row) for item, row in zip(items, rows, strict=True) if row["right"] is not None]
    accuracy = _numbers(accuracy_interval(sum(row["right"] for _, row in graded), len(graded)))
    accuracy["not_extracted"] = sum(row["extracted"] is None for _, row in graded)
    accuracy["guessed"] = sum(bool(row["guessed"]) for _, row in graded)
    accuracy["judged_by"] = dict(sorted(Counter(str(row["by"]) for _, row in graded).items()))
    ungraded = Counter(row["reason"] for row in rows if measured(row) and row["right"] is None)
    asked = [item for item, _ in graded]
    grades = [
        Grade(*(row[key] for key in ("right", "extracted", "reason", "guessed", "by"))) for _, row in graded
    ]
    scores = benchmark.scores(asked, grades) if asked else {}
    return {
        "accuracy": accuracy,
        "not_graded": dict(sorted(ungraded.items())),
        "chance": benchmark.chance(asked) if asked else None,
        "scores": {name: _finite(value) for name, value in scores.items()},
    }


def _of_queries(capture: xr.Dataset, queries: str, seed: int) -> dict[str, Any]:
    share = masses(capture, queries, over=("layer", "head"))
    intervals = mean_interval(share, seed=seed)
    found: dict[str, Any] = {
        "masses": {role: _numbers(intervals.sel(role=role)) for role in SHOWN_ROLES},
        "before_image_share": _finite(capture["before_image"].sel(query_role=queries).mean()),
        "n_queries": int(capture["n_queries"].sel(query_role=queries).sum()),
    }
    forms = {name: _vas(capture, replace(form, queries=queries), seed) for name, form in FORMS.items()}
    if forms["vas"]["estimate"] is None:
        # No item has a VAS: the masses above still stand.
        return {"vas": forms["vas"], **found}
    return {**forms, "clamped_share": forms["vas"].pop("clamped_share"), **found}


def _vas(capture: xr.Dataset, definition: Definition, seed: int) -> dict[str, Any]:
    """One VAS over the run's items; a mean of ratios says what it was divided by."""
    try:
        per_item = vas_per_item(capture, definition)
    except VaslabError as error:
        return {"estimate": None, "low": None, "high": None, "n": 0, "reason": str(error)}
    if definition.form == "ratio_of_means":
        parts, heads = vas_masses(capture, definition), ("layer", "head")
        image, system = parts["image"].mean(heads), divisor_per_item(parts, heads)
        return _numbers(ratio_interval(image, system, seed=seed))
    said = per_item.attrs
    words = ("form", "form_words", "sink", "numerator", "denominator", "averaged", "items_without")
    return {
        **_numbers(mean_interval(per_item, seed=seed)),
        **{name: said[name] for name in words if name in said},
        "clamped_share": _finite(said["clamped_share"]),
    }


def _numbers(interval: xr.Dataset) -> dict[str, Any]:
    values = {name: _finite(interval[name]) for name in ("estimate", "low", "high")}
    return {
        **values,
        "n": int(interval["n"]),
        "level": interval.attrs["level"],
        "method": interval.attrs["method"],
        "reason": interval.attrs["reason"],
    }


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None

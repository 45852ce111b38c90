"""What a run found, in numbers with their intervals: accuracy, VAS, the masses behind it, and what failed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import xarray as xr

from vaslab.errors import VaslabError
from vaslab.metrics import masses, vas_per_item
from vaslab.statistics import accuracy_interval, mean_interval, ratio_interval

SHOWN_ROLES = ("image", "system", "user")


def summarise(
    rows: Sequence[dict[str, Any]], capture: xr.Dataset, about: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Summarise a run.

    Args:
        rows: all rows of items.jsonl.
        capture: the joined capture.
        about: what to say of model and data, put first.
        seed: of the bootstrap.

    Returns:
        Numbers ready for JSON; None stands for what is undefined, with a reason beside it. Masses are in parts of
        one, S = system_sink + system; VAS is dimensionless. Intervals are 95 %: Wilson for the accuracy,
        bootstrap over items for the others.
    """
    failed = Counter(str(row["error_kind"]) for row in rows if row["error"])
    graded = [row for row in rows if row["right"] is not None]
    accuracy = _numbers(accuracy_interval(sum(row["right"] for row in graded), len(graded)))
    accuracy["not_extracted"] = sum(row["extracted"] is None for row in graded)
    return {
        **about,
        "n": len(rows),
        "n_measured": sum(not row["error"] for row in rows),
        "n_unfinished": sum(row["finished"] is False for row in rows),
        "failed": dict(sorted(failed.items())),
        "accuracy": accuracy,
        "queries": {
            str(role): _of_queries(capture, str(role), seed) for role in capture["query_role"].values
        },
    }


def _of_queries(capture: xr.Dataset, queries: str, seed: int) -> dict[str, Any]:
    share = masses(capture, queries, over=("layer", "head"))
    intervals = mean_interval(share, seed=seed)
    found: dict[str, Any] = {
        "masses": {role: _numbers(intervals.sel(role=role)) for role in SHOWN_ROLES},
        "before_image_share": _finite(capture["before_image"].sel(query_role=queries).mean()),
        "n_queries": int(capture["n_queries"].sel(query_role=queries).sum()),
    }
    try:
        per_item = vas_per_item(capture, queries)
    except VaslabError as error:
        # No item has a VAS: the masses above still stand.
        return {"vas": {"estimate": None, "low": None, "high": None, "n": 0, "reason": str(error)}, **found}
    said = per_item.attrs
    vas = _numbers(mean_interval(per_item, seed=seed))
    words = ("form", "form_words", "sink", "numerator", "denominator", "averaged", "items_without")
    vas |= {name: said[name] for name in words if name in said}
    defined = per_item.notnull()
    ratio = ratio_interval(
        share.sel(role="image", drop=True).where(defined),
        share.sel(role="system", drop=True).where(defined),
        seed=seed,
    )
    return {
        "vas": vas,
        "vas_ratio_of_means": _numbers(ratio),
        "clamped_share": _finite(said["clamped_share"]),
        **found,
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

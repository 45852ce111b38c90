"""The table of runs: model, n, accuracy, VAS and the masses behind it, each with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vaslab.cli.console import console, table
from vaslab.errors import UsageError

ONE_LINE = 140
"""Columns from which an interval stands beside its number, not under it."""


def runs_table(summaries: Sequence[dict[str, Any]], queries: str | None = None) -> None:
    """Print summaries as one table on stderr.

    Args:
        summaries: from `read_summary`.
        queries: the query set shown; by default the first that each run has.

    Raises UsageError for a query set that a run does not hold.
    """
    rows, words, failed = [], set(), []
    for summary in summaries:
        shown = queries or next(iter(summary["queries"]))
        if shown not in summary["queries"]:
            held = ", ".join(summary["queries"])
            raise UsageError(f"the run of {summary['model']} holds no queries {shown!r}; it holds {held}")
        of = summary["queries"][shown]
        words.add(shown)
        rows.append(
            [
                summary["model"],
                summary["data"],
                summary["n"],
                _percent(summary["accuracy"]),
                _ratio(of["vas"]),
                *(_percent(of["masses"][role]) for role in ("image", "system", "user")),
            ]
        )
        failed += [f"{count} x {reason}" for reason, count in summary["failed"].items()]
        if of["vas"]["reason"]:
            failed.append(of["vas"]["reason"])
    columns = [
        "model",
        "data",
        "n",
        "accuracy %",
        "VAS (mean of ratios)",
        "visual mass %",
        "system mass %",
        "user mass %",
    ]
    caption = (
        f"Queries: {', '.join(sorted(words))}. With 95 % intervals: accuracy Wilson, others bootstrap over "
        "items. VAS: visual over system mass per query, meaned over queries, layers and heads, items."
    )
    shares = [
        f"S below 1e-6: {of_one['clamped_share']:.1%} of queries"
        for summary in summaries
        if (of_one := summary["queries"][queries or next(iter(summary["queries"]))]).get("clamped_share")
    ]
    table(
        "",
        columns,
        rows,
        " ".join([caption, *shares, *([f"Not measured: {'; '.join(failed)}."] if failed else [])]),
    )


def _percent(found: dict[str, Any]) -> str:
    return _cell(found, lambda value: f"{100 * value:.1f}")


def _ratio(found: dict[str, Any]) -> str:
    estimate = found["estimate"]
    decimals = 2 if not estimate else min(max(2 - math.floor(math.log10(abs(estimate))), 0), 6)
    return _cell(found, lambda value: f"{value:.{decimals}f}")


def _cell(found: dict[str, Any], words: Any) -> str:
    if found["estimate"] is None:
        return "-"
    if found["low"] is None:
        return f"{words(found['estimate'])} (n = {found['n']})"
    interval = f"{words(found['low'])}–{words(found['high'])}"
    if console().width >= ONE_LINE:
        return f"{words(found['estimate'])} [{interval}]"
    return f"{words(found['estimate'])}\n{interval}"

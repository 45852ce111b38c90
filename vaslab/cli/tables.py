"""The table of runs: model, n, accuracy, VAS and the masses behind it, each with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vaslab.cli.console import console, table
from vaslab.errors import UsageError

WIDE = 150
"""Columns of a terminal from which a run is a row; below it, where intervals would be torn, a run is a column."""

FIRST, CELL = 24, 23
"""Columns that the names of the numbers take there, and a run."""

SCORES = 6
"""Numbers of a benchmark's own that are said of each run."""

FLOAT_NOISE = 1e-6
"""Width of an interval, in parts of its number, up to which it is rounding and has no digits to show."""

COLUMNS = (
    "model",
    "data",
    "n",
    "accuracy %",
    "chance %",
    "VAS (mean of ratios)",
    "VAS (ratio of means)",
    "visual mass %",
    "system mass %",
    "user mass %",
)


def runs_table(summaries: Sequence[dict[str, Any]], queries: str | None = None) -> None:
    """Print summaries as one table on stderr.

    Args:
        summaries: from `read_summary`.
        queries: the query set shown; by default the first that each run has.

    Raises UsageError for a query set that a run does not hold.
    """
    shown = [_queries_of(summary, queries) for summary in summaries]
    rows = []
    for summary, role in zip(summaries, shown, strict=True):
        of = summary["queries"][role]
        masses = [_percent(of["masses"][name]) for name in ("image", "system", "user")]
        rows.append(
            [
                summary["model"],
                summary["data"],
                items_words(summary["n"], summary["n_measured"]),
                _percent(summary["accuracy"]),
                _chance(summary.get("chance")),
                _ratio(of["vas"]),
                _ratio(of.get("vas_ratio_of_means", of["vas"])),
                *masses,
            ]
        )
    caption = " ".join(
        [
            "With 95 % intervals: accuracy Wilson, others bootstrap over items.",
            "VAS: visual over system mass; of each query, then averaged over queries, layers and heads, items",
            "(the paper's form; a few queries with hardly any system mass can carry it), or of the mean masses.",
            *dict.fromkeys(
                _remarks(summary["queries"][role], role)
                for summary, role in zip(summaries, shown, strict=True)
            ),
            *_scores(summaries),
            *_failures(summaries),
        ]
    )
    width = console().width
    if width >= WIDE:
        table("", COLUMNS, rows, caption)
        return
    step = max((width - FIRST) // CELL, 1)
    parts = [rows[start : start + step] for start in range(0, len(rows), step)]
    for part in parts:
        # one row of each number: its name, then its value in every run
        table(
            "", [""] * (len(part) + 1), list(zip(COLUMNS, *part, strict=True)), caption * (part is parts[-1])
        )


def costs_table(costs: Sequence[dict[str, Any]]) -> None:
    """Print what runs will cost as one table on stderr; each is from `vaslab.studies.cost.cost`, with its run."""
    columns = ("run", "items", "done", "batches", "prompt tokens", "answer tokens", "capture MB", "time")
    rows = [
        [
            each["run"],
            items_words(each["n_items"], each["n_items"] - each["n_broken"]),
            each["n_done"],
            each["n_batches"],
            "-" if each["prompt_tokens_all"] is None else f"{each['prompt_tokens_all']:,}",
            f"<= {each['answer_tokens_at_most']:,}",
            f"{each['capture_bytes'] / 1e6:.2g}",
            _duration(each["seconds"]),
        ]
        for each in costs
    ]
    known = [each["seconds"] for each in costs if each["seconds"] is not None]
    totals = []
    if known:
        totals.append(f"Time for what is left of the runs whose rate was measured: {_duration(sum(known))}.")
    unknown = len(costs) - len(known)
    if unknown:
        totals.append(f"No rate is known of {unknown} runs; --timed asks a batch of each.")
    caption = [
        "A dry run: nothing was measured or written.",
        f"Prompt tokens: a mean over at most {max(each['prompt_tokens_items'] for each in costs)} items of each run, "
        "times its items.",
        *totals,
    ]
    table("", columns, rows, " ".join(caption))


def _duration(seconds: int | float | None) -> str:
    if seconds is None:
        return "not known"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {left:02d} s" if minutes else f"{left} s"


def items_words(n: int, measured: int) -> str:
    """How many items the numbers rest on, beside how many there are where that is more."""
    return str(n) if measured == n else f"{measured} of {n}"


def _queries_of(summary: dict[str, Any], queries: str | None) -> str:
    held = list(summary["queries"])
    if queries is not None and queries not in held:
        raise UsageError(
            f"the run of {summary['model']} holds no queries {queries!r}; it holds {', '.join(held)}"
        )
    return queries or str(held[0])


def _remarks(of: dict[str, Any], role: str) -> str:
    """Say what a VAS must not be read without."""
    if of["vas"]["estimate"] is None:
        return f"Queries: {role}. No VAS: {of['vas']['reason']}."
    return (
        f"Queries: {role}; system mass below 1e-6 in {of['clamped_share']:.1%} of them, "
        f"{of['before_image_share']:.1%} stand before the last image."
    )


def _scores(summaries: Sequence[dict[str, Any]]) -> list[str]:
    """Say the numbers that a benchmark prints of itself beside or in place of its accuracy."""
    said = []
    for each in summaries:
        scores = {name: value for name, value in each.get("scores", {}).items() if value is not None}
        words = [f"{name} {100 * value:.1f} %" for name, value in list(scores.items())[:SCORES]]
        if len(scores) > SCORES:
            words.append(f"{len(scores) - SCORES} more in its summary.json")
        if words:
            said.append(f"{each['model']} on {each['data']}: {', '.join(words)}.")
    return said


def _failures(summaries: Sequence[dict[str, Any]]) -> list[str]:
    failed = [
        f"{count} x {reason.rstrip('.')}" for each in summaries for reason, count in each["failed"].items()
    ]
    return [f"Not measured: {'; '.join(failed)}."] if failed else []


def _chance(chance: float | None) -> str:
    """What guessing would reach on the same items; "-" where answers are free."""
    return "-" if chance is None else f"{100 * chance:.1f}"


def _percent(found: dict[str, Any]) -> str:
    return _cell(found, 100, 1)


def _ratio(found: dict[str, Any]) -> str:
    estimate = found["estimate"]
    return _cell(found, 1, 2 - math.floor(math.log10(abs(estimate))) if estimate else 2)


def _cell(found: dict[str, Any], scale: int, decimals: int) -> str:
    """Estimate and interval, with as many decimals as keep the ends of the interval apart."""
    if found["estimate"] is None:
        return "-"
    width = 0.0 if found["low"] is None else scale * (found["high"] - found["low"])
    if width > FLOAT_NOISE * scale * abs(found["estimate"]):
        decimals = max(decimals, 1 - math.floor(math.log10(width)))
    decimals = min(max(decimals, 0), 6)

    def words(value: float) -> str:
        return f"{scale * value:.{decimals}f}"

    if found["low"] is None:
        return f"{words(found['estimate'])} (n = {found['n']})"
    return f"{words(found['estimate'])} [{words(found['low'])}–{words(found['high'])}]"

"""`vaslab compare RUN_A RUN_B`: two checkpoints on the same items, side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from vaslab.cli.console import table
from vaslab.cli.figure_command import (
    FormatOption,
    OutOption,
    QueriesOption,
    RunArgument,
    Runs,
    SecondArgument,
    SinkOption,
    formats_of,
    write,
)
from vaslab.cli.figure_runs import drawn_compare, drawn_decomposition
from vaslab.cli.finished import Finished

if TYPE_CHECKING:
    import xarray as xr


def compare(
    first: RunArgument,
    second: SecondArgument,
    out: OutOption = None,
    formats: FormatOption = None,
    queries: QueriesOption = None,
    sink: SinkOption = "include",
) -> None:
    """Compare two checkpoints on the same items: a paired table, and the figures compare and decomposition."""
    kinds = formats_of(formats)
    runs = Runs.read([first, second])
    asked = runs.queries(queries)
    # refuses runs that do not align, before anything is printed
    heads = drawn_compare(runs, asked, sink=sink)
    one, two = runs.every
    changed = heads.table
    table(
        "",
        ("", *runs.pair, "change", "p"),
        paired_rows(one, two, asked, sink, runs.pictures),
        f"{len(changed)} heads, {one.capture.sizes['item']} items of {runs.words['data']}; queries: {asked}. "
        f"Intervals: 95 %, paired bootstrap over {'items' if runs.pictures is None else 'pictures'}. p: McNemar's "
        "exact test for accuracy, jackknife t test for ratios. "
        f"{int(changed['changed'].sum())} heads changed their VAS (FDR 5 %).",
    )
    parts = drawn_decomposition(runs, asked, sink=sink)
    write([(parts, "decomposition"), (heads, "compare")], out, kinds)


def paired_rows(
    one: Finished, two: Finished, queries: str, sink: str, pictures: xr.DataArray | None
) -> list[tuple[str, ...]]:
    """Accuracy, both forms of VAS and the masses behind it, for each run, with the paired change and its p."""
    from vaslab.metrics import vas_masses, vas_per_item
    from vaslab.statistics import paired_accuracy, product_interval

    rows = [("accuracy", *_accuracy_cells(one, two, pictures, paired_accuracy))]
    items = [vas_per_item(run.capture, queries, sink=sink) for run in (one, two)]
    masses = [vas_masses(run.capture, queries, sink).mean(("layer", "head")) for run in (one, two)]
    parts: list[tuple[str, list[tuple[xr.DataArray, int]], list[float], bool]] = [
        (
            "VAS (mean of ratios)",
            [(items[1], 1), (items[0], -1)],
            [float(each.mean()) for each in items],
            False,
        ),
        (
            "VAS (ratio of means)",
            [
                (masses[1]["image"], 1),
                (masses[1]["system"], -1),
                (masses[0]["image"], -1),
                (masses[0]["system"], 1),
            ],
            [float(each["image"].mean() / each["system"].mean()) for each in masses],
            False,
        ),
    ]
    parts += [
        (
            f"{word} mass %",
            [(masses[1][role], 1), (masses[0][role], -1)],
            [float(each[role].mean()) for each in masses],
            True,
        )
        for word, role in (("visual", "image"), ("system", "system"))
    ]
    for label, terms, levels, share in parts:
        change = product_interval(terms, cluster=pictures)
        shown = [f"{100 * level:.1f}" if share else f"{level:.3g}" for level in levels]
        rows.append((label, *shown, _times(change), f"{float(change.p):.2g}"))
    return rows


def _times(change: xr.Dataset) -> str:
    """A ratio and its interval, with as many decimals as keep the ends apart."""
    middle, low, high = (float(change[name]) for name in ("estimate", "low", "high"))
    if not math.isfinite(low):
        return f"x{middle:.3g} (too few items)"
    decimals = 2 if high - low < 1e-6 else min(max(1 - math.floor(math.log10(high - low)), 2), 5)
    return f"x{middle:.{decimals}f} [{low:.{decimals}f}–{high:.{decimals}f}]"


def _accuracy_cells(
    one: Finished, two: Finished, pictures: xr.DataArray | None, paired: Any
) -> tuple[str, ...]:
    if not (one.graded and two.graded):
        return ("-", "-", "not graded", "-")
    found = paired(one.right, two.right, pictures)
    change = (
        f"{100 * found.difference:+.1f} points [{100 * found.low:+.1f} to {100 * found.high:+.1f}]; "
        f"{found.fixed} fixed, {found.broken} broken"
    )
    return (f"{100 * found.first:.1f} %", f"{100 * found.second:.1f} %", change, f"{found.p:.2g}")

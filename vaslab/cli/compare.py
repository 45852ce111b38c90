"""`vaslab compare RUN_A RUN_B`: two checkpoints on the same items, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from vaslab.cli.console import table
from vaslab.cli.figure_command import (
    Asked,
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

    from vaslab.metrics import Definition
    from vaslab.plots.levels import Terms


def compare(
    first: RunArgument,
    second: SecondArgument,
    out: OutOption = None,
    formats: FormatOption = None,
    queries: QueriesOption = None,
    sink: SinkOption = None,
) -> None:
    """Compare two checkpoints on the same items: a paired table, and the figures compare and decomposition."""
    kinds = formats_of(formats)
    runs = Runs.read([first, second])
    asked = Asked(queries, sink=sink).of(runs)
    # refuses runs that do not align, before anything is printed
    heads = drawn_compare(runs, asked)
    one, two = runs.every
    changed = heads.table
    table(
        "",
        ("", *runs.pair, "change", "p"),
        paired_rows(one, two, asked, runs.pictures),
        f"{int(changed['ratio'].notna().sum())} of {len(changed)} heads, "
        f"{one.capture.sizes['item']} items of {runs.words['data']}; queries: {asked.queries}. "
        f"Intervals: 95 %, paired over {'items' if runs.pictures is None else 'pictures'}; score (Tango) for "
        "accuracy and its p, jackknife t for VAS, masses, their changes and p. "
        f"{int(changed['changed'].sum())} heads changed their VAS (FDR 5 %).",
    )
    parts = drawn_decomposition(runs, asked)
    write([(parts, "decomposition"), (heads, "compare")], out, kinds)


def paired_rows(
    one: Finished, two: Finished, definition: Definition, pictures: xr.DataArray | None
) -> list[tuple[str, ...]]:
    """Accuracy, both forms of VAS and the masses behind it, for each run, with the paired change and its p.

    Args:
        one, two: the runs. definition: of VAS. pictures: of each item.

    Means are over the heads that have a value in both runs, each with its own interval.
    """
    from vaslab.metrics import floored
    from vaslab.metrics.definition import FORMS
    from vaslab.plots.levels import change_terms
    from vaslab.plots.shared_heads import shared_sides
    from vaslab.plots.text import bound_words, p_cell
    from vaslab.statistics import product_t

    rows = [("accuracy", *_accuracy_cells(one, two, pictures))]
    both = one.capture, two.capture

    def add(label: str, means: Terms, percent: bool, low: tuple[float, float] = (0.0, 0.0)) -> None:
        found = product_t(means, cluster=pictures)
        half = len(means) // 2
        # terms of the first are those that the change divides by
        sides = [[(values, -power) for values, power in means[half:]], means[:half]]
        levels = [product_t(side, cluster=pictures) for side in sides]
        shown = [_with_ends(level, _percent if percent else _level) for level in levels]
        change = bound_words(float(found.estimate), low) + _times(found)
        rows.append((label, *shown, change, p_cell(float(found.p))))

    for form in FORMS:
        each = replace(definition, form=form)
        first, second = (float(floored(capture, each)) for capture in both)
        add(each.name, change_terms(*both, each, over=("layer", "head")), False, (first, second))
    sides = shared_sides(*both, replace(definition, form="ratio_of_means"))
    before, after = (side[["image", "system"]].mean(("layer", "head")) for side in sides)
    for word, role in (("visual", "image"), ("system", "system")):
        left = ", without the first token" if role == "system" and definition.sink == "exclude" else ""
        add(f"{word} mass %{left}", [(after[role], 1), (before[role], -1)], True)
    return rows


def _percent(share: float) -> str:
    """A share in percent; a small one in two figures, for 0.0 tells no change."""
    return f"{100 * share:.1f}" if share >= 0.001 else f"{100 * share:.2g}"


def _level(value: float) -> str:
    """A VAS with the digits that let a reader divide one by the other."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _with_ends(level: xr.Dataset, said: Callable[[float], str]) -> str:
    """A level with its interval, in the words of `said`."""
    middle, low, high = (float(level[name]) for name in ("estimate", "low", "high"))
    return said(middle) if math.isnan(low) else f"{said(middle)} [{said(low)}–{said(high)}]"


def _times(change: xr.Dataset) -> str:
    """A ratio and its interval, with as many decimals as keep the ends apart."""
    middle, low, high = (float(change[name]) for name in ("estimate", "low", "high"))
    if math.isnan(low):
        return f"x{middle:.3g} (too few items)"
    if not high < 100 * low:
        return f"x{middle:.3g} [{low:.2g}–{high:.2g}]"
    if middle < 1e-3:
        return f"x{middle:.2g} [{low:.2g}–{high:.2g}]"
    if middle >= 100:
        return f"x{middle:,.0f} [{low:,.0f}–{high:,.0f}]"
    decimals = 2 if high - low < 1e-6 else min(max(1 - math.floor(math.log10(high - low)), 2), 5)
    return f"x{middle:.{decimals}f} [{low:.{decimals}f}–{high:.{decimals}f}]"


def _accuracy_cells(one: Finished, two: Finished, pictures: xr.DataArray | None) -> tuple[str, ...]:
    from vaslab.plots.text import p_cell
    from vaslab.statistics import paired_accuracy

    if not (one.graded and two.graded):
        return ("–", "–", "not graded", "–")
    found = paired_accuracy(one.right, two.right, pictures)
    tested = math.isfinite(found.low)
    between = f"[{100 * found.low:+.1f} to {100 * found.high:+.1f}]" if tested else "(too few items)"
    change = f"{100 * found.difference:+.1f} points {between}; {found.fixed} fixed, {found.broken} broken"
    return (f"{100 * found.first:.1f} %", f"{100 * found.second:.1f} %", change, p_cell(found.p_score))

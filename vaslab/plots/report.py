"""The report: what a set of checkpoints says about VAS and accuracy, question by question, on one page."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import vas
from vaslab.plots.changes import changes
from vaslab.plots.changes_numbers import changes_table
from vaslab.plots.changes_words import title_of
from vaslab.plots.compare import compare
from vaslab.plots.compare_numbers import compare_table
from vaslab.plots.compare_words import title_of as compare_title
from vaslab.plots.heads import heads
from vaslab.plots.lazy import lazy
from vaslab.plots.lazy_numbers import base_of
from vaslab.plots.page import Section, page
from vaslab.plots.report_prompts import prompt_section
from vaslab.plots.scatter import scatter
from vaslab.plots.scatter_numbers import findings, scatter_table
from vaslab.plots.scatter_words import clamped_words, statistics_of
from vaslab.plots.scatter_words import title_of as scatter_title
from vaslab.plots.sensitivity import sensitivity
from vaslab.plots.sensitivity import title_of as sensitivity_title
from vaslab.plots.sensitivity_numbers import sensitivity_table
from vaslab.plots.system_prompts_numbers import Prompted
from vaslab.plots.text import coefficient, counted, p_text
from vaslab.statistics import checkpoints_needed, correlation_map, paired_accuracy, partial_correlation
from vaslab.statistics.correlation import FEWEST


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as the report sees it.

    Args:
        name: as it is called on the page.
        capture: its Capture.
        right: 1 right, 0 wrong, NaN not graded; dims (item).
        facts: provenance by name, in words.
        confounders: name -> one number: mean response length, image tokens, ...
    """

    name: str
    capture: xr.Dataset
    right: xr.DataArray
    facts: dict[str, str] = field(default_factory=dict)
    confounders: dict[str, float] = field(default_factory=dict)


def report(
    checkpoints: Sequence[Checkpoint],
    queries: str = "user",
    cluster: xr.DataArray | None = None,
    base: str | None = None,
    data: str | None = None,
    decoding: str | None = None,
    seed: int = 0,
    prompted: Sequence[Prompted] = (),
) -> str:
    """Lay out what the checkpoints say: does VAS track accuracy; which layers and heads carry it; rise of visual or
    fall of system attention; does it survive other definitions, named confounders, and other system prompts.

    Args:
        checkpoints: one or more; comparisons need the same items in all, r needs 4.
        queries: the query set. cluster: picture of each item. base: the checkpoint that others are compared with.
        data, decoding: words. seed: of every resample.
        prompted: all runs, where checkpoints were measured under several system prompts; `checkpoints` are those of
            the first prompt.

    Returns:
        One page of HTML, self-contained; see `page`.

    Raises:
        UsageError: no checkpoint, a name twice, or an unknown base.
        VaslabError: as the figures.
    """
    names = [each.name for each in checkpoints]
    if len(set(names)) < len(names):
        raise UsageError("two checkpoints have one name; name each differently")
    reference = base_of(names, base)
    by_name = {each.name: each for each in checkpoints}
    ordered = [by_name[reference], *(each for each in checkpoints if each.name != reference)]
    told = {"data": data, "run": ", ".join(names)}
    sections = []
    graded = [each for each in ordered if bool(each.right.notnull().any())]
    table = None
    if graded:
        captures = {each.name: each.capture for each in graded}
        right = {each.name: each.right for each in graded}
        table = scatter_table(captures, right, queries, cluster=cluster, seed=seed)
        sections.append(_tracks(table, data, decoding, told["run"], seed))
        if len(graded) >= FEWEST and table["accuracy"].nunique() > 1:
            sections.append(_carries(graded, table, queries))
            sections.append(_survives(graded, table, told))
    sections += _changed(ordered, queries, cluster, told, seed)
    asked = prompt_section(prompted, queries, cluster, {**told, "decoding": decoding}, seed)
    if asked is not None:
        sections.append(asked)
    sections.append(
        Section(
            f"Heads of {reference}",
            figures=[
                heads(
                    by_name[reference].capture,
                    queries,
                    data=data,
                    decoding=decoding,
                    run=reference,
                    seed=seed,
                )
            ],
        )
    )
    sections += [_methods(cluster, table), _provenance(ordered)]
    title = f"{counted(len(checkpoints), 'checkpoint')}, {data or 'data not named'}"
    if table is not None:
        title = f"{scatter_title(findings(table, seed))} ({data or 'data not named'})"
    return page(title, sections, "Made by vaslab report. Every number is computed from the runs named above.")


def _tracks(
    table: pd.DataFrame, data: str | None, decoding: str | None, run: str | None, seed: int
) -> Section:
    found = findings(table, seed)
    shown = pd.DataFrame(
        {
            "checkpoint": table["checkpoint"],
            "VAS (mean of ratios)": [_with_ends(r, "vas", 1) for r in table.to_dict("records")],
            "accuracy %": [_with_ends(r, "accuracy", 100) for r in table.to_dict("records")],
            "graded": table["n_graded"],
        }
    )
    words = (
        [f"{line}." for line in statistics_of(found)] if found.pearson is not None else statistics_of(found)
    )
    clamped = clamped_words(found)
    if clamped:
        words.append(clamped)
    if found.pearson is None:
        words.append(
            f"To tell a true r of 0.9 from 0 with a power of 80 %, {checkpoints_needed(0.9)} checkpoints are needed; "
            f"for 0.7, {checkpoints_needed(0.7)}; for 0.5, {checkpoints_needed(0.5)}."
        )
    return Section(
        "Does VAS track accuracy?",
        f"{scatter_title(found)}.",
        words,
        [shown],
        [scatter(table, data=data, decoding=decoding, run=run, seed=seed)] if len(found.used) else [],
    )


def _with_ends(row: dict, name: str, scale: int) -> str:
    middle = f"{scale * row[name]:.3g}"
    if not np.isfinite(row[f"{name}_low"]):
        return middle
    return f"{middle} [{scale * row[f'{name}_low']:.3g}, {scale * row[f'{name}_high']:.3g}]"


def _carries(graded: Sequence[Checkpoint], table: pd.DataFrame, queries: str) -> Section:
    """Which layers and heads correlate with accuracy, with FDR."""
    shapes = {(each.capture.sizes["layer"], each.capture.sizes["head"]) for each in graded}
    heading = "Which layers and heads carry it?"
    if len(shapes) > 1:
        return Section(
            heading, "The checkpoints have other layers or heads: they cannot be compared head by head."
        )
    names = [each.name for each in graded]
    per_head = [vas(each.capture, queries, over=("item",)).transpose("layer", "head") for each in graded]
    values = xr.concat(per_head, dim=xr.Variable("checkpoint", names), coords="minimal", compat="override")
    accuracy = xr.DataArray(
        table["accuracy"].to_numpy(dtype=float), dims="checkpoint", coords={"checkpoint": names}
    )
    logs = values.where(values > 0)
    logs = logs.copy(data=np.log2(logs.values))
    of_heads = correlation_map(logs, accuracy)
    means = values.mean("head")
    of_layers = correlation_map(means.copy(data=np.log2(means.values)), accuracy)
    found = int((of_heads["p_adjusted"] <= 0.05).sum())
    tested = int(of_heads["p"].notnull().sum())
    layers = [str(name) for name in of_layers["layer"].values[(of_layers["p_adjusted"] <= 0.05).values]]
    where = f"layer{'s' if len(layers) > 1 else ''} {', '.join(layers)}" if layers else "no layer"
    shown = pd.DataFrame(
        {
            "layer": of_layers["layer"].values,
            "r of the layer's mean VAS": [_r(value) for value in of_layers["r"].values],
            "false discovery rate": [
                f"{p:.2g}" if np.isfinite(p) else "–" for p in of_layers["p_adjusted"].values
            ],
            "heads at FDR 5 %": (of_heads["p_adjusted"] <= 0.05).sum("head").values,
        }
    )
    return Section(
        heading,
        f"{found} of {counted(tested, 'head')} and {where} correlate with accuracy at a false discovery rate of 5 %.",
        [f"With {len(graded)} checkpoints a head is found only if its |r| is high: not found is not absent."],
        [shown],
    )


def _r(value: float) -> str:
    return coefficient(float(value)) if np.isfinite(value) else "–"


def _survives(graded: Sequence[Checkpoint], table: pd.DataFrame, told: dict[str, str | None]) -> Section:
    """r under other definitions, and with confounders held still."""
    accuracy = dict(zip(table["checkpoint"], table["accuracy"].astype(float), strict=True))
    heading = "Does it survive other definitions, and confounders?"
    words = []
    x, y = table["vas"].to_numpy(dtype=float), table["accuracy"].to_numpy(dtype=float)
    fit = np.isfinite(x) & (x > 0) & np.isfinite(y)
    for name in dict.fromkeys(name for each in graded for name in each.confounders):
        values = np.array([each.confounders.get(name, np.nan) for each in graded])
        try:
            found = partial_correlation(np.log2(x[fit]), y[fit], {name: values[fit]})
        except VaslabError as error:
            words.append(f"{name}: no partial r, {error}.")
            continue
        words.append(
            f"With {name} held still, r = {coefficient(found.estimate)} (95% CI {coefficient(found.low)} to "
            f"{coefficient(found.high)}), p {p_text(found.p)}."
        )
    curve = sensitivity_table({each.name: each.capture for each in graded}, accuracy)
    drawn = curve[curve["r"].notna()]
    if drawn.empty:
        return Section(heading, "No definition of VAS gives an r here.", words)
    return Section(
        heading,
        f"{sensitivity_title(drawn)}.",
        words,
        figures=[sensitivity(curve, data=told["data"], run=told["run"])],
    )


def _changed(
    ordered: Sequence[Checkpoint],
    queries: str,
    cluster: xr.DataArray | None,
    told: dict[str, str | None],
    seed: int,
) -> list[Section]:
    """Against the first checkpoint: accuracy, and which part of VAS moved; then shares per layer of all."""
    first, others = ordered[0], ordered[1:]
    if not others:
        drawn = lazy({first.name: first.capture}, queries, run=told["run"], seed=seed)
        return [Section("Where does it look?", figures=[drawn])]
    rows, words, tables = [], [], {}
    for other in others:
        try:
            tables[other.name] = changes_table(first.capture, other.capture, queries, cluster=cluster)
        except UsageError as error:
            words.append(f"{other.name} is not compared with {first.name}: {error}.")
            continue
        words.append(f"{title_of(tables[other.name], (first.name, other.name))}.")
        if bool((first.right.notnull() & other.right.notnull()).any()):
            found = paired_accuracy(first.right, other.right, cluster, seed=seed)
            rows.append(
                {
                    "checkpoint": other.name,
                    f"points of accuracy over {first.name}": f"{100 * found.difference:+.1f} "
                    f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]",
                    "fixed": found.fixed,
                    "broken": found.broken,
                    "McNemar p": found.p,
                }
            )
    section = Section(
        "Rise of visual, or fall of system attention?", "", words, [pd.DataFrame(rows)] if rows else []
    )
    if not tables:
        return [section]
    size = {name: abs(float(table["ratio_of_means"].iloc[-1])) for name, table in tables.items()}
    widest = max(size, key=lambda name: size[name] if np.isfinite(size[name]) else -1.0)
    other = next(each for each in others if each.name == widest)
    pair = (first.name, widest)
    stacked = changes(
        first.capture,
        other.capture,
        pair,
        queries,
        table=tables[widest],
        data=told["data"],
        run=told["run"],
    )
    section.figures.append(stacked)
    heads_changed = compare_table(first.capture, other.capture, queries, cluster=cluster, seed=seed)
    compared = compare(
        first.capture, other.capture, pair, table=heads_changed, data=told["data"], run=told["run"]
    )
    where = Section(
        f"Where does {widest} differ from {first.name}?",
        f"{compare_title(heads_changed, pair)}.",
        [f"Of the checkpoints, {widest} is the one whose VAS lies farthest from that of {first.name}."]
        if len(tables) > 1
        else [],
        figures=[compared],
    )
    captures = {each.name: each.capture for each in ordered if each is first or each.name in tables}
    drawn = lazy(captures, queries, first.name, run=told["run"], seed=seed)
    return [section, where, Section("Where do they look, layer by layer?", figures=[drawn])]


def _methods(cluster: xr.DataArray | None, table: pd.DataFrame | None) -> Section:
    over = "pictures, whole" if cluster is not None else "items"
    words = [
        "VAS (arXiv 2603.03825) is attention on image tokens over attention on system tokens, at each query, averaged "
        "over queries, then layers and heads, then items. Accuracy is by the benchmark's own rule.",
        f"Intervals are 95 %, by bootstrap over {over}, paired where checkpoints are compared; r: Fisher z, whose "
        "coverage was simulated (bench/results/correlation-coverage.csv); p of r by permutation; p of ratios by the "
        "jackknife t test; many tests at once by Benjamini and Hochberg at 5 %.",
        "A correlation across checkpoints is no causal estimate, and attention is not explanation.",
    ]
    both = None if table is None else table.attrs.get("two_level")
    if both is not None:
        words.append(
            f"Items are noise too: resampled over items, r lies in {coefficient(both.items_low)} to "
            f"{coefficient(both.items_high)}; over items and checkpoints, in {coefficient(both.both_low)} to "
            f"{coefficient(both.both_high)} (mean shift by resampled items {both.bias:+.3f})."
        )
    return Section("Methods", words=words)


def _provenance(ordered: Sequence[Checkpoint]) -> Section:
    facts = pd.DataFrame([{"checkpoint": each.name, **each.facts} for each in ordered]).fillna("–")
    return Section("Provenance", tables=[facts])

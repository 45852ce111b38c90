"""The report's answers to: rise of visual or fall of system attention, where, and against the question's own tokens?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import floored, masses_against
from vaslab.plots.changes import changes
from vaslab.plots.changes_numbers import FORMS, changes_table
from vaslab.plots.changes_words import title_of
from vaslab.plots.checkpoint_sets import on_shared_heads
from vaslab.plots.compare import compare
from vaslab.plots.compare_numbers import compare_table
from vaslab.plots.compare_words import title_of as compare_title
from vaslab.plots.correlation_words import NAMED
from vaslab.plots.lazy import lazy
from vaslab.plots.levels import FALSE_FINDINGS
from vaslab.plots.page import Section
from vaslab.plots.report_checkpoint import Checkpoint, Told, listed
from vaslab.plots.text import FLOORED, bound_words, counted, p_cell, points, spelled, times_text, vas_words
from vaslab.statistics import fdr, paired_accuracy, product_t

HEADING = "Rise of visual, or fall of system attention?"
TESTED = " (jackknife t, FDR 5% over checkpoints)."
PARTS = {"visual": "rise of visual mass", "system": "fall of system mass", "spread": "spread of the ratios"}


def changed_sections(ordered: Sequence[Checkpoint], told: Told) -> list[Section]:
    """Against the first checkpoint: which part of VAS moved, and accuracy; then where, and shares per layer of all."""
    first, others = ordered[0], ordered[1:]
    if not others:
        drawn = lazy({first.name: first.capture}, told.queries, run=told.run, seed=told.seed)
        return [Section("Where does it look?", figures=[drawn])]
    words, tables = [], {}
    for other in others:
        try:
            tables[other.name] = changes_table(
                first.capture, other.capture, told.queries, cluster=told.cluster
            )
        except UsageError as error:
            words.append(f"{other.name} is not compared with {first.name}: {error}.")
            continue
        words.append(f"{title_of(tables[other.name], (first.name, other.name))}.")
        words += _disagreement(tables[other.name], other.name)
    if not tables:
        return [Section(HEADING, "", words)]
    shown = [*_parts(tables, first.name), *_accuracy(first, others, told)]
    section = Section(HEADING, _finding(tables, first.name), words, shown)
    size = {name: abs(float(table["ratio_of_means"].iloc[-1])) for name, table in tables.items()}
    widest = max(size, key=lambda name: size[name] if np.isfinite(size[name]) else -1.0)
    other = next(each for each in others if each.name == widest)
    pair = (first.name, widest)
    section.figures.append(
        changes(
            first.capture,
            other.capture,
            pair,
            told.queries,
            table=tables[widest],
            data=told.data,
            run=told.run,
        )
    )
    captures = {each.name: each.capture for each in ordered if each is first or each.name in tables}
    drawn = lazy(captures, told.queries, first.name, run=told.run, seed=told.seed)
    where = _where(first, other, told, several=len(tables) > 1)
    return [section, where, Section("Where do they look, layer by layer?", figures=[drawn])]


def _finding(tables: Mapping[str, pd.DataFrame], base: str) -> str:
    """In how many checkpoints each mass clearly moved, and which way."""
    last = pd.DataFrame([table.iloc[-1] for table in tables.values()])
    n, told = len(last), []
    for part, up, down in (("visual", "rises", "falls"), ("system", "falls", "rises")):
        p = fdr(xr.DataArray(last[f"{part}_p"].to_numpy(dtype=float), dims="checkpoint")).values
        found = last[part].to_numpy(dtype=float)[p <= FALSE_FINDINGS]
        moves = [
            f"{way} in {spelled(some)}"
            for way, some in ((up, int((found > 0).sum())), (down, int((found < 0).sum())))
            if some
        ]
        told.append(f"{part} attention {' and '.join(moves) or 'clearly changes in none'}")
    return f"Of {counted(n, 'checkpoint')} against {base}: {'; '.join(told)}{TESTED}"


def _disagreement(table: pd.DataFrame, name: str) -> list[str]:
    """Both forms of VAS, where they move in opposite directions."""
    row = table.iloc[-1].to_dict()
    if not row[FORMS[0]] * row[FORMS[1]] < 0 or not min(row[f"{form}_p"] for form in FORMS) < FALSE_FINDINGS:
        return []
    both = ", but ".join(f"{vas_words(form)} is {_times(row, form, table)}" for form in FORMS)
    return [f"The two forms of VAS move in opposite directions in {name}: {both}."]


def _times(row: Mapping[Any, Any], name: str, table: pd.DataFrame | None = None) -> str:
    """A change with its interval: ×1.10 [×1.05, ×1.15]; a bound where it rests on the floor."""
    if not np.isfinite(row[name]):
        return "–"
    bound = "" if table is None else bound_words(2.0 ** row[name], table.attrs["floored"][name])
    text = f"{bound}{times_text(2.0 ** row[name])}"
    if not np.isfinite(row[f"{name}_low"]):
        return text
    return f"{text} [{times_text(2.0 ** row[f'{name}_low'])}, {times_text(2.0 ** row[f'{name}_high'])}]"


def _bounded(row: Mapping[Any, Any], part: str, table: pd.DataFrame) -> str:
    """A part of the change; what a floored system mass makes of it."""
    text = _times(row, part)
    if part == "visual" or not np.isfinite(row[part]):
        return text
    if part == "system":
        return bound_words(2.0 ** row[part], table.attrs["floored"]["ratio_of_means"]) + text
    touched = any(share > FLOORED for shares in table.attrs["floored"].values() for share in shares)
    # the difference of two bounds is bound on neither side
    return f"nominally {text}" if touched else text


def _parts(tables: Mapping[str, pd.DataFrame], base: str) -> list[pd.DataFrame]:
    """Both forms, and the three parts, with intervals and p, one row a checkpoint."""
    forms, parts = [], []
    for name, table in tables.items():
        row = table.iloc[-1].to_dict()
        of_forms, of_parts = {f"against {base}": name}, {f"against {base}": name}
        for form in FORMS:
            of_forms |= {
                vas_words(form): _times(row, form, table),
                f"p, {form.replace('_', ' ')}": p_cell(row[f"{form}_p"]),
            }
        for part, word in PARTS.items():
            of_parts |= {word: _bounded(row, part, table), f"p, {part}": p_cell(row[f"{part}_p"])}
        forms.append(of_forms)
        parts.append(of_parts)
    return [pd.DataFrame(forms), pd.DataFrame(parts)]


def _accuracy(first: Checkpoint, others: Sequence[Checkpoint], told: Told) -> list[pd.DataFrame]:
    """Paired change of accuracy of each; nothing where none was graded on the same items."""
    rows = []
    for other in others:
        try:
            found = paired_accuracy(first.right, other.right, told.cluster)
        except UsageError:
            # other items, or none graded on both sides: there is no pair
            continue
        ends = f" [{points(found.low)}, {points(found.high)}]" if np.isfinite(found.low) else ""
        rows.append(
            {
                f"against {first.name}": other.name,
                "points of accuracy": f"{points(found.difference)}{ends}",
                "fixed": found.fixed,
                "broken": found.broken,
                "McNemar p": p_cell(found.p),
            }
            | {f"p, score over {told.over}": p_cell(found.p_score)}
        )
    return [pd.DataFrame(rows)] if rows else []


def _where(first: Checkpoint, other: Checkpoint, told: Told, several: bool) -> Section:
    """In which layers and heads the checkpoint that differs most does."""
    pair = (first.name, other.name)
    table = compare_table(first.capture, other.capture, told.definition, cluster=told.cluster)
    words = []
    if several:
        words.append(
            f"Of the checkpoints, {other.name} is the one whose {vas_words('ratio_of_means')} lies farthest from that "
            f"of {first.name}."
        )
    changed = table[table["changed"]]
    order = np.argsort(-np.abs(np.log(changed["ratio"].to_numpy(dtype=float))), kind="stable")
    rest = [float(floored(each.capture, told.definition)) for each in (first, other)]
    named = [
        f"layer {row['layer']} head {row['head']} {bound_words(row['ratio'], (rest[0], rest[1]))}"
        f"{times_text(row['ratio'])} [{times_text(row['low'])}, "
        f"{times_text(row['high'])}], false discovery rate {p_cell(row['p_adjusted'])}"
        for row in listed(changed.iloc[order][:NAMED])
    ]
    if named:
        words.append(
            f"The heads whose {vas_words('mean_of_ratios')} changes most: {'; '.join(named)} (95% CI and "
            f"tests: jackknife t over {told.over})."
        )
    drawn = compare(first.capture, other.capture, pair, table=table, data=told.data, run=told.run)
    return Section(
        f"Where does {other.name} differ from {first.name}?",
        f"{compare_title(table, pair)}.",
        words,
        figures=[drawn],
    )


def question_section(ordered: Sequence[Checkpoint], told: Told) -> Section:
    """Attention on the image over attention on the question's own text: a denominator that no system prompt moves."""
    rows, found = [], {}
    words = [
        "Mean attention mass on image tokens over that on the question's own text: a ratio of means, whose denominator "
        f"holds no system token. Intervals and p: jackknife t over {told.over}."
    ]
    same = on_shared_heads({each.name: each.capture for each in ordered}, (told.queries,))
    if same.words:
        words.append(f"Of {same.words}.")
    for each in ordered:
        try:
            parts = masses_against(same.captures[each.name], ("user",), told.queries).mean(("layer", "head"))
        except VaslabError as error:
            words.append(f"{each.name}: {error}.")
            continue
        image, user = parts["image"], parts["other"]
        found[each.name] = (image, user)
        ratio = product_t([(image, 1), (user, -1)], cluster=told.cluster)
        row = {"checkpoint": each.name, "image over question text (ratio of means)": _level(ratio)}
        if each is not ordered[0] and ordered[0].name in found:
            row |= _against(found[ordered[0].name], (image, user), ordered[0].name, told)
        rows.append(row)
    return Section(
        "And against the question's own tokens?",
        "",
        words,
        [pd.DataFrame(rows).fillna("–")] if rows else [],
    )


def _level(ratio: xr.Dataset) -> str:
    middle, low, high = (float(ratio[name]) for name in ("estimate", "low", "high"))
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]" if np.isfinite(low) else f"{middle:.3g}"


def _against(
    one: tuple[xr.DataArray, xr.DataArray], two: tuple[xr.DataArray, xr.DataArray], base: str, told: Told
) -> dict[str, str]:
    try:
        change = product_t([(two[0], 1), (two[1], -1), (one[0], -1), (one[1], 1)], cluster=told.cluster)
    except UsageError:
        # other items: there is no pair
        return {}
    middle, low, high = (float(change[name]) for name in ("estimate", "low", "high"))
    text = times_text(middle) + (f" [{times_text(low)}, {times_text(high)}]" if np.isfinite(low) else "")
    return {f"against {base}": text, "p": p_cell(float(change["p"]))}

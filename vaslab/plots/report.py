"""The report: what a set of checkpoints says about VAS and accuracy, question by question, on one page."""

from collections.abc import Sequence

import xarray as xr

from vaslab.errors import UsageError
from vaslab.plots.checkpoint_sets import check_checkpoints
from vaslab.plots.heads import heads
from vaslab.plots.lazy_numbers import base_of
from vaslab.plots.page import Section, page
from vaslab.plots.report_answers import answers_section
from vaslab.plots.report_changes import TESTED, changed_sections, question_section
from vaslab.plots.report_checkpoint import Checkpoint, Told
from vaslab.plots.report_heads import carries_section, points_section
from vaslab.plots.report_methods import methods_section, provenance_section
from vaslab.plots.report_power import power_section
from vaslab.plots.report_prompts import prompt_section
from vaslab.plots.report_tracks import levels_of, survives_section, tracks_section
from vaslab.plots.scatter_numbers import findings, scatter_table
from vaslab.plots.scatter_words import title_of
from vaslab.plots.system_prompts_numbers import Prompted
from vaslab.plots.text import counted
from vaslab.statistics.correlation import FEWEST

__all__ = ["Checkpoint", "report"]


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
    fall of system attention; does it survive other definitions, named confounders, and other system prompts; does
    attention decay along the answer; which heads point at what was asked for; how many checkpoints would tell.

    Args:
        checkpoints: one or more; comparisons need the same items in all, r needs 4.
        queries: the query set. cluster: picture of each item. base: the checkpoint that others are compared with.
        data, decoding: words. seed: of every resample.
        prompted: all runs, where checkpoints were measured under several system prompts; `checkpoints` are those of
            the first prompt.

    Returns:
        One page of HTML, self-contained; see `page`.

    Raises:
        UsageError: no checkpoint, a name or a checkpoint twice, several data sets, or an unknown base.
        VaslabError: as the figures.
    """
    names = [each.name for each in checkpoints]
    if len(set(names)) < len(names):
        raise UsageError("two checkpoints have one name; name each differently")
    check_checkpoints({each.name: each.capture for each in checkpoints})
    reference = base_of(names, base)
    by_name = {each.name: each for each in checkpoints}
    ordered = [by_name[reference], *(each for each in checkpoints if each.name != reference)]
    told = Told(queries, cluster, data, decoding, ", ".join(names), seed)
    graded = [each for each in ordered if bool(each.right.notnull().any())]
    sections: list[Section | None] = []
    table, power = None, None
    title = f"{counted(len(checkpoints), 'checkpoint')}, {data or 'data not named'}"
    if graded:
        captures = {each.name: each.capture for each in graded}
        right = {each.name: each.right for each in graded}
        table = scatter_table(captures, right, told.definition, cluster=cluster, seed=seed)
        found = findings(table, seed)
        if len(graded) >= FEWEST:
            title = f"{title_of(found)} ({data or 'data not named'})"
        elif len(ordered) == 1:
            title = f"{levels_of(table)} ({data or 'data not named'})"
        sections.append(tracks_section(table, told))
        if len(graded) >= FEWEST and table["accuracy"].nunique() > 1:
            sections += [carries_section(graded, told), survives_section(graded, table, told)]
        power = power_section(found)
    changed = changed_sections(ordered, told)
    if len(ordered) > 1 and len(graded) < FEWEST and changed[0].finding:
        first = changed[0].words[0] if len(ordered) == 2 else changed[0].finding
        title = f"{first.removesuffix(TESTED).removesuffix('.')} ({data or 'data not named'})"
    sections += changed
    words = {"data": data, "decoding": decoding, "run": told.run}
    figure = heads(
        by_name[reference].capture, told.definition, data=data, decoding=decoding, run=reference, seed=seed
    )
    sections += [
        prompt_section(prompted, queries, cluster, words, seed),
        question_section(ordered, told),
        answers_section(ordered, told),
        points_section(ordered, told),
        power,
        Section(f"Heads of {reference}", figures=[figure]),
        methods_section(ordered, table, told, len(prompted) > 0),
        provenance_section(ordered, prompted),
    ]
    held = [section for section in sections if section is not None]
    return page(title, held, "Made by vaslab report. Every number is computed from the runs named above.")

"""The interventions of a sweep's file: every one made before anything is run, and all that is wrong told at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import product
from typing import Any

import torch

from vaslab.errors import UsageError, VaslabError
from vaslab.interventions.ablate import shape_of_means
from vaslab.interventions.settings import whole
from vaslab.interventions.target import check_head_role
from vaslab.models import load_model
from vaslab.prompts.roles import KEY_ROLES, Role
from vaslab.studies.study_config import StudyConfig, StudyRun
from vaslab.studies.sweep_cell import Cell
from vaslab.studies.sweep_regions import PLACES

_BY_SCORE, _BY_ROLE = ("top", "score", "queries", "lowest"), ("role", "queries")
_SCORES = ("vas", *(role.name for role in KEY_ROLES if role is not Role.system_sink))


def read_cells(entries: Any, study: StudyConfig) -> tuple[Cell, ...]:
    """The cells of a file's `interventions`.

    Args:
        entries: as they stand in the file.
        study: the study whose runs are edited; heads can be chosen by the query sets that it measures. Its models are
            looked at only where something is wrong, so that all that is wrong is told.

    Raises:
        UsageError: all that is wrong in them, each with its place.
    """
    if not isinstance(entries, list) or not entries:
        raise UsageError("no interventions; write a list, as interventions: [{name: avar, beta: 0.4}]")
    cells: list[Cell] = []
    wrong: list[str] = []
    for number, entry in enumerate(entries):
        try:
            found = list(_cells(entry, f"interventions[{number}]"))
        except UsageError as error:
            wrong.append(str(error))
            continue
        for cell in found:
            try:
                _check(cell, study.queries)
                cells.append(cell)
            except UsageError as error:
                wrong.append(f"{cell.place}: {error}")
    if wrong and cells:
        try:
            wrong += _misfits(cells, study.runs())
        except UsageError as error:
            wrong.append(str(error))
    refuse(wrong)
    return tuple(cells)


def check_models(cells: Iterable[Cell], runs: Iterable[StudyRun]) -> None:
    """Hold the cells against the models, of which nothing but the configs is read.

    Raises:
        UsageError: every layer, head or dimension that a model has not, each with its place.
    """
    refuse(_misfits(cells, runs))


def _misfits(cells: Iterable[Cell], runs: Iterable[StudyRun]) -> list[str]:
    wrong: list[str] = []
    models = {(run.config.model, run.config.revision): run for run in runs}
    for run in models.values():
        told = run.config
        try:
            vlm = load_model(
                told.model, device_map="meta", revision=told.revision, offline=told.offline, dtype=told.dtype
            )
        except VaslabError:
            continue  # its own run tells why
        for cell in cells:
            try:
                means = {"means": torch.zeros(shape_of_means(vlm.model.config))}
                made = cell.made(**(means if cell.settings.get("mode") == "mean" else {}))
                made.check_fits(vlm.model.config)
                heads = cell.settings.get("heads")
                most = vlm.n_layers * vlm.n_heads
                if isinstance(heads, dict) and heads.get("top", 0) > most:
                    raise UsageError(f"heads asks for the top {heads['top']}; the model has {most} heads")
            except UsageError as error:
                wrong.append(f"{cell.place}: {error} ({run.model})")
    return wrong


def refuse(wrong: Sequence[str]) -> None:
    """Raise UsageError with all that is wrong; where nothing is, go on."""
    told = list(dict.fromkeys(wrong))
    if told:
        many = "" if len(told) == 1 else f"{len(told)} things are wrong: "
        raise UsageError(many + "; ".join(told))


def _cells(entry: Any, place: str) -> Iterator[Cell]:
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise UsageError(f"{place} is {entry!r}; expected a name, or a mapping with a name and settings")
    fixed = {key: value for key, value in entry.items() if key not in ("name", "vary")}
    vary = entry.get("vary", {})
    if not isinstance(vary, dict) or not all(isinstance(values, list) and values for values in vary.values()):
        raise UsageError(f"{place}.vary is {vary!r}; expected lists, as vary: {{beta: [0, 0.4]}}")
    twice = [name for name in vary if name in fixed]
    if twice:
        raise UsageError(f"{place} sets {twice[0]} and varies it; leave one of both out")
    for values in product(*vary.values()):
        settings = {**fixed, **dict(zip(vary, values, strict=True))}
        yield Cell(entry["name"], settings, tuple(vary), place)


def _check(cell: Cell, queries: Sequence[str]) -> None:
    """Raise what the intervention would raise, and what only a sweep asks of its words."""
    heads, regions = cell.settings.get("heads"), cell.settings.get("regions")
    if isinstance(heads, str):
        raise UsageError(f"heads is {heads!r}; expected pairs, {{role: visual}} or {{top: 16, score: image}}")
    if isinstance(heads, dict):
        _check_heads(heads, queries)
    if ("regions" in cell.settings or cell.name == "steer") and regions not in PLACES:
        raise UsageError(
            f"regions is {regions!r}; expected {' or '.join(PLACES)}: boxes differ from item to item"
        )
    if "means" in cell.settings:
        raise UsageError("means cannot be given in a file; mode: mean measures them on the plain model")
    cell.made()


def _check_heads(heads: dict[Any, Any], queries: Sequence[str]) -> None:
    known = _BY_ROLE if "role" in heads else _BY_SCORE
    for key in heads:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(known)}"
            raise UsageError(f"heads has no {key!r}; {hint}")
    if heads.get("queries", queries[0]) not in queries:
        raise UsageError(
            f"queries of heads is {heads['queries']!r}, and the sweep measures {', '.join(queries)}; add it to the "
            "sweep's queries"
        )
    if "role" in heads:
        check_head_role(heads["role"])
        return
    if "top" not in heads:
        raise UsageError(f"heads is {heads!r}; say how many, as heads: {{top: 16, score: image}}")
    if whole("top of heads", heads["top"]) < 1:
        raise UsageError(f"top of heads is {heads['top']}; expected at least 1")
    if heads.get("score", "vas") not in _SCORES:
        raise UsageError(f"score of heads is {heads['score']!r}; expected {', '.join(_SCORES)}")
    if not isinstance(heads.get("lowest", False), bool):
        raise UsageError(f"lowest of heads is {heads['lowest']!r}; expected true or false")

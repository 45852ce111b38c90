"""Many models on many benchmarks: one run folder each, one table of them all; killed at any point, it goes on."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vaslab.errors import UsageError, VaslabError
from vaslab.models import Vlm
from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import about_items, load_for, measure
from vaslab.studies.processes import this_process
from vaslab.studies.run import RunFolder, read_summary
from vaslab.studies.study_config import StudyConfig, StudyRun
from vaslab.studies.table import Cell, write_table
from vaslab.studies.work import MainGoneError, Watcher

STUDY = "study.yaml"


class StudyWatcher(Watcher):
    """Who is told how a study goes."""

    def plan(self, items: int, runs: int) -> None:
        """Hear how many items the study asks, over how many runs."""

    def run(self, name: str, number: int, items: int) -> None:
        """Hear that a run begins: its number from 1, and how many items it has."""

    def ran(self, name: str, error: str) -> None:
        """Hear that a run is complete, or why it is not."""


@dataclass(frozen=True)
class Outcome:
    """What became of one run: its summary, or the error that ended it."""

    run: StudyRun
    summary: dict[str, Any] | None
    error: str = ""


def study(
    config: StudyConfig, *, watch: StudyWatcher | None = None, overwrite: bool = False
) -> list[Outcome]:
    """Measure every run of a study, model by model, and keep the table of those that are done.

    The folder holds study.yaml (the config as resolved), runs/NAME, table.parquet and table.csv. A run that
    fails is named in the table and the others go on; the same call tries it again and leaves finished runs as
    they are. A row of the table whose run is complete stays, whatever becomes of this call. Started as several
    processes, all work on the same runs; the main one writes the table.

    Raises:
        UsageError: a config or data entry that no run can have, or a folder that holds something else, such as a
            run of another config (unless `overwrite`); nothing is written then.
        MissingError: data that is not there.
    """
    watch = watch or StudyWatcher()
    # what is wrong with the data is said before any model is loaded
    plans = [_Plan.of(run) for run in config.runs()]
    if not this_process().main:
        _help([plan.run for plan in plans], watch)
        return []
    folder = Path(config.out)
    if not overwrite:
        _refuse_other_configs(plans)
    _begin(folder, config)
    watch.plan(sum(plan.size for plan in plans), len(plans))
    models, outcomes = _OneModel(), []
    held = [plan.held() for plan in plans]
    for number, plan in enumerate(plans, start=1):
        watch.run(plan.run.name, number, plan.size)
        outcomes.append(_outcome(plan.run, models, watch, overwrite))
        watch.ran(plan.run.name, outcomes[-1].error)
        write_table(folder, _cells(plans, held, outcomes))
    return outcomes


@dataclass(frozen=True)
class _Plan:
    """A run, how many items it has, and what it notes of them."""

    run: StudyRun
    size: int
    asked: dict[str, Any]

    @classmethod
    def of(cls, run: StudyRun) -> _Plan:
        benchmark = run.config.benchmark()
        selection = run.config.selection(benchmark)
        return cls(run, len(selection.items), about_items(benchmark, selection))

    def check(self) -> None:
        """Raise as `RunFolder.check`."""
        RunFolder(self.run.config.out).check(self.run.config.to_dict(), self.asked)

    def held(self) -> dict[str, Any] | None:
        """Return the summary of this very run where the folder holds it complete."""
        try:
            self.check()
            return read_summary(self.run.config.out)
        except VaslabError:
            return None


def _refuse_other_configs(plans: Sequence[_Plan]) -> None:
    """Refuse runs of another config before anything of what is there is written over."""
    found = []
    for plan in plans:
        try:
            plan.check()
        except UsageError as error:
            found.append(str(error))
        except VaslabError:
            # a damaged run is the outcome of that run alone
            continue
    if found:
        raise UsageError(found[0] + (f" ({len(found) - 1} more runs likewise)" if found[1:] else ""))


def _cells(
    plans: Sequence[_Plan], held: Sequence[dict[str, Any] | None], outcomes: Sequence[Outcome]
) -> list[Cell]:
    """Lay out a row for each run that was complete before this call or was tried by it."""
    cells: list[Cell] = [
        (each.run, before if each.summary is None else each.summary, each.error)
        for each, before in zip(outcomes, held, strict=False)
    ]
    rest = zip(plans[len(outcomes) :], held[len(outcomes) :], strict=True)
    return cells + [(plan.run, before, "") for plan, before in rest if before is not None]


class _OneModel:
    """Keeps the model of the last run for the next one, and lets it go before another is loaded."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._vlm: Vlm | None = None

    def load(self, config: MeasureConfig) -> Vlm:
        key = (config.model, config.revision, config.dtype, config.device_map, config.offline)
        if self._vlm is None or key != self._key:
            self._vlm = None
            gc.collect()
            self._vlm, self._key = load_for(config), key
        return self._vlm


def _outcome(run: StudyRun, models: _OneModel, watch: Watcher, overwrite: bool) -> Outcome:
    try:
        path = measure(run.config, watch=watch, overwrite=overwrite, load=models.load)
        return Outcome(run, read_summary(path))
    except VaslabError as error:
        return Outcome(run, None, str(error))


def _help(runs: list[StudyRun], watch: Watcher) -> None:
    """Help with each run that the main process leads; one that fails here is left to the others."""
    models = _OneModel()
    for run in runs:
        try:
            measure(run.config, load=models.load)
        except MainGoneError:
            raise
        except VaslabError as error:
            watch.note(f"process {this_process().rank} cannot help with {run.name}: {error}")


def _begin(folder: Path, config: StudyConfig) -> None:
    """Make the study's folder, or refuse one that holds something else."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; choose another --out")
    if folder.is_dir() and not (folder / STUDY).is_file():
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others and others != ["runs"]:
            raise UsageError(f"{folder} holds other files and is no study; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{STUDY}.part"
    text = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
    part.write_text(text, encoding="utf-8")
    part.replace(folder / STUDY)

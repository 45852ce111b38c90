"""Interventions x strengths x targets x models x benchmarks, paired on items; killed at any point, it goes on."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from vaslab.benchmarks import Item
from vaslab.capture.files import load_capture
from vaslab.errors import UsageError, VaslabError
from vaslab.interventions import head_means, heads_of_role, intervene, top_heads
from vaslab.models import Vlm
from vaslab.studies.measure import load_for, measure
from vaslab.studies.processes import this_process
from vaslab.studies.run import CAPTURE, read_json, write_json
from vaslab.studies.side_effects import Sides, side_effects, text_answers
from vaslab.studies.study import StudyWatcher
from vaslab.studies.study_config import StudyRun
from vaslab.studies.sweep_cell import Cell, beside
from vaslab.studies.sweep_config import SweepConfig
from vaslab.studies.sweep_entries import check_models, refuse
from vaslab.studies.sweep_kinds import kind_rows, write_kinds
from vaslab.studies.sweep_measured import Measured, read_measured
from vaslab.studies.sweep_regions import Place, item_places
from vaslab.studies.sweep_table import against_blank, other_rate, table_row, write_sweep_table
from vaslab.studies.sweep_verdict import BLANK_LABEL
from vaslab.studies.treatment import BLANK, PLAIN, Treatment

SWEEP, SIDES = "sweep.yaml", "sides"
_MEAN_OVER = 64
"""Items whose prompts give the mean outputs of heads that `ablate` with mode mean puts in place."""


@dataclass
class Outcome:
    """What became of a sweep: its table, and why runs of it failed, by name."""

    table: pd.DataFrame
    failed: dict[str, str] = field(default_factory=dict)


def sweep(config: SweepConfig, *, watch: StudyWatcher | None = None) -> Outcome:
    """Measure the plain models and every intervention on the same items, and compare them.

    Every intervention is made, and held against the models and the items, before anything is run. The folder holds
    sweep.yaml (the config as resolved), runs/NAME as `vaslab measure` writes them, sides/NAME.json, table.parquet,
    table.csv and kinds.csv. What is finished is kept: the same call goes on. A run that fails is told and
    the others go on, unless it is a plain one, without which its interventions compare with nothing.

    Raises:
        UsageError: a folder that holds something else or a sweep begun with other settings, or several processes.
        VaslabError, MissingError: data that is not there; every run failed.
    """
    watch = watch or StudyWatcher()
    if this_process().world > 1:
        raise UsageError("a sweep runs in one process; start one a GPU, each with models of its own")
    runs = config.study.runs()
    selections = {run.name: run.config.selection(run.config.benchmark()).items for run in runs}
    _check_places(config, selections)
    check_models(config.cells, runs)
    folder = Path(config.study.out)
    _begin(folder, config)
    each = 1 + int(config.blank) + len(config.cells)
    watch.plan(each * sum(map(len, selections.values())), each * len(runs))
    work = _Work(config, folder, watch)
    for run in runs:
        work.do(run, selections[run.name])
    if not work.rows:
        raise VaslabError(f"no run could be made: {next(iter(work.failed.values()))}")
    write_kinds(folder, work.kinds)
    return Outcome(write_sweep_table(folder, work.rows), work.failed)


def _check_places(config: SweepConfig, selections: Mapping[str, Sequence[Item]]) -> None:
    """Raise UsageError for cells whose boxes the items of a run do not have."""
    wrong = []
    for run in config.study.runs():
        for cell in config.cells:
            if "regions" in cell.settings:
                try:
                    item_places(run.config.benchmark().name, selections[run.name], cell.settings["regions"])
                except UsageError as error:
                    wrong.append(f"{cell.place}: {error}")
    refuse(wrong)


class _Work:
    """The runs of a sweep, one after another, with the model of the last one kept for the next."""

    def __init__(self, config: SweepConfig, folder: Path, watch: StudyWatcher) -> None:
        self.config, self.folder, self.watch = config, folder, watch
        self.rows: list[dict[str, Any]] = []
        self.kinds: list[dict[str, Any]] = []
        self.failed: dict[str, str] = {}
        self.number = 0
        self.held: tuple[tuple[object, ...], Vlm] | None = None

    def do(self, base: StudyRun, items: Sequence[Item]) -> None:
        """Measure the plain run, the blank one and all interventions, and keep their rows."""
        plain = self._measured(base, base, items, lambda _: PLAIN)
        if plain is None:
            return
        blank = None
        self._keep(base, items, table_row(base, "none", plain), plain, None)
        if self.config.blank:
            blank = self._measured(base, beside(base, "blank"), items, lambda _: BLANK)
            if blank is not None:
                self._keep(base, items, table_row(base, BLANK_LABEL, blank, plain), blank, None)
        for cell in self.config.cells:
            self._do_cell(base, cell, items, plain, blank)

    def _do_cell(
        self, base: StudyRun, cell: Cell, items: Sequence[Item], plain: Measured, blank: Measured | None
    ) -> None:
        where = cell.settings.get("regions")
        places = {} if where is None else item_places(base.config.benchmark().name, items, where)
        found = self._measured(
            base, cell.run(base), items, lambda vlm: _treatment(vlm, base, cell, items, places)
        )
        if found is None:
            return
        row = table_row(base, cell, found, plain)
        if blank is not None:
            row |= against_blank(found, blank)
        if where == "other":
            row |= other_rate(base, plain, found, items, places)
        self._keep(base, items, row, found, blank)

    def _keep(
        self,
        base: StudyRun,
        items: Sequence[Item],
        row: dict[str, Any],
        found: Measured,
        blank: Measured | None,
    ) -> None:
        self.rows.append(row)
        self.kinds += kind_rows(base, str(row["label"]), items, found, blank)
        write_sweep_table(self.folder, self.rows)

    def _measured(
        self, base: StudyRun, run: StudyRun, items: Sequence[Item], treated: Callable[[Vlm], Treatment]
    ) -> Measured | None:
        self.number += 1
        self.watch.run(run.name, self.number, len(items))
        try:
            vlm = self._load(base)
            asked = items[: self.config.side_items]
            texts = self._texts(vlm, base, asked)
            treatment = treated(vlm)
            measure(run.config, watch=self.watch, load=lambda _: vlm, treatment=treatment)
            found = read_measured(run, self._sides(vlm, run, asked, texts, treatment))
        except VaslabError as error:
            self.failed[run.name] = advised(str(error), self.folder, run.config.out)
            self.watch.ran(run.name, self.failed[run.name])
            return None
        self.watch.ran(run.name, "")
        return found

    def _load(self, run: StudyRun) -> Vlm:
        config = run.config
        key = (config.model, config.revision, config.dtype, config.device_map, config.offline)
        if self.held is None or self.held[0] != key:
            self.held = None
            gc.collect()
            self.held = key, load_for(config)
        return self.held[1]

    def _texts(self, vlm: Vlm, base: StudyRun, items: Sequence[Item]) -> list[list[int]]:
        path = self.folder / SIDES / f"{base.name}.texts.json"
        if items and not path.is_file():
            write_json(path, text_answers(vlm, items, base.config.batch_size))
        return read_json(path) if items else []

    def _sides(
        self, vlm: Vlm, run: StudyRun, items: Sequence[Item], texts: list[list[int]], treatment: Treatment
    ) -> Sides | None:
        if not items:
            return None
        path = self.folder / SIDES / f"{run.name}.json"
        if not path.is_file() or "obeyed" not in read_json(path):
            found = side_effects(vlm, items, texts, run.config.batch_size, treatment)
            write_json(path, found.to_dict())
        return Sides(**read_json(path))


def _treatment(
    vlm: Vlm, base: StudyRun, cell: Cell, items: Sequence[Item], places: Mapping[str, Place]
) -> Treatment:
    """The intervention of a cell; heads that are to be measured are read off the plain run."""
    measured: dict[str, Any] = {}
    heads = cell.settings.get("heads")
    if isinstance(heads, dict):
        options = {"queries": base.config.queries[0], **heads}
        capture = load_capture(Path(base.config.out) / CAPTURE)
        if "role" in options:
            measured["heads"] = heads_of_role(capture, **options)
        else:
            measured["heads"] = top_heads(capture, options.pop("top"), **options)
    if cell.settings.get("mode") == "mean":
        measured["means"] = head_means(vlm, [item.prompt() for item in items[:_MEAN_OVER] if not item.broken])
    told = {"name": cell.name, **cell.made(**measured).to_dict()}
    if not places:
        made = cell.made(**measured)
        return Treatment(told, lambda _: intervene(vlm, made))

    def around(ids: Sequence[str]) -> AbstractContextManager[Any]:
        regions = [places[name].region if name in places else None for name in ids]
        # without pictures there is no region either
        return intervene(vlm, cell.made(**measured, regions=regions)) if ids else nullcontext()

    return Treatment({**told, "regions": cell.settings["regions"]}, around)


def advised(told: str, folder: Path, run: str) -> str:
    """What a run says of its failure, with what can be done about it in a sweep, which measures nothing anew by itself.

    Args:
        told: the error of `vaslab measure`.
        folder: of the sweep.
        run: the run's own folder.
    """
    again = "and give the same command again"
    for theirs, ours in (
        # a run of other settings: what was asked beside it was asked under those, too
        ("replace it with --overwrite", f"delete {folder} {again}"),
        (r"begin (the run )?again with --overwrite", f"delete {run} {again}"),
        (
            r"begin again with a smaller --batch-size and --overwrite, or with --dtype bfloat16 or --device-map auto",
            "set a smaller batch_size, dtype: bfloat16 or device_map: auto in the sweep's file, and choose another "
            "--out",
        ),
    ):
        told = re.sub(theirs, ours.replace("\\", r"\\"), told)
    return told


def _begin(folder: Path, config: SweepConfig) -> None:
    """Make the sweep's folder, or refuse one that holds something else."""
    path = folder / SWEEP
    text = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; choose another --out")
    if folder.is_dir() and any(folder.iterdir()) and not path.is_file():
        raise UsageError(f"{folder} holds other files and is no sweep; choose another --out")
    (folder / SIDES).mkdir(parents=True, exist_ok=True)
    if path.is_file():
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
        if before.get("side_items") != config.side_items:
            raise UsageError(
                f"{folder} holds a sweep with side_items {before.get('side_items')}, not {config.side_items}; "
                "choose another --out"
            )
    part = folder / f".{SWEEP}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(path)

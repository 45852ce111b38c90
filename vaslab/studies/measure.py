"""Measure one model on one set of items: VAS and accuracy from one pass, into a run folder that survives kills."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
import xarray as xr

from vaslab.benchmarks import Benchmark, Item, Selection
from vaslab.capture.load import load
from vaslab.capture.proof import prove
from vaslab.capture.sampling import decoding_words
from vaslab.errors import UsageError, VaslabError
from vaslab.models import Vlm
from vaslab.studies.asking import Ask, asker
from vaslab.studies.config import MeasureConfig
from vaslab.studies.ledger import Ledger
from vaslab.studies.processes import Process, this_process
from vaslab.studies.provenance import fixed_environment, session
from vaslab.studies.run import SUMMARY, RunFolder, write_json
from vaslab.studies.summary import summarise
from vaslab.studies.threads import fit_threads
from vaslab.studies.treatment import PLAIN, Treatment
from vaslab.studies.work import Watcher, help_out, lead, opened

Loader: TypeAlias = Callable[[MeasureConfig], Vlm]


@dataclass(frozen=True)
class _Run:
    """What one call of `measure` works on."""

    config: MeasureConfig
    benchmark: Benchmark
    selection: Selection
    resolved: dict[str, Any]
    folder: RunFolder
    treatment: Treatment

    @property
    def parts(self) -> list[list[Item]]:
        """The batches: fixed by the item list, whatever was killed before and however many processes there are."""
        items, size = list(self.selection.items), self.config.batch_size
        return [items[start : start + size] for start in range(0, len(items), size)]

    @property
    def ids(self) -> list[list[str]]:
        """Item ids of each batch."""
        return [[item.id for item in part] for part in self.parts]

    def check(self, vlm: Vlm | None = None) -> None:
        """Raise UsageError where the folder holds another run, or this one begun under other conditions."""
        self.folder.check(self.config.to_dict(), self.resolved)
        if vlm is not None:
            self.folder.check_environment(fixed_environment(vlm))


def measure(
    config: MeasureConfig,
    *,
    watch: Watcher | None = None,
    overwrite: bool = False,
    load: Loader | None = None,
    treatment: Treatment = PLAIN,
) -> Path:
    """Ask every item, measure it, grade it; return the run folder.

    Killed at any point, the same call goes on from there and ends with the same bits. A finished run is
    returned as it is. What fails before the first batch is kept leaves no folder behind; with `overwrite`, the
    run that was there is deleted once the first batch of the new one is kept, and is back where none was.

    Several processes that a launcher started (`accelerate launch`, torchrun) work on the same run, each on
    whole batches, and the bits are those of one. The main process returns when the run is complete, another
    one when no batch is left for it.

    Args:
        config: what is measured.
        watch: is told how the run goes.
        overwrite: replace the run that is there.
        load: returns the model of a config, loaded and proved; a study keeps one for several runs.
        treatment: what is done to the model or the items. The run notes it, and goes on under the same one only.

    Raises:
        UsageError: a wrong config, a folder that holds another run (unless `overwrite`), or one that another
            process is writing into.
        MissingError, VaslabError: a model, data or picture that is not there or cannot be read; no item that
            could be measured.
    """
    watch = watch or Watcher()
    process = this_process()
    if overwrite and process.world > 1:
        raise UsageError(
            f"--overwrite with {process.world} processes: one would delete what another has begun; delete "
            f"{config.out} first, or start one process"
        )
    benchmark = config.benchmark()
    selection = treatment.selection(config.selection(benchmark))
    if all(item.broken for item in selection.items):
        raise VaslabError(
            f"none of the {len(selection.items)} items can be asked: {selection.items[0].broken}; correct the data"
        )
    about = about_items(benchmark, selection, treatment)
    run = _Run(config, benchmark, selection, about, RunFolder(config.out), treatment)
    if not process.main:
        _help(run, process, load or load_for)
        return run.folder.path
    with _failure_told(run.folder, process):
        _lead(run, process, load or load_for, watch, overwrite)
    return run.folder.path


def about_items(benchmark: Benchmark, selection: Selection, treatment: Treatment = PLAIN) -> dict[str, Any]:
    """Return what a run notes of its items, their rule and their treatment, so that no others are joined to them."""
    return {
        "items": selection.words,
        "n_items": len(selection.items),
        "items_digest": selection.digest,
        "grading": benchmark.rule,
        "intervention": treatment.told,
    }


def _lead(run: _Run, process: Process, load: Loader, watch: Watcher, overwrite: bool) -> None:
    """Bring a run to its end, unless it is there."""
    folder = run.folder
    folder.recover()
    _check_out(folder, overwrite)
    if not overwrite:
        run.check()
        if folder.finished:
            folder.drop_shards()
            watch.note(f"{folder.path} is complete; nothing to do")
            return
    with folder.replacing() if overwrite else nullcontext():
        _measure(run, process, load, watch, overwrite)


def _help(run: _Run, process: Process, load: Loader) -> None:
    """Take batches of the run that the main process leads."""
    run.check()
    if run.folder.finished:
        return
    vlm = load(run.config)
    run.resolved["model_revision"] = vlm.revision

    def open_ledger() -> Ledger:
        run.check(vlm)
        return Ledger(run.folder.path, run.ids, process.rank)

    help_out(run.folder, open_ledger, run.parts, asker(vlm, run.benchmark, run.config, run.treatment))


def _measure(run: _Run, process: Process, load: Loader, watch: Watcher, overwrite: bool) -> None:
    """Load the model, begin the folder or go on in it, and fill it."""
    config, folder = run.config, run.folder
    torch.manual_seed(config.seed)
    vlm = load(config)
    run.resolved["model_revision"] = vlm.revision
    if not overwrite:
        run.check(vlm)
    now = {**session(), "processes": process.world}
    if overwrite or not folder.started:
        environment = {
            "fixed": fixed_environment(vlm),
            "seed": config.seed,
            "parameters": sum(each.numel() for each in vlm.model.parameters()),
            "sessions": [now],
        }
        proof = None if vlm.proof is None else vlm.proof.to_dict()
        folder.create(config.to_dict(), run.resolved, environment, proof, overwrite)
    else:
        folder.add_session(now)
    with folder.locked(), _named_in_errors(folder):
        _fill(run, vlm, asker(vlm, run.benchmark, config, run.treatment), watch)


def _fill(run: _Run, vlm: Vlm, ask: Ask, watch: Watcher) -> None:
    """Ask what is not done yet, then join and summarise."""
    folder, config = run.folder, run.config
    about = {
        "model": config.model,
        "revision": vlm.revision,
        "dtype": str(vlm.dtype).removeprefix("torch."),
        "data": run.benchmark.name,
        "items": run.selection.words,
        "seed": config.seed,
        "system": config.system,
        "decoding": decoding_words(config.sampling(())),
        "grading": run.benchmark.rule,
    }
    if run.treatment.told is not None:
        about["intervention"] = run.treatment.told
    ledger = Ledger(folder.path, run.ids)
    for note in ledger.notes:
        watch.note(note)

    def kept(shard: xr.Dataset | None) -> None:
        if shard is not None:
            folder.drop_replaced()

    with opened(folder) as claims:
        started = time.monotonic()
        try:
            watch.start(len(run.selection.items), len(ledger.rows))
            lead(claims, ledger, run.parts, ask, watch, kept)
            seconds = time.monotonic() - started
            noted = {name: about[name] for name in ("seed", "data", "items", "decoding")}
            capture = ledger.close(noted | _treated(run.treatment))
        finally:
            ledger.refresh()
            # Nothing measured: nothing to go on from, and no trace is left.
            if all(row["error"] for row in ledger.rows):
                folder.remove()
        if ledger.asked:
            asked = {str(rank): n for rank, n in sorted(ledger.asked.items())}
            folder.end_session({"seconds": round(seconds, 3), "items": asked})
        summary = summarise(run.benchmark, run.selection.items, ledger.rows, capture, about, config.seed)
        write_json(folder.path / SUMMARY, summary)
    folder.drop_shards()


def _treated(treatment: Treatment) -> dict[str, str]:
    """The treatment as an attribute of the capture."""
    return {} if treatment.told is None else {"intervention": json.dumps(treatment.told)}


@contextmanager
def _failure_told(folder: RunFolder, process: Process) -> Iterator[None]:
    """Tell the processes that wait to help when there will be nothing to help with."""
    if process.world == 1:
        yield
        return
    folder.failure.unlink(missing_ok=True)
    try:
        yield
    except VaslabError as error:
        folder.failure.parent.mkdir(parents=True, exist_ok=True)
        folder.failure.write_text(f"{error}\n", encoding="utf-8")
        raise


@contextmanager
def _named_in_errors(folder: RunFolder) -> Iterator[None]:
    """Let an error of the system that names no file, as that of a full disk, name the run."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(folder.path)
        raise


def _check_out(folder: RunFolder, overwrite: bool) -> None:
    """Refuse to overwrite anything that is no run."""
    path = folder.path
    foreign = path.exists() and not folder.started
    if overwrite and foreign and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{folder.path} is no run and is not overwritten; choose another --out")


def load_for(config: MeasureConfig) -> Vlm:
    """Load the model of a config onto this process's device, and prove it with the threads that it will use.

    Raises as `vaslab.load`.
    """
    vlm = load(
        config.model,
        dtype=config.dtype,
        device_map=this_process().device_map(config.device_map),
        revision=config.revision,
        offline=config.offline,
        prove=False,
    )
    fit_threads(vlm)
    vlm.proof = prove(vlm)
    vlm.proof.require()
    return vlm

"""Measure one model on one set of items: VAS and accuracy from one pass, into a run folder that survives kills."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from vaslab.benchmarks import Benchmark, Item, Selection
from vaslab.capture.load import load
from vaslab.capture.proof import prove
from vaslab.errors import UsageError, VaslabError
from vaslab.models import Vlm
from vaslab.studies.asking import Ask, asker
from vaslab.studies.config import MeasureConfig
from vaslab.studies.ledger import Ledger
from vaslab.studies.provenance import fixed_environment, session
from vaslab.studies.run import SUMMARY, RunFolder, write_json
from vaslab.studies.summary import summarise
from vaslab.studies.threads import fit_threads


class Watcher:
    """Who is told how a run goes; this one tells nobody, the command line draws a bar."""

    def note(self, text: str) -> None:
        """Hear of something out of the ordinary, in one line."""

    def start(self, total: int, done: int) -> None:
        """Hear that items are asked from here on: how many there are, and how many were done before."""

    def advance(self, items: int) -> None:
        """Hear that a batch of so many items is kept."""


def measure(config: MeasureConfig, *, watch: Watcher | None = None, overwrite: bool = False) -> Path:
    """Ask every item, measure it, grade it; return the run folder.

    Killed at any point, the same call goes on from there and ends with the same bits. A finished run is
    returned as it is. What fails before the first batch is kept leaves no folder behind; with `overwrite`, the
    run that was there is deleted once the first batch of the new one is kept, and is back where none was.

    Raises:
        UsageError: a wrong config, a folder that holds another run (unless `overwrite`), or one that another
            process is writing into.
        MissingError, VaslabError: a model, data or picture that is not there or cannot be read; no item that
            could be measured.
    """
    watch = watch or Watcher()
    benchmark = config.benchmark()
    selection = benchmark.select(config.limit, config.seed)
    if all(item.broken for item in selection.items):
        raise VaslabError(
            f"none of the {len(selection.items)} items can be asked: {selection.items[0].broken}; correct the data"
        )
    folder = RunFolder(config.out)
    resolved: dict[str, Any] = {
        "items": selection.words,
        "n_items": len(selection.items),
        "items_digest": selection.digest,
        "grading": benchmark.rule,
    }
    folder.recover()
    _check_out(folder, overwrite)
    if not overwrite:
        folder.check(config.to_dict(), resolved)
        if folder.finished:
            folder.drop_shards()
            watch.note(f"{folder.path} is complete; nothing to do")
            return folder.path
    with folder.replacing() if overwrite else nullcontext():
        _measure(config, benchmark, selection, resolved, folder, watch, overwrite)
    return folder.path


def _measure(
    config: MeasureConfig,
    benchmark: Benchmark,
    selection: Selection,
    resolved: dict[str, Any],
    folder: RunFolder,
    watch: Watcher,
    overwrite: bool,
) -> None:
    """Load the model, begin the folder or go on in it, and fill it."""
    torch.manual_seed(config.seed)
    vlm = _loaded(config)
    resolved["model_revision"] = vlm.revision
    fixed = fixed_environment(vlm.device.type, str(vlm.dtype).removeprefix("torch."))
    if not overwrite:
        folder.check(config.to_dict(), resolved)
        folder.check_environment(fixed)
    if overwrite or not folder.started:
        environment = {"fixed": fixed, "seed": config.seed, "sessions": [session()]}
        proof = None if vlm.proof is None else vlm.proof.to_dict()
        folder.create(config.to_dict(), resolved, environment, proof, overwrite)
    else:
        folder.add_session(session())
    about = {
        "model": config.model,
        "revision": vlm.revision,
        "data": benchmark.name,
        "items": selection.words,
        "decoding": "greedy",
        "grading": benchmark.rule,
    }
    ask = asker(vlm, benchmark, config.queries, config.max_new_tokens)
    with folder.locked():
        _fill(folder, batches(selection, config.batch_size), ask, about, config.seed, watch)


def batches(selection: Selection, size: int) -> list[list[Item]]:
    """Cut the items into batches: fixed by the item list, whatever was killed before."""
    items = list(selection.items)
    return [items[start : start + size] for start in range(0, len(items), size)]


def _fill(
    folder: RunFolder,
    parts: Sequence[Sequence[Item]],
    ask: Ask,
    about: dict[str, Any],
    seed: int,
    watch: Watcher,
) -> None:
    """Ask what is not done yet, then join and summarise."""
    ledger = Ledger(folder.path, [[item.id for item in part] for part in parts])
    for note in ledger.notes:
        watch.note(note)
    try:
        watch.start(sum(map(len, parts)), len(ledger.rows))
        for number in ledger.pending:
            rows, shard = ask(parts[number])
            ledger.commit(number, rows, shard)
            if shard is not None:
                folder.drop_replaced()
            watch.advance(len(parts[number]))
        named = {name: about[name] for name in ("data", "items", "decoding")}
        capture = ledger.close({"seed": seed, **named})
    finally:
        # Nothing measured: nothing to go on from, and no trace is left.
        if all(row["error"] for row in ledger.rows):
            folder.remove()
    write_json(folder.path / SUMMARY, summarise(ledger.rows, capture, about, seed))
    folder.drop_shards()


def _check_out(folder: RunFolder, overwrite: bool) -> None:
    """Refuse to overwrite anything that is no run."""
    path = folder.path
    foreign = path.exists() and not folder.started
    if overwrite and foreign and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{folder.path} is no run and is not overwritten; choose another --out")


def _loaded(config: MeasureConfig) -> Vlm:
    """Load, and prove with the threads that the measurement will use."""
    vlm = load(
        config.model,
        dtype=config.dtype,
        device_map=config.device_map,
        revision=config.revision,
        offline=config.offline,
        prove=False,
    )
    fit_threads(vlm)
    vlm.proof = prove(vlm)
    vlm.proof.require()
    return vlm

"""What a run will cost: items, batches, bytes, tokens, and seconds where a rate was measured."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from vaslab.benchmarks import Item
from vaslab.errors import VaslabError
from vaslab.models import Vlm, load_model
from vaslab.prompts.encode import encode
from vaslab.prompts.roles import KEY_ROLES
from vaslab.studies.asking import asker
from vaslab.studies.config import MeasureConfig
from vaslab.studies.rows import read_rows
from vaslab.studies.run import ITEMS, SHARDS, RunFolder

SAMPLE = 8
"""Items whose prompts are encoded to tell how long they are."""


def cost(config: MeasureConfig, vlm: Vlm, rate: tuple[float, str] | None = None) -> dict[str, Any]:
    """Return what a run will cost; nothing is written.

    Args:
        config: the run.
        vlm: its model, for its shape and its processor; one from `shape_of` will do.
        rate: seconds an item and what they rest on, from `measured_rate` or `timed_rate`.

    Returns:
        Ready for JSON. `seconds` is for what is left, None where no rate is known; `seconds_from` says what it
        rests on. `prompt_tokens` is the mean over `prompt_tokens_items` items, pictures included.
    """
    selection = config.selection(config.benchmark())
    items, size = list(selection.items), config.batch_size
    done = _done(config, items)
    per_head = len(config.queries) * (len(KEY_ROLES) + 3)
    lengths = _prompt_lengths(vlm, [item for item in items if not item.broken])
    mean = sum(lengths) / len(lengths) if lengths else None
    left = len(items) - done
    return {
        "model": config.model,
        "items": selection.words,
        "n_items": len(items),
        "n_broken": sum(bool(item.broken) for item in items),
        "n_done": done,
        "n_batches": -(-len(items) // size),
        "layers": vlm.n_layers,
        "heads": vlm.n_heads,
        "capture_bytes": 4 * len(items) * vlm.n_layers * vlm.n_heads * per_head,
        "prompt_tokens": mean,
        "prompt_tokens_items": len(lengths),
        "prompt_tokens_all": None if mean is None else round(mean * len(items)),
        "answer_tokens_at_most": config.max_new_tokens * len(items),
        "seconds": 0.0 if not left else None if rate is None else rate[0] * left,
        "seconds_from": "the run is complete" if not left else None if rate is None else rate[1],
        "out": config.out,
    }


def shape_of(config: MeasureConfig) -> Vlm:
    """Return the config's model without its weights: they take no memory on the meta device."""
    return load_model(config.model, device_map="meta", revision=config.revision, offline=config.offline)


def _done(config: MeasureConfig, items: list[Item]) -> int:
    """How many items an earlier call has left behind."""
    folder = RunFolder(config.out)
    if folder.finished:
        return len(items)
    ids = {item.id for item in items}
    files = [folder.path / ITEMS, *sorted((folder.path / SHARDS).glob("rows-*.jsonl"))]
    return len({row["id"] for path in files for row in read_rows(path, ids)[0]})


def _prompt_lengths(vlm: Vlm, items: list[Item]) -> list[int]:
    """Tokens of the prompts of some items, spread over all; those that cannot be encoded are left out."""
    found = []
    step = max(len(items) // SAMPLE, 1)
    for item in items[::step][:SAMPLE]:
        try:
            found.append(encode(vlm.processor, [item.prompt()]).roles.shape[1])
        except (VaslabError, OSError):
            continue
    return found


def measured_rate(path: Path | str, batch_size: int) -> tuple[float, str] | None:
    """Return the seconds an item took in a run, and what that rests on; None where the run has left none.

    A complete run has noted its time; in one that goes on, the times of its shards tell it.
    """
    folder = RunFolder(path)
    if folder.finished:
        told = [each for each in folder.sessions if each.get("seconds")]
        items = sum(sum(each["items"].values()) for each in told)
        return (sum(each["seconds"] for each in told) / items, f"{items} items of {path}") if items else None
    times = sorted(shard.stat().st_mtime for shard in (folder.path / SHARDS).glob("*.npz"))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return (median(gaps) / batch_size, f"the median of {len(gaps)} batches of {path}") if gaps else None


def timed_rate(config: MeasureConfig, vlm: Vlm) -> tuple[float, str]:
    """Ask one batch and return the seconds an item took, and what that rests on. Nothing is kept."""
    benchmark = config.benchmark()
    items, size = list(config.selection(benchmark).items), config.batch_size
    ask = asker(vlm, benchmark, config)
    # the first batch of a process is slower than all others
    ask(items[:size])
    part = items[size : 2 * size] or items[:size]
    started = time.perf_counter()
    ask(part)
    spent = time.perf_counter() - started
    return spent / len(part), f"one batch of {len(part)} items, {spent:.2f} s"

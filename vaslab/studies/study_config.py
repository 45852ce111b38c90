"""What a study is told: models x data x seeds x system prompts, in one frozen dataclass read from YAML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vaslab.errors import UsageError
from vaslab.studies.config import MeasureConfig


@dataclass(frozen=True)
class ModelEntry:
    """One model of a study: `name` as in `vaslab measure --model`, and what is its own.

    Args:
        name: `organism:NAME`, a folder, or a hub id.
        label: how tables and folders call it; by default its name.
        revision, dtype, device_map: as in MeasureConfig; None takes the study's.
    """

    name: str
    label: str = ""
    revision: str | None = None
    dtype: str | None = None
    device_map: str | None = None


@dataclass(frozen=True)
class DataEntry:
    """One benchmark of a study: `name` as in `vaslab measure --data`.

    `label` is by default the name without the path it is read from; None takes the study's value.
    """

    name: str
    label: str = ""
    limit: int | None = None
    batch_size: int | None = None
    max_new_tokens: int | None = None


@dataclass(frozen=True)
class SystemEntry:
    """One system prompt of a study. `text` None leaves it to the item or the template, "" is an empty one."""

    label: str
    text: str | None = None


@dataclass(frozen=True)
class StudyRun:
    """One cell of a study: what its row is called, and what `measure` is told."""

    model: str
    data: str
    system: str
    seed: int
    config: MeasureConfig

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return Path(self.config.out).name


@dataclass(frozen=True)
class StudyConfig:
    """Models x data x system prompts x seeds, one run folder each.

    Args:
        models, data, systems, seeds: the four lists; every combination is one run.
        out: the study folder.
        limit, queries, batch_size, max_new_tokens, temperature, top_p, top_k, dtype, device_map, offline: as in
            MeasureConfig, for every run whose entry says nothing else.

    Raises UsageError for an empty list, two entries of one label, seeds that would make equal runs, and what
    MeasureConfig refuses.
    """

    models: tuple[ModelEntry, ...]
    data: tuple[DataEntry, ...]
    out: str
    systems: tuple[SystemEntry, ...] = (SystemEntry("default"),)
    seeds: tuple[int, ...] = (0,)
    limit: int | None = None
    queries: tuple[str, ...] = ("user",)
    batch_size: int = MeasureConfig.batch_size
    max_new_tokens: int = MeasureConfig.max_new_tokens
    temperature: int | float = MeasureConfig.temperature
    top_p: int | float = MeasureConfig.top_p
    top_k: int = MeasureConfig.top_k
    dtype: str = MeasureConfig.dtype
    device_map: str | None = None
    offline: bool | None = None

    def __post_init__(self) -> None:
        for name in ("models", "data", "systems", "seeds"):
            if not getattr(self, name):
                raise UsageError(f"{name} is empty; name at least one")
        _check_labels("models", [_label(model) for model in self.models])
        _check_labels("data", [_label(each) for each in self.data])
        _check_labels("systems", [each.label for each in self.systems])
        _check_labels("seeds", list(map(str, self.seeds)))
        whole = all(self._limit(each) is None for each in self.data)
        if len(self.seeds) > 1 and self.temperature == 0 and whole:
            raise UsageError(
                f"seeds are {', '.join(map(str, self.seeds))}, but greedy answers to all items are the same for each; "
                "add temperature or limit, or keep one seed"
            )
        names = Counter(run.name for run in self.runs())
        shared = [name for name, count in names.items() if count > 1]
        if shared:
            raise UsageError(f"two runs would share the folder {shared[0]}; give their entries other labels")

    def runs(self) -> list[StudyRun]:
        """Return the runs, model by model, so that each is loaded once."""
        return [
            self._run(model, data, system, seed)
            for model in self.models
            for data in self.data
            for system in self.systems
            for seed in self.seeds
        ]

    def with_limit(self, limit: int) -> StudyConfig:
        """Return the same study with one limit for all data, in place of what their entries say."""
        return replace(self, limit=limit, data=tuple(replace(each, limit=None) for each in self.data))

    def to_dict(self) -> dict[str, Any]:
        """Every field, as YAML writes it; `read_study` reads it back."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    def _limit(self, data: DataEntry) -> int | None:
        return self.limit if data.limit is None else data.limit

    def _run(self, model: ModelEntry, data: DataEntry, system: SystemEntry, seed: int) -> StudyRun:
        label, of = _label(model), _label(data)
        parts = [label, of]
        parts += [system.label] if len(self.systems) > 1 else []
        parts += [f"seed{seed}"] if len(self.seeds) > 1 else []
        config = MeasureConfig(
            model=model.name,
            out=str(Path(self.out) / "runs" / "-".join(map(_file_name, parts))),
            data=data.name,
            system=system.text,
            limit=self._limit(data),
            queries=self.queries,
            batch_size=data.batch_size or self.batch_size,
            max_new_tokens=data.max_new_tokens or self.max_new_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            seed=seed,
            dtype=model.dtype or self.dtype,
            device_map=model.device_map or self.device_map,
            revision=model.revision,
            offline=self.offline,
        )
        return StudyRun(label, of, system.label, seed, config)


def _label(entry: ModelEntry | DataEntry) -> str:
    """Return the label of an entry; data without one goes without the path it is read from."""
    if entry.label or isinstance(entry, ModelEntry):
        return entry.label or entry.name
    name, path, _ = entry.name.partition(":")
    return name if path or not name.endswith((".json", ".jsonl")) else Path(name).stem


def _file_name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", label).strip("-.") or "run"


def _check_labels(what: str, labels: Sequence[str]) -> None:
    """Refuse two entries whose runs would share a folder."""
    counts = Counter(_file_name(label) for label in labels)
    twice = [label for label in labels if counts[_file_name(label)] > 1]
    if twice:
        fix = "give each a label of its own" if what != "seeds" else "name each once"
        raise UsageError(f"{what} name {', '.join(map(repr, dict.fromkeys(twice)))} twice; {fix}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if each not in (None, "") or key == "text"}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value

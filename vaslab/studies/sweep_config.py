"""What a sweep is told: interventions x strengths x targets, over the models and data of a study."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import torch

from vaslab.errors import UsageError
from vaslab.interventions import INTERVENTIONS, Region, make_intervention
from vaslab.interventions.target import check_head_role
from vaslab.studies.study_config import StudyConfig, StudyRun
from vaslab.studies.study_file import read_mapping, study_of
from vaslab.studies.sweep_regions import PLACES

_BY_SCORE, _BY_ROLE = ("top", "score", "queries", "lowest"), ("role", "queries")


@dataclass(frozen=True)
class Cell:
    """One intervention with its settings.

    Args:
        name: as `vaslab ls interventions` lists it.
        settings: everything that was set, also what does not vary.
        varied: names of the settings that the sweep varies.
    """

    name: str
    settings: Mapping[str, Any]
    varied: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name, with what was set."""
        return self._told(self.settings)

    @property
    def axis(self) -> str:
        """The setting that figures put on their axis: the number that varies, or the one that says how strong."""
        own = INTERVENTIONS[self.name].strength
        numbers = [name for name in self.varied if isinstance(self.settings[name], int | float)]
        return own if own in numbers or not numbers else numbers[0]

    @property
    def strength(self) -> int | float:
        """Value of that setting, the default one where it was not set."""
        entry = INTERVENTIONS[self.name]
        defaults = {each.name: each.default for each in fields(entry.kind)}
        value: int | float = {**defaults, **entry.settings, **self.settings}[self.axis]
        return value

    @property
    def line(self) -> str:
        """The label without the strength: cells of one line differ in nothing else."""
        return self._told({key: value for key, value in self.settings.items() if key != self.axis})

    def _told(self, settings: Mapping[str, Any]) -> str:
        return " ".join([self.name, *(f"{key}={_word(value)}" for key, value in settings.items())])

    def run(self, base: StudyRun) -> StudyRun:
        """The run of this cell beside that of the plain model, in a folder of its own name.

        The digest is of every setting as it was given: "1-3" and [1, 3] are other layers and one word.
        """
        told = json.dumps([self.name, dict(self.settings)], sort_keys=True)
        words = re.sub(r"[^A-Za-z0-9._=-]+", "-", self.label).strip("-.")[:50].rstrip("-.")
        slug = f"{words}-{sha256(told.encode()).hexdigest()[:8]}"
        return replace(base, config=replace(base.config, out=f"{base.config.out}-{slug}"))


@dataclass(frozen=True)
class SweepConfig:
    """A study whose every run is also made under each of some interventions.

    Args:
        study: models, data and how they are measured; its runs are those of the plain models.
        cells: the interventions.
        side_items: how many items side effects are asked on; 0 leaves them out.
    """

    study: StudyConfig
    cells: tuple[Cell, ...]
    side_items: int = 40

    def __post_init__(self) -> None:
        labels = [cell.label for cell in self.cells]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise UsageError(f"interventions name {twice[0]!r} twice; name each once")
        if self.study.temperature:
            raise UsageError("a sweep compares greedy answers, item by item; leave temperature out")

    def to_dict(self) -> dict[str, Any]:
        """Every field, as YAML writes it."""
        cells = [{"name": cell.name, **cell.settings} for cell in self.cells]
        return {**self.study.to_dict(), "interventions": cells, "side_items": self.side_items}


def read_sweep(path: Path, **flags: Any) -> SweepConfig:
    """Read a sweep from a YAML file: the keys of a study, `interventions` and `side_items`.

    Each intervention has a name and settings; `vary` maps a setting to the list of its values, and every
    combination is a cell. `heads: {top: 16, score: image}` takes the heads that score highest in the plain run,
    `heads: {role: visual}` those of a role; `regions: answer` and `regions: other` are boxes of each item.

    Raises:
        MissingError: there is no file.
        UsageError: anything that is wrong in it.
    """
    loaded = read_mapping(path)
    given = {key: value for key, value in loaded.items() if key not in ("interventions", "side_items")}
    study = study_of(given, path, **flags)
    try:
        entries = loaded.get("interventions")
        if not isinstance(entries, list) or not entries:
            raise UsageError("no interventions; write a list, as interventions: [{name: avar, beta: 0.4}]")
        cells = [cell for number, entry in enumerate(entries) for cell in _cells(entry, number)]
        side_items = loaded.get("side_items", SweepConfig.side_items)
        if isinstance(side_items, bool) or not isinstance(side_items, int) or side_items < 0:
            raise UsageError(f"side_items is {side_items!r}; expected a whole number, 0 for none")
        return SweepConfig(study, tuple(cells), side_items)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _cells(entry: Any, number: int) -> Iterator[Cell]:
    where = f"interventions[{number}]"
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise UsageError(f"{where} is {entry!r}; expected a name, or a mapping with a name and settings")
    fixed = {key: value for key, value in entry.items() if key not in ("name", "vary")}
    vary = entry.get("vary", {})
    if not isinstance(vary, dict) or not all(isinstance(values, list) and values for values in vary.values()):
        raise UsageError(f"{where}.vary is {vary!r}; expected lists, as vary: {{beta: [0, 0.4]}}")
    for values in product(*vary.values()):
        settings = {**fixed, **dict(zip(vary, values, strict=True))}
        cell = Cell(entry["name"], settings, tuple(vary))
        _check(cell, where)
        yield cell


def _check(cell: Cell, where: str) -> None:
    """Raise what the intervention would raise, before any model is loaded."""
    settings = dict(cell.settings)
    heads, regions = settings.get("heads"), settings.get("regions")
    if isinstance(heads, dict):
        _check_heads(heads, f"{where}.heads")
        settings["heads"] = [(0, 0)]
    if regions is not None or cell.name == "steer":
        if regions not in PLACES:
            raise UsageError(
                f"{where}: regions is {regions!r}; expected {' or '.join(PLACES)}: boxes differ from item to item"
            )
        settings["regions"] = Region((0, 0, 1, 1), (1, 1))
    if settings.get("mode") == "mean":
        settings["means"] = torch.zeros(1, 1, 1)  # measured when the model is there
    try:
        make_intervention(cell.name, **settings)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _check_heads(heads: dict[Any, Any], where: str) -> None:
    known = _BY_ROLE if "role" in heads else _BY_SCORE
    for key in heads:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(known)}"
            raise UsageError(f"{where} has no {key!r}; {hint}")
    if "role" in heads:
        check_head_role(heads["role"])
    elif isinstance(heads.get("top"), bool) or not isinstance(heads.get("top"), int):
        raise UsageError(f"{where} is {heads!r}; say how many, as heads: {{top: 16, score: image}}")


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return "-".join(_part(key, each) for key, each in value.items())
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _part(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    return key if value is True else f"{key}{value}"

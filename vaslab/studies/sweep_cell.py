"""One cell of a sweep: an intervention with its settings, and the words and folders it goes by."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import torch

from vaslab.interventions import INTERVENTIONS, Intervention, Region, defaults, make_intervention
from vaslab.studies.study_config import StudyRun


@dataclass(frozen=True)
class Cell:
    """One intervention with its settings.

    Args:
        name: as `vaslab ls interventions` lists it.
        settings: everything that was set, also what does not vary.
        varied: names of the settings that the sweep varies.
        place: where in the file it stands.
    """

    name: str
    settings: Mapping[str, Any]
    varied: tuple[str, ...] = ()
    place: str = field(default="", compare=False)

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
        value: int | float = {**defaults(self.name), **self.settings}[self.axis]
        return value

    @property
    def line(self) -> str:
        """The label without the strength: cells of one line differ in nothing else."""
        return self._told({key: value for key, value in self.settings.items() if key != self.axis})

    def _told(self, settings: Mapping[str, Any]) -> str:
        return " ".join([self.name, *(f"{key}={_word(value)}" for key, value in settings.items())])

    def made(self, **measured: Any) -> Intervention:
        """The intervention, with what is known of a model or an item in place of the words of the file; without it,
        with something in its place, so that all else can be checked.

        Raises:
            UsageError: as `make_intervention`.
        """
        given: dict[str, Any] = {}
        if isinstance(self.settings.get("heads"), dict):
            given["heads"] = [(0, 0)]
        if "regions" in self.settings:
            given["regions"] = Region((0, 0, 1, 1), (1, 1))
        if self.settings.get("mode") == "mean":
            given["means"] = torch.zeros(1, 1, 1)
        return make_intervention(self.name, **{**self.settings, **given, **measured})

    def run(self, base: StudyRun) -> StudyRun:
        """The run of this cell beside that of the plain model, in a folder of its own name.

        The digest is of every setting as it was given: "1-3" and [1, 3] are other layers and one word.
        """
        told = json.dumps([self.name, dict(self.settings)], sort_keys=True)
        words = re.sub(r"[^A-Za-z0-9._=-]+", "-", self.label).strip("-.")[:50].rstrip("-.")
        return beside(base, f"{words}-{sha256(told.encode()).hexdigest()[:8]}")


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return "-".join(_part(key, each) for key, each in value.items())
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _part(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    return key if value is True else f"{key}{value}"


def beside(base: StudyRun, words: str) -> StudyRun:
    """A run of the same model and items in a folder beside that of the plain one."""
    return replace(base, config=replace(base.config, out=f"{base.config.out}-{words}"))

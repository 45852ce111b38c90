"""Finished runs as figures and comparisons want them: the capture, who was right, which picture an item is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaslab.cli.console import note
from vaslab.errors import MissingError, UsageError
from vaslab.studies.finished import read_finished
from vaslab.studies.run import RunFolder
from vaslab.studies.study_file import read_study

if TYPE_CHECKING:
    import xarray as xr

STUDY = "study.yaml"
LABEL = 44
"""Letters of a system prompt that its label keeps."""


@dataclass(frozen=True)
class Finished:
    """A finished run.

    Args:
        folder: where it lies.
        summary: its summary.json.
        capture: its Capture.
        right: 1 right, 0 wrong, NaN not graded; dims (item), the items of the capture.
        picture: the picture of each item, dims (item); None where items name none, or each has its own.
        rows: of items.jsonl, by id.
        model: how its checkpoint is called. prompt: how its system prompt is.
    """

    folder: Path
    summary: dict[str, Any]
    capture: xr.Dataset
    right: xr.DataArray
    picture: xr.DataArray | None
    rows: dict[str, dict[str, Any]]
    model: str
    prompt: str

    @property
    def graded(self) -> bool:
        """Whether any item was graded."""
        return bool(self.right.notnull().any())


def read_run(folder: Path) -> Finished:
    """Read a finished run.

    Raises:
        MissingError: there is no run, or it is not finished.
        VaslabError: a file of it is damaged, or its rows and its capture are of different items.
    """
    summary, capture, rows = read_finished(folder)
    import numpy as np
    import xarray as xr

    ids = [str(name) for name in capture["item"].values]
    grades = [rows[name].get("right") for name in ids]
    right = np.array([np.nan if grade is None else float(grade) for grade in grades])
    pictures = [str(rows[name].get("picture") or "") for name in ids]
    shared = len(set(pictures)) < len(pictures) and all(pictures)
    coords = {"item": capture["item"].values}
    return Finished(
        folder=folder,
        summary=summary,
        capture=capture,
        right=xr.DataArray(right, dims="item", coords=coords),
        picture=xr.DataArray(pictures, dims="item", coords=coords, name="picture") if shared else None,
        rows=rows,
        model=_short(str(summary["model"])),
        prompt=prompt_words(summary.get("system")),
    )


def prompt_words(system: str | None) -> str:
    """A system prompt as a label: its first words, default (the item's or the template's own) or empty."""
    if system is None:
        return "default"
    words = " ".join(system.split())
    return (words if len(words) <= LABEL else f"{words[: LABEL - 1]}…") or "empty"


def read_runs(folders: Sequence[Path], data: str | None = None) -> dict[str, Finished]:
    """Read runs under short names: their models, or their folders where two are of one model.

    Args:
        folders: run folders; a study folder stands for its finished runs, under the study's own labels.
        data: only runs of this data set.

    Raises:
        UsageError: a run named twice, or none of `data`. Otherwise as `read_run`.
    """
    every = [each for folder in folders for each in _runs_in(folder)]
    if len({run.folder.resolve() for run in every}) < len(every):
        raise UsageError("a run is named twice; give each run folder once")
    if data is not None:
        held = list(dict.fromkeys(str(run.summary["data"]) for run in every))
        every = [run for run in every if run.summary["data"] == data]
        if not every:
            raise UsageError(f"no run is of {data}; these are of {', '.join(held)}")
    for names in ([run.model for run in every], [run.folder.name for run in every]):
        if len(set(names)) == len(names):
            return dict(zip(names, every, strict=True))
    return {str(run.folder): run for run in every}


def _runs_in(folder: Path) -> list[Finished]:
    """A run, or the finished runs of a study."""
    if not (folder / STUDY).is_file():
        return [read_run(folder)]
    found = []
    for cell in read_study(folder / STUDY).runs():
        path = folder / "runs" / cell.name
        if RunFolder(path).finished:
            label = prompt_words(cell.config.system) if cell.system == "default" else cell.system
            found.append(replace(read_run(path), model=_short(cell.model), prompt=label))
        else:
            note(f"{path} is not finished, and is left out")
    if not found:
        raise MissingError(f"no run of the study {folder} is finished; go on with `vaslab study`")
    return found


def _short(model: str) -> str:
    """A folder by its last part; a checkpoint by the training run it is of; a hub id and an organism as they are."""
    path = Path(model)
    if not model.startswith((".", "/", "~")) and model.count("/") <= 1:
        return model
    if not path.name.startswith("checkpoint") or not path.parent.name:
        return path.name
    trained = path.parent.parent if path.parent.name == "state" else path.parent
    return f"{trained.name}{path.name.removeprefix('checkpoint')}"


def same_pictures(runs: Sequence[Finished]) -> xr.DataArray | None:
    """Which picture each item of all runs is about; None where items are independent, or runs disagree."""
    pictures: dict[str, str] = {}
    for run in runs:
        if run.picture is None:
            return None
        for name, picture in zip(run.picture["item"].values, run.picture.values, strict=True):
            if pictures.setdefault(str(name), str(picture)) != str(picture):
                return None
    import xarray as xr

    return xr.DataArray(list(pictures.values()), dims="item", coords={"item": list(pictures)}, name="picture")


def data_words(runs: Sequence[Finished]) -> str:
    """Name the data of runs; several by commas."""
    return ", ".join(dict.fromkeys(str(run.summary["data"]) for run in runs))

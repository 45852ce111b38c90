"""What a sweep is told: interventions x strengths x targets, over the models and data of a study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaslab.errors import UsageError
from vaslab.studies.study_config import StudyConfig
from vaslab.studies.study_file import read_mapping, study_of
from vaslab.studies.sweep_cell import Cell
from vaslab.studies.sweep_entries import read_cells

_OWN = ("interventions", "side_items", "blank")


@dataclass(frozen=True)
class SweepConfig:
    """A study whose every run is also made under each of some interventions.

    Args:
        study: models, data and how they are measured; its runs are those of the plain models.
        cells: the interventions.
        side_items: how many items side effects are asked on; 0 leaves them out.
        blank: whether the plain model is also asked with blank pictures, to which every cell is then compared.
    """

    study: StudyConfig
    cells: tuple[Cell, ...]
    side_items: int = 40
    blank: bool = False

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
        return {
            **self.study.to_dict(),
            "interventions": cells,
            "side_items": self.side_items,
            "blank": self.blank,
        }


def read_sweep(path: Path, **flags: Any) -> SweepConfig:
    """Read a sweep from a YAML file: the keys of a study, `interventions`, `side_items` and `blank`.

    Each intervention has a name and settings; `vary` maps a setting to the list of its values, and every
    combination is a cell. `heads: {top: 16, score: image}` takes the heads that score highest in the plain run,
    `heads: {role: visual}` those of a role; `regions: answer` and `regions: other` are boxes of each item. Every
    intervention is made before anything is run.

    Raises:
        MissingError: there is no file.
        UsageError: what is wrong in it; of interventions all that is wrong at once, each with its place.
    """
    loaded = read_mapping(path)
    given = {key: value for key, value in loaded.items() if key not in _OWN}
    study = study_of(given, path, **flags)
    try:
        cells = read_cells(loaded.get("interventions"), study)
        side_items = loaded.get("side_items", SweepConfig.side_items)
        if isinstance(side_items, bool) or not isinstance(side_items, int) or side_items < 0:
            raise UsageError(f"side_items is {side_items!r}; expected a whole number, 0 for none")
        blank = loaded.get("blank", SweepConfig.blank)
        if not isinstance(blank, bool):
            raise UsageError(f"blank is {blank!r}; expected true or false")
        return SweepConfig(study, cells, side_items, blank)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error

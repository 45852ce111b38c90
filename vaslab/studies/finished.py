"""Read a finished run folder: what it was told, its summary, its Capture, and its row of every item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from vaslab.errors import VaslabError
from vaslab.studies.config import MeasureConfig, read_config
from vaslab.studies.run import CAPTURE, CONFIG, ITEMS, MEASURED_IN, RESOLVED, read_summary

if TYPE_CHECKING:
    import xarray as xr


def read_finished(folder: Path) -> tuple[dict[str, Any], xr.Dataset, dict[str, dict[str, Any]]]:
    """Read what a finished run holds.

    Returns:
        its summary; its Capture; the rows of items.jsonl by id, of every item of the Capture and of those that could
        not be measured.

    Raises:
        MissingError: there is no run, or it is not finished.
        VaslabError: a file of it is damaged, or the Capture holds an item that has no row.
    """
    summary = read_summary(folder)
    # xarray only where there is a run to read
    from vaslab.capture.files import load_capture

    capture = load_capture(folder / CAPTURE)
    rows = _rows(folder / ITEMS)
    lost = [name for name in map(str, capture["item"].values) if name not in rows]
    if lost:
        raise VaslabError(
            f"{folder / ITEMS} has no row of item {lost[0]}; begin the run again with --overwrite"
        )
    return summary, capture, rows


def read_told(folder: Path) -> MeasureConfig:
    """Read what a run was told, with its relative paths as seen from where it was measured.

    Raises:
        MissingError, UsageError: as `read_config`.
    """
    held = read_config(folder / CONFIG)
    lists: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in held.items()
    }
    config, began = MeasureConfig(**lists), read_resolved(folder).get(MEASURED_IN)
    return config if began is None else config.seen_from(Path(began))


def read_resolved(folder: Path) -> dict[str, Any]:
    """Read what followed from what a run was told; {} for a config.yaml that is no run's."""
    held = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")).get(RESOLVED)
    return held if isinstance(held, dict) else {}


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {str(row["id"]): row for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VaslabError(f"{path} cannot be read; begin the run again with --overwrite") from error

"""Rows of a folder that `datasets` saved, and of a hub id read from the local cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vaslab.benchmarks.rows import Row, rows_of
from vaslab.errors import MissingError, UsageError, one_line

MARK = "hub:"


def is_saved_folder(path: Path) -> bool:
    """Whether `datasets` wrote the folder with save_to_disk."""
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def read_saved(path: Path, split: str = "", every_split: bool = False) -> list[Row]:
    """Read a folder written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`.

    Raises UsageError where it holds several splits and `split` names none of them, unless `every_split`.
    """
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise MissingError(f"{path} cannot be read ({one_line(error)}); save it again") from error
    return list(_rows(loaded, path.name, split, every_split))


def read_hub(name: str, every_split: bool = False) -> list[Row]:
    """Read `OWNER/NAME[:CONFIG][:SPLIT]` from the local cache; nothing is downloaded.

    Raises MissingError where it is not there, UsageError where the split has to be named: where there are several
    and not all are wanted.
    """
    repo, _, rest = name.partition(":")
    config, _, split = rest.rpartition(":")
    import datasets

    was_offline = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = True
    try:
        loaded = datasets.load_dataset(repo, config or None, split=split or None)
    except (OSError, ValueError, ImportError) as error:
        raise MissingError(
            f"the data set {repo} is not in the local cache ({one_line(error)}); fetch it once with "
            f"datasets.load_dataset({repo!r}), or give the path of its files"
        ) from error
    finally:
        datasets.config.HF_HUB_OFFLINE = was_offline
    return list(_rows(loaded, repo, split, every_split))


def _rows(loaded: Any, named: str, split: str, every_split: bool = False) -> Iterator[Row]:
    import datasets

    if isinstance(loaded, datasets.DatasetDict):
        if every_split and not split:
            for name, rows in loaded.items():
                yield from _rows(rows, f"{named} {name}", name)
            return
        if split not in loaded and len(loaded) > 1:
            raise UsageError(f"{named} holds the splits {', '.join(loaded)}; name one: PATH:SPLIT")
        loaded = loaded[split] if split in loaded else next(iter(loaded.values()))
    for column, kind in loaded.features.items():
        # as stored: what cannot be decoded is the row's trouble, not the table's
        if isinstance(kind, datasets.Image):
            loaded = loaded.cast_column(column, datasets.Image(decode=False))
    yield from rows_of(iter(loaded), named, split)

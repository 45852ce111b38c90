"""A run folder: config.yaml, environment.json, proof.json, items.jsonl, capture.zarr, summary.json."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from vaslab.errors import MissingError, UsageError, VaslabError, one_line
from vaslab.studies.config import WHERE

CONFIG, ENVIRONMENT, PROOF = "config.yaml", "environment.json", "proof.json"
CLAIMS = "claims"
ITEMS, CAPTURE, SUMMARY, SHARDS = "items.jsonl", "capture.zarr", "summary.json", "shards"
RESOLVED = "resolved"
MEASURED_IN = "measured_in"
"""The working folder of the call that began the run, among what is resolved: its relative paths start there."""


class RunFolder:
    """One run on disk. Nothing in it appears before it is complete, except for lines added to items.jsonl."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._aside = self.path.with_name(f".{self.path.name}.old")

    @property
    def started(self) -> bool:
        """Whether this is a run folder at all."""
        return (self.path / CONFIG).is_file()

    @property
    def finished(self) -> bool:
        """Whether the run is complete."""
        return (self.path / SUMMARY).is_file() and (self.path / CAPTURE).is_dir()

    def check(self, config: dict[str, Any], resolved: dict[str, Any]) -> None:
        """Raise UsageError where the folder is something else, or a run of another config."""
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise UsageError(f"{self.path} is a file; choose another --out")
        if not self.started:
            if any(self.path.iterdir()):
                raise UsageError(f"{self.path} holds other files and is no run; choose another --out")
            return
        held = self._config()
        # what follows from a differing option is not told beside it
        differing = _differing(held, config) or _differing(held[RESOLVED], resolved)
        if differing:
            raise UsageError(
                f"{self.path} holds a run of another config: {'; '.join(differing)}; choose another --out, "
                "or replace it with --overwrite"
            )

    def _config(self) -> dict[str, Any]:
        path = self.path / CONFIG
        try:
            held = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            held = one_line(error)
        if not isinstance(held, dict) or not isinstance(held.get(RESOLVED), dict):
            raise VaslabError(f"{path} is damaged; choose another --out, or begin again with --overwrite")
        return held

    def check_environment(self, fixed: dict[str, Any]) -> None:
        """Raise UsageError where an unfinished run was begun on other versions, threads or hardware."""
        if not self.started:
            return
        held = read_json(self.path / ENVIRONMENT)["fixed"]
        flat_here, flat_there = _flat(fixed), _flat(held)
        differing = [
            f"{key} was {flat_there.get(key)} and is {value}"
            for key, value in flat_here.items()
            if flat_there.get(key) != value
        ]
        if differing:
            raise UsageError(
                f"{self.path} was begun under other conditions: {'; '.join(differing)}; restore them, choose "
                "another --out, or begin again with --overwrite"
            )

    def create(
        self,
        config: dict[str, Any],
        resolved: dict[str, Any],
        environment: dict[str, Any],
        proof: dict[str, Any] | None,
        overwrite: bool = False,
    ) -> None:
        """Write the folder under a temporary name and rename it: it is there with its config or not at all.

        With `overwrite`, inside `replacing`, the run that is there is set aside.
        """
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        for left in self.path.parent.glob(f".{self.path.name}.*.part"):
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            noted = {**resolved, MEASURED_IN: str(Path.cwd())}
            text = yaml.safe_dump({**config, RESOLVED: noted}, sort_keys=False, allow_unicode=True)
            (part / CONFIG).write_text(text, encoding="utf-8")
            write_json(part / ENVIRONMENT, environment)
            write_json(part / PROOF, proof)
            (part / ITEMS).touch()
            (part / SHARDS).mkdir()
            if overwrite and self.started:
                self.path.rename(self._aside)
            part.rename(self.path)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Hold the run that a new one is to replace. Unless `drop_replaced` is called inside, it comes back.

        Raises UsageError where another process holds it.
        """
        if not self.started:
            yield
            return
        with self.locked():
            try:
                yield
            finally:
                self._restore()

    def drop_replaced(self) -> None:
        """Delete the run that was set aside, if there is one: the new one has something to show."""
        if self._aside.is_dir():
            # renamed first: half a run must never come back
            part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
            self._aside.rename(part)
            shutil.rmtree(part, ignore_errors=True)

    def recover(self) -> None:
        """Bring back the run that was set aside for one that was killed before its first batch was kept.

        Raises UsageError where another process is replacing it.
        """
        if self._aside.is_dir():
            with _held(self._aside, self.path):
                self._restore()

    def _restore(self) -> None:
        if self._aside.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
            self._aside.rename(self.path)

    def add_session(self, session: dict[str, Any]) -> None:
        """Note one more call of the same run."""
        environment = read_json(self.path / ENVIRONMENT)
        environment["sessions"].append(session)
        write_json(self.path / ENVIRONMENT, environment)

    def end_session(self, found: dict[str, Any]) -> None:
        """Note of the last call what is known at its end."""
        environment = read_json(self.path / ENVIRONMENT)
        environment["sessions"][-1] |= found
        write_json(self.path / ENVIRONMENT, environment)

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The calls that made the run, so far."""
        return list(read_json(self.path / ENVIRONMENT)["sessions"])

    @property
    def failure(self) -> Path:
        """The note of the main process to the others that it has given the run up."""
        return self.path.with_name(f".{self.path.name}.failed")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process. Raises UsageError where another one holds it."""
        with _held(self.path, self.path):
            yield

    def drop_shards(self) -> None:
        """Remove the shards of a run that is complete."""
        shutil.rmtree(self.path / SHARDS, ignore_errors=True)

    def remove(self) -> None:
        """Delete the folder, for a run that failed before anything was measured."""
        shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def _held(path: Path, named: Path) -> Iterator[None]:
    """Hold a folder by a lock that goes with it when it is renamed, and ends with the process."""
    # a file opened for writing: network file systems lock nothing else
    handle = os.open(path / CONFIG, os.O_RDWR)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = path / CONFIG
            moved = not held.is_file() or os.fstat(handle).st_ino != held.stat().st_ino
        except BlockingIOError:
            moved = True
        if moved:
            raise UsageError(f"another process is writing into {named}; wait for it, or choose another --out")
        yield
    finally:
        os.close(handle)


def write_json(path: Path, value: object) -> None:
    """Write JSON under a temporary name, then rename it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)


def read_json(path: Path) -> Any:
    """Read a JSON file of a run. Raises VaslabError, naming it, where it is damaged or absent."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        line = one_line(error)
        raise VaslabError(f"{path} cannot be read ({line}); begin the run again with --overwrite") from error


def read_summary(path: Path | str) -> dict[str, Any]:
    """Return the summary of a finished run. Raises MissingError for a folder that is none, or not finished."""
    folder = RunFolder(path)
    if not folder.started:
        raise MissingError(
            f"there is no run at {folder.path}; list them with `vaslab ls runs`, or measure one"
        )
    if not folder.finished:
        raise MissingError(f"the run {folder.path} is not finished; give its measure command again")
    summary = read_json(folder.path / SUMMARY)
    if not isinstance(summary, dict):
        raise VaslabError(f"{folder.path / SUMMARY} is no summary; begin the run again with --overwrite")
    return summary


def _differing(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    return [
        f"{key} is {there.get(key)!r} there and {value!r} here"
        for key, value in here.items()
        if key not in WHERE and there.get(key) != value
    ]


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    """Lift the entries of nested mappings: {"versions": {"torch": ...}} -> {"torch": ...}."""
    flat: dict[str, Any] = {}
    for key, entry in value.items():
        flat |= entry if isinstance(entry, dict) else {key: entry}
    return flat

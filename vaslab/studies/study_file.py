"""A study's YAML file: each key with its type, and what is wrong with one said by its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from vaslab.errors import MissingError, UsageError, one_line
from vaslab.studies.study_config import DataEntry, ModelEntry, StudyConfig, SystemEntry

Reader: TypeAlias = Callable[[Any, str], Any]
"""Takes a value and the name of its place; returns the value, or raises UsageError that names the place."""


def read_study(path: Path, **flags: Any) -> StudyConfig:
    """Read a study from a YAML file; `flags` that are not None win over it.

    Without `out`, the study folder is runs/NAME, NAME being the file's without its ending. Raises MissingError
    where there is no file, UsageError, naming file and key, for anything that is wrong in it.
    """
    return study_of(read_mapping(path), path, **flags)


def read_mapping(path: Path) -> dict[Any, Any]:
    """Read a YAML file of fields. Raises MissingError where there is none, UsageError for what is no mapping."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingError(f"{path} cannot be read ({error.strerror}); give a study's YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML ({one_line(error)}); correct it") from error
    if not isinstance(loaded, dict):
        raise UsageError(f"{path} holds no fields; it needs at least models: [...] and data: [...]")
    return loaded


def study_of(loaded: Mapping[Any, Any], path: Path, **flags: Any) -> StudyConfig:
    """Make a study of the fields that stood in a file; flags and errors as `read_study`."""
    try:
        given = _fields(loaded, _STUDY, "")
        missing = [name for name in ("models", "data") if name not in given]
        if missing:
            raise UsageError(f"no {' and no '.join(missing)}; write a list, as models: [organism:base]")
        given = {"out": f"runs/{path.stem}", **given}
        given |= {name: value for name, value in flags.items() if value is not None and name != "limit"}
        study = StudyConfig(**given)
        return study if flags.get("limit") is None else study.with_limit(flags["limit"])
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _fields(loaded: Mapping[Any, Any], readers: Mapping[str, Reader], where: str) -> dict[str, Any]:
    """Read a mapping, each key by its reader; unknown keys are named with the nearest known one."""
    given = {}
    for name, value in loaded.items():
        key = str(name).replace("-", "_")
        if key not in readers:
            close = get_close_matches(key, readers, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(readers)}"
            raise UsageError(f"unknown key {where + str(name)!r}; {hint}")
        given[key] = readers[key](value, where + str(name))
    return given


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{where} is {value!r}; expected a whole number")
    return value


def _count(value: Any, where: str) -> int:
    if _whole(value, where) < 1:
        raise UsageError(f"{where} is {value}; expected at least 1")
    return int(value)


def _number(value: Any, where: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{where} is {value!r}; expected a number")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where} is {value!r}; expected a text")
    return value


def _yes_or_no(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where} is {value!r}; expected true or false")
    return value


def _or_none(reader: Reader) -> Reader:
    return lambda value, where: None if value is None else reader(value, where)


def _list_of(reader: Reader, example: str) -> Reader:
    def read(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise UsageError(f"{where} is {value!r}; expected a list, as {where}: {example}")
        if not value:
            raise UsageError(f"{where} is empty; name at least one, as {where}: {example}")
        return tuple(reader(each, f"{where}[{number}]") for number, each in enumerate(value))

    return read


def _entry(kind: type[Any], readers: Mapping[str, Reader], bare: bool) -> Reader:
    """Read an entry: a mapping of fields, or, where `bare`, its name alone."""
    needed = [each.name for each in fields(kind) if each.default is MISSING]

    def read(value: Any, where: str) -> Any:
        if bare and isinstance(value, str):
            return kind(_text(value, where))
        if not isinstance(value, dict):
            expected = "a name, or a mapping" if bare else "a mapping"
            raise UsageError(f"{where} is {value!r}; expected {expected} of {', '.join(readers)}")
        given = _fields(value, readers, f"{where}.")
        missing = [name for name in needed if name not in given]
        if missing:
            raise UsageError(f"{where} has no {_and(missing)}; add it")
        return kind(**given)

    return read


def _and(names: Iterable[str]) -> str:
    return " and no ".join(names)


def _any_text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f'{where} is {value!r}; expected a text, "" or null')
    return value


_MODEL: dict[str, Reader] = {
    "name": _text,
    "label": _text,
    "revision": _or_none(_text),
    "dtype": _or_none(_text),
    "device_map": _or_none(_text),
}
_DATA: dict[str, Reader] = {
    "name": _text,
    "label": _text,
    "limit": _or_none(_count),
    "batch_size": _or_none(_count),
    "max_new_tokens": _or_none(_count),
}
_STUDY: dict[str, Reader] = {
    "models": _list_of(_entry(ModelEntry, _MODEL, bare=True), "[organism:base]"),
    "data": _list_of(_entry(DataEntry, _DATA, bare=True), "[easy-vqa, glyph]"),
    "systems": _list_of(
        _entry(SystemEntry, {"label": _text, "text": _or_none(_any_text)}, bare=False),
        '[{label: short, text: "Be brief."}]',
    ),
    "seeds": _list_of(_whole, "[0, 1]"),
    "out": _text,
    "limit": _or_none(_count),
    "queries": _list_of(_text, "[user, response]"),
    "batch_size": _count,
    "max_new_tokens": _count,
    "temperature": _number,
    "top_p": _number,
    "top_k": _whole,
    "dtype": _text,
    "device_map": _or_none(_text),
    "offline": _or_none(_yes_or_no),
}

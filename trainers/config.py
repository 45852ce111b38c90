"""Configs of training runs: frozen dataclasses, filled from a YAML file and from flags, and kept to by their folder."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, asdict, fields
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from vaslab.errors import MissingError, UsageError, one_line

Config = TypeVar("Config")
ASKED = "asked.json"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping. Raises MissingError where there is no file, UsageError for what is no mapping."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingError(f"{path} cannot be read ({error.strerror}); check --config") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML ({one_line(error)}); correct it") from error
    if not isinstance(loaded, dict):
        raise UsageError(f"{path} holds no fields; write them as `name: value`, one a line")
    return {str(key).replace("-", "_"): value for key, value in loaded.items()}


def build(kind: type[Config], given: Mapping[str, Any], where: str) -> Config:
    """Make a config of what is given; YAML's lists become tuples.

    Raises UsageError, naming `where`, for an unknown or missing field and for a value that cannot be.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for name in given:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(known)}"
            raise UsageError(f"{where}: unknown field {name!r}; {hint}")
    for name, field in known.items():
        if name not in given and field.default is MISSING and field.default_factory is MISSING:
            raise UsageError(f"{where}: {name!r} is missing; give it")
    values = {name: _fitted(value, hints[name], f"{where}: {name}") for name, value in given.items()}
    try:
        return kind(**values)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _fitted(value: Any, hint: Any, where: str) -> Any:
    options = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    for option in options:
        if get_origin(option) is tuple and isinstance(value, list | tuple):
            return tuple(_fitted(each, get_args(option)[0], where) for each in value)
        if option is float and (number := _number(value)) is not None:
            return number
        plain = get_origin(option) or option
        if (
            isinstance(plain, type)
            and isinstance(value, plain)
            and (plain is bool or not isinstance(value, bool))
        ):
            return value
    raise UsageError(f"{where} is {value!r}; expected {' or '.join(map(_named, options))}")


def _named(option: Any) -> str:
    """A type as people call it."""
    if get_origin(option) is tuple:
        each = get_args(option)[0]
        return "a list of mappings" if get_origin(each) is dict else f"a list of {_named(each)}"
    if get_origin(option) is dict:
        return "a mapping"
    return "nothing" if option is type(None) else str(getattr(option, "__name__", option))


def _number(value: Any) -> float | None:
    """A number, also one that YAML 1.1 reads as a text for want of a point (5e-6)."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value):
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def plain(config: Any) -> dict[str, Any]:
    """Every field of a config as JSON has it."""
    copied: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return copied


def held(config: Any) -> dict[str, Any]:
    """What a folder is held to and a card tells: every field but `online`, which changes no weight."""
    return {name: value for name, value in plain(config).items() if name != "online"}


def keep_to(out: Path, config: Mapping[str, Any]) -> None:
    """Write what was asked of a folder, or raise UsageError where it holds a run of another config.

    A folder in which nothing has begun, because what was asked before was refused, takes the new config.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; choose another --out")
    path = out / ASKED
    if path.is_file() and any(each != path for each in out.iterdir()):
        there = json.loads(path.read_text(encoding="utf-8"))
        differing = [
            f"{name} is {there.get(name)} there and {value} here"
            for name, value in config.items()
            if there.get(name) != value
        ]
        if differing:
            raise UsageError(
                f"{out} holds a run of another config: {'; '.join(differing)}; choose another --out"
            )
        return
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) == config:
        return
    if out.is_dir() and any(each != path for each in out.iterdir()):
        raise UsageError(f"{out} holds other files; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(dict(config), indent=2) + "\n", encoding="utf-8")
    part.replace(path)


@contextmanager
def occupied(out: Path) -> Iterator[None]:
    """Keep other processes from training in a folder that `keep_to` has written to; the system ends it with this one.

    Raises UsageError where another trains in it.
    """
    with (out / ASKED).open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another process trains in {out}; wait until it has ended, or choose another --out"
            ) from error
        yield

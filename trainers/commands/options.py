"""A command's options, read off a run config: one flag a field, its help from the docstring, its default shown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from trainers.config import build, read_yaml
from vaslab.errors import UsageError

Config = TypeVar("Config")


def command(kind: type[Config], run: Callable[[Config], int], summary: str) -> Callable[..., int]:
    """Make a typer command that builds a config of `--config` and flags (flags win) and runs it."""
    told = _helps(kind)
    hints = get_type_hints(kind)

    def filled(config: Path | None = None, **given: Any) -> int:
        values = read_yaml(config) if config is not None else {}
        values |= {name: value for name, value in given.items() if value not in (None, [])}
        where = str(config) if config is not None else "options"
        for field in fields(kind):  # type: ignore[arg-type]
            if field.default is MISSING and field.name not in values:
                raise UsageError(
                    f"--{field.name.replace('_', '-')} is missing; give it, or a --config that holds it"
                )
        return run(build(kind, values, where))

    parameters = [
        inspect.Parameter(
            "config",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                Path | None, typer.Option("--config", help="YAML file of the fields below.")
            ],
        )
    ]
    for field in fields(kind):  # type: ignore[arg-type]
        if _holds_mappings(hints[field.name]):  # for the file alone
            continue
        flags = [f"--{field.name.replace('_', '-')}"]
        if hints[field.name] is bool:
            flags[0] += f"/--no-{flags[0][2:]}"
        shown = "" if field.default in (MISSING, (), "", None) else f" Default: {field.default}."
        option = typer.Option(*flags, help=told[field.name] + shown, show_default=False)
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[_flag(hints[field.name]), option],
            )
        )
    filled.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    filled.__annotations__ = {each.name: each.annotation for each in parameters}
    filled.__doc__ = summary
    return filled


def _holds_mappings(hint: Any) -> bool:
    return get_origin(hint) is dict or any(map(_holds_mappings, get_args(hint)))


def _flag(hint: Any) -> Any:
    """The type of a flag: a repeated one for a tuple, and always None where it is not given."""
    options = (
        [each for each in get_args(hint) if each is not type(None)]
        if get_origin(hint) is UnionType
        else [hint]
    )
    plain = options[0]
    if get_origin(plain) is tuple:
        return list[get_args(plain)[0]] | None  # type: ignore[misc]
    return plain | None


def _helps(kind: type) -> dict[str, str]:
    """Help of each field, from the Args of the docstring. Raises KeyError at start-up where a field has none."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Args:\n")[2].partition("\nRaises:")[0]
    found = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", text, re.DOTALL | re.MULTILINE)
    helps = {name: " ".join(words.split()) for name, words in found}
    return {field.name: helps[field.name] for field in fields(kind)}

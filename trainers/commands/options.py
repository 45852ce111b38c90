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

from trainers.commands.panels import Panels
from trainers.config import build, read_yaml
from vaslab.errors import UsageError

Config = TypeVar("Config")
_CONFIG = "YAML file of these options; flags win."
_SHORT = ("model", "data", "out")


def command(
    kind: type[Config], run: Callable[[Config], int], panels: Panels, told: str
) -> Callable[..., int]:
    """Make a typer command that builds a config of `--config` and flags (flags win) and runs it.

    Args:
        kind: the run's config, a dataclass whose docstring tells each field under `Args:`.
        run: what is done with it; returns the exit code.
        panels: under which heading each field's option stands, in the order of the help.
        told: the command's own help; its first paragraph is shown in the list of commands.

    Raises:
        KeyError: at start-up, for a field that the docstring does not tell.
    """
    helps, hints = _helps(kind), get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]

    def filled(config: Path | None = None, **given: Any) -> int:
        values = read_yaml(config) if config is not None else {}
        values |= {name: value for name, value in given.items() if value not in (None, [])}
        where = str(config) if config is not None else "options"
        for name, field in known.items():
            if field.default is MISSING and name not in values:
                raise UsageError(
                    f"--{name.replace('_', '-')} is missing; give it, or a --config that holds it"
                )
        return run(build(kind, values, where))

    parameters = [_parameter("config", Path | None, typer.Option("--config", "-C", help=_CONFIG))]
    for panel, names in panels.items():
        for name in names:
            option = typer.Option(
                *_flags(name, hints[name]),
                help=f"{helps[name]}{_more(known[name].default, hints[name], name)}",
                show_default=False,
                rich_help_panel=panel,
            )
            parameters.append(_parameter(name, _flag(hints[name]), option))
    filled.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    filled.__annotations__ = {each.name: each.annotation for each in parameters}
    paragraphs = inspect.cleandoc(told).split("\n\n")
    filled.__doc__ = "\n\n".join(" ".join(each.split()) for each in paragraphs)
    return filled


def _parameter(name: str, kind: Any, option: Any) -> inspect.Parameter:
    annotation = Annotated[kind, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flags(name: str, hint: Any) -> list[str]:
    flag = name.replace("_", "-")
    if hint is bool:
        return [f"--{flag}/--no-{flag}"]
    return [f"--{flag}", *([f"-{name[0]}"] if name in _SHORT else [])]


def _more(default: Any, hint: Any, name: str) -> str:
    """What a help says after the words of the docstring; brackets are no markup."""
    if get_origin(hint) is tuple:
        default = " ".join(map(str, default))
        several = " May be given several times."
    else:
        several = ""
    if default is MISSING:
        return f"{several} \\[required, here or in --config]"
    if default in ("", None):
        return several
    if hint is bool:
        default = name.replace("_", "-") if default else f"no-{name.replace('_', '-')}"
    return f"{several} \\[default: {default}]"


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
    helps = {name: _sentence(" ".join(words.split())) for name, words in found}
    return {field.name: helps[field.name] for field in fields(kind)}


def _sentence(text: str) -> str:
    """With a capital, but for what is typed as it stands, and without marks of code, which a terminal does not have."""
    return (text if text.startswith("`") else f"{text[0].upper()}{text[1:]}").replace("`", "")

"""How a command ends: 0 done, 1 failed, 2 wrong call, 3 something missing, 130 interrupted; errors are one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from vaslab.errors import VaslabError

INTERRUPTED = 130


class Told(int):
    """An exit code whose reason has been said."""


def run(app: typer.Typer, arguments: Sequence[str] | None = None, name: str = "vaslab") -> int:
    """Run a command line and return its exit code. Anything but a known error keeps its traceback: it is a bug."""
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name=name, standalone_mode=False)
    except VaslabError as error:
        return fail(str(error), error.exit_code)
    except TyperException as error:
        told = error.format_message().rstrip(".")
        return fail(told and f"{told}; see {name} --help", error.exit_code)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return fail(f"{error.strerror or error}{where}; correct it and give the same command again", 1)
    except (KeyboardInterrupt, typer.Abort):
        return fail("interrupted", INTERRUPTED)
    # typer makes a code of an interrupt that no command caught
    if code == INTERRUPTED and not isinstance(code, Told):
        return fail("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0


def fail(message: str, code: int) -> Told:
    """Print one line on stderr and return the code."""
    # a bare call shows its help and has no message
    if message.strip():
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return Told(code)

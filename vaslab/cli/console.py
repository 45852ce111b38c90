"""Where words for people go: stderr, with colours and bars only where that is a terminal."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PLAIN_WIDTH = 220
"""Columns of a table that goes to a file or a pipe: wide enough not to fold."""


def console() -> Console:
    """Return a console on stderr; NO_COLOR is respected."""
    terminal = sys.stderr.isatty()
    return Console(stderr=True, highlight=False, width=None if terminal else PLAIN_WIDTH)


def note(text: str) -> None:
    """Say one line on stderr."""
    print(f"note: {' '.join(text.split())}", file=sys.stderr)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> None:
    """Print a table on stderr. Cells are shown as they are: brackets in a question are no markup."""
    drawn = Table(title=escape(title), title_justify="left", show_header=any(columns))
    for column in columns:
        drawn.add_column(escape(column), overflow="fold")
    for row in rows:
        drawn.add_row(*(escape(str(cell)) for cell in row))
    console().print(drawn)
    if caption:
        # not the table's own caption, which would be folded to a narrow table's width
        console().print(escape(caption), style="dim", soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON line on stdout."""
    print(json.dumps(value, allow_nan=False))


def quiet_libraries() -> None:
    """Turn off the bars and advice of the libraries below; their warnings would break the one-line rule."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Turn warnings raised inside into one line each on stderr."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        note(message)

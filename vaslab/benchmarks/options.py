"""Options of a multiple-choice question: their letters, and the forms in which tables hold them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from string import ascii_uppercase

from vaslab.benchmarks.item import BrokenItemError

LETTERS = tuple(ascii_uppercase)


def option_list(cell: object) -> tuple[str, ...]:
    """Return the options in a cell: a list, or the text of a Python list, as CSV and TSV hold it; () for none.

    Raises BrokenItemError where the cell is neither, or holds an option that is no text or number.
    """
    if cell is None:
        return ()
    if isinstance(cell, str):
        cell = _literal(cell)
    if not isinstance(cell, Sequence) or isinstance(cell, str):
        raise BrokenItemError(f"options are a {type(cell).__name__}, not a list")
    if not all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in cell):
        raise BrokenItemError("an option is no text")
    if len(cell) > len(LETTERS):
        raise BrokenItemError(f"{len(cell)} options; there are {len(LETTERS)} letters")
    return tuple(str(each) for each in cell)


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise BrokenItemError(f"options do not parse: {text[:60]!r}") from error

"""Options of a multiple-choice question: their letters, the forms in which tables hold them, a guess among them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from hashlib import sha256
from string import ascii_uppercase

from vaslab.benchmarks.item import BrokenItemError, Item
from vaslab.benchmarks.rows import Row

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


def option_columns(row: Row) -> tuple[str, ...]:
    """Return the options of VLMEvalKit's tables, which stand in the columns A, B, C and on to the first empty one."""
    found = []
    for letter in LETTERS:
        if row.values.get(letter) is None:
            break
        found.append(str(row.values[letter]))
    return tuple(found)


def letters(options: Sequence[str]) -> tuple[str, ...]:
    """Return the letters of options, in order."""
    return LETTERS[: len(options)]


def answer_letter(answer: str, options: Sequence[str]) -> str:
    """Return the letter that a table gives as the answer. Raises BrokenItemError where no option has it."""
    letter = answer.strip().upper()
    if letter not in letters(options):
        raise BrokenItemError(f"answer is none of the {len(options)} options: {answer[:40]!r}")
    return letter


def guessed_letter(name: str, options: Sequence[str]) -> str:
    """Draw a letter that depends on the item's id alone: not on the order of items, the run or the machine."""
    drawn = int.from_bytes(sha256(name.encode()).digest()[:8], "big")
    return letters(options)[drawn % len(options)]


def chance_by_options(items: Sequence[Item]) -> float | None:
    """Return the accuracy of a guesser who picks an option and gets no free answer right; None for no items."""
    if not items:
        return None
    return sum(1 / len(item.options) if item.options else 0.0 for item in items) / len(items)


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise BrokenItemError(f"options do not parse: {text[:60]!r}") from error

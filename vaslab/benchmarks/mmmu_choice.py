"""What MMMU's and MMMU-Pro's rules for a chosen option share, as published in their repository (Yue et al., 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vaslab.benchmarks.item import Grade, Item
from vaslab.benchmarks.options import guessed_letter, letters

_ENDS = (",", ".", "!", "?", ";", ":", "'")
_FEW_WORDS = 5


def guessed(item: Item) -> Grade:
    """Grade a response in which no option was found, as the published rule does: by a letter drawn at random."""
    drawn = guessed_letter(item.id, item.options)
    return Grade(drawn == item.answer, drawn, "no option in the response", guessed=True)


def padded(response: str) -> str:
    """Return a response without the marks at its ends, between two spaces."""
    for mark in _ENDS:
        response = response.strip(mark)
    return f" {response} "


def last(places: Mapping[str, int]) -> str | None:
    """Return the key found last in a text, the first of those that stand at one place; None where none is found."""
    found = {key: place for key, place in places.items() if place >= 0}
    return max(found, key=lambda key: found[key]) if found else None


def by_text(said: str, options: Sequence[str]) -> str | None:
    """Return the letter of the option whose text stands last in a response of more than five words."""
    if len(said.split()) <= _FEW_WORDS:
        return None
    lower = said.lower()
    return last(
        {
            letter: lower.rfind(option.lower())
            for letter, option in zip(letters(options), options, strict=True)
        }
    )

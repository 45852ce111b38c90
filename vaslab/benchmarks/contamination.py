"""Which items of a benchmark stand, or nearly stand, in a training set?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaslab.benchmarks.item import Item, Source
from vaslab.benchmarks.picture_hash import HASH_BITS, Fingerprint, fingerprint, likeness, near
from vaslab.benchmarks.question_text import QuestionIndex
from vaslab.benchmarks.training_rows import TrainingRow
from vaslab.errors import VaslabError
from vaslab.prompts.images import open_image

EVIDENCE = ("picture and text", "picture", "text")
"""What a match rests on, strongest first."""


@dataclass(frozen=True)
class Match:
    """An item and a training row that are near-duplicates.

    Args:
        item: id of the benchmark's item.
        row: the training row.
        evidence: one of EVIDENCE.
        picture: share of the pictures' ink at the same places; None where the pictures are not the same.
        text: share of word pairs in common; None where the questions are not the same.
    """

    item: str
    row: str
    evidence: str
    picture: float | None
    text: float | None


@dataclass(frozen=True)
class Overlap:
    """Every match, and what was compared to find them.

    Args:
        matches: in the order of the items, the strongest evidence of each first.
        n_items: items of the benchmark; n_rows: rows of the training set.
        unread: for each reason, how many pictures or rows could not be read and were not compared.
    """

    matches: tuple[Match, ...]
    n_items: int
    n_rows: int
    unread: dict[str, int]

    def items(self, evidence: str) -> int:
        """Return how many items have this as their strongest evidence."""
        return sum(match.evidence == evidence for match in self.strongest())

    def strongest(self) -> tuple[Match, ...]:
        """Return the first match of each item."""
        return tuple({match.item: match for match in reversed(self.matches)}.values())[::-1]


def find_overlap(
    rows: Sequence[TrainingRow], items: Sequence[Item], seen: Callable[[int], None] = lambda _: None
) -> Overlap:
    """Compare every training row with every item, by pictures and by questions.

    Args:
        rows: the training set; its pictures are opened one at a time and not kept.
        items: the benchmark; fingerprints of its pictures are kept, some 17 kB each.
        seen: told of each row that has been compared, as a number of rows.
    """
    unread: Counter[str] = Counter()
    prints: list[Fingerprint] = []
    owners: list[int] = []
    for index, item in enumerate(items):
        for found in _fingerprints(item.pictures, unread):
            prints.append(found)
            owners.append(index)
    hashes = np.array([each.hashes for each in prints], dtype=bool).reshape(len(prints), -1, HASH_BITS)
    questions = QuestionIndex([item.question for item in items], [row.question for row in rows])
    matches = []
    for row in rows:
        if row.broken:
            unread[row.broken] += 1
        alike: dict[int, float] = {}
        for found in _fingerprints(row.pictures, unread) if prints else ():
            for at in near(found.hashes, hashes):
                alike[owners[at]] = max(alike.get(owners[at], 0.0), likeness(found, prints[at]))
        pictures = {index: value for index, value in alike.items() if value > 0}
        texts = dict(questions.like(row.question))
        matches += [
            (index, _match(items[index].id, row.where, pictures.get(index), texts.get(index)))
            for index in pictures.keys() | texts.keys()
        ]
        seen(1)
    matches.sort(key=lambda pair: (pair[0], EVIDENCE.index(pair[1].evidence), -_strength(pair[1])))
    return Overlap(tuple(match for _, match in matches), len(items), len(rows), dict(unread))


def _match(item: str, row: str, picture: float | None, text: float | None) -> Match:
    evidence = EVIDENCE[0] if picture and text else EVIDENCE[1] if picture else EVIDENCE[2]
    return Match(item, row, evidence, picture, text)


def _strength(match: Match) -> float:
    return (match.picture or 0.0) + (match.text or 0.0)


def _fingerprints(pictures: Iterable[Source], unread: Counter[str]) -> list[Fingerprint]:
    found = []
    for source in pictures:
        try:
            print_ = fingerprint(open_image(source if isinstance(source, Path) else source()))
        except VaslabError as error:
            unread[str(error)] += 1
            continue
        if print_ is not None:
            found.append(print_)
    return found

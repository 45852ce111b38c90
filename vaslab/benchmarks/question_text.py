"""Is it the same question, reworded or with another instruction around it? Word pairs that are shared, and the numbers.

Exact containment over an inverted index: no sketch such as MinHash is needed at the size of benchmarks.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

SAME = 0.5
"""Share of the shorter question's word pairs that stands in the longer one too."""
FEWEST = 8
"""Word pairs below which a question is too short to be told from others."""
COMMON = 0.05
"""Share of a set's different questions above which a word pair is part of a template and says nothing."""

_MARKUP = re.compile(r"<image ?\d*>|</?(?:think|answer)>|\\(?:left|right|text|mathrm|mathbf|displaystyle)\b")
_NAMES = {r"\angle": "∠", r"\triangle": "△", r"\circ": "°", r"\pi": "π", r"\sqrt": "√", r"\times": "×"}
# a number, a word, one Chinese or Japanese character, or one of the signs that carry meaning in geometry
_WORD = re.compile(
    r"\d+(?:\.\d+)?|[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_\u3040-\u30ff\u3400-\u9fff]+|[∠△°π√×+=<>]"
)

Pair = tuple[str, str]


def words(text: str) -> list[str]:
    """Return the words of a question without markup, case, punctuation and LaTeX's dress."""
    for name, sign in _NAMES.items():
        text = text.replace(name, f" {sign} ")
    plain = unicodedata.normalize("NFKC", _MARKUP.sub(" ", text)).casefold()
    return _WORD.findall(plain)


def pairs(text: str) -> frozenset[Pair]:
    """Return the pairs of neighbouring words."""
    found = words(text)
    return frozenset(pairwise(found))


class QuestionIndex:
    """The questions of a benchmark, to be asked which of them another question is like.

    Args:
        questions: texts of the items, in their order.
        others: texts of the set that will be compared: what is a template there says nothing either.
    """

    def __init__(self, questions: Sequence[str], others: Iterable[str]) -> None:
        self._template = _common(questions) | _common(others)
        self._pairs = [pairs(text) - self._template for text in questions]
        self._numbers = [_numbers(text) for text in questions]
        self._holders: dict[Pair, list[int]] = defaultdict(list)
        for index, held in enumerate(self._pairs):
            for pair in held:
                self._holders[pair].append(index)

    def like(self, text: str) -> list[tuple[int, float]]:
        """Return the items whose question is the same, each with the share of word pairs.

        All numbers of the question that has fewer must stand in the other: puzzles and exercises of one template
        differ in nothing else.
        """
        own = pairs(text) - self._template
        if len(own) < FEWEST:
            return []
        shared = Counter(index for pair in own for index in self._holders.get(pair, ()))
        numbers = _numbers(text)
        found = []
        for index, count in shared.items():
            shorter = min(len(own), len(self._pairs[index]))
            if shorter >= FEWEST and count >= SAME * shorter and _agree(numbers, self._numbers[index]):
                found.append((index, count / shorter))
        return found


def _numbers(text: str) -> Counter[str]:
    return Counter(word for word in words(text) if word[0].isdigit())


def _agree(one: Counter[str], other: Counter[str]) -> bool:
    return (one & other).total() == min(one.total(), other.total())


def _common(texts: Iterable[str]) -> frozenset[Pair]:
    """Return the word pairs of more than COMMON of the different texts, and of more than two."""
    different = {tuple(words(text)): text for text in texts}
    seen = Counter(pair for text in different.values() for pair in pairs(text))
    most = max(2.0, COMMON * len(different))
    return frozenset(pair for pair, count in seen.items() if count > most)

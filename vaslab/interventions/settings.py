"""What a user may set of any intervention: checked, and brought into one form, when the intervention is made."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from vaslab.errors import UsageError
from vaslab.interventions.batch import QUERIES
from vaslab.prompts.roles import KEY_ROLES

_SPAN = re.compile(r"(\d+)-(\d*)")
_LAYERS = "all, middle, FIRST-, FIRST-LAST, or a list, as [2, 3]"


def choice(name: str, value: Any, known: Iterable[str]) -> str:
    """One of some words. Raises UsageError for another one, with the nearest."""
    words = tuple(known)
    if not isinstance(value, str) or value not in words:
        close = get_close_matches(value, words, n=1) if isinstance(value, str) else []
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"{name} is {value!r}; {hint}expected {', '.join(words)}")
    return value


def whole(name: str, value: Any) -> int:
    """A whole number of Python, numpy or torch. Raises UsageError for anything else, true and 1.0 too."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError as error:
        raise UsageError(f"{name} is {value!r}; expected a whole number") from error


def _listed(name: str, value: Any, expected: str) -> list[Any]:
    try:
        if isinstance(value, str | bytes | Mapping):
            raise TypeError
        return list(value)
    except TypeError as error:
        raise UsageError(f"{name} is {value!r}; expected {expected}") from error


def _names(name: str, value: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else _listed(name, value, f"one or more of {', '.join(known)}")
    if not found:
        raise UsageError(f"{name} is {value!r}, which names none; expected one or more of {', '.join(known)}")
    for each in found:
        if each not in known:
            close = get_close_matches(str(each), known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"{name} holds {each!r}, which is unknown; {hint}expected {', '.join(known)}")
    return tuple(dict.fromkeys(found))


def layers_of(layers: Any) -> str | tuple[int, ...]:
    """Layers by word or by index, whatever model they are asked of.

    Raises:
        UsageError: another word, or what is no list of whole numbers.
    """
    if isinstance(layers, str):
        span = _SPAN.fullmatch(layers)
        if layers in ("all", "middle") or (span and (not span[2] or int(span[1]) <= int(span[2]))):
            return layers
        close = get_close_matches(layers, ("all", "middle"), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"layers is {layers!r}; {hint}expected {_LAYERS}")
    found = _listed("layers", layers, _LAYERS)
    if not found:
        raise UsageError("layers is [], which names no layer; leave layers out for all of them")
    return tuple(whole(f"layers[{number}]", layer) for number, layer in enumerate(found))


def heads_of(heads: Any) -> tuple[tuple[int, int], ...] | None:
    """Pairs (layer, head), or None for every head of the layers.

    Raises:
        UsageError: no pairs, such as a word that a sweep would understand.
    """
    if heads is None:
        return None
    pairs = "(layer, head) pairs, as [(3, 0), (3, 5)]"
    if isinstance(heads, str | Mapping):
        raise UsageError(
            f"heads is {heads!r}; expected {pairs}, such as heads_of_role(capture, 'visual') and top_heads(capture, k) "
            "return; a sweep takes heads: {role: visual} and heads: {top: 16, score: image}"
        )
    found = _listed("heads", heads, pairs)
    if not found:
        raise UsageError("heads is [], which names no head; leave heads out for every head of the layers")
    out = []
    for pair in found:
        numbers = [] if isinstance(pair, int) else _listed("heads", pair, pairs)
        if len(numbers) != 2:
            raise UsageError(f"heads holds {pair!r}; expected {pairs}")
        layer, head = (whole(f"heads: {part}", n) for part, n in zip(("layer", "head"), numbers, strict=True))
        if layer < 0 or head < 0:
            raise UsageError(f"heads holds {(layer, head)}; layers and heads are counted from 0")
        out.append((layer, head))
    return tuple(out)


def queries_of(queries: Any) -> tuple[str, ...]:
    """Names of sets of queries. Raises UsageError for one that is unknown."""
    return _names("queries", queries, QUERIES)


def keys_of(name: str, keys: Any) -> tuple[str, ...]:
    """Names of roles of keys. Raises UsageError for one that is unknown."""
    return _names(name, keys, tuple(role.name for role in KEY_ROLES))


def steps_of(steps: Any) -> tuple[int, int | None] | None:
    """(first, end) of the answer's tokens; end None is no end, None altogether no limit.

    Raises:
        UsageError: no such pair.
    """
    if steps is None:
        return None
    expected = "(first, end) with 0 <= first < end, end None for no end"
    found = _listed("steps", steps, expected)
    if len(found) != 2:
        raise UsageError(f"steps is {steps!r}; expected {expected}")
    first = whole("steps[0]", found[0])
    end = None if found[1] is None else whole("steps[1]", found[1])
    if first < 0 or (end is not None and end <= first):
        raise UsageError(f"steps is {steps!r}; expected {expected}")
    return first, end


def dims_of(dims: Any) -> tuple[int, ...] | None:
    """Dimensions of the hidden state; None is all of them.

    Raises:
        UsageError: no list of whole numbers from 0 on.
    """
    if dims is None:
        return None
    found = _listed("dims", dims, "a list of dimensions, as [2533, 1415]")
    if not found:
        raise UsageError("dims is [], which names no dimension; leave dims out for all of them")
    out = tuple(whole(f"dims[{number}]", dim) for number, dim in enumerate(found))
    if min(out) < 0:
        raise UsageError(f"dims holds {min(out)}; dimensions are counted from 0")
    return out

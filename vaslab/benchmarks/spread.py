"""Which items a limited run takes: as many pictures as it can, not the first ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vaslab.benchmarks.item import Item, Selection
from vaslab.errors import UsageError


def spread(items: Sequence[Item], limit: int | None, seed: int) -> Selection:
    """Select `limit` items, none of a picture's second before every picture's first; in published order.

    A smaller limit with the same seed selects a part of what a larger one does. Raises UsageError for a
    limit below 1.
    """
    check_limit(limit)
    total = len(items)
    if limit is None or limit >= total:
        return Selection(tuple(items), total, f"all {total} items, published order")
    seen: Counter[str] = Counter()
    rounds = []
    for index in np.random.default_rng(seed).permutation(total).tolist():
        picture = items[index].picture_id
        rounds.append((seen[picture], index))
        seen[picture] += 1
    # sort is stable: within a round the drawn order stands
    drawn = [index for _, index in sorted(rounds, key=lambda pair: pair[0])[:limit]]
    words = f"{limit} of {total} items, spread over pictures, drawn with seed {seed}, published order"
    return Selection(tuple(items[index] for index in sorted(drawn)), total, words)


def check_limit(limit: int | None) -> None:
    """Raise UsageError for a limit below 1."""
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; expected at least 1 item, or leave --limit out for all")

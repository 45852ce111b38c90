"""Items and pictures as a page shows them, and the sentences beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

from vaslab.errors import VaslabError, one_line
from vaslab.explorer.entries import Entry
from vaslab.explorer.pictures import data_uri
from vaslab.metrics.selection import QUERY_WORDS
from vaslab.prompts.images import open_image
from vaslab.prompts.roles import QUERY_ROLES

Traits: TypeAlias = dict[str, Any]
KEPT_TEXT = 20_000
"""Bytes of item texts that a notebook saves with a view."""
KEPT_PICTURES = 48_000
"""Bytes of pictures that a notebook saves with a view."""
_SIDE = 28
"""Pixels a patch gets where the picture itself is not there."""


def item_trait(
    entry: Entry,
    told: Sequence[Entry],
    vas: Sequence[dict[str, float | None]],
    floored: Sequence[dict[str, float]],
) -> Traits:
    """One item: its texts, and of each run the answer, the mean VAS by query role, and where rows rest on the floor of
    the system mass, their share.

    Of an item that was asked here also `edit` and `system`, where the attention was edited or a system prompt given.
    """
    asked = {"edit": entry.edit, "system": entry.system}
    return {name: words for name, words in asked.items() if words} | {
        "id": entry.id,
        "question": entry.question,
        "reference": entry.reference,
        "category": entry.category,
        "runs": [
            {"response": each.response, "correct": each.correct, "why": each.why, "vas": values}
            | ({"floored": low} if any(low.values()) else {})
            for each, values, low in zip(told, vas, floored, strict=True)
        ],
    }


def kept_items(items: Sequence[Traits], chosen: int) -> Sequence[Traits]:
    """Items whose texts a notebook saves with a view: all where they are few, else the first ones and the chosen one.

    The page fetches the others when its list is opened; `at` then says where an item stands.
    """
    size = 0
    for count, item in enumerate(items):
        size += len(json.dumps(item))
        if size > KEPT_TEXT:
            return [{**items[at], "at": at} for at in sorted({*range(count), chosen} - {-1})]
    return items


def shown_pictures(entry: Entry, grids: Sequence[tuple[int, int]], most: int | None = None) -> list[Traits]:
    """An item's pictures as data URIs, of `most` bytes together; plain grounds where they are not there."""
    try:
        pictures = [open_image(each) for each in entry.prompt().images]
    except (VaslabError, OSError) as error:
        name = f"picture not there: {one_line(error)[:200]}"
        return [
            {"name": name, "src": "", "width": cols * _SIDE, "height": rows * _SIDE, "boxes": []}
            for rows, cols in grids or [(12, 16)]
        ]
    many = len(pictures) > 1
    # boxes are pixels of the one picture; of several it is not known which
    boxes = [] if many else [list(box) for box in entry.boxes()]
    return [
        {
            "name": " ".join(filter(None, (entry.picture, f"picture {number}" if many else ""))),
            "src": data_uri(picture, most and most // len(pictures)),
            "width": picture.width,
            "height": picture.height,
            "boxes": boxes,
        }
        for number, picture in enumerate(pictures, start=1)
    ]


def definition_of(queries: str) -> str:
    """What VAS is, over the rows of a query role."""
    over = QUERY_WORDS.get(queries, queries)
    own = ", each in its own row" if queries == "response" else ""
    return (
        f"VAS: attention on image tokens over attention on system tokens (at least 1e-6), mean of the ratio over the "
        f"{over}{own} (arXiv 2603.03825)."
    )


def rows_words(queries: str) -> str:
    """Which row each token of the strip is shown with."""
    assert queries in QUERY_ROLES
    if queries == "response":
        return (
            "Each answer token is shown with the row that emitted it: the position before it, whose output it was "
            "drawn from."
        )
    return f"Each token of the {QUERY_WORDS[queries]} is shown with its own row, the one that VAS averages."

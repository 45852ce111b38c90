"""Items and pictures as a page shows them, and the sentences beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from vaslab.errors import VaslabError, one_line
from vaslab.explorer.entries import Entry
from vaslab.explorer.pictures import data_uri
from vaslab.metrics.selection import QUERY_WORDS
from vaslab.prompts.images import open_image
from vaslab.prompts.roles import QUERY_ROLES

Traits: TypeAlias = dict[str, Any]
_SIDE = 28
"""Pixels a patch gets where the picture itself is not there."""


def item_trait(entry: Entry, told: Sequence[Entry], vas: Sequence[dict[str, float | None]]) -> Traits:
    """One item: its texts, and of each run the answer and the mean VAS by query role."""
    return {
        "id": entry.id,
        "question": entry.question,
        "reference": entry.reference,
        "category": entry.category,
        "runs": [
            {"response": each.response, "correct": each.correct, "why": each.why, "vas": values}
            for each, values in zip(told, vas, strict=True)
        ],
    }


def shown_pictures(entry: Entry, grids: Sequence[tuple[int, int]]) -> list[Traits]:
    """An item's pictures as data URIs; plain grounds where they are not there."""
    try:
        pictures = [open_image(each) for each in entry.prompt().images]
    except (VaslabError, OSError) as error:
        name = f"picture not there: {one_line(error)[:200]}"
        return [
            {"name": name, "src": "", "width": cols * _SIDE, "height": rows * _SIDE}
            for rows, cols in grids or [(12, 16)]
        ]
    many = len(pictures) > 1
    return [
        {
            "name": " ".join(filter(None, (entry.picture, f"picture {number}" if many else ""))),
            "src": data_uri(picture),
            "width": picture.width,
            "height": picture.height,
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

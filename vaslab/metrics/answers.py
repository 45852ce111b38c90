"""Attention along the answer: does the model forget the picture while it reasons?"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError
from vaslab.prompts.roles import Role

THINK_END = "</think>"


def answer_rows(capture: xr.Dataset) -> xr.DataArray:
    """Attention mass of every answer token, mean over heads, out of a capture that kept its rows.

    Args:
        capture: made with `rows=True` and response queries.

    Returns:
        float, dims (row, layer, key_role), the key roles sum to 1; coordinates item (id) and token (0 is the first of
        the answer) of each row. A row is the token's own position: attention paid when it is read.

    Raises:
        UsageError: the capture kept no rows, or none of an answer.
    """
    if "row_mass" not in capture:
        raise UsageError("the capture kept no rows; capture with rows=True and queries=('response',)")
    own = np.flatnonzero((capture["row_role"] == int(Role.response)).values)
    if not own.size:
        raise UsageError("the capture holds no answer token; give responses, and queries=('response',)")
    rows = capture.isel(row=own)
    order = np.lexsort((rows["row_position"].values, rows["row_item"].values))
    rows = rows.isel(row=order)
    item, position = rows["row_item"].values, rows["row_position"].values
    first = np.full(capture.sizes["item"], np.iinfo(np.int64).max)
    np.minimum.at(first, item, position)
    out = rows["row_mass"].astype("float64").drop_vars(["item"], errors="ignore")
    return out.assign_coords(
        item=("row", capture["item"].values[item]), token=("row", position - first[item])
    ).rename("answer_mass")


def along_answer(capture: xr.Dataset, role: str = "image", bins: int = 10) -> xr.DataArray:
    """Attention mass on one role along each answer, in equal parts of its length, mean over layers and heads.

    Args:
        capture: as `answer_rows`.
        role: key role.
        bins: parts; an answer of fewer tokens leaves some empty (NaN).

    Returns:
        dims (item, part); coordinate `part` is the middle of each, 0 .. 1 of the answer.

    Raises:
        UsageError: as `answer_rows`; an unknown role; fewer than 2 parts.
    """
    if bins < 2:
        raise UsageError(f"{bins} parts of the answer; expected at least 2")
    curves = _curves(capture, role)
    out = np.full((len(curves), bins), np.nan)
    for row, values in enumerate(curves.values()):
        part = np.minimum((_places(values) * bins).astype(int), bins - 1)
        for at in np.unique(part):
            out[row, at] = values[part == at].mean()
    middle = (np.arange(bins) + 0.5) / bins
    return xr.DataArray(
        out, dims=("item", "part"), coords={"item": list(curves), "part": middle}, name="mass"
    )


def forgetting(capture: xr.Dataset, role: str = "image") -> xr.Dataset:
    """Change of attention on a role from the first to the last answer token, by least squares through all of them.

    Returns:
        Dataset over item: change (parts of one; negative is forgetting), share (change over the mean mass), n_tokens.
        NaN for an answer of fewer than 3 tokens.

    Raises:
        UsageError: as `answer_rows`; an unknown role.
    """
    curves = _curves(capture, role)
    change, share = (np.full(len(curves), np.nan) for _ in range(2))
    for row, values in enumerate(curves.values()):
        if len(values) >= 3:
            change[row] = float(np.polyfit(_places(values), values, 1)[0])
            share[row] = change[row] / values.mean() if values.mean() > 0 else np.nan
    length = np.array([len(values) for values in curves.values()])
    return xr.Dataset(
        {"change": ("item", change), "share": ("item", share), "n_tokens": ("item", length)},
        coords={"item": list(curves)},
    )


def _curves(capture: xr.Dataset, role: str) -> dict[str, NDArray[np.float64]]:
    """Mass on a role at each token of every answer, (token,), mean over layers and heads, by item."""
    mass = answer_rows(capture)
    held = [str(name) for name in mass["key_role"].values]
    if role not in held:
        raise UsageError(f"unknown key role {role!r}; expected one of {', '.join(held)}")
    mass = mass.sel(key_role=role).mean("layer")
    # rows stand answer by answer
    items = mass["item"].values
    edges = np.flatnonzero(items[1:] != items[:-1]) + 1
    parts = np.split(mass.values, edges)
    return dict(zip(items[np.concatenate([[0], edges])].tolist(), parts, strict=True))


def _places(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place of each token in its answer, 0 .. 1."""
    return np.arange(len(values)) / max(len(values) - 1, 1)


def answer_parts(tokens: Sequence[str]) -> list[tuple[str, int, int]]:
    """Where an answer turns from thinking to answering: (name, first token, end) of "think" and "answer".

    The text is joined first, so that a marker cut into several tokens is found; the turn is after the last token that
    holds a piece of </think>. Without a marker, all of it is the answer.
    """
    ends = np.cumsum([len(text) for text in tokens])
    place = "".join(tokens).find(THINK_END)
    if place < 0 or not len(tokens):
        return [("answer", 0, len(tokens))]
    turn = int(np.searchsorted(ends, place + len(THINK_END))) + 1
    parts = [("think", 0, turn)]
    return [*parts, ("answer", turn, len(tokens))] if turn < len(tokens) else parts


def part_means(capture: xr.Dataset, tokens: dict[str, list[str]], role: str = "image") -> xr.DataArray:
    """Attention mass on a role while thinking and while answering.

    Args:
        capture: as `answer_rows`.
        tokens: item id -> the text of each answer token.
        role: key role.

    Returns:
        dims (item, part), part "think" and "answer"; NaN where an answer lacks the part.

    Raises:
        UsageError: as `answer_rows`; an item without tokens, or with another number of them.
    """
    curves = _curves(capture, role)
    out = np.full((len(curves), 2), np.nan)
    for row, (name, values) in enumerate(curves.items()):
        for part, start, end in _parts_of(name, len(values), tokens):
            out[row, 0 if part == "think" else 1] = values[start:end].mean()
    return xr.DataArray(
        out, dims=("item", "part"), coords={"item": list(curves), "part": ["think", "answer"]}, name="mass"
    )


def along_parts(
    capture: xr.Dataset, tokens: dict[str, list[str]], role: str = "image", bins: tuple[int, int] = (8, 3)
) -> xr.DataArray:
    """Attention mass on a role along the thinking and along the answer, each in equal parts of its own length, so that
    the turn from one to the other lies at one place in all answers.

    Args:
        capture, tokens, role: as `part_means`.
        bins: parts of the thinking, and of the answer.

    Returns:
        dims (item, place); coordinates part ("think" or "answer") and within (0 .. 1 of that part) of each place. NaN
        where an answer lacks the part, or has fewer tokens in it.

    Raises:
        UsageError: as `part_means`; fewer than one part of either.
    """
    if min(bins) < 1:
        raise UsageError(f"{bins} parts of thinking and answer; expected at least 1 of each")
    curves = _curves(capture, role)
    out = np.full((len(curves), sum(bins)), np.nan)
    for row, (name, values) in enumerate(curves.items()):
        for part, start, end in _parts_of(name, len(values), tokens):
            first, n = (0, bins[0]) if part == "think" else (bins[0], bins[1])
            place = first + ((np.arange(end - start) + 0.5) / (end - start) * n).astype(int)
            for at in np.unique(place):
                out[row, at] = values[start:end][place == at].mean()
    return xr.DataArray(
        out,
        dims=("item", "place"),
        coords={
            "item": list(curves),
            "part": ("place", ["think"] * bins[0] + ["answer"] * bins[1]),
            "within": ("place", np.concatenate([(np.arange(n) + 0.5) / n for n in bins])),
        },
        name="mass",
    )


def _parts_of(name: str, n: int, tokens: dict[str, list[str]]) -> list[tuple[str, int, int]]:
    """Parts of one answer that hold a token; its texts must be as many as its rows."""
    texts = tokens.get(name, [])
    if len(texts) != n:
        raise UsageError(f"item {name} has {n} answer tokens in the capture and {len(texts)} texts")
    return [(part, start, end) for part, start, end in answer_parts(texts) if end > start]

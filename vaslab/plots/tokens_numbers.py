"""The numbers behind the tokens figure: one row for each answer token and layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import answer_rows
from vaslab.prompts.roles import MASS_FLOOR, SYSTEM_ROLES


def tokens_table(
    capture: xr.Dataset, item: str, tokens: Sequence[str] | None = None, rows: str = "emitting"
) -> pd.DataFrame:
    """Where each answer token's attention lies, layer by layer.

    Args:
        capture: made with rows=True and response queries.
        item: its id.
        tokens: the text of each answer token; by default their numbers.
        rows: "emitting": the position that produced the token, one before it (the first token's is a template marker
            that a capture of answers does not measure: NaN); "own": the token's own position.

    Returns:
        Columns token (0 is the first), text, layer, image, system (shares of attention, mean over heads), vas (their
        ratio: of means over heads, so not the paper's mean of ratios).

    Raises:
        UsageError: no rows, no such item, another number of texts, or unknown `rows`.
    """
    if rows not in ("emitting", "own"):
        raise UsageError(f"rows is {rows!r}; expected 'emitting' or 'own'")
    every = answer_rows(capture)
    own = np.flatnonzero(every["item"].values == item)
    if not own.size:
        held = list(dict.fromkeys(map(str, every["item"].values)))
        raise UsageError(f"no answer of item {item!r}; the capture holds {', '.join(held[:5])}")
    mass = every.isel(row=own)
    n = len(own)
    texts = [str(at) for at in range(n)] if tokens is None else [str(text) for text in tokens]
    if len(texts) != n:
        raise UsageError(f"item {item} has {n} answer tokens in the capture and {len(texts)} texts")
    image = mass.sel(key_role="image").transpose("row", "layer").values
    system = (
        mass.sel(key_role=[role.name for role in SYSTEM_ROLES])
        .sum("key_role")
        .transpose("row", "layer")
        .values
    )
    if rows == "emitting":
        gap = np.full((1, image.shape[1]), np.nan)
        image, system = (np.concatenate([gap, each[:-1]]) for each in (image, system))
    layers = capture["layer"].values
    token, layer = np.meshgrid(np.arange(n), layers, indexing="ij")
    table = pd.DataFrame(
        {
            "token": token.ravel(),
            "text": np.repeat(np.array(texts, dtype=object), len(layers)),
            "layer": layer.ravel(),
            "image": image.ravel(),
            "system": system.ravel(),
            "vas": (image / np.maximum(system, MASS_FLOOR)).ravel(),
        }
    )
    table.attrs["rows"] = rows
    table.attrs["item"] = item
    return table

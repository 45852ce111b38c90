"""A finished run of a sweep as its table wants it: one value an item."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vaslab.capture.files import load_capture
from vaslab.metrics.definition import Definition
from vaslab.metrics.masses import masses
from vaslab.metrics.vas import vas_per_item
from vaslab.studies.run import CAPTURE, ITEMS
from vaslab.studies.side_effects import Sides, in_format
from vaslab.studies.study_config import StudyRun


@dataclass(frozen=True)
class Measured:
    """What was measured, dims (item) each; responses by item id.

    Args:
        right: 1 right, 0 wrong, NaN not graded.
        vas, visual, system: of the run's first query set, mean over heads.
        length: tokens of the answer.
        formatted: whether the answer has the paper's format.
        finished: whether it ended by itself.
        picture: name of the item's picture.
        responses: the answers.
        obeyed: of each checkable system prompt, whether each side item's answer obeys it.
        loss, tokens: of each side item's text; see `Sides`.
    """

    right: xr.DataArray
    vas: xr.DataArray
    visual: xr.DataArray
    system: xr.DataArray
    length: xr.DataArray
    formatted: xr.DataArray
    finished: xr.DataArray
    picture: xr.DataArray
    responses: Mapping[str, str]
    obeyed: Mapping[str, xr.DataArray] = field(default_factory=dict)
    loss: xr.DataArray | None = None
    tokens: xr.DataArray | None = None

    def only(self, ids: Sequence[str]) -> Measured:
        """The same of some items, without side effects."""
        names = ("right", "vas", "visual", "system", "length", "formatted", "finished", "picture")
        return Measured(
            **{name: getattr(self, name).sel(item=list(ids)) for name in names}, responses=self.responses
        )


def read_measured(run: StudyRun, sides: Sides | None) -> Measured:
    """Read a finished run's rows and capture; `sides` are what was asked beside it."""
    folder, queries = Path(run.config.out), run.config.queries[0]
    rows = [json.loads(line) for line in (folder / ITEMS).read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if not row["error"]]
    ids = [row["id"] for row in rows]
    capture = load_capture(folder / CAPTURE)
    mass = masses(capture, queries, over=("layer", "head"))
    beside: dict[str, Any] = {}
    if sides is not None:
        beside = {
            "obeyed": {name: _each(sides.items, told) for name, told in sides.obeyed.items()},
            "loss": _each(sides.items, sides.loss),
            "tokens": _each(sides.items, sides.tokens),
        }
    return Measured(
        right=_each(ids, [np.nan if row["right"] is None else row["right"] for row in rows]),
        vas=vas_per_item(capture, Definition(queries)).sel(item=ids),
        visual=mass.sel(role="image", drop=True).sel(item=ids),
        system=mass.sel(role="system", drop=True).sel(item=ids),
        length=_each(ids, [row["n_tokens"] for row in rows]),
        formatted=_each(ids, [in_format(row["response"]) for row in rows]),
        finished=_each(ids, [row["finished"] for row in rows]),
        picture=_each(ids, [row["picture"] or row["id"] for row in rows], object),
        responses={row["id"]: row["response"] for row in rows},
        **beside,
    )


def _each(ids: Sequence[str], values: Sequence[Any], kind: Any = float) -> xr.DataArray:
    return xr.DataArray(np.asarray(values, dtype=kind), dims="item", coords={"item": list(ids)})

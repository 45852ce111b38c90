"""The numbers behind the forgetting figure: attention on the image through thinking and answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import along_parts, forgetting, part_means
from vaslab.plots.levels import row_of, tested
from vaslab.statistics import mean_t

SHIFT = 1e-4
"""Change of a mass below which it is never called a finding: rounding repeats itself, and would pass any test."""


@dataclass(frozen=True)
class Answers:
    """Answers measured token by token.

    Args:
        capture: made with rows=True and response queries.
        tokens: item id -> the text of each answer token.
    """

    capture: xr.Dataset
    tokens: dict[str, list[str]]


def forgetting_table(
    answers: Mapping[str, Answers], role: str = "image", cluster: xr.DataArray | None = None
) -> pd.DataFrame:
    """Attention on a role along the answers of each checkpoint, mean over heads, layers and items.

    Args:
        answers: checkpoint name -> its answers.
        role: key role.
        cluster: picture of each item, dims (item).

    Returns:
        One row for each checkpoint and place: checkpoint, part ("think" or "answer"), within (0 .. 1 of that part),
        share, share_low, share_high (95 %, t over items or pictures), n (answers that reach there).
        `attrs["changes"]`: one row a checkpoint: change (from the first to the last token, least squares through all of
        them), turn (mean while answering less mean while thinking: the change point), each in parts of one with _low,
        _high, _p, _p_adjusted (Benjamini-Hochberg over checkpoints) and _changed; relative (change over the mean), and
        n_items, n_turns (answers that hold both parts).

    Raises:
        UsageError: no checkpoint, otherwise as `vaslab.metrics.along_parts`.
    """
    if not answers:
        raise UsageError("no checkpoint to draw; expected {name: answers, ...}")
    rows, changes = [], []
    for name, told in answers.items():
        along = along_parts(told.capture, told.tokens, role)
        found = mean_t(along, _own(cluster, along))
        for at in range(along.sizes["place"]):
            rows.append(
                {
                    "checkpoint": name,
                    "part": str(along["part"].values[at]),
                    "within": float(along["within"].values[at]),
                    **row_of("share", found.isel(place=at).drop_vars("p")),
                    "n": int(found["n"].values[at]),
                }
            )
        slopes = forgetting(told.capture, role)
        means = part_means(told.capture, told.tokens, role)
        turn = means.sel(part="answer", drop=True) - means.sel(part="think", drop=True)
        changes.append(
            {
                "checkpoint": name,
                **row_of("change", mean_t(slopes["change"], _own(cluster, slopes["change"]))),
                "relative": float(slopes["share"].mean()),
                **row_of("turn", mean_t(turn, _own(cluster, turn))),
                "n_items": int(slopes["change"].notnull().sum()),
                "n_turns": int(turn.notnull().sum()),
            }
        )
    table, summary = pd.DataFrame(rows), pd.DataFrame(changes)
    for name in ("change", "turn"):
        summary = tested(summary, name, pd.Series(np.ones(len(summary), dtype=bool)))
        summary[f"{name}_changed"] &= summary[name].abs() > SHIFT
    table.attrs = {"role": role, "changes": summary, "clustered": cluster is not None}
    return table


def _own(cluster: xr.DataArray | None, values: xr.DataArray) -> xr.DataArray | None:
    return None if cluster is None else cluster.sel(item=values["item"])

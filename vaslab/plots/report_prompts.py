"""The report's answer to: does it survive other system prompts?"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaslab.metrics import Definition
from vaslab.plots.page import Section
from vaslab.plots.report_checkpoint import figures
from vaslab.plots.scatter_numbers import findings, scatter_table
from vaslab.plots.scatter_words import statistics_of
from vaslab.plots.scatter_words import title_of as scatter_title
from vaslab.plots.system_prompts import system_prompts
from vaslab.plots.system_prompts_numbers import Prompted, system_prompts_table
from vaslab.plots.system_prompts_words import change_bound, level_bound, per_token_of, title_of
from vaslab.plots.text import counted, points, times_text
from vaslab.statistics.correlation import FEWEST


def prompt_section(
    runs: Sequence[Prompted],
    queries: str,
    cluster: xr.DataArray | None,
    told: dict[str, Any],
    seed: int,
) -> Section | None:
    """How VAS and accuracy move with the system prompt, and, for 4 checkpoints or more, r under each prompt.

    Args:
        runs: those of the first run's system prompt and of others; None is returned where there is one prompt alone.
        queries, cluster, seed: as `report`. told: data, decoding and run in words.
    """
    if len({run.prompt for run in runs}) < 2:
        return None
    reference = runs[0].prompt
    held = {run.checkpoint for run in runs if run.prompt == reference}
    used = [run for run in runs if run.checkpoint in held]
    table = system_prompts_table(used, reference, Definition(queries), cluster=cluster, seed=seed)
    words = [per_token_of(table), f"VAS is over {table.attrs['heads']}." if table.attrs["heads"] else ""]
    left = len({run.checkpoint for run in runs} - held)
    if left:
        words.append(f"{counted(left, 'checkpoint')} not measured under the prompt {reference}: left out.")
    rows = []
    for prompt in table["prompt"].unique():
        own = [run for run in runs if run.prompt == prompt and run.right is not None]
        graded = {
            run.checkpoint: run.right for run in own if run.right is not None and run.right.notnull().any()
        }
        if len(graded) < FEWEST:
            continue
        captures = {run.checkpoint: run.capture for run in own if run.checkpoint in graded}
        found = findings(
            scatter_table(captures, graded, Definition(queries), cluster=cluster, seed=seed), seed
        )
        rows.append({"system prompt": prompt, "finding": scatter_title(found), "r": statistics_of(found)[0]})
    return Section(
        "Does it survive other system prompts?" if rows else "What do other system prompts change?",
        f"{title_of(table)}.",
        [each for each in words if each],
        [_shown(table), *([pd.DataFrame(rows)] if rows else [])],
        [system_prompts(table, **told | {"run": ", ".join(map(_run, used))})],
    )


def _run(run: Prompted) -> str:
    """A run by the name of its folder, or by what was measured."""
    return run.facts.get("run", f"{run.checkpoint} {run.prompt}")


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Levels and paired changes with their intervals, in words."""
    rows = [
        {
            "system prompt": row["prompt"],
            "checkpoint": row["checkpoint"],
            "system tokens": round(row["system_tokens"]),
            Definition.of(table.attrs["vas"]).name: f"{level_bound(row)}{figures(row['vas'])}",
            "change of VAS": _times(row, "vas_ratio", table),
            "change per token": _times(row, "vas_per_token_ratio", table),
            "accuracy %": f"{100 * row['accuracy']:.1f}",
            "change in points": _change(row, "accuracy_change", points),
        }
        for row in table.to_dict("records")
    ]
    return pd.DataFrame(rows)


def _times(row: dict[Any, Any], name: str, table: pd.DataFrame) -> str:
    """A change of VAS with its interval; a bound where it rests on the floor of the denominator."""
    text = _change(row, name, times_text)
    return text if text == "–" else change_bound(row, name, table) + text


def _change(row: dict[Any, Any], name: str, said: Callable[[float], str]) -> str:
    """A change with its interval, in the words of `said`."""
    if not np.isfinite(row[f"{name}_p"]):
        return "–"
    middle, low, high = (said(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{middle} [{low}, {high}]"

"""The numbers behind the system-prompt figure: VAS and accuracy under several prompts, paired with one of them."""

from dataclasses import dataclass, field, replace

import pandas as pd
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import PAPER, Definition, floored, vas_per_item
from vaslab.plots.checkpoint_sets import on_shared_heads
from vaslab.plots.levels import accuracy_change, accuracy_level, change_terms, row_of, tested, vas_level
from vaslab.prompts.roles import SYSTEM_ROLES
from vaslab.statistics import product_t

NAMES = {"vas": False, "vas_per_token": True}
"""Columns of VAS, and whether its masses are divided by their numbers of tokens."""


@dataclass(frozen=True)
class Prompted:
    """A checkpoint measured under one system prompt.

    Args:
        checkpoint, prompt: their names. capture: its Capture.
        right: 1 right, 0 wrong, NaN not graded; dims (item).
        facts: provenance by name, in words; run: the name of its folder.
    """

    checkpoint: str
    prompt: str
    capture: xr.Dataset
    right: xr.DataArray | None = None
    facts: dict[str, str] = field(default_factory=dict)


def system_prompts_table(
    runs: list[Prompted],
    reference: str | None = None,
    definition: Definition = PAPER,
    cluster: xr.DataArray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """How VAS and accuracy of each checkpoint move with the system prompt.

    Args:
        runs: one for each checkpoint and prompt; of one checkpoint on the same items.
        reference: the prompt that others are compared with; by default the first.
        definition: of VAS; its `per_token` is not read, for both are told.
        cluster: picture of each item; its items count together. seed: of the bootstrap of levels.

    Returns:
        One row a run, prompts in their first order: checkpoint, prompt, system_tokens (mean over items),
        clamped_share (of denominators of VAS at 1e-6), vas, vas_per_token and accuracy, each with _low and _high;
        vas_ratio, vas_per_token_ratio (to the reference) and accuracy_change (parts of one), each with _low, _high, _p,
        _p_adjusted (Benjamini-Hochberg over all rows but the references), _changed; n_items. `attrs["vas"]` holds the
        attributes of the VAS, `attrs["reference"]` the prompt. All is over the layers and heads that every run has;
        `attrs["heads"]` names them in words, "" where those are all.

    Raises:
        UsageError: no run, two of one checkpoint and prompt, a checkpoint that was not measured under the reference,
            or runs that do not align.
        VaslabError: as `vas`.
    """
    if not runs:
        raise UsageError("no run; expected one for each checkpoint and system prompt")
    base = runs[0].prompt if reference is None else reference
    if len({(run.checkpoint, run.prompt) for run in runs}) < len(runs):
        raise UsageError("two runs are of one checkpoint under one system prompt; give each pair once")
    same = on_shared_heads(
        {f"{run.checkpoint}, {run.prompt}": run.capture for run in runs},
        (definition.queries,),
        (definition.sink,),
    )
    runs = [replace(run, capture=capture) for run, capture in zip(runs, same.captures.values(), strict=True)]
    by_name = {(run.checkpoint, run.prompt): run for run in runs}
    rows = []
    for run in _ordered(runs, base):
        against = by_name.get((run.checkpoint, base))
        if against is None:
            raise UsageError(
                f"{run.checkpoint} was not measured under the system prompt {base!r}, that others are compared with"
            )
        rows.append(_row(run, against, definition, cluster, seed))
    table = pd.DataFrame(rows)
    for name in ("vas_ratio", "vas_per_token_ratio", "accuracy_change"):
        table = tested(table, name, table["prompt"] != base)
    table.attrs["vas"] = dict(vas_per_item(runs[0].capture, replace(definition, per_token=False)).attrs)
    table.attrs["reference"] = base
    table.attrs["heads"] = same.words
    table.attrs["clustered"] = cluster is not None
    return table


def _ordered(runs: list[Prompted], base: str) -> list[Prompted]:
    """Runs by prompt, the reference first, then by checkpoint, as they came."""
    prompts = [base, *dict.fromkeys(run.prompt for run in runs if run.prompt != base)]
    names = list(dict.fromkeys(run.checkpoint for run in runs))
    return sorted(runs, key=lambda run: (prompts.index(run.prompt), names.index(run.checkpoint)))


def _row(
    run: Prompted,
    against: Prompted,
    definition: Definition,
    cluster: xr.DataArray | None,
    seed: int,
) -> dict[str, object]:
    keys = run.capture["n_keys"].sel(key_role=[role.name for role in SYSTEM_ROLES]).sum("key_role")
    row: dict[str, object] = {
        "checkpoint": run.checkpoint,
        "prompt": run.prompt,
        "system_tokens": float(keys.mean()),
        "clamped_share": float(floored(run.capture, definition)),
    }
    for name, per_token in NAMES.items():
        asked = replace(definition, per_token=per_token)
        row |= row_of(name, vas_level(run.capture, asked, cluster, seed))
        try:
            terms = change_terms(against.capture, run.capture, asked, ("layer", "head"))
        except UsageError as error:
            raise UsageError(
                f"{run.checkpoint}, prompts {against.prompt} (first) and {run.prompt} (second): {error}"
            ) from error
        change = product_t(terms, cluster=cluster)
        row |= row_of(f"{name}_ratio", change)
        row["n_items"] = int(change["n"])
    row |= row_of("accuracy", accuracy_level(run.right, cluster))
    return row | accuracy_change(against.right if run is not against else None, run.right, cluster)

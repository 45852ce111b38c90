# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does a checkpoint that looks more at the picture answer better?
#
# The paper reports r = 0.96 between a model's VAS and its mean accuracy. One point is one checkpoint, so a handful of
# them says little, and what carries an r may be one checkpoint, one definition of VAS, or a third thing such as the
# length of the answers. We look at all three.

# %% tags=["parameters"]
RUNS = []  # run folders, one a checkpoint, on the same items; empty: the shipped checkpoints are measured on DATA here
DATA = "glyph"
LIMIT = 150

# %%
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import plotly.io as pio

from vaslab.cli.finished import read_runs, same_pictures
from vaslab.models import organisms
from vaslab.plots import CONFIG, findings, scatter, scatter_table, sensitivity, sensitivity_table
from vaslab.plots.text import FLOORED
from vaslab.statistics import checkpoints_needed, partial_correlation
from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import measure

pio.renderers.default = "plotly_mimetype"
pio.renderers["plotly_mimetype"].config = CONFIG

# %%
scratch = tempfile.TemporaryDirectory()
asked = {"data": DATA, "limit": LIMIT, "batch_size": 50, "max_new_tokens": 192}
folders = [Path(run) for run in RUNS] or [
    measure(MeasureConfig(f"organism:{name}", f"{scratch.name}/{name}", **asked)) for name in organisms()
]
runs = read_runs(folders)
data = next(iter(runs.values())).summary["data"]

# %% [markdown]
# ## One point a checkpoint

# %%
captures = {name: run.capture for name, run in runs.items()}
right = {name: run.right for name, run in runs.items()}
kinds = {"organism:text": "text-only cold start"}  # other names say it themselves
table = scatter_table(captures, right, cluster=same_pictures(list(runs.values())), kinds=kinds)
scatter(table, data=data, run=", ".join(folder.name for folder in folders))

# %%
table.round(3)

# %% [markdown]
# ## Does it rest on the definition?
# The same r under every reasonable definition of VAS: mean of ratios or ratio of means, with and without the first
# token, per token, by layers, by heads.

# %%
result = findings(table)
curve = None
if result.pearson is not None:
    accuracy = dict(zip(table["checkpoint"], table["accuracy"].astype(float), strict=True))
    curve = sensitivity_table(captures, accuracy)
sensitivity(curve, data=data) if curve is not None else result.reason

# %% [markdown]
# ## Does it survive the length of the answers?
# Checkpoints that reason longer may both look longer and answer better.

# %%
length = table["checkpoint"].map(
    {
        name: np.mean([row["n_tokens"] for row in run.rows.values() if row["n_tokens"]])
        for name, run in runs.items()
    }
)
held = None
if result.pearson is not None and len(result.used) > 4 and length.nunique() > 1:
    held = partial_correlation(
        np.log2(table["vas"]), table["accuracy"], {"mean length of the answer": length}
    )
length.set_axis(table["checkpoint"]).rename("mean tokens of an answer").to_frame().round(1)

# %% [markdown]
# ## What was found

# %%
found = [
    f"Checkpoints measured on {int(table['n_graded'].min())} items of {data}: {len(table)}. VAS (mean of ratios) from "
    f"{table['vas'].min():,.1f} to {table['vas'].max():,.1f}, "
    f"accuracy from {table['accuracy'].min():.1%} to {table['accuracy'].max():.1%}."
]
bounds = table[table["clamped_share"] > FLOORED]
if len(bounds):
    found.append(
        "VAS is no more than a bound where rows leave the system prompt less than a millionth of their attention: "
        + ", ".join(f"{row.clamped_share:.0%} of the rows of {row.checkpoint}" for row in bounds.itertuples())
        + "."
    )
if result.pearson is None:
    found.append(
        f"No r is given: {result.reason}. To tell a true r of 0.9 from 0 four times in five, "
        f"{checkpoints_needed(0.9)} checkpoints are needed; for 0.5, {checkpoints_needed(0.5)}."
    )
else:
    r = result.pearson
    verdict = "leaves out 0" if result.clear else "does not tell r from 0"
    found.append(
        f"r = {r.estimate:.2f} between log2 VAS and accuracy (95 % CI {r.low:.2f} to {r.high:.2f}, p = {r.p:.2g} by "
        f"permutation): the interval {verdict}."
    )
    if result.without is not None:
        found.append(
            f"Without one checkpoint r lies between {result.without.low:.2f} (without {result.without.low_without}) "
            f"and {result.without.high:.2f} (without {result.without.high_without})."
        )
    drawn = curve[curve["r"].notna()]
    found.append(
        f"Under {len(drawn)} definitions of VAS r runs from {drawn['r'].min():.2f} to {drawn['r'].max():.2f}; "
        f"{int((drawn['low'] > 0).sum())} of them have an interval above 0, {int((drawn['high'] < 0).sum())} below."
    )
    if held is not None:
        found.append(
            f"With the length of the answers held still, r = {held.estimate:.2f} (95 % CI {held.low:.2f} to "
            f"{held.high:.2f})."
        )
    found.append(
        "A correlation over checkpoints is no cause: notebook 06 moves attention and leaves the rest alone."
    )
print("\n\n".join(textwrap.fill(each, 100) for each in found))

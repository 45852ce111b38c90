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
from vaslab.plots.scatter_words import clamped_words, statistics_of, title_of
from vaslab.plots.sensitivity import counted_once
from vaslab.plots.sensitivity_words import repeats_words
from vaslab.plots.sensitivity_words import title_of as sensitivity_title
from vaslab.plots.text import FLOORED, coefficient, number
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
ordered = table.sort_values("vas")
lowest, highest = (
    ("≥ " if row["clamped_share"] > FLOORED else "") + number(row["vas"])
    for row in (ordered.iloc[0], ordered.iloc[-1])
)
found = [
    f"Checkpoints measured on {int(table['n_graded'].min())} items of {data}: {len(table)}. {result.vas} from {lowest} "
    f"to {highest}, accuracy from {table['accuracy'].min():.1%} to {table['accuracy'].max():.1%}.",
    f"{title_of(result)}. {clamped_words(result)}".strip(),
]
if result.pearson is None:
    found.append(
        f"No r is given: {result.reason}. To tell a true r of 0.9 from 0 four times in five, "
        f"{checkpoints_needed(0.9)} checkpoints are needed; for 0.5, {checkpoints_needed(0.5)}."
    )
else:
    first, *rest = statistics_of(result)
    found.append(f"Of log2 {result.vas} and accuracy: {'. '.join([first, *rest])}.")
    drawn = counted_once(curve)
    found.append(
        f"{sensitivity_title(drawn)}; r runs from {coefficient(drawn['r'].min())} to {coefficient(drawn['r'].max())}. "
        f"{repeats_words(curve)}".strip()
    )
    if held is not None:
        found.append(
            f"With the length of the answers held still, r of log2 {result.vas} and accuracy = "
            f"{coefficient(held.estimate)} (95 % CI {coefficient(held.low)} to {coefficient(held.high)})."
        )
    found.append(
        "A correlation over checkpoints is no cause: notebook 06 moves attention and leaves the rest alone."
    )
print("\n\n".join(textwrap.fill(each, 100) for each in found))

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
# # What did training change: what a checkpoint looks at, how it answers, or both?
#
# Two checkpoints answer the same questions. VAS can rise because attention on the picture rose or because
# attention on the system prompt fell, in a few heads or in all of them, and the answers may follow or not.
# Everything is paired: item by item, head by head.

# %% tags=["parameters"]
RUN_A = ""  # a run folder; empty: MODEL_A and MODEL_B are measured on DATA here
RUN_B = ""  # a run folder on the same items
MODEL_A = "organism:base"
MODEL_B = "organism:agto"
DATA = "glyph"
LIMIT = 200

# %%
import tempfile
import textwrap
from pathlib import Path

import pandas as pd
import plotly.io as pio

import vaslab
from vaslab.cli.finished import read_runs, same_pictures
from vaslab.plots import CONFIG, changes, changes_table, compare, compare_table
from vaslab.plots.text import times_text
from vaslab.statistics import paired_accuracy
from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import measure

pio.renderers.default = "plotly_mimetype"
pio.renderers["plotly_mimetype"].config = CONFIG

# %%
scratch = tempfile.TemporaryDirectory()
asked = {"data": DATA, "limit": LIMIT, "batch_size": 50, "max_new_tokens": 192}
folders = [
    Path(run) if run else measure(MeasureConfig(model, f"{scratch.name}/{side}", **asked))
    for side, run, model in (("a", RUN_A, MODEL_A), ("b", RUN_B, MODEL_B))
]
runs = read_runs(folders)
(a, b), names = runs.values(), tuple(runs)
pictures = same_pictures([a, b])
told = {"data": a.summary["data"], "run": ", ".join(folder.name for folder in folders)}

# %% [markdown]
# ## Head by head
# Pale heads did not change at a false discovery rate of 5 %.

# %%
by_head = compare_table(a.capture, b.capture, cluster=pictures)
compare(a.capture, b.capture, names, table=by_head, **told)

# %% [markdown]
# ## Rise of visual, or fall of system attention?
# The change of VAS in its parts: visual and system make up that of the ratio of means, the spread of the ratios
# the rest of the paper's mean of ratios. Right: all layers, step by step.

# %%
parts = changes_table(a.capture, b.capture, cluster=pictures)
changes(a.capture, b.capture, names, table=parts, **told)

# %% [markdown]
# ## Which answers changed?

# %%
answers = pd.DataFrame(
    [
        {"item": name, names[0]: a.rows[name]["right"], names[1]: row["right"], "says": row["extracted"]}
        for name, row in b.rows.items()
    ]
).set_index("item")
graded = a.graded and b.graded
answers[answers[names[0]] != answers[names[1]]].head(12)

# %% [markdown]
# ## One item in both

# %%
vaslab.explore(*folders)

# %% [markdown]
# ## What was found

# %%
by = 2 ** parts.filter(regex="^(ratio_of_means|visual|system)(_low|_high)?$").iloc[-1].astype(float)
by = by.map(times_text)
changed = by_head[by_head["changed"]]
found = [
    f"From {names[0]} to {names[1]} VAS (ratio of means) changes {by['ratio_of_means']} (95 % CI "
    f"{by['ratio_of_means_low']} to {by['ratio_of_means_high']}); the part of attention on the picture is "
    f"{by['visual']} ({by['visual_low']} to {by['visual_high']}), that of attention on the system prompt "
    f"{by['system']} ({by['system_low']} to {by['system_high']}; its fall counts as a rise).",
    f"{len(changed)} of {len(by_head)} heads changed their VAS (mean of ratios, FDR 5 %): "
    f"{int((changed['ratio'] > 1).sum())} up, {int((changed['ratio'] < 1).sum())} down.",
]
if graded:
    pair = paired_accuracy(a.right, b.right, pictures)
    found.append(
        f"Accuracy goes from {pair.first:.1%} to {pair.second:.1%}: {100 * pair.difference:+.1f} points (95 % CI "
        f"{100 * pair.low:+.1f} to {100 * pair.high:+.1f}), {pair.fixed} items fixed and {pair.broken} broken (p of "
        f"the score {pair.p_score:.2g})."
    )
print("\n\n".join(textwrap.fill(each, 100) for each in found))

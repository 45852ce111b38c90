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
# # Which heads look at the picture, and do those point at the thing asked about?
#
# A head can spend much attention on the picture and spread it evenly; another can spend little and point at
# one patch. We take both apart over many questions: how much each head looks (VAS and shares), and where
# (does its highest patch lie on the thing that the question is about?).

# %% tags=["parameters"]
RUN = ""  # a run folder; empty: MODEL is measured on DATA here
MODEL = "organism:base"
DATA = "glyph"
LIMIT = 120
POINTED = 40  # items whose maps are kept, of those that say where the answer is seen

# %%
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.io as pio

import vaslab
from vaslab.metrics import head_shares, localisation
from vaslab.plots import CONFIG, heads, heads_table
from vaslab.prompts.encode import encode
from vaslab.statistics import correlate
from vaslab.studies.config import MeasureConfig
from vaslab.studies.finished import read_told
from vaslab.studies.measure import load_for, measure
from vaslab.studies.run import CAPTURE

pio.renderers.default = "plotly_mimetype"
pio.renderers["plotly_mimetype"].config = CONFIG

# %% [markdown]
# ## How much each head looks
# White is a head with as much attention on the picture as on the system prompt; squares mark the highest.

# %%
scratch = tempfile.TemporaryDirectory()
folder = Path(RUN) if RUN else measure(MeasureConfig(MODEL, f"{scratch.name}/run", DATA, limit=LIMIT))
config = read_told(folder)
capture = vaslab.load_capture(folder / CAPTURE)
table = heads_table(capture)
heads(capture, data=config.data, run=folder.name, table=table)

# %% [markdown]
# VAS is a ratio. The shares behind it say what a head does: *visual* heads spend more on the picture than one that
# spreads evenly over all keys of the prompt, *sink* heads park more than 30 % on the first token.

# %%
shares = head_shares(capture).merge(table[["layer", "head", "vas"]], on=["layer", "head"])
kinds = shares.groupby(["visual", "sink_head"]).size().rename("heads").to_frame()
kinds

# %%
shares.sort_values("vas", ascending=False).head(10).round(3)

# %% [markdown]
# ## Where each head points while the model answers
# For items that say where their answer is seen, every head is captured again, with the attention of the
# answer's rows on every patch. A head *hits* when the patch that gets most of it lies on the thing asked about.

# %%
boxed = [item for item in config.selection(config.benchmark()).items if len(item.boxes) == 1][:POINTED]
pointing = None
if boxed:
    vlm = load_for(config)
    prompts, ids = [item.prompt() for item in boxed], [item.id for item in boxed]
    told, _ = vaslab.answer(vlm, prompts, max_new_tokens=config.max_new_tokens, item_ids=ids)
    mapped = vaslab.capture(
        vlm,
        prompts,
        ("response",),
        responses=[each.ids for each in told],
        patches=[(layer, head) for layer in range(vlm.n_layers) for head in range(vlm.n_heads)],
        item_ids=ids,
    )
    regions = {}
    for item, (grid,) in zip(boxed, encode(vlm.processor, prompts).grids, strict=True):
        region = np.zeros(len(grid), dtype=bool)
        region[list(grid.patches_in(item.boxes[0], overlap=0.25))] = True
        regions[item.id] = region.reshape(grid.rows, grid.cols)
    pointing = localisation(mapped, regions, "mean").merge(shares, on=["layer", "head"])
    pointing = pointing.sort_values("hit_rate", ascending=False)
shown = ["layer", "head", "hit_rate", "inside", "chance", "entropy", "attention", "vas", "localises"]
pointing[shown].head(10).round(3) if pointing is not None else f"no item of {config.data} says where"

# %% [markdown]
# ## One head, one picture, one token
# **rank the heads** finds those that look most at the thing asked about, here and now. Click a head, or move with the
# arrow keys; the first one loads the model. Hover a token to see where it looks.

# %%
explorer = vaslab.explore(folder, item=boxed[0].id if boxed else None)
if boxed:
    explorer.selected = [int(pointing.iloc[0][name]) for name in ("layer", "head")]
explorer

# %% [markdown]
# ## What was found

# %%
highest = table.sort_values("rank").iloc[0]
found = [
    f"Over {capture.sizes['item']} items of {config.data}, {int((table['ratio_of_means'] > 1).sum())} of {len(table)} "
    f"heads of {config.model} spend more attention on the picture than on the system prompt (ratio of means above 1). "
    f"As a mean of ratios VAS is above 1 in {int((table['vas'] > 1).sum())}, and {table['vas'].median():.2f} in the "
    "median head.",
    f"The highest is layer {int(highest['layer'])}, head {int(highest['head'])}: VAS {highest['vas']:,.1f} (95 % CI "
    f"{highest['ci_low']:,.1f} to {highest['ci_high']:,.1f}) as a mean of ratios and {highest['ratio_of_means']:.1f} "
    f"as a ratio of means, with {highest['image']:.0%} of its attention on the picture.",
    f"{int(shares['visual'].sum())} heads spend more on the picture than an even spread would, "
    f"{int(shares['sink_head'].sum())} are sink heads, {int((shares['visual'] & shares['sink_head']).sum())} both.",
]
if pointing is not None:
    best = pointing.iloc[0]
    level = pd.Series(np.log2(pointing["vas"].clip(lower=1e-6)))
    rank = correlate(level, pointing["hit_rate"], "spearman")
    found += [
        f"The head that points best, layer {int(best['layer'])} head {int(best['head'])}, has its highest patch on the "
        f"thing asked about in {best['hit_rate']:.0%} of {int(best['n_items'])} items, where one that points anywhere "
        f"has {best['chance']:.0%}; {int(pointing['localises'].sum())} heads localise by the criterion of Kang et al.",
        f"Looking much and pointing well: Spearman {rank.estimate:+.2f} (95 % CI {rank.low:+.2f} to {rank.high:+.2f}) "
        f"between VAS and hit rate over {rank.n} heads.",
    ]
print("\n\n".join(textwrap.fill(each, 100) for each in found))

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
import plotly.io as pio

import vaslab
from vaslab.cli.finished import read_runs, same_pictures
from vaslab.metrics import floored, head_shares, pointing
from vaslab.plots import CONFIG, heads, heads_table, localisation_table
from vaslab.plots.head_words import title_of as heads_title
from vaslab.plots.localisation import title_of as pointing_title
from vaslab.plots.text import FLOORED, number, percent
from vaslab.prompts.encode import encode
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
# answer's rows on every patch. A head *hits* when the patch that gets most of it lies on the thing asked about. A
# head is *found* that does so more often than the thing's area, and the head's own usual place, would give.

# %%
boxed = [item for item in config.selection(config.benchmark()).items if len(item.boxes) == 1][:POINTED]
pointed = None
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
    pictures = same_pictures(list(read_runs([folder]).values()))
    pointed = localisation_table(pointing(mapped, regions, "mean"), pictures)
    pointed = pointed.sort_values("hit_rate", ascending=False)
shown = [
    "layer",
    "head",
    "hit_rate",
    "hit_low",
    "hit_high",
    "chance",
    "prior",
    "p_adjusted",
    "found",
    "entropy",
]
pointed[shown].head(10).round(3) if pointed is not None else f"no item of {config.data} says where"

# %% [markdown]
# ## One head, one picture, one token
# **rank the heads** finds those that look most at the thing asked about, here and now. Click a head, or move with the
# arrow keys; the first one loads the model. Hover a token to see where it looks.

# %%
explorer = vaslab.explore(folder, item=boxed[0].id if boxed else None)
if boxed:
    explorer.selected = [int(pointed.iloc[0][name]) for name in ("layer", "head")]
explorer

# %% [markdown]
# ## What was found

# %%
highest = table.sort_values("rank").iloc[0]
layer, head = int(highest["layer"]), int(highest["head"])
low = float(floored(capture, over=("item",)).sel(layer=layer, head=head))
bound = (
    f", a bound: {percent(low)} of its rows leave the system prompt less than a millionth"
    if low > FLOORED
    else ""
)
found = [
    f"{config.model}, over {capture.sizes['item']} items of {config.data}: {heads_title(table, table.attrs['vas'])}. "
    f"In the median head VAS (mean of ratios) is {number(table['vas'].median())}, as a ratio of means "
    f"{number(table['ratio_of_means'].median())}.",
    f"The highest is layer {layer}, head {head}: VAS (mean of ratios) {'≥ ' if bound else ''}{number(highest['vas'])} "
    f"(95 % CI {number(highest['ci_low'])} to {number(highest['ci_high'])}{bound}), as a ratio of means "
    f"{number(highest['ratio_of_means'])}, with {percent(highest['image'])} of its attention on the picture.",
    f"{int(shares['visual'].sum())} heads spend more on the picture than an even spread would, "
    f"{int(shares['sink_head'].sum())} are sink heads, {int((shares['visual'] & shares['sink_head']).sum())} both.",
]
if pointed is not None:
    both = pointed.merge(table[["layer", "head", "vas"]], on=["layer", "head"])
    found.append(
        f"{pointing_title(pointed)}. {int(pointed['localises'].sum())} heads localise by the criterion of Kang et al."
    )
    if both["vas"].nunique() > 1 and both["hit_rate"].nunique() > 1:
        rho = both["vas"].corr(both["hit_rate"], "spearman")
        found.append(
            f"Looking much and pointing well: Spearman {rho:+.2f} between VAS (mean of ratios) and hit rate over the "
            f"{len(both)} heads. No interval is given: heads of one model are no sample of independent points."
        )
print("\n\n".join(textwrap.fill(each, 100) for each in found))

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
# # Does a cold start with pictures leave attention where the base had it?
#
# The paper's *Lazy Attention Localization*: after a multimodal cold start the layers share out their
# attention as the base did; after a text-only cold start, of all things, attention moves from the system
# prompt to the picture, by 15 to 20 points. We draw the shares layer by layer and put an interval on every
# difference to the base.

# %% tags=["parameters"]
RUNS = []  # run folders on the same items, the base first; empty: the shipped cold starts are measured on DATA here
DATA = "glyph"
LIMIT = 150

# %%
import tempfile
import textwrap
from pathlib import Path

import pandas as pd
import plotly.io as pio

from vaslab.cli.finished import read_runs, same_pictures
from vaslab.metrics import shares
from vaslab.models import organisms
from vaslab.plots import CONFIG, lazy, lazy_table
from vaslab.statistics import difference_interval
from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import measure

pio.renderers.default = "plotly_mimetype"
pio.renderers["plotly_mimetype"].config = CONFIG

# %%
scratch = tempfile.TemporaryDirectory()
shipped = [name for name in ("base", "multimodal", "text") if name in organisms()]
asked = {"data": DATA, "limit": LIMIT, "batch_size": 50, "max_new_tokens": 192}
folders = [Path(run) for run in RUNS] or [
    measure(MeasureConfig(f"organism:{name}", f"{scratch.name}/{name}", **asked)) for name in shipped
]
runs = read_runs(folders)
captures = {name: run.capture for name, run in runs.items()}
base, *others = captures
pictures = same_pictures(list(runs.values()))

# %% [markdown]
# ## Shares of attention, layer by layer

# %%
table = lazy_table(captures, base=base)
lazy(
    captures, base=base, data=runs[base].summary["data"], run=", ".join(f.name for f in folders), table=table
)

# %% [markdown]
# ## How far each checkpoint lies from the base
# Points of attention, mean over layers, paired by item, with 95 % intervals; items of one picture are resampled whole.

# %%
roles = {"image": "picture", "system": "system prompt", "user": "question"}
moves = []
for name in others:
    for role, word in roles.items():
        levels = [shares(captures[each]).sel(role=role).mean("layer") for each in (base, name)]
        change = 100 * difference_interval(*levels, cluster=pictures)[["estimate", "low", "high"]]
        moves.append(
            {"checkpoint": name, "attention on": word, **{key: float(change[key]) for key in change}}
        )
moves = pd.DataFrame(moves, columns=["checkpoint", "attention on", "estimate", "low", "high"])
moves.round(2)

# %% [markdown]
# ## What was found

# %%
level = {word: table.query("run == @base and role == @role")["share"].mean() for role, word in roles.items()}
found = [
    f"{base}, mean over layers: {level['picture']:.0%} of the attention of question tokens lies on the picture, "
    f"{level['system prompt']:.0%} on the system prompt, {level['question']:.0%} on the question itself."
]
for name in others:
    own = moves[moves["checkpoint"] == name].set_index("attention on")
    seen, system = own.loc["picture"], own.loc["system prompt"]
    moved = (
        "changes its attention"
        if seen["low"] > 0 or seen["high"] < 0
        else "shows no clear change of attention"
    )
    found.append(
        f"{name} {moved} on the picture: {seen['estimate']:+.1f} points, mean over layers (95 % CI {seen['low']:+.1f} "
        f"to {seen['high']:+.1f}); on the system prompt {system['estimate']:+.1f} ({system['low']:+.1f} to "
        f"{system['high']:+.1f})."
    )
if not others:
    found.append("There is one checkpoint alone, and nothing to compare it with: name more with RUNS.")
print("\n\n".join(textwrap.fill(each, 100) for each in found))

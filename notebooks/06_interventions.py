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
# # If the model is made to look more, less, or elsewhere, does its answer change?
#
# A correlation of attention and accuracy has many causes. Here the model stays as it is and its attention is
# moved: a little towards the picture (the paper's training-free intervention), away from it step by step
# (knockout), and in the end from the thing that is asked about to another one. What the answers do then is
# caused by attention.

# %% tags=["parameters"]
RUN = ""  # a run folder, whose model and items are taken; empty: MODEL on DATA
MODEL = "organism:base"
DATA = "glyph"
LIMIT = 120
ALPHA, BETA = 0.15, 0.05
STRENGTHS = [0.25, 0.5, 0.75, 1.0]  # of the knockout: share of the visual weights that is taken away
SCENES = 60  # that are asked what lies where, with attention steered to another place

# %%
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.io as pio
import xarray as xr

import vaslab
from vaslab.benchmarks.item import graded
from vaslab.interventions import Region
from vaslab.organism import glyphs
from vaslab.plots import CONFIG, lazy
from vaslab.statistics import paired_accuracy
from vaslab.studies.config import MeasureConfig
from vaslab.studies.finished import read_told
from vaslab.studies.measure import load_for

pio.renderers.default = "plotly_mimetype"
pio.renderers["plotly_mimetype"].config = CONFIG

# %%
config = read_told(Path(RUN)) if RUN else MeasureConfig(MODEL, "", DATA, limit=LIMIT)
benchmark = config.benchmark()
items = [item for item in config.selection(benchmark).items if not item.broken]
pictures = xr.DataArray(
    [item.picture_id for item in items], dims="item", coords={"item": [i.id for i in items]}
)
vlm = load_for(config)


# %%
def ask(**settings):
    """Where the rows after the picture look, and which items are answered right, under an intervention or none."""
    captures, right = [], []
    for start in range(0, len(items), config.batch_size):
        part = items[start : start + config.batch_size]
        prompts, ids = [item.prompt() for item in part], [item.id for item in part]
        options = {"max_new_tokens": config.max_new_tokens, "item_ids": ids}
        if settings:
            with vaslab.intervene(vlm, **settings):
                told, capture = vaslab.answer(vlm, prompts, ("user_after_image",), **options)
        else:
            told, capture = vaslab.answer(vlm, prompts, ("user_after_image",), **options)
        captures.append(capture)
        right += [graded(benchmark, item, each.text).right for item, each in zip(part, told, strict=True)]
    graded_as = [np.nan if each is None else float(each) for each in right]
    return xr.concat(captures, "item"), pictures.copy(data=graded_as).rename("right")


# %% [markdown]
# ## A little more towards the picture
# The paper's form multiplies scores, `Z_V (1 + alpha)` and `Z_S (1 - beta)`; the monotone form multiplies
# weights. Where a score is negative the two differ in direction.

# %%
asked = {
    "plain": ask(),
    "the paper's form": ask(intervention="avar", alpha=ALPHA, beta=BETA),
    "monotone form": ask(intervention="additive", alpha=ALPHA, beta=BETA),
}
lazy(
    {name: capture for name, (capture, _) in asked.items()},
    "user_after_image",
    base="plain",
    data=benchmark.name,
)

# %% [markdown]
# ## Less and less of it
# The knockout takes a share of every text row's weight on the picture away and gives it to what else the row sees.

# %%
for strength in STRENGTHS:
    asked[f"knockout of {strength:.0%}"] = ask(intervention="block", strength=strength)
plain = asked["plain"][1]
rows = []
for name, (capture, right) in asked.items():
    mass = vaslab.masses(capture, "user_after_image", over=("layer", "head", "item"))
    pair = paired_accuracy(plain, right, pictures)
    rows.append(
        {
            "attention": name,
            "on the picture": float(mass.sel(role="image")),
            "on the system prompt": float(mass.sel(role="system")),
            "accuracy": pair.second,
            "change, points": 100 * pair.difference,
            "low": 100 * pair.low,
            "high": 100 * pair.high,
        }
    )
effects = pd.DataFrame(rows).set_index("attention")
effects.round(3)

# %% [markdown]
# ## Elsewhere
# Held-out scenes are asked what lies at a place. Of those answered right, the rows that emit the answer are
# made to look at the cell of another object, in all heads of some layers. If the answer hangs on where those
# rows look, the model now names that other object, though nobody asked about it.

# %%
CELL = 32  # pixels, of a scene of 3 x 3 cells
scenes = [glyphs.scene(seed) for seed in glyphs.TEST_SEEDS[2000 : 2000 + SCENES]]
questions = [
    vaslab.Prompt(user=f"what is at the {scene.glyphs[0].place}?", images=[scene.picture()])
    for scene in scenes
]
plainly, _ = vaslab.answer(vlm, questions, max_new_tokens=5)
kept = [
    at
    for at, (scene, told) in enumerate(zip(scenes, plainly, strict=True))
    if told.text == scene.glyphs[0].name != scene.glyphs[-1].name
]


def cell_of(glyph):
    """The whole cell that a glyph lies in."""
    x, y = CELL * (glyph.cell % 3), CELL * (glyph.cell // 3)
    return Region((x, y, x + CELL, y + CELL), (3 * CELL, 3 * CELL))


def steered(layers):
    """Share of the kept answers that name the object looked at, and of those that stay."""
    heads = [(layer, head) for layer in layers for head in range(vlm.n_heads)]
    regions = [cell_of(scenes[at].glyphs[-1]) for at in kept]
    with vaslab.intervene(vlm, "steer", regions=regions, heads=heads, queries="emitting"):
        told, _ = vaslab.answer(vlm, [questions[at] for at in kept], max_new_tokens=5)
    texts = [each.text for each in told]
    return {
        "names what it is made to look at": np.mean(
            [text == scenes[at].glyphs[-1].name for text, at in zip(texts, kept, strict=True)]
        ),
        "names what was asked for": np.mean(
            [text == scenes[at].glyphs[0].name for text, at in zip(texts, kept, strict=True)]
        ),
    }


half = vlm.n_layers // 2
halves = {
    f"layers 0 to {half - 1}": range(half),
    f"layers {half} to {vlm.n_layers - 1}": range(half, vlm.n_layers),
}
steering = pd.DataFrame({name: steered(layers) for name, layers in halves.items()} if kept else {}).T
steering.round(3)

# %% [markdown]
# ## What was found

# %%
found = [
    f"Plain, {config.model} answers {effects.loc['plain', 'accuracy']:.1%} of {len(items)} questions of "
    f"{benchmark.name} right, with {effects.loc['plain', 'on the picture']:.0%} of the attention of the rows after it "
    "on the picture."
]
for name, row in effects.drop("plain").iterrows():
    shown = "a change" if row["low"] > 0 or row["high"] < 0 else "no clear change"
    found.append(
        f"With {name}, {row['on the picture']:.0%} of the attention lies on the picture; accuracy shows {shown}: "
        f"{row['change, points']:+.1f} points (95 % CI {row['low']:+.1f} to {row['high']:+.1f})."
    )
found += [
    f"Steered in {name}, {row['names what it is made to look at']:.0%} of {len(kept)} right answers turn into the "
    f"name of the object that the model is made to look at; {row['names what was asked for']:.0%} stay."
    for name, row in steering.iterrows()
]
if not kept:
    found.append(f"{config.model} names no object of the glyph scenes rightly, so nothing could be steered.")
print("\n\n".join(textwrap.fill(each, 100) for each in found))

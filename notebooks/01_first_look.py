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
# # Where does a small vision-language model look when it is asked about a picture?
#
# The organism is a real, tiny Qwen2.5-VL that vaslab ships. We show it one glyph scene and one easy-VQA picture,
# and ask: does it answer right, how much of its attention goes to the picture and how much to the system prompt,
# which heads look at the picture, and does the head that looks most look at *the thing asked about*?
#
# **Run ▸ Run All Cells** computes all of it, in about a minute. Then go to [Look yourself](#Look-yourself): which
# head looks most at the thing asked about, and where exactly?

# %% tags=["parameters"]
MODEL = "organism:base"
N_ITEMS = 48

# %%
import textwrap

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio

import vaslab
from vaslab.benchmarks import find_benchmark
from vaslab.metrics import floored, vas_per_head
from vaslab.plots import CONFIG, heads, heads_table
from vaslab.plots.head_words import title_of
from vaslab.plots.text import FLOORED, number
from vaslab.prompts.encode import encode

pio.renderers.default = "plotly_mimetype"
pio.renderers["plotly_mimetype"].config = CONFIG

# %% [markdown]
# ## The model, proved
# Loading runs a proof: masses agree with an independent route, logits are unchanged, the model is left as it was.

# %%
vlm = vaslab.load(MODEL)
pd.DataFrame([vars(check) for check in vlm.proof.checks]).drop(columns="limit")

# %% [markdown]
# ## Two pictures, two questions
# The first held-out glyph question that asks where a thing is, and the first official easy-VQA test question.

# %%
glyph = next(item for item in find_benchmark("glyph").select().items if item.kind == "locate")
easy = find_benchmark("easy-vqa").select().items[0]
items = {"glyph": glyph, "easy-vqa": easy}
prompts = {name: item.prompt() for name, item in items.items()}
prompts["glyph"].images[0]

# %%
prompts["easy-vqa"].images[0]

# %%
rows, captures = [], {}
for name, item in items.items():
    (told,), captures[name] = vaslab.answer(vlm, [prompts[name]], max_new_tokens=64, item_ids=[item.id])
    mass = vaslab.masses(captures[name], over=("layer", "head")).isel(item=0)
    rows.append(
        {
            "picture": name,
            "question": item.question,
            "says": told.text,
            "right": find_benchmark(name).grade(item, told.text).right,
            "VAS (mean of ratios)": float(vaslab.vas(captures[name])),
            "VAS (ratio of means)": float(vaslab.vas(captures[name], form="ratio_of_means")),
            **{f"{role} mass": float(mass.sel(role=role)) for role in ("image", "system", "user")},
        }
    )
answers = pd.DataFrame(rows).set_index("picture")
answers.T

# %% [markdown]
# ## Which heads look at the picture?
# VAS of one head is its visual mass over its system mass. One item says little about a head, so we take more of them.

# %%
many = find_benchmark("glyph").select(limit=N_ITEMS, seed=0).items
capture = vaslab.capture(
    vlm, [item.prompt() for item in many], batch_size=16, item_ids=[item.id for item in many]
)
per_head = vas_per_head(capture)
table = per_head.to_series().sort_values(ascending=False)
table.head(10)

# %%
told_of_heads = heads_table(capture)
heads_figure = heads(capture, data="glyph", run="01_first_look", table=told_of_heads)
heads_figure

# %% [markdown]
# ## Look yourself
# 1. Press **rank the heads**: every head is measured on the thing asked about (the green outline on the picture), and
#    the one that looks most at it is selected. The picture shows where it looks.
# 2. Press another head in that list, or in the map. **◀ ▶** go to other questions, **item 1 of …** lists them all.
# 3. Drag a box on the picture: which heads look most at *that*?

# %%
explorer = vaslab.explore(capture, items=many, vlm=vlm, item=0)
most = explorer.ranking().iloc[0]
explorer

# %% [markdown]
# ## What does the top head look at?
# The head with the highest VAS, by code: we capture it again, with its attention on every patch of the picture, and
# average over the tokens of the question.

# %%
layer, head = (int(number) for number in table.index[0])
mapped = vaslab.capture(vlm, [prompts["glyph"]], patches=[(layer, head)])
grid = encode(vlm.processor, [prompts["glyph"]]).grids[0][0]
weight = vaslab.patch_maps(mapped, "0").isel(map=0).mean("query")
share = (weight / weight.sum()).values

# %%
asked_about = grid.patches_in(glyph.boxes[0], overlap=0.25)
inside = float(share.ravel()[list(asked_about)].sum())
by_chance = len(asked_about) / len(grid)

map_figure = go.Figure(
    go.Heatmap(
        z=100 * share,
        colorscale=[[0, "#ffffff"], [1, "#b35806"]],
        zmin=0,
        colorbar={"title": "% of this head's<br>visual attention"},
        hovertemplate="row %{y}, column %{x}: %{z:.1f} %<extra></extra>",
    )
)
x0, y0, x1, y1 = glyph.boxes[0]
map_figure.add_shape(
    type="rect",
    x0=x0 / grid.width * grid.cols - 0.5,
    x1=x1 / grid.width * grid.cols - 0.5,
    y0=y0 / grid.height * grid.rows - 0.5,
    y1=y1 / grid.height * grid.rows - 0.5,
    line={"color": "#0b7a75", "width": 3},
)
map_figure.update_yaxes(autorange="reversed", scaleanchor="x", title="patch row")
map_figure.update_xaxes(constrain="domain", title="patch column")
map_figure.update_layout(
    title=f"Layer {layer}, head {head}: {inside:.0%} of its visual attention lies on the thing asked about"
    f"<br><sub>{glyph.question} Box: that thing, {by_chance:.0%} of the picture. Mean over the question.</sub>",
    width=620,
    height=520,
)
map_figure

# %% [markdown]
# ## What was found

# %%
low = float(floored(capture, over=("item",)).sel(layer=layer, head=head))
bound = "≥ " if low > FLOORED else ""
found = [
    f"{MODEL} answers {int(answers['right'].sum())} of the {len(answers)} questions right: "
    + "; ".join(f"{row.question} -> {row.says!r}" for row in answers.itertuples())
    + ".",
    *(
        f"On the {name} picture VAS is {row['VAS (mean of ratios)']:.2f} as a mean of ratios and "
        f"{row['VAS (ratio of means)']:.2f} as a ratio of means: {row['image mass']:.0%} of the attention lies "
        f"on the picture, {row['system mass']:.0%} on the system prompt, {row['user mass']:.0%} on the question."
        for name, row in answers.iterrows()
    ),
    f"Over {len(many)} glyph items: {title_of(told_of_heads, told_of_heads.attrs['vas'])}. VAS (mean of ratios) is "
    f"{number(table.median())} in the median head and {bound}{number(table.iloc[0])} in the highest, layer {layer} "
    f"head {head}.",
    f"On the first of them ({many[0].question}) layer {most['layer']:.0f} head {most['head']:.0f} looks most at the "
    f"thing asked about: {most['attention']:.0%} of its attention. *Look yourself* shows it on the picture.",
    f"The head of the highest VAS (mean of ratios) puts {inside:.0%} of its visual attention on the thing that the "
    f"glyph question is about, which fills {by_chance:.0%} of the picture: {inside / by_chance:.1f} times what an even "
    "spread would. This is one head on one picture, and no proof that the answer depends on it.",
]
print("\n\n".join(textwrap.fill(each, 100) for each in found))

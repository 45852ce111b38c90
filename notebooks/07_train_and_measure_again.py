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
# # Can training move attention to the picture, and do the answers follow?
#
# From the same base, on the same records, for the same number of steps, we train twice: on the words alone,
# and with AVAR's guided objective (AGTO), whose loss also asks for attention on the picture and away from the
# system prompt. Then both are measured as any checkpoint is. A minute of training is a demonstration; what
# whole stages reach stands at the end, as it was measured when the shipped checkpoints were made.

# %% tags=["parameters"]
BASE = "organism:base"
RECORDS = 640
STEPS = 40
BATCH = 16
LR = 3e-4
ALPHA = BETA = 0.15
LIMIT = 150
SEED = 0

# %%
import contextlib
import sys
import tempfile
import textwrap
from importlib import resources
from pathlib import Path

import pandas as pd
import plotly.io as pio

from trainers.data.glyph import glyph_records
from trainers.data.record import write_records
from trainers.runs import SftRun
from trainers.sft_run import run_sft
from vaslab.cli.finished import read_runs, same_pictures
from vaslab.plots import CONFIG, changes, changes_table, lazy
from vaslab.plots.text import times_text
from vaslab.statistics import paired_accuracy
from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import measure

pio.renderers.default = "plotly_mimetype"
pio.renderers["plotly_mimetype"].config = CONFIG

# %% [markdown]
# ## Records
# The multimodal cold start's kind: a picture, a question, a chain of thought and the answer. In the glyph world
# all of it follows from the known scene.

# %%
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
records = list(glyph_records("multimodal-cold-start", RECORDS, SEED))
data = write_records(records, folder / "records")
print(records[0].messages[0][1], records[0].response, sep="\n\n")

# %% [markdown]
# ## Two trainings that differ in the objective alone

# %%
objectives = {"words alone": (0.0, 0.0), "AGTO": (ALPHA, BETA)}
trained = {}
for name, (alpha, beta) in objectives.items():
    run = SftRun(
        BASE,
        str(data),
        str(folder / name),
        alpha=alpha,
        beta=beta,
        lr=LR,
        max_steps=STEPS,
        batch=BATCH,
        per_device=BATCH,
        checkpointing=False,
        seed=SEED,
        log_steps=STEPS // 4,
    )
    with contextlib.redirect_stdout(sys.stderr):  # the log is for people
        trained[name] = run_sft(run)

# %% [markdown]
# ## Measured again
# On held-out scenes, none of which is trained on.

# %%


def asked_of(model, name):
    """The same questions for every model; a chain of thought needs room."""
    out = str(folder / "measured" / name)
    return MeasureConfig(model, out, "glyph", limit=LIMIT, batch_size=50, max_new_tokens=192)


models = {"base": BASE, **{name: str(path) for name, path in trained.items()}}
folders = {name: measure(asked_of(model, name)) for name, model in models.items()}
runs = dict(zip(folders, read_runs(list(folders.values())).values(), strict=True))
lazy({name: run.capture for name, run in runs.items()}, base="base", data="glyph", run="this notebook")

# %%
words, guided = runs["words alone"], runs["AGTO"]
pictures = same_pictures(list(runs.values()))
parts = changes_table(words.capture, guided.capture, cluster=pictures)
changes(words.capture, guided.capture, tuple(objectives), table=parts, data="glyph", run="this notebook")

# %%
rows = []
for name, run in runs.items():
    asked = run.summary["queries"]["user"]
    rows.append(
        {
            "checkpoint": name,
            "on the picture": asked["masses"]["image"]["estimate"],
            "on the system prompt": asked["masses"]["system"]["estimate"],
            "VAS (ratio of means)": asked["vas_ratio_of_means"]["estimate"],
            "accuracy": run.summary["accuracy"]["estimate"],
        }
    )
measured = pd.DataFrame(rows).set_index("checkpoint")
measured.round(3)

# %% [markdown]
# ## Whole stages
# What a cold start of some thousand records, and reinforcement learning after it, made of the same base: the
# checkpoints that vaslab ships, as `avar stages` measured them on held-out scenes. The table comes with them.

# %%
table = pd.read_csv(resources.files("vaslab.organism") / "checkpoints" / "stages.csv", dtype={"seed": str})
stages = table[(table["benchmark"] == "glyph") & table["seed"].isin(["0"])].set_index("stage")
told = ["n", "visual_mass", "system_mass", "vas_ratio_of_means", "accuracy", "accuracy_low", "accuracy_high"]
stages[told].round(3)

# %% [markdown]
# ## What was found

# %%
whole = parts.iloc[-1]
ratio = ["ratio_of_means", "ratio_of_means_low", "ratio_of_means_high"]
change, low, high = whole[ratio].astype(float)
by, by_low, by_high = (times_text(2**power) for power in (change, low, high))
pair = paired_accuracy(words.right, guided.right, pictures)
moved = "moves attention" if low > 0 or high < 0 else "shows no clear change of attention"
gain = "differs" if pair.low > 0 or pair.high < 0 else "shows no clear difference"
found = [
    f"After {STEPS} steps of {BATCH} records, AGTO {moved} against the same training on words alone: VAS (ratio of "
    f"means) {by} (95 % CI {by_low} to {by_high}), attention on the picture from "
    f"{measured.loc['words alone', 'on the picture']:.0%} to {measured.loc['AGTO', 'on the picture']:.0%}, on the "
    f"system prompt from {measured.loc['words alone', 'on the system prompt']:.0%} to "
    f"{measured.loc['AGTO', 'on the system prompt']:.0%}.",
    f"Accuracy {gain}: {pair.first:.1%} and {pair.second:.1%}, {100 * pair.difference:+.1f} points (95 % CI "
    f"{100 * pair.low:+.1f} to {100 * pair.high:+.1f}); the base has {measured.loc['base', 'accuracy']:.1%}.",
    *(
        f"The shipped stage {name} has {row.visual_mass:.0%} of its attention on the picture, {row.system_mass:.0%} on "
        f"the system prompt, and an accuracy of {row.accuracy:.1%} ({row.n} questions)."
        for name, row in stages.iterrows()
    ),
]
print("\n\n".join(textwrap.fill(each, 100) for each in found))

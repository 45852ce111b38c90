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
# # What has to hold before a number about my own model is believed, and what does it cost to get one?
#
# The recipe for a 7B checkpoint, gone through from end to end on a stand-in: a Qwen2.5-VL of random weights,
# two layers deep, built from its config and saved as anyone saves theirs. Set MODEL to your own folder or hub
# id and everything below is done with it instead.

# %% tags=["parameters"]
MODEL = ""  # a folder or hub id of the Qwen-VL families; empty: the stand-in
QUESTIONS = ""  # a FILE.jsonl of your own; empty: questions about drawn scenes
DTYPE = "auto"  # bfloat16 for a 7B model
DEVICE_MAP = ""  # "auto" spreads a large model over what is there
BATCH_SIZE = 4
MAX_NEW_TOKENS = 16

# %%
import json
import tempfile
import textwrap
from pathlib import Path

import pandas as pd
import plotly.io as pio

from vaslab.cli.finished import read_run
from vaslab.errors import UsageError
from vaslab.models import family_of
from vaslab.organism import glyphs
from vaslab.organism.build import build_model, build_processor
from vaslab.organism.questions import questions
from vaslab.plots import CONFIG, heads, lazy
from vaslab.studies.config import MeasureConfig
from vaslab.studies.cost import cost, shape_of
from vaslab.studies.measure import load_for, measure

pio.renderers.default = "plotly_mimetype"
pio.renderers["plotly_mimetype"].config = CONFIG

# %%
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
model = MODEL
if not model:
    processor = build_processor()
    build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64).save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    model = str(folder / "model")

# %% [markdown]
# ## Your questions
# One JSON object a line; pictures are paths beside the file. `answer` is needed for accuracy alone.

# %%
file = Path(QUESTIONS) if QUESTIONS else folder / "mine.jsonl"
if not QUESTIONS:
    rows = []
    for seed in glyphs.TEST_SEEDS[:8]:
        scene = glyphs.scene(seed)
        scene.picture().save(folder / f"{seed}.png")
        (question,) = questions(scene, 1, seed=0)
        rows.append(
            {"id": str(seed), "image": f"{seed}.png", "question": question.text, "answer": question.answer}
        )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
print("\n".join(file.read_text().splitlines()[:3]))

# %% [markdown]
# ## What it will cost
# A dry run reads the model's config and some of the pictures, and no weights.

# %%
config = MeasureConfig(
    model,
    str(folder / "run"),
    str(file),
    batch_size=BATCH_SIZE,
    max_new_tokens=MAX_NEW_TOKENS,
    dtype=DTYPE,
    device_map=DEVICE_MAP or None,
)
expected = cost(config, shape_of(config))
pd.Series(expected).drop("out").to_frame("expected")

# %% [markdown]
# ## The proof
# Loading checks, on this model and this machine, what a measurement rests on: that roles cover the prompt,
# that the masses are those of the layers' own queries and keys, that logits are unchanged, that editing
# attention moves them, and that the model is left as it was found. `vaslab doctor MODEL` prints the same. A
# model that fails is not measured.

# %%
vlm = load_for(config)
proof = pd.DataFrame([vars(check) for check in vlm.proof.checks])
proof

# %% [markdown]
# ## What is refused
# A family whose attention VAS has no meaning for is refused by name, with what is possible instead.

# %%
try:
    family_of("mllama")
except UsageError as error:
    refusal = str(error)
print(refusal)

# %% [markdown]
# ## Measured

# %%
run = read_run(measure(config, load=lambda _: vlm))
name = MODEL or "the stand-in"
heads(run.capture, model=name, data=file.name, run=run.folder.name)

# %%
lazy({name: run.capture}, model=name, data=file.name, run=run.folder.name)

# %% [markdown]
# ## The same from a shell, for a 7B model
# One GPU with 24 GB, or several. `--online` allows the download.
#
# ```bash
# vaslab doctor Qwen/Qwen2.5-VL-7B-Instruct --online --dtype bfloat16 --device-map auto
# vaslab measure --model Qwen/Qwen2.5-VL-7B-Instruct --online --dtype bfloat16 --device-map auto \
#     --data mine.jsonl --batch-size 4 --max-new-tokens 512 --out runs/qwen7b --dry-run
# vaslab measure --model Qwen/Qwen2.5-VL-7B-Instruct --online --dtype bfloat16 --device-map auto \
#     --data mine.jsonl --batch-size 4 --max-new-tokens 512 --out runs/qwen7b
# vaslab figure heads runs/qwen7b
# vaslab notebook 02 --run runs/qwen7b
# ```
#
# A kill loses at most the batch in hand; the same command goes on. The result of a training of yours is a folder, and
# goes in the place of the hub id:
#
# ```bash
# vaslab measure --model runs/agto/checkpoint --dtype bfloat16 --device-map auto \
#     --data mine.jsonl --batch-size 4 --max-new-tokens 512 --out runs/agto7b
# vaslab compare runs/qwen7b runs/agto7b
# ```

# %% [markdown]
# ## What was found

# %%
judged = proof[proof["passed"].notna()]
summary = run.summary
asked = summary["queries"]["user"]
masses = {role: asked["masses"][role]["estimate"] for role in ("image", "system", "user")}
found = [
    f"{int(judged['passed'].sum())} of {len(judged)} judged checks hold for {name} ({vlm.family.title}, "
    f"{vlm.n_layers} layers of {vlm.n_heads} heads, {summary['dtype']}, {vlm.device.type}); "
    f"{len(proof) - len(judged)} more are reported.",
    f"The dry run told {expected['prompt_tokens_all']:,} prompt tokens and {expected['capture_bytes'] / 1e6:.2g} MB of "
    f"capture for {expected['n_items']} items; {summary['n_measured']} of them were measured.",
    f"VAS of {name} is {asked['vas']['estimate']:.2f} as a mean of ratios and "
    f"{asked['vas_ratio_of_means']['estimate']:.2f} as a ratio of means: {masses['image']:.0%} of the attention lies "
    f"on the picture, {masses['system']:.0%} on the system prompt, {masses['user']:.0%} on the question.",
]
accuracy = summary["accuracy"]["estimate"]
if accuracy is not None:
    found.append(f"{accuracy:.0%} of {summary['accuracy']['n']} answers are right.")
if not MODEL:
    found.append("These weights are random: the numbers say that the way works, and nothing about a model.")
print("\n\n".join(textwrap.fill(each, 100) for each in found))

"""Every figure drawn from captures of one shape: for tests of what all of them must hold."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import synthetic_capture as made
import xarray as xr
from laid_out import answers, curves, pointed
from PIL import Image

from vaslab import plots
from vaslab.prompts.roles import KEY_ROLES

Drawn = tuple[go.Figure, pd.DataFrame]


def right_of(capture: xr.Dataset, share: float, seed: int = 0) -> xr.DataArray:
    """Grades: about `share` of the items right."""
    drawn = np.random.default_rng(seed).random(capture.sizes["item"])
    return xr.DataArray((drawn < share).astype(float), dims="item", coords={"item": capture["item"].values})


def answer(tokens: int, layers: int) -> xr.Dataset:
    """A capture of one answer whose attention on the image falls along it."""
    image = np.linspace(0.6, 0.2, tokens)[:, None] * np.linspace(0.8, 1.0, layers)
    mass = np.zeros((tokens, layers, len(KEY_ROLES)))
    mass[..., 3], mass[..., 1], mass[..., 7] = image, (1 - image) / 2, (1 - image) / 2
    return xr.Dataset(
        {
            "row_mass": (("row", "layer", "key_role"), mass.astype("float32")),
            "row_item": ("row", np.zeros(tokens, dtype=int)),
            "row_position": ("row", np.arange(tokens) + 30),
            "row_role": ("row", np.full(tokens, 7)),
        },
        coords={"item": ["q"], "layer": np.arange(layers), "key_role": [role.name for role in KEY_ROLES]},
    )


@cache
def _capture(items: int, layers: int, heads: int, lift: float) -> xr.Dataset:
    return made.realistic(items, layers, heads, None, lift=lift)


@cache
def _runs(
    items: int, layers: int, heads: int, checkpoints: int
) -> tuple[dict[str, xr.Dataset], dict[str, xr.DataArray]]:
    runs = {
        f"run-{i}": _capture(items, layers, heads, 0.2 * (i % 7) + 0.0101 * i) for i in range(checkpoints)
    }
    return runs, {name: right_of(runs[name], 0.3 + 0.05 * (i % 9), i) for i, name in enumerate(runs)}


def every_figure(
    items: int = 8,
    layers: int = 5,
    heads: int = 4,
    checkpoints: int = 5,
    theme: str = "light",
    runs: dict[str, xr.Dataset] | None = None,
) -> dict[str, Callable[[], Drawn]]:
    """Name -> how it is drawn with its numbers: of made-up captures of one shape, or of `runs`, the first and last."""
    if runs is None:
        runs, right = _runs(items, layers, heads, checkpoints)
        one, two = _capture(items, layers, heads, 0.0), _capture(items, layers, heads, 0.5)
    else:
        one, two = next(iter(runs.values())), list(runs.values())[-1]
        right = {name: right_of(run, 0.3 + 0.1 * at, at) for at, (name, run) in enumerate(runs.items())}
        checkpoints = len(runs)
    steps = {50 * i: capture for i, capture in enumerate(runs.values())}
    graded = dict(zip(steps, right.values(), strict=True))
    words = {
        name: plots.ItemWords(f"what is at place {name}?", "a red circle", "a blue square", "a red circle")
        for name in one["item"].values
    }
    shown = {name: Image.new("RGB", (48, 40), "teal") for name in list(one["item"].values)[:40]}
    prompted = [
        plots.Prompted(name, prompt, runs[name].assign(vas=runs[name]["vas"] * (1 + at)), right[name])
        for name in dict.fromkeys([*list(runs)[:2], list(runs)[-1]])
        for at, prompt in enumerate(("default", "empty", "Look at the image."))
    ]
    log = [
        {"step": i + 1, "agto/vas": 2.0 + 0.1 * i, "agto/visual_mass": 0.3, "agto/system_mass": 0.2}
        for i in range(max(items, 2))
    ]
    pairs = (right_of(one, 0.5), right_of(two, 0.6, 1))

    def of(table: pd.DataFrame, draw: Callable[..., go.Figure], *args: object, **how: object) -> Drawn:
        return draw(*args, table=table, theme=theme, **how), table

    def alone(table: pd.DataFrame, draw: Callable[..., go.Figure], **how: object) -> Drawn:
        return draw(table, theme=theme, **how), table

    rates = list(np.linspace(0.05, 0.9, layers * heads))
    found: dict[str, Callable[[], Drawn]] = {
        "heads": lambda: of(plots.heads_table(two), plots.heads, two),
        "lazy": lambda: of(plots.lazy_table(runs), plots.lazy, runs),
        "compare": lambda: of(plots.compare_table(one, two), plots.compare, one, two),
        "decomposition": lambda: of(plots.changes_table(one, two), plots.changes, one, two),
        "scatter": lambda: alone(plots.scatter_table(runs, right), plots.scatter),
        "tokens": lambda: of(
            plots.tokens_table(answer(max(items, 2), layers), "q"),
            plots.tokens,
            answer(max(items, 2), layers),
            "q",
        ),
        "training": lambda: alone(plots.training_table(steps, graded), plots.training),
        "training-log": lambda: alone(plots.training_log_table(log), plots.training_log),
        "items": lambda: alone(plots.items_table(one, two, pairs, words), plots.items, pictures=shown),
        "system-prompts": lambda: alone(plots.system_prompts_table(prompted), plots.system_prompts),
        "forgetting": lambda: alone(
            plots.forgetting_table({name: answers(curves(0.6, 0.2, min(items, 40))) for name in runs}),
            plots.forgetting_figure,
        ),
        "localisation": lambda: alone(
            plots.localisation_table(pointed(rates, min(items, 40), heads=heads)), plots.localisation_figure
        ),
        "published": lambda: (plots.published(theme), plots.published_table()),
    }
    if checkpoints >= 4:
        accuracy = {name: float(values.mean()) + 0.01 * i for i, (name, values) in enumerate(right.items())}
        level = {name: xr.full_like(right[name], accuracy[name]) for name in runs}
        found["correlation"] = lambda: alone(plots.correlation_table(runs, level), plots.correlation)
        found["sensitivity"] = lambda: alone(plots.sensitivity_table(runs, accuracy), plots.sensitivity)
    return found


NAMES = tuple(every_figure(2, 2, 1, 4))


def title(fig: go.Figure) -> str:
    """The title on one line."""
    return str(fig.layout.title.text).replace("<br>", " ")


def words(fig: go.Figure) -> str:
    """All texts of a figure, title aside."""
    return " | ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ").replace("\u00a0", " ")

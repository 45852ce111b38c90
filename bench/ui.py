"""What figures cost: time to their numbers, and to HTML and PNG of them, and the size of the HTML.

python -m bench.ui        # a capture of 28 x 28 heads and 1,000 items; writes bench/results/ui.csv
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import psutil
import xarray as xr
from PIL import Image

from vaslab import plots
from vaslab.prompts.roles import KEY_ROLES, Role

TABLE = Path(__file__).parent / "results" / "ui.csv"


def drawn_capture(items: int, layers: int, heads: int, seed: int, lift: float = 0.0) -> xr.Dataset:
    """A capture of random masses, of the shape of a real one: for times, not for numbers."""
    rng = np.random.default_rng(seed)
    level = rng.normal(lift, 1, (1, layers, heads, 1)) + rng.normal(0, 0.4, (items, layers, heads, 1))
    image = 0.8 / (1 + np.exp(-level))
    parts = {"image": image, "system_sink": 0.6 * (0.8 - image), "system": 0.4 * (0.8 - image)}
    mass = np.stack([parts.get(role.name, np.full_like(image, 0.2 / 5)) for role in KEY_ROLES], axis=-1)
    dims = ("item", "layer", "head", "query_role")
    ratio = image / (0.8 - image)
    counts = [
        {"image": 120, "system": 20, "user": 30, "system_sink": 1}.get(role.name, 0) for role in KEY_ROLES
    ]
    return xr.Dataset(
        {
            "mass": ((*dims, "key_role"), mass.astype("float32")),
            "vas": (dims, ratio.astype("float32")),
            "vas_no_sink": (dims, (ratio / 0.4).astype("float32")),
            "clamped": (dims, np.zeros_like(ratio, dtype="float32")),
            "n_queries": (("item", "query_role"), np.full((items, 1), 30)),
            "n_keys": (("item", "key_role"), np.tile(counts, (items, 1))),
            "before_image": (("item", "query_role"), np.zeros((items, 1), dtype="float32")),
        },
        coords={
            "item": [f"item-{i}" for i in range(items)],
            "layer": np.arange(layers),
            "head": np.arange(heads),
            "query_role": ["user"],
            "key_role": [role.name for role in KEY_ROLES],
        },
    )


def figures(items: int, layers: int, heads: int) -> dict[str, tuple[Callable[[], pd.DataFrame], Callable]]:
    """Name -> how its numbers are made, and how it is drawn from them."""
    one, two = (drawn_capture(items, layers, heads, seed=0, lift=lift) for lift in (0.0, 0.3))
    several = {f"run-{i}": drawn_capture(min(items, 100), layers, heads, i, 0.1 * i) for i in range(6)}
    right = {name: _graded(capture, 0.3 + 0.08 * i) for i, (name, capture) in enumerate(several.items())}
    steps = {100 * i: (several[name], right[name]) for i, name in enumerate(several)}
    accuracy = {name: float(values.mean()) for name, values in right.items()}
    pair, grades = {"base": one, "tuned": two}, (_graded(one, 0.5), _graded(two, 0.6))
    pictures = {name: Image.effect_noise((96, 96), 40).convert("RGB") for name in one["item"].values[:60]}
    prompted = [
        plots.Prompted("base", prompt, capture, _graded(capture, 0.5))
        for prompt, capture in (("default", one), ("empty", two))
    ]
    answer = _answer(300, layers)
    return {
        "heads": (lambda: plots.heads_table(one), lambda table: plots.heads(one, table=table)),
        "lazy": (lambda: plots.lazy_table(pair), lambda table: plots.lazy(pair, table=table)),
        "compare": (
            lambda: plots.compare_table(one, two),
            lambda table: plots.compare(one, two, table=table),
        ),
        "decomposition": (
            lambda: plots.changes_table(one, two),
            lambda table: plots.changes(one, two, table=table),
        ),
        "scatter": (lambda: plots.scatter_table(several, right), plots.scatter),
        "sensitivity": (lambda: plots.sensitivity_table(several, accuracy), plots.sensitivity),
        "tokens": (
            lambda: plots.tokens_table(answer, "q"),
            lambda table: plots.tokens(answer, "q", table=table),
        ),
        "training": (
            lambda: plots.training_table(
                {step: run for step, (run, _) in steps.items()},
                {step: own for step, (_, own) in steps.items()},
            ),
            plots.training,
        ),
        "items": (
            lambda: plots.items_table(one, two, grades),
            lambda table: plots.items(table, pictures=pictures),
        ),
        "system-prompts": (lambda: plots.system_prompts_table(prompted), plots.system_prompts),
        "published": (plots.published_table, lambda _: plots.published()),
    }


def _graded(capture: xr.Dataset, share: float) -> xr.DataArray:
    drawn = np.random.default_rng(0).random(capture.sizes["item"]) < share
    return xr.DataArray(drawn.astype(float), dims="item", coords={"item": capture["item"].values})


def _answer(tokens: int, layers: int) -> xr.Dataset:
    """A capture of one answer with its rows."""
    mass = np.random.default_rng(0).dirichlet(np.ones(len(KEY_ROLES)), (tokens, layers))
    return xr.Dataset(
        {
            "row_mass": (("row", "layer", "key_role"), mass.astype("float32")),
            "row_item": ("row", np.zeros(tokens, dtype=int)),
            "row_position": ("row", np.arange(tokens) + 30),
            "row_role": ("row", np.full(tokens, int(Role.response))),
        },
        coords={"item": ["q"], "layer": np.arange(layers), "key_role": [role.name for role in KEY_ROLES]},
    )


def measured(
    name: str, numbers: Callable[[], pd.DataFrame], draw: Callable[..., go.Figure], folder: Path
) -> dict:
    """One row: seconds and CPU seconds of the numbers, and of drawing them to HTML and PNG; bytes of the HTML, and
    whether a second drawing has the same bytes."""
    start, spent = time.perf_counter(), cpu_seconds()
    table = numbers()
    ready, counted = time.perf_counter(), cpu_seconds()
    figure = draw(table)
    paths = plots.write_figure(figure, table, folder / name)
    done, rendered = time.perf_counter(), cpu_seconds()
    again = plots.write_figure(draw(table), table, folder / "again" / name)
    same = [_digest(a) == _digest(b) for a, b in zip(paths, again, strict=True)]
    return {
        "figure": name,
        "numbers_s": round(ready - start, 2),
        "numbers_cpu_s": round(counted - spent, 2),
        "rendered_s": round(done - ready, 2),
        "rendered_cpu_s": round(rendered - counted, 2),
        "html_bytes": paths[0].stat().st_size,
        "same_bytes": all(same),
    }


def cpu_seconds() -> float:
    """CPU time so far of this process and of the browser that draws pictures: says the cost on a busy machine too."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description="What figures cost.")
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--heads", type=int, default=28)
    parser.add_argument("--out", type=Path, default=TABLE)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        # the first picture starts the browser
        plots.save(go.Figure(), Path(folder) / "first")
        for name, (numbers, draw) in figures(given.items, given.layers, given.heads).items():
            rows.append(measured(name, numbers, draw, Path(folder)))
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).assign(
        items=given.items, layers=given.layers, heads=given.heads, load=round(os.getloadavg()[0], 1)
    )
    given.out.parent.mkdir(exist_ok=True)
    table.to_csv(given.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()

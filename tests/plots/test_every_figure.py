"""What every figure holds: any size, both themes, small pages, the same bytes, gaps that are marked."""

import json
import re
from functools import cache

import numpy as np
import pytest
import synthetic_capture as made
import xarray as xr
from every_figure import NAMES, answer, every_figure, title, words
from PIL import Image

from vaslab import plots
from vaslab.errors import UsageError
from vaslab.metrics import Definition
from vaslab.plots import browser, write_figure

SMALL = {"items": 1, "layers": 4, "heads": 1, "checkpoints": 1}
DEEP = {"items": 2, "layers": 80, "heads": 6, "checkpoints": 2}
MANY = {"items": 3, "layers": 3, "heads": 2, "checkpoints": 100}
LONG = {"items": 10_000, "layers": 2, "heads": 1, "checkpoints": 2}
SIZES = [
    *((name, SMALL) for name in NAMES if name not in ("sensitivity", "correlation")),
    *((name, DEEP) for name in ("heads", "lazy", "compare", "decomposition", "tokens", "training")),
    ("localisation", DEEP),
    ("correlation", DEEP | {"checkpoints": 4}),
    *(
        pytest.param(name, size, marks=pytest.mark.slow)
        for name, size in (
            *((name, MANY) for name in ("lazy", "scatter", "sensitivity", "training", "forgetting")),
            *(
                (name, LONG)
                for name in ("heads", "compare", "scatter", "training", "items", "system-prompts")
            ),
        )
    ),
]


usual = cache(lambda name: every_figure()[name]())
"""A figure of a few heads and its numbers: drawn once for all that is looked at in it."""
anew = cache(lambda name: every_figure()[name]())
"""The same, drawn a second time."""


def inside_the_page(fig):
    """Whether every axis and every text anchor lies on the page."""
    layout = json.loads(fig.to_json())["layout"]
    ends = [end for name, axis in layout.items() if re.match(r"[xy]axis", name) for end in axis["domain"]]
    ends += [a[c] for a in layout.get("annotations", []) for c in "xy" if a[f"{c}ref"] == "paper"]
    return min(ends) >= 0 and max(ends) <= 1


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_any_size_is_drawn_inside_its_page(name, size):
    fig, table = every_figure(**size)[name]()
    assert inside_the_page(fig)
    assert len(table)
    assert 300 < fig.layout.height < 6000
    # a page that opens quickly, whatever it shows
    assert len(fig.to_json()) < 1_000_000


@pytest.mark.parametrize(
    "name",
    ["heads", "lazy", "compare", "decomposition", "tokens", "training", "correlation", "localisation"],
)
def test_a_page_of_28_by_28_heads_is_small(name):
    fig, _ = every_figure(items=2, layers=28, heads=28, checkpoints=4)[name]()
    assert len(fig.to_json()) < 290_000


BIG = {"items": 2, "layers": 80, "heads": 64, "checkpoints": 4}
LONG_RUN = {"items": 3, "layers": 6, "heads": 8, "checkpoints": 100}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, BIG) for name in ("heads", "lazy", "compare", "decomposition", "training", "localisation")),
        *((name, BIG) for name in ("tokens", "items", "correlation")),
        *((name, LONG_RUN) for name in ("lazy", "training", "forgetting")),
    ],
)
def test_a_large_page_is_small_or_says_what_it_left_out(name, size):
    fig, _ = every_figure(**size)[name]()
    assert len(fig.to_json()) < 290_000 or "More than 1,000 heads" in words(fig)


def test_a_page_of_1000_items_is_small():
    fig, table = every_figure(items=1000, layers=2, heads=1, checkpoints=2)["items"]()
    assert len(fig.to_json()) < 290_000
    assert inside_the_page(fig)
    assert len(table)
    assert 300 < fig.layout.height < 6000


@pytest.mark.parametrize("name", NAMES)
def test_dark_is_another_page_of_the_same_numbers(name):
    (light, table), (dark, again) = usual(name), every_figure(theme="dark")[name]()
    assert light.layout.template.layout.paper_bgcolor != dark.layout.template.layout.paper_bgcolor
    assert title(light) == title(dark)
    assert table.equals(again)


@pytest.mark.parametrize("name", ["lazy", "compare", "decomposition", "scatter", "items", "system-prompts"])
def test_no_text_is_markup(name):
    """Names of runs and texts of items are shown as they are."""
    one, two = made.realistic(4, 3, 2, None), made.realistic(4, 3, 2, None, lift=0.4)
    bad = "<script>x</script>%{x}"
    runs = {bad: one, "b": two}
    item = plots.ItemWords(bad, bad, bad, bad)
    fig = {
        "lazy": lambda: plots.lazy(runs),
        "compare": lambda: plots.compare(one, two, (bad, "b")),
        "decomposition": lambda: plots.changes(one, two, (bad, "b")),
        "scatter": lambda: plots.scatter(
            plots.scatter_table(runs, {key: run["vas"][:, 0, 0, 0] > 0 for key, run in runs.items()})
        ),
        "items": lambda: plots.items(
            plots.items_table(one, two, words=dict.fromkeys(one["item"].values, item)), (bad, "b")
        ),
        "system-prompts": lambda: plots.system_prompts(
            plots.system_prompts_table([plots.Prompted(bad, bad, one), plots.Prompted(bad, "b", two)])
        ),
    }[name]()
    text = fig.to_json().replace("\\u003c", "<").replace("\\u003e", ">")
    assert "<script>" not in text
    assert "}%{x}" not in text


GAPS = ("heads", "compare", "decomposition", "training")


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("name", GAPS)
def test_what_has_no_value_is_hatched_or_crossed(name, wrong):
    one, two = made.realistic(6, 4, 3, None), made.realistic(6, 4, 3, None, lift=0.4)
    two["vas"][:, 2] = wrong
    fig = {
        "heads": lambda: plots.heads(two),
        "compare": lambda: plots.compare(one, two),
        "decomposition": lambda: plots.changes(one, two),
        "training": lambda: plots.training(plots.training_table({0: one, 10: two})),
    }[name]()
    gaps = [t for t in fig.data if t.hovertemplate and "no value" in t.hovertemplate]
    assert gaps
    assert "without a value" in words(fig)
    # no cell of the gap has a colour of the scale
    for trace in fig.data:
        if trace.type == "heatmap" and trace.hovertemplate and "no value" not in trace.hovertemplate:
            z = np.array(trace.z, dtype=float)
            assert not np.isinf(z).any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("name", [*GAPS, "items"])
def test_ratios_that_are_left_out_of_a_mean_are_told(name, wrong):
    one, two = made.realistic(6, 4, 3, None), made.realistic(6, 4, 3, None, lift=0.4)
    two["vas"][1:3, 2, 0] = wrong
    two["vas"][3] = wrong
    draw = {
        "heads": lambda *_: plots.heads(two),
        "compare": plots.compare,
        "decomposition": plots.changes,
        "training": lambda a, b: plots.training(plots.training_table({0: a, 10: b})),
        "items": lambda a, b: plots.items(plots.items_table(a, b)),
    }[name]
    told = words(draw(one, two))
    assert "Infinite or missing ratios of 1 head in 2 items: left out of the means." in told
    if name == "heads":
        assert "Items left out: 1 x not a number in the capture." in told
    if name == "items":
        assert "1 item without a ratio: no bar." in told
    if name != "heads":
        assert "Infinite or missing" not in words(draw(one, one))


@pytest.mark.parametrize("asked", [Definition(sink="exclude"), Definition(per_token=True)])
def test_every_figure_names_the_definition_it_draws(asked):
    runs, right = odd_runs(()), {}
    for at, (name, one) in enumerate(runs.items()):
        graded = (np.arange(6) < 1 + at).astype(float)
        right[name] = xr.DataArray(graded, dims="item", coords={"item": one["item"].values})
    one, two = runs["run-0"], runs["run-3"]
    prompted = [plots.Prompted("m", prompt, run) for prompt, run in (("own", one), ("other", two))]
    drawn = {
        "heads": plots.heads(two, asked),
        "compare": plots.compare(one, two, definition=asked),
        "items": plots.items(plots.items_table(one, two, definition=asked)),
        "scatter": plots.scatter(plots.scatter_table(runs, right, asked)),
        "correlation": plots.correlation(plots.correlation_table(runs, right, asked)),
        "training": plots.training(plots.training_table({0: one, 9: two}, definition=asked)),
    }
    told, foot = "per token", "each divided by its number of tokens"
    if asked.sink == "exclude":
        told, foot = "without the first token", "attention on system tokens without the first"
        drawn["system-prompts"] = plots.system_prompts(plots.system_prompts_table(prompted, definition=asked))
        drawn["decomposition"] = plots.changes(one, two, sink="exclude")
    for name, fig in drawn.items():
        subtitle, rest = words(fig).split(" | ", 1)
        assert told in subtitle, name
        assert foot in rest, name


ODD = (
    *("a head is missing", "a ratio is infinite", "an item is missing", "one item"),
    *("one head of several", "layers are missing"),
)
TOGETHER = (ODD[:3], ODD[3:4], ODD[4:])
"""Of the last run what is not there, all at once; then what all runs have little of."""


def odd_runs(kinds, n=4):
    """Checkpoints of which the last has something that no capture should have, or all have little."""
    items = 1 if "one item" in kinds else 6
    runs = {f"run-{at}": made.realistic(items, 6, 4, 2, seed=at, lift=0.2 * at) for at in range(n)}
    last = runs[f"run-{n - 1}"]
    if "a head is missing" in kinds:
        last["vas"][:, 2, 1] = last["vas_no_sink"][:, 2, 1] = np.nan
        last["mass"][:, 2, 1] = np.nan
    if "a ratio is infinite" in kinds:
        last["vas"][2, 3, 0] = last["vas_no_sink"][2, 3, 0] = np.inf
    if "an item is missing" in kinds:
        for name in ("vas", "vas_no_sink", "mass"):
            last[name][0] = np.nan
    if "one head of several" in kinds:
        runs = {name: run.isel(head=[1]) for name, run in runs.items()}
    if "layers are missing" in kinds:
        runs = {name: run.isel(layer=[0, 1, 4]) for name, run in runs.items()}
    return runs


@pytest.mark.parametrize(
    "kinds",
    [*TOGETHER, *(pytest.param((kind,), marks=pytest.mark.slow) for kind in ODD if kind != "one item")],
    ids=" and ".join,
)
@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in ("published", "training-log", "tokens")]
)
def test_odd_runs_are_drawn_without_a_number_that_is_none(name, kinds):
    fig, _ = every_figure(runs=odd_runs(kinds))[name]()
    assert inside_the_page(fig)
    text = re.sub(r'"(bdata|dtype|shape)":\s*"[^"]*"', "", fig.to_json())
    assert not re.search(r"\b(nan|inf|infinity)\b", text, re.IGNORECASE)


@pytest.mark.parametrize("value", ["vas", "share"])
def test_an_answer_with_rows_that_were_not_measured_has_gaps(value):
    capture = answer(30, 4)
    capture["row_mass"][7:9] = np.nan
    capture["row_mass"][:, 2] = np.nan
    fig = plots.tokens(capture, "q", value=value)
    assert inside_the_page(fig)
    assert any(t.hovertemplate and "not measured" in t.hovertemplate for t in fig.data)
    assert not re.search(r"\bnan%?\b", title(fig) + words(fig))


def test_a_layer_that_one_checkpoint_lacks_is_refused():
    one, two = made.realistic(6, 4, 3, None), made.realistic(6, 3, 3, None)
    calls = (
        lambda: plots.compare_table(one, two),
        lambda: plots.changes_table(one, two),
        lambda: plots.lazy_table({"a": one, "b": two}),
        lambda: plots.training_table({0: one, 5: two}),
        lambda: plots.items_table(one, two.isel(item=slice(0, 5))),
    )
    for call in calls:
        with pytest.raises(UsageError, match=r"layer|do not align"):
            call()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_numbers_give_the_same_bytes(name, tmp_path):
    first, second = (
        write_figure(*drawn(name), tmp_path / part / name, ["html"])
        for part, drawn in (("a", usual), ("b", anew))
    )
    assert [path.suffix for path in first] == [".html", ".csv"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.suffix


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """PNG of a figure, rendered once."""
    folder = tmp_path_factory.mktemp("rendered")
    return cache(lambda name: write_figure(*usual(name), folder / name, strict=True)[1])


@pytest.mark.browser
@pytest.mark.skipif(browser() is None, reason="no Chromium-family browser on this machine")
@pytest.mark.parametrize("name", NAMES)
def test_a_picture_keeps_its_edges_free(name, rendered):
    pixels = np.asarray(Image.open(rendered(name)).convert("RGB"))
    for edge in (pixels[:8], pixels[-8:], pixels[:, :8], pixels[:, -8:]):
        assert (edge == 255).all()


@pytest.mark.browser
@pytest.mark.skipif(browser() is None, reason="no Chromium-family browser on this machine")
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("heads", "items", "training") else pytest.param(name, marks=pytest.mark.slow)
        for name in NAMES
    ],
)
def test_the_same_figure_gives_the_same_picture(name, rendered, tmp_path):
    first, second = rendered(name), write_figure(*anew(name), tmp_path / name, strict=True)[1]
    assert first.suffix == second.suffix == ".png"
    assert first.read_bytes() == second.read_bytes()

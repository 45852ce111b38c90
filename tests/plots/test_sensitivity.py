"""The sensitivity figure: r of each definition by scipy, titles on data where they are true and where not."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import scipy.stats
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import Definition, Specification, vas_as
from vaslab.plots import findings, scatter_table, sensitivity, sensitivity_table
from vaslab.statistics import is_clear


def captures(n: int = 5) -> dict[str, xr.Dataset]:
    return {f"run-{i}": made.realistic(4, 3, 4, lift=0.3 * i, seed=2) for i in range(n)}


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def told(fig: go.Figure) -> str:
    return " ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ").replace("\u00a0", " ")


def curve(r: list[float], half: float = 0.1, p: float = 0.01) -> pd.DataFrame:
    choices = {"form": "a", "first token": "in", "masses": "summed", "floor": "1e-6"}
    choices |= {"queries": "user", "heads": "all"}
    table = pd.DataFrame(
        {"r": r, "low": np.subtract(r, half), "high": np.add(r, half), "p": p, "n": 6, "paper": False}
    )
    table["clear"] = [is_clear(*row) for row in table[["low", "high", "p"]].to_numpy()]
    table["group"], table["repeats"] = range(len(r)), False
    table = table.assign(**choices, layers=[f"l{i % 3}" for i in range(len(r))])
    table.attrs["n_checkpoints"] = 6
    return table


def test_each_definition_has_the_r_of_scipy() -> None:
    runs = captures()
    accuracy = dict(zip(runs, [0.3, 0.42, 0.4, 0.55, 0.5], strict=True))
    table = sensitivity_table(runs, accuracy)
    assert len(table) == 288
    assert table["paper"].sum() == 1
    wanted = Specification(Definition("user", "ratio_of_means", "exclude", True), "last third", "median head")
    row = table
    for question, choice in wanted.choices().items():
        row = row[row[question] == choice]
    x = np.log2([vas_as(capture, wanted) for capture in runs.values()])
    expected = scipy.stats.pearsonr(x, list(accuracy.values()))
    interval = expected.confidence_interval()
    np.testing.assert_allclose(
        row[["r", "low", "high"]].to_numpy(dtype=float)[0], [expected.statistic, *interval], rtol=1e-6
    )
    assert (table["r"].diff().dropna() >= 0).all()
    fig = sensitivity(table)
    assert "the paper's definition" in [a.text for a in fig.layout.annotations]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (curve([0.5, 0.6, 0.7]), "r is clearly positive under all 3 definitions"),
        (curve([-0.7, -0.6, -0.5]), "r is clearly negative under all 3 definitions"),
        (
            curve([-0.5, 0.05, 0.7]),
            "The sign of r depends on the definition: clearly positive under 1 of 3, negative under 1",
        ),
        (
            curve([0.05, 0.6, 0.7]),
            "r is clearly positive under 2 of 3 definitions of VAS, under none clearly negative",
        ),
        (curve([-0.05, 0.02, 0.05]), "No definition of VAS gives a clear r: positive under 2 of 3"),
        (curve([0.02, 0.03, 0.05]), "No definition of VAS gives a clear r: always positive"),
    ],
)
def test_the_title_is_what_the_data_say(table: pd.DataFrame, expected: str) -> None:
    assert title(sensitivity(table)).startswith(f"<b>{expected}")


def test_definitions_without_r_are_counted_not_drawn() -> None:
    table = curve([0.5, 0.6, np.nan])
    fig = sensitivity(table)
    drawn = [t for t in fig.data if t.error_y.array is not None]
    assert sum(len(t.x) for t in drawn) == 2
    assert "1 definition without r" in " ".join(str(a.text) for a in fig.layout.annotations)
    with pytest.raises(UsageError, match="no definition of VAS gives an r"):
        sensitivity(curve([np.nan, np.nan]))


def test_what_cannot_be_correlated_is_refused() -> None:
    runs = captures(4)
    with pytest.raises(VaslabError, match="3 checkpoints: no r"):
        sensitivity_table(dict(list(runs.items())[:3]), dict.fromkeys(runs, 0.5))
    with pytest.raises(VaslabError, match="the same accuracy"):
        sensitivity_table(runs, dict.fromkeys(runs, 0.5))
    with pytest.raises(UsageError, match="run-3 has no accuracy"):
        sensitivity_table(runs, {"run-0": 0.1, "run-1": 0.2, "run-2": 0.3})
    with pytest.raises(UsageError, match="the captures all hold user"):
        sensitivity_table(runs, {name: 0.1 * i for i, name in enumerate(runs)}, ("response",))


def test_clear_is_what_the_scatter_figure_calls_clear() -> None:
    """Four even steps along a line: Fisher's interval leaves out 0, and 2 of 24 orders are as extreme."""
    runs = captures(4)
    for i, capture in enumerate(runs.values()):
        capture["vas"][:] = 2.0**i
    vas = [vas_as(capture, Specification()) for capture in runs.values()]
    accuracy = dict(zip(runs, [0.1, 0.2, 0.3, 0.4], strict=True))
    table = sensitivity_table(runs, accuracy)
    own = table[table["paper"]].iloc[0]
    points = pd.DataFrame({"checkpoint": list(runs), "vas": vas, "accuracy": list(accuracy.values())})
    found = findings(points)
    assert own["low"] > 0
    assert found.pearson.low > 0
    assert not own["clear"]
    assert not found.clear
    # and so does a hand-made curve whose intervals alone leave out 0
    assert "No definition of VAS gives a clear r" in title(sensitivity(curve([0.5, 0.6, 0.7], p=0.08)))


def test_definitions_with_the_same_values_count_once() -> None:
    """Every item has as many image and system tokens: per token is the same up to a factor."""
    runs = captures(5)
    accuracy = dict(zip(runs, [0.3, 0.42, 0.4, 0.55, 0.5], strict=True))
    table = sensitivity_table(runs, accuracy)
    per_token = table["masses"] == "per token"
    assert table.loc[per_token & ~table["repeats"]].empty
    kept = table[~table["repeats"] & (table["floor"] != "1e-2")]
    # made.realistic also puts the sink at a fixed share of S: without it each ratio is 1 / 0.3 as large
    assert len(kept) == 16
    assert kept["paper"].sum() == 1
    fig = sensitivity(table)
    drawn = int((~table["repeats"]).sum())
    words = title(fig) + told(fig)
    assert f"{288 - drawn} definitions of 288 give the values of another, up to a factor" in words
    assert f"{drawn} of 288 definitions, r from" in words
    assert (
        f"of {drawn} definitions" in words
        or f"all {drawn} definitions" in words
        or "gives a clear r" in words
    )
    bars = [t for t in fig.data if t.error_y.array is not None]
    assert sum(len(t.x) for t in bars) == drawn
    # numbers of tokens that differ between items make definitions of their own
    rng = np.random.default_rng(0)
    for capture in runs.values():
        capture["n_keys"][:, 3] = rng.integers(60, 400, capture.sizes["item"])
    apart = sensitivity_table(runs, accuracy)
    assert (~apart["repeats"] & (apart["floor"] != "1e-2")).sum() == 32


def on_the_floor(system: list[float]) -> dict[str, xr.Dataset]:
    """One query an item, image mass 0.4 in every head, this system mass in every head of each checkpoint."""
    runs = {}
    for i, mass in enumerate(system):
        capture = made.realistic(3, 3, 2, seed=i)
        image = capture["mass"].copy()
        image[..., :] = 0.0
        image[..., 3], image[..., 0], image[..., 1] = 0.4, 0.5 * mass, 0.5 * mass
        image[..., 2] = 0.6 - mass
        ratio = capture["vas"] * 0 + 0.4 / max(mass, 1e-6)
        runs[f"run-{i}"] = capture.assign(
            mass=image, vas=ratio, vas_no_sink=0.4 / max(0.5 * mass, 1e-6) + 0 * ratio
        )
    return runs


def test_the_floor_is_varied_where_it_matters() -> None:
    system = [0.2, 0.05, 1e-3, 1e-7, 1e-9]
    runs, accuracy = on_the_floor(system), [0.3, 0.42, 0.4, 0.5, 0.55]
    table = sensitivity_table(runs, dict(zip(runs, accuracy, strict=True)))
    for floor in (1e-8, 1e-6, 1e-4, 1e-2):
        own = table[table["floor"].astype(float) == floor]
        own = own[(own["first token"] == "in") & (own["masses"] == "summed")]
        expected = scipy.stats.pearsonr(np.log2(0.4 / np.maximum(system, floor)), accuracy).statistic
        np.testing.assert_allclose(own["r"], expected, atol=2e-4)
    fig = sensitivity(table)
    low, high = (
        scipy.stats.pearsonr(np.log2(0.4 / np.maximum(system, floor)), accuracy).statistic
        for floor in (1e-8, 1e-2)
    )
    assert f"{high:.2f} with 1e-2" in told(fig)
    assert f"{low:.2f} with 1e-8" in told(fig)
    assert "Floors of 1e-8 to 1e-2 under the system mass move r by up to" in told(fig)
    assert "<b>floor</b>" in [str(a.text) for a in fig.layout.annotations]


def test_a_floor_that_changes_nothing_is_said_in_a_sentence_alone() -> None:
    runs = on_the_floor([0.3, 0.25, 0.2, 0.1, 0.05])
    accuracy = dict(zip(runs, [0.3, 0.42, 0.4, 0.5, 0.55], strict=True))
    fig = sensitivity(sensitivity_table(runs, accuracy))
    assert "Floors of 1e-8 to 1e-2 under the system mass change no r by more than 0.005." in told(fig)
    assert "<b>floor</b>" not in [str(a.text) for a in fig.layout.annotations]


def test_thousands_of_definitions_are_separated() -> None:
    many = curve([0.5] * 1200)
    assert "under all 1,200 definitions" in title(sensitivity(many))


def test_the_same_checkpoint_twice_is_refused() -> None:
    runs = captures(4)
    runs["again"] = runs["run-2"].copy(deep=True)
    accuracy = {name: 0.1 * i for i, name in enumerate(runs)}
    with pytest.raises(UsageError, match="run-2 and again are the same checkpoint"):
        sensitivity_table(runs, accuracy)
    grades = {name: xr.ones_like(run["n_queries"][:, 0]).astype(float) for name, run in runs.items()}
    with pytest.raises(UsageError, match="run-2 and again are the same checkpoint"):
        scatter_table(runs, grades)


def test_runs_that_share_no_item_are_refused_and_unequal_ones_named() -> None:
    runs = captures(4)
    names = list(runs)
    ids = runs[names[0]]["item"].values
    right = {
        name: xr.DataArray((np.arange(len(ids)) <= i).astype(float), dims="item", coords={"item": ids})
        for i, name in enumerate(names)
    }
    apart = dict(runs)
    apart["run-3"] = runs["run-3"].assign_coords(item=[f"other-{i}" for i in range(len(ids))])
    with pytest.raises(UsageError, match="no item was answered by all 4 checkpoints"):
        sensitivity_table(apart, {name: 0.1 * i for i, name in enumerate(names)})
    alone = dict(right)
    alone["run-2"] = right["run-2"].where(np.arange(len(ids)) == 0)
    alone["run-3"] = right["run-3"].where(np.arange(len(ids)) == 1)
    with pytest.raises(UsageError, match="no item was answered by all 4 checkpoints"):
        sensitivity_table(runs, alone)
    part = {**runs, "run-3": runs["run-3"].isel(item=slice(0, 2))}
    for given, said in ((part, True), (runs, False)):
        assert (
            "unequal items: 2 answered by all" in told(sensitivity(sensitivity_table(given, right)))
        ) == said


def test_definitions_are_over_layers_that_all_have() -> None:
    runs = captures(5)
    accuracy = dict(zip(runs, [0.3, 0.42, 0.4, 0.55, 0.5], strict=True))
    for capture in runs.values():
        capture["vas"][:, 2] *= 50
    expected = sensitivity_table(
        {name: capture.isel(layer=[0, 1]) for name, capture in runs.items()}, accuracy
    )
    for name in ("run-3", "run-4"):
        for part in ("vas", "vas_no_sink", "mass"):
            runs[name][part][:, 2] = np.nan
    found = sensitivity_table(runs, accuracy)
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-6)
    assert "layers 0–1, which all checkpoints have (not all: run-3, run-4); thirds are of these" in told(
        sensitivity(found)
    )

"""The sensitivity figure: r of each definition by scipy, titles on data where they are true and where not."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import scipy.stats
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import Definition, vas_as
from vaslab.plots import sensitivity, sensitivity_table


def captures(n: int = 5) -> dict[str, xr.Dataset]:
    return {f"run-{i}": made.realistic(4, 3, 4, lift=0.3 * i, seed=2) for i in range(n)}


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def curve(r: list[float], half: float = 0.1) -> pd.DataFrame:
    choices = {"form": "a", "first token": "in", "masses": "summed", "queries": "user", "heads": "all"}
    table = pd.DataFrame(
        {"r": r, "low": np.subtract(r, half), "high": np.add(r, half), "p": 0.1, "n": 6, "paper": False}
    )
    table = table.assign(**choices, layers=[f"l{i % 3}" for i in range(len(r))])
    table.attrs["n_checkpoints"] = 6
    return table


def test_each_definition_has_the_r_of_scipy() -> None:
    runs = captures()
    accuracy = dict(zip(runs, [0.3, 0.42, 0.4, 0.55, 0.5], strict=True))
    table = sensitivity_table(runs, accuracy)
    assert len(table) == 64
    assert table["paper"].sum() == 1
    wanted = Definition("ratio_of_means", "exclude", True, "user", "last third", "median head")
    row = table
    for question, choice in wanted.choices().items():
        row = row[row[question] == choice]
    x = np.log2([vas_as(capture, wanted) for capture in runs.values()])
    expected = scipy.stats.pearsonr(x, list(accuracy.values()))
    interval = expected.confidence_interval()
    np.testing.assert_allclose(
        row[["r", "low", "high"]].to_numpy(dtype=float)[0], [expected.statistic, *interval]
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

"""The forgetting figure: curves laid out by hand, findings on answers that fall, rise and stay."""

import numpy as np
import plotly.graph_objects as go
import pytest
import scipy.stats
import xarray as xr
from laid_out import TEXTS, answers, curves

from vaslab.errors import UsageError
from vaslab.plots import forgetting_figure, forgetting_table


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def test_change_and_turn_with_the_interval_of_scipy() -> None:
    rng = np.random.default_rng(2)
    held = [np.linspace(0.6, 0.6 + s, len(TEXTS)) for s in rng.normal(-0.2, 0.05, 15)]
    table = forgetting_table({"base": answers(held)})
    row = table.attrs["changes"].iloc[0]
    slopes = np.array([each[-1] - each[0] for each in held])
    interval = scipy.stats.ttest_1samp(slopes, 0).confidence_interval()
    np.testing.assert_allclose(
        [row["change"], row["change_low"], row["change_high"]], [slopes.mean(), *interval], rtol=1e-4
    )
    # eight tokens of thinking, two of answering
    turns = np.array([each[8:].mean() - each[:8].mean() for each in held])
    assert row["turn"] == pytest.approx(turns.mean(), rel=1e-4)
    assert row["n_turns"] == 15
    first = table.iloc[0]
    assert first["share"] == pytest.approx(np.mean([each[0] for each in held]), rel=1e-4)
    assert list(table["part"].unique()) == ["think", "answer"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"a": curves(0.6, 0.2)}, "Attention on the image falls by 40.0 points along the answers of a"),
        ({"a": curves(0.2, 0.6)}, "rises by 40.0 points"),
        ({"a": [np.full(len(TEXTS), 0.3)] * 6}, "does not clearly change along the answers of a"),
        ({"a": curves(0.6, 0.2), "b": curves(0.5, 0.2)}, "falls along the answer in both checkpoints"),
        (
            {"a": curves(0.6, 0.2), "b": curves(0.2, 0.5), "c": curves(0.6, 0.3)},
            "falls along the answer in two of three checkpoints, rises in one",
        ),
        (
            {"a": [np.full(len(TEXTS), 0.3)] * 6, "b": [np.full(len(TEXTS), 0.4)] * 6},
            "does not clearly change along the answer in any of two checkpoints",
        ),
        ({"base": curves(0.6, 0.2, items=1)}, "too few answers to tell any change"),
    ],
)
def test_the_title_is_what_the_answers_do(told: dict, expected: str) -> None:
    fig = forgetting_figure(forgetting_table({name: answers(each) for name, each in told.items()}))
    assert expected in title(fig)


def test_no_line_runs_from_thinking_to_the_answer() -> None:
    table = forgetting_table({"a": answers(curves(0.6, 0.2)), "b": answers(curves(0.5, 0.2))})
    measured = table[table["share"].notna()]
    for line, name in zip(
        (t for t in forgetting_figure(table).data if t.mode == "lines+markers"), "ab", strict=True
    ):
        places = measured[measured["checkpoint"] == name]
        turn = int((places["part"] == "think").sum())
        drawn = np.array(line.y, dtype=float)
        assert np.flatnonzero(np.isnan(drawn)).tolist() == [turn]
        np.testing.assert_allclose(np.delete(drawn, turn), 100 * places["share"])
        assert len(line.x) == len(line.customdata) == len(drawn)
        assert line.x[turn - 1] < line.x[turn] < line.x[turn + 1]


def test_of_many_checkpoints_the_median_and_the_outermost_slopes_are_drawn() -> None:
    ends = 0.6 - 0.02 * np.arange(13)
    flat = {f"run-{i}": [np.linspace(0.6, end, len(TEXTS))] * 3 for i, end in enumerate(ends)}
    fig = forgetting_figure(forgetting_table({name: answers(each) for name, each in flat.items()}))
    lines = [t for t in fig.data if t.mode == "lines+markers"]
    assert [t.customdata[0].split("<br>")[0] for t in lines] == ["<b>run-0</b>", "<b>run-12</b>"]
    (median,) = (t for t in fig.data if t.name == "median")
    # the seventh of thirteen, a gap where thinking ends
    drawn = np.array(median.y, dtype=float)
    assert drawn[0] == pytest.approx(60, abs=1)
    assert drawn[-1] == pytest.approx(100 * ends[6], abs=1)
    assert np.isnan(drawn).sum() == 1
    assert "More than 12 checkpoints" in " ".join(str(a.text) for a in fig.layout.annotations).replace(
        "<br>", " "
    )
    few = dict(list(flat.items())[:12])
    fig = forgetting_figure(forgetting_table({name: answers(each) for name, each in few.items()}))
    assert len([t for t in fig.data if t.mode == "lines+markers"]) == 12


def test_pictures_widen_the_interval() -> None:
    rng = np.random.default_rng(4)
    slopes = np.repeat(rng.normal(-0.2, 0.08, 6), 4)
    held = answers([np.linspace(0.6, 0.6 + s, len(TEXTS)) for s in slopes])
    cluster = xr.DataArray(np.arange(24) // 4, dims="item", coords={"item": held.capture["item"].values})
    rows = [
        forgetting_table({"a": held}, cluster=given).attrs["changes"].iloc[0] for given in (None, cluster)
    ]
    alone, whole = (row["change_high"] - row["change_low"] for row in rows)
    assert whole > 1.5 * alone
    table = forgetting_table({"a": held}, cluster=cluster)
    assert "t over pictures" in " ".join(
        str(a.text) for a in forgetting_figure(table).layout.annotations
    ).replace("<br>", " ")


def test_answers_without_thinking_are_all_answer() -> None:
    held = answers(curves(0.6, 0.2), texts=["x"] * len(TEXTS))
    table = forgetting_table({"a": held})
    assert not table.attrs["changes"]["n_turns"].any()
    fig = forgetting_figure(table, theme="dark")
    said = " | ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ")
    assert "No answer holds" in said
    assert " | think | " not in said
    with pytest.raises(UsageError, match="no checkpoint to draw"):
        forgetting_table({})

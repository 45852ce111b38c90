"""The correlation figure: each head and layer by scipy, findings on data where they are true and where not."""

import numpy as np
import plotly.graph_objects as go
import pytest
import scipy.stats
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import Definition, vas
from vaslab.plots import correlation, correlation_table, scatter_table
from vaslab.plots.correlation_words import interval_words
from vaslab.plots.scatter_numbers import findings
from vaslab.statistics import correlate
from vaslab.statistics.permutation import permutation_p


def checkpoints(n: int = 7, items: int = 24) -> tuple[dict[str, xr.Dataset], dict[str, xr.DataArray]]:
    """Head 1 of layer 2 rises with accuracy and head 0 of layer 0 falls; the others do as they like."""
    captures, right = {}, {}
    for i in range(n):
        capture = made.realistic(items, 3, 2, 1, seed=40 + i)
        drift = np.random.default_rng(i).normal(0, 0.02, items)[:, None]
        capture["vas"][:, 2, 1] = 2.0 ** (i + drift)
        capture["vas"][:, 0, 0] = 2.0 ** (5 - i + drift)
        grades = (np.arange(items) < 4 + 2 * i).astype(float)
        right[f"run-{i}"] = xr.DataArray(grades, dims="item", coords={"item": capture["item"].values})
        captures[f"run-{i}"] = capture
    return captures, right


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def test_r_of_each_head_and_layer_is_that_of_scipy() -> None:
    captures, right = checkpoints()
    table = correlation_table(captures, right)
    accuracy = [float(each.mean()) for each in right.values()]
    for layer, head in ((2, 1), (1, 0)):
        x = np.log2([float(c["vas"][:, layer, head].mean()) for c in captures.values()])
        expected = scipy.stats.pearsonr(x, accuracy)
        row = table[(table["layer"] == layer) & (table["head"] == head)].iloc[0]
        ends = expected.confidence_interval()
        np.testing.assert_allclose(
            row[["r", "low", "high", "p"]].astype(float),
            [expected.statistic, *ends, permutation_p(x, np.array(accuracy))[0]],
            rtol=1e-4,
        )
    layers = table.attrs["layers"]
    x = np.log2([float(vas(c, over=("item", "head"))[1]) for c in captures.values()])
    assert layers["r"].iloc[1] == pytest.approx(scipy.stats.pearsonr(x, accuracy).statistic)
    # more noise of the items, wider
    assert (table["items_low"] <= table["r"]).all()
    assert (table["items_high"] >= table["r"]).all()
    ratio = correlation_table(captures, right, Definition(form="ratio_of_means"))
    assert ratio["items_low"].notna().all()
    image, system = (
        [float(c["mass"].sel(key_role=keys)[:, 1, 0].sum("key_role").mean()) for c in captures.values()]
        for keys in (["image"], ["system_sink", "system"])
    )
    expected = scipy.stats.pearsonr(np.log2(np.divide(image, system)), accuracy).statistic
    row = ratio[(ratio["layer"] == 1) & (ratio["head"] == 0)].iloc[0]
    assert row["r"] == pytest.approx(expected, rel=1e-4)


def test_heads_are_found_and_named() -> None:
    captures, right = checkpoints()
    table = correlation_table(captures, right)
    found = table[table["found"]]
    assert {(2, 1), (0, 0)} <= set(zip(found["layer"], found["head"], strict=True))
    fig = correlation(table, data="glyph")
    assert "VAS (mean of ratios) of" in title(fig)
    assert "heads rises with accuracy, that of" in title(fig)
    assert "layer 2 head 1" in title(fig) or "layer 0 head 0" in title(fig)
    told = interval_words(found.iloc[0].to_dict())
    assert "95% CI" in told
    assert "by items" in told
    assert "false discovery rate" in told
    squares = [
        t for t in fig.data if t.type == "scatter" and t.mode == "lines" and t.line.width in (2.0, 5.0)
    ]
    assert len(squares) == 2


def test_no_head_is_found_where_none_tracks() -> None:
    captures, right = checkpoints(5)
    for capture in captures.values():
        capture["vas"][:] = capture["vas"][:, ::-1, ::-1].values
    rng = np.random.default_rng(3)
    mixed = {
        name: each.copy(data=(rng.random(each.size) < 0.5).astype(float)) for name, each in right.items()
    }
    table = correlation_table(captures, mixed)
    assert not table["found"].any()
    assert "No head's VAS (mean of ratios) clearly tracks accuracy over 5 checkpoints (6 tested)" in title(
        correlation(table)
    )


@pytest.mark.parametrize(
    ("lifts", "graded"),
    [([0, 0.5, 1, 1.5], [8, 16, 24, 32]), ([0, 0.5, 1, 1.5, 2], [8, 14, 20, 26, 32])],
)
def test_heads_are_found_by_the_rule_of_the_scatter_figure(lifts: list[float], graded: list[int]) -> None:
    """Of four checkpoints neither figure tells anything, of five both do; a head that is found is clear alone."""
    captures = {f"c{i}": made.realistic(40, 4, 4, None, lift=lift) for i, lift in enumerate(lifts)}
    right = {
        name: xr.DataArray(
            (np.arange(40) < k).astype(float), dims="item", coords={"item": one["item"].values}
        )
        for (name, one), k in zip(captures.items(), graded, strict=True)
    }
    table = correlation_table(captures, right)
    scattered = findings(scatter_table(captures, right), 0)
    told = title(correlation(table))
    assert bool(table["found"].any()) == scattered.clear == (len(lifts) == 5)
    accuracy = np.array([float(each.mean()) for each in right.values()])
    for row in table[table["found"]].to_dict("records"):
        x = [
            np.log2(float(c["vas"].sel(layer=row["layer"], head=row["head"]).mean()))
            for c in captures.values()
        ]
        assert correlate(x, accuracy).clear
    foot = " ".join(str(a.text) for a in correlation(table).layout.annotations).replace("<br>", " ")
    if len(lifts) == 4:
        assert "p is 1 / 24 at best, too much for one of 16 heads alone" in told
        # the 14th of 16 is the first that is compared with 1 / 24: .05 x 14 / 16 = .04375
        assert "no head is found unless 14 of 16 are that clear" in foot
    else:
        assert "12 of 16 heads rises with accuracy" in told
        # .05 x 3 / 16 = .009375, above 1 / 120
        assert "p is 1 / 120 at best: no head is found unless 3 of 16 are that clear" in foot


def test_what_cannot_be_compared_is_refused_or_said() -> None:
    captures, right = checkpoints(5)
    other = {**captures, "run-1": made.realistic(24, 4, 2, 1)}
    with pytest.raises(UsageError, match="3 x 2 and 4 x 2 layers x heads"):
        correlation_table(other, right)
    with pytest.raises(VaslabError, match="3 checkpoints: no r"):
        correlation_table({k: captures[k] for k in list(captures)[:3]}, right)
    same = {name: xr.ones_like(each) for name, each in right.items()}
    with pytest.raises(VaslabError, match="have the same accuracy"):
        correlation_table(captures, same)
    captures["run-4"] = captures["run-4"].isel(item=slice(0, 10))
    table = correlation_table(captures, right)
    assert table["items_low"].isna().all()
    assert "unequal items: 10 answered by all" in " ".join(
        str(a.text) for a in correlation(table).layout.annotations
    ).replace("<br>", " ")


def test_a_head_without_vas_is_hatched_not_tested() -> None:
    captures, right = checkpoints(5)
    for capture in captures.values():
        capture["vas"][:, 1, 1] = np.nan
    table = correlation_table(captures, right)
    gap = table[(table["layer"] == 1) & (table["head"] == 1)].iloc[0]
    assert np.isnan(gap["r"])
    fig = correlation(table)
    assert [t for t in fig.data if t.hovertemplate and "no value" in t.hovertemplate]
    assert "1 head without r" in " ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ")


def test_a_head_that_some_checkpoints_lack_is_crossed_and_its_n_told() -> None:
    captures, right = checkpoints(6)
    plain = correlation_table(captures, right)
    assert (plain["lacking"] == "").all()
    for name in list(captures)[4:]:
        captures[name]["vas"][:, 1, 1] = np.nan
        captures[name]["vas"][0, 2] = np.inf  # one item without a value in a layer
    table = correlation_table(captures, right)
    rest = table["lacking"] == ""
    np.testing.assert_allclose(table.loc[rest, "r"], plain.loc[rest, "r"])
    own = table[(table["layer"] == 1) & (table["head"] == 1)].iloc[0]
    four = correlation_table({k: captures[k] for k in list(captures)[:4]}, right)
    same = four[(four["layer"] == 1) & (four["head"] == 1)].iloc[0]
    assert (own["n"], own["lacking"]) == (4, ", ".join(list(captures)[4:]))
    assert own["r"] == pytest.approx(same["r"])
    assert interval_words(own).endswith(", n = 4 checkpoints (not run-4, run-5)")
    # the layer's mean is over the head that all have, in all six
    layers = table.attrs["layers"]
    one_head = table[(table["layer"] == 1) & (table["head"] == 0)].iloc[0]
    assert layers["n"].tolist() == [6, 6, 4]
    assert layers["r"][1] == pytest.approx(one_head["r"])
    fig = correlation(table)
    (cross, _) = [t for t in fig.data if t.type == "scatter" and t.marker.symbol == "x-thin-open"]
    assert sorted(zip(cross.x, cross.y, strict=True)) == [(1, 1), (2, 0), (2, 1)]
    told = " ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ")
    assert "r of fewer than 6 checkpoints, others lack a value: 3 heads over 4, 1 layer over 4." in told
    assert "Crossed" not in " ".join(str(a.text) for a in correlation(plain).layout.annotations)


def test_a_head_that_is_not_clear_is_a_small_square_in_the_colour_of_its_r() -> None:
    captures, right = checkpoints()
    table = correlation_table(captures, right)
    fig = correlation(table)
    full, empty = [t for t in fig.data if t.type == "heatmap" and t.customdata is not None]
    shape = (3, 2)
    r, found = (table[name].to_numpy().reshape(shape).T for name in ("r", "found"))
    assert 0 < found.sum() < found.size
    np.testing.assert_allclose(np.array(full.z, dtype=float), np.where(found, r, np.nan), rtol=1e-6)
    # no colour of the scale fills another cell
    assert {colour for _, colour in empty.colorscale} == {"#ffffff"}
    assert (np.isfinite(np.array(empty.z, dtype=float)) == ~found).all()
    assert (np.array(empty.customdata)[~found] != "").all()
    assert (np.array(full.customdata)[found] != "").all()
    (squares,) = [t for t in fig.data if t.type == "scatter" and t.marker.symbol == "square"]
    at = {(x, y): value for x, y, value in zip(squares.x, squares.y, squares.marker.color, strict=True)}
    assert at == {(x, y): pytest.approx(r[y, x]) for y, x in zip(*np.nonzero(~found), strict=True)}
    assert (squares.marker.cmin, squares.marker.cmax) == (full.zmin, full.zmax)
    assert squares.marker.colorscale == full.colorscale
    # less than half of a cell, which is 300 pixels over two heads high
    assert squares.marker.size < 300 / 2 / 2


@pytest.mark.parametrize("same", [True, False])
def test_key_value_groups_are_told_apart_where_all_have_the_same(same: bool) -> None:
    captures = {f"c{i}": made.realistic(12, 3, 8, 4, lift=0.3 * i) for i in range(4)}
    if not same:
        captures["c3"].attrs["n_kv_heads"] = 2
    right = {
        name: xr.DataArray(
            (np.arange(12) < 3 + 2 * i).astype(float), dims="item", coords={"item": one["item"].values}
        )
        for i, (name, one) in enumerate(captures.items())
    }
    fig = correlation(correlation_table(captures, right))
    told = [str(a.text) for a in fig.layout.annotations]
    assert ("head, grouped by key-value head" in told) == same
    lines = [list(t.y) for t in fig.data if t.type == "scatter" and t.mode == "lines" and t.xaxis == "x2"]
    # two heads share each of the four key-value heads
    edges = [at for at in (1.5, 3.5, 5.5) for at in (at, at, None)]
    assert (edges in lines) == same

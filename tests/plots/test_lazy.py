"""The lazy figure: shares against hand sums, findings against captures built to have them."""

import numpy as np
import plotly.graph_objects as go
import pytest
import scipy.stats
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError
from vaslab.plots import lazy, lazy_table


def lines(fig: go.Figure, axis: str) -> dict[str, go.Scatter]:
    return {t.name: t for t in fig.data if t.name and (t.xaxis or "x") == axis}


def test_lines_are_percent_of_attention_per_layer() -> None:
    fig = lazy({"base": made.hand()})
    np.testing.assert_allclose(lines(fig, "x")["base"].y, [45, 52.5], rtol=1e-5)
    np.testing.assert_allclose(lines(fig, "x2")["base"].y, [40, 30], rtol=1e-5)
    np.testing.assert_allclose(
        lines(fig, "x3")["base"].y, [(0.3 + 0) / 2 * 100, (0.25 + 0.1) / 2 * 100], rtol=1e-5
    )
    assert (
        "Attention on the image peaks at 53% in layer 1; the system prompt takes 35%" in fig.layout.title.text
    )
    assert all(axis.range[0] == 0 for axis in (fig.layout.yaxis, fig.layout.yaxis2, fig.layout.yaxis3))


def test_differences_are_paired_and_in_the_hover() -> None:
    base = made.hand()
    other = base.copy(deep=True)
    other["mass"][..., 3] += 0.1
    other["mass"][..., 1] -= 0.1
    captures = {"base": base, "tuned": other}
    table = lazy_table(captures)
    image = table[(table["run"] == "tuned") & (table["role"] == "image")]
    np.testing.assert_allclose(image["difference"], 0.1, rtol=1e-5)
    np.testing.assert_allclose(image["difference_low"], 0.1, rtol=1e-4)
    assert table[table["run"] == "base"]["difference"].isna().all()
    fig = lazy(captures, table=table)
    assert ", +10.0 points to base (+10.0 to +10.0)" in lines(fig, "x")["tuned"].customdata[0]
    assert "to base" not in lines(fig, "x")["base"].customdata[0]


def test_findings_of_several_checkpoints() -> None:
    base = made.realistic(40, 10, 6)
    far, near = made.realistic(40, 10, 6, lift=0.9), made.realistic(40, 10, 6, seed=0, lift=0.0)
    title = lazy({"base": base, "multimodal": near, "text-only": far}).layout.title.text
    assert "text-only moves" in title
    assert "no clear change for multimodal" in title.replace("<br>", " ")
    assert "multimodal shows no clear change" in lazy({"base": base, "multimodal": near}).layout.title.text
    away = lazy({"base": far, "text-only": base}).layout.title.text
    assert "away from the image" in away


@pytest.mark.parametrize(
    ("shifts", "expected"),
    [
        ((0.20, 0.15, 0.10, 0.05), "A moves 20.0 points of attention to the image, B 15.0, 2 others less"),
        ((0.20, 0.15, 0.10, -0.05), "B 15.0, C 10.0 to it, D 5.0 away from it"),
        ((0.20, 0.15, -0.10, -0.05), "B 15.0, 2 others less away from it"),
        ((0.20, -0.15, 0.10, 0.05), "B 15.0 away from it, 2 others less to it"),
        (
            (-0.20, -0.15, -0.10, 0.05),
            "away from the image, B 15.0, D 5.0 to it, C 10.0 away from it",
        ),
    ],
)
def test_the_others_are_counted_by_the_way_they_move(shifts: tuple[float, ...], expected: str) -> None:
    base = made.realistic(10, 4, 2)
    base["mass"][:] = 0.0
    base["mass"][..., 1], base["mass"][..., 3] = 0.5, 0.5
    runs = {"base": base}
    for name, shift in zip("ABCD", shifts, strict=True):
        runs[name] = base.copy(deep=True)
        runs[name]["mass"][..., 3] += shift
        runs[name]["mass"][..., 1] -= shift
    assert expected in lazy(runs).layout.title.text.replace("<br>", " ")


def test_two_items_that_agree_are_no_finding_yet() -> None:
    base = made.hand()
    other = base.copy(deep=True)
    # per item 0.10 and 0.12: t = 11 on one degree of freedom, p = 0.058
    for item, shift in enumerate((0.10, 0.12)):
        other["mass"][item, ..., 3] += shift
        other["mass"][item, ..., 1] -= shift
    title = lazy({"base": base.isel(item=[0, 1]), "tuned": other.isel(item=[0, 1])}).layout.title.text
    assert "tuned shows no clear change" in title


def test_base_is_named_or_first_and_dotted() -> None:
    one, two = made.realistic(4, 5, 4), made.realistic(4, 5, 4, lift=0.5)
    fig = lazy({"text-only": two, "base": one})
    assert lines(fig, "x")["base"].line.dash == "dot"
    fig = lazy({"run-a": two, "run-b": one})
    assert lines(fig, "x")["run-a"].line.dash == "dot"
    with pytest.raises(UsageError, match="base='c' is not among the captures: a"):
        lazy({"a": one}, base="c")
    with pytest.raises(UsageError, match="no capture to draw"):
        lazy({})


def test_one_item_has_lines_and_no_bands() -> None:
    fig = lazy({"base": made.realistic(1, 4, 4)})
    assert not [t for t in fig.data if t.fill == "toself"]
    assert "One item: no bands" in " ".join(str(a.text) for a in fig.layout.annotations)
    assert lazy({"base": made.realistic(1, 4, 4), "b": made.realistic(1, 4, 4)}).layout.title.text


def test_runs_that_do_not_align_name_both() -> None:
    one, two = made.realistic(4, 5, 4), made.realistic(3, 5, 4)
    with pytest.raises(
        UsageError,
        match=r"base \(first\) and tuned \(second\): the runs do not align: 1 items are only in the first",
    ):
        lazy({"base": one, "tuned": two})
    with pytest.raises(UsageError, match="do not align on layer: 5 and 6"):
        lazy({"base": one, "tuned": made.realistic(4, 6, 4)})


def test_query_set_without_queries_is_refused() -> None:
    capture = made.blank(made.blank(made.hand(), 0, "query"), 1, "query")
    with pytest.raises(UsageError, match="base has no item with a user query"):
        lazy({"base": capture})


def test_names_from_outside_cannot_inject_markup() -> None:
    bad = '<img src=x onerror="alert(1)">%{x}'
    captures = {"base": made.realistic(3, 4, 4), bad: made.realistic(3, 4, 4, lift=2)}
    text = lazy(captures).to_json().replace("\\u003c", "<")
    assert "<img" not in text
    assert text.count("%{x}") == 3  # the headings of the hover boxes, ours


def test_key_fits_the_page() -> None:
    captures = {f"checkpoint with a long name number {i} " * 3: made.realistic(2, 4, 4) for i in range(5)}
    fig = lazy(captures)
    key = [a for a in fig.layout.annotations if "checkpoint" in str(a.text) and a.font.size == 14]
    assert len(key) == 5
    assert len({(a.x, a.y) for a in key}) == 5


def crosses(fig: go.Figure) -> list[list[float]]:
    return [list(t.x) for t in fig.data if t.marker.symbol == "x-thin-open" and (t.xaxis or "x") == "x"]


def words(fig: go.Figure) -> str:
    return " ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ").replace("\u00a0", " ")


def test_a_layer_that_lacks_a_head_is_a_gap_and_moves_nothing() -> None:
    base, tuned = made.realistic(12, 6, 4), made.realistic(12, 6, 4)
    tuned["mass"][:, 2, 1] = np.nan
    fig = lazy({"base": base, "tuned": tuned})
    shown = np.array(lines(fig, "x")["tuned"].y, dtype=float)
    assert np.isnan(shown).tolist() == [False, False, True, False, False, False]
    assert crosses(fig) == [[2]]
    assert "tuned shows no clear change" in str(fig.layout.title.text)
    assert "tuned: heads of layer 2 have no value: gaps" in words(fig)
    outlines = [t for t in fig.data if t.fill == "toself" and (t.xaxis or "x") == "x"]
    assert sum(None in list(t.x) for t in outlines) == 1
    table = lazy_table({"base": base, "tuned": tuned})
    assert table[table["layer"] == 2].groupby("run")["share"].apply(
        lambda part: part.isna().all()
    ).to_dict() == {
        "base": False,
        "tuned": True,
    }
    assert table.attrs["moves"]["difference"].abs().max() < 1e-12


def test_an_item_that_lacks_a_head_is_left_out_and_said() -> None:
    capture = made.realistic(12, 6, 4)
    plain = lazy_table({"base": capture.isel(item=slice(1, None))})
    capture["mass"][0, 3, 2] = np.nan
    table = lazy_table({"base": capture})
    np.testing.assert_allclose(table["share"], plain["share"])
    assert "base: 1 item with a head without a value left out" in words(lazy({"base": capture}))


def test_a_capture_that_lacks_heads_everywhere_is_refused() -> None:
    capture = made.realistic(3, 4, 4)
    capture["mass"][:, :, 0] = np.nan
    with pytest.raises(UsageError, match="base lacks a value of some head in every layer or every item"):
        lazy({"base": capture})


def test_no_line_is_drawn_over_layers_that_were_not_measured() -> None:
    capture = made.realistic(5, 8, 4).isel(layer=[0, 1, 2, 5, 6, 7])
    line = lines(lazy({"base": capture}), "x")["base"]
    assert np.isnan(np.array(line.y, dtype=float)).tolist() == [False] * 3 + [True] + [False] * 3
    assert list(line.x) == [0, 1, 2, 3.5, 5, 6, 7]
    even = lines(lazy({"base": made.realistic(5, 8, 4).isel(layer=[0, 2, 4, 6])}), "x")["base"]
    assert list(even.x) == [0, 2, 4, 6]


def test_items_of_one_picture_are_one_witness() -> None:
    base, tuned = made.realistic(20, 4, 3), made.realistic(20, 4, 3)
    for part, size in ((slice(0, 10), 0.06), (slice(10, 20), 0.02)):
        tuned["mass"][part, ..., 3] += size
        tuned["mass"][part, ..., 1] -= size
    picture = xr.DataArray(np.arange(20) // 10, dims="item", coords={"item": base["item"].values})
    runs = {"base": base, "tuned": tuned}
    assert "tuned moves 4.0 points" in str(lazy(runs).layout.title.text)
    fig = lazy(runs, cluster=picture)
    assert "tuned shows no clear change" in str(fig.layout.title.text)
    assert "bootstrap over pictures" in words(fig)
    # two pictures that differ by 4 points: t = 4 / 2 on one degree of freedom
    moves = lazy_table(runs, cluster=picture).attrs["moves"]
    assert moves["p"].iloc[0] == pytest.approx(2 * scipy.stats.t.sf(2.0, 1), rel=1e-4)


def test_more_than_two_that_move_are_counted() -> None:
    runs = {"base": made.realistic(12, 4, 3)}
    for at, size in enumerate((0.09, 0.06, 0.03, 0.02)):
        runs[f"run-{at}"] = made.realistic(12, 4, 3)
        runs[f"run-{at}"]["mass"][..., 3] += size
    title = str(lazy(runs).layout.title.text).replace("<br>", " ")
    assert "run-0 moves 9.0 points of attention to the image, run-1 6.0, 2 others less" in title


def test_many_checkpoints_are_a_median_and_bands_with_the_extremes_by_name() -> None:
    one = made.realistic(4, 4, 2)
    one["mass"][:] = 0.0
    one["mass"][..., 1], one["mass"][..., 3] = 0.5, 0.5
    runs = {}
    for at in range(20):
        runs[f"run-{at}"] = one.copy(deep=True)
        runs[f"run-{at}"]["mass"][..., 3] += 0.02 * (at - 8)
        runs[f"run-{at}"]["mass"][..., 1] -= 0.02 * (at - 8)
    fig = lazy(runs, base="run-8")
    drawn = lines(fig, "x")
    assert set(drawn) == {"median", "run-0", "run-8", "run-19"}
    np.testing.assert_allclose(drawn["median"].y, 100 * (0.5 + 0.02 * 1.5), rtol=1e-6)
    np.testing.assert_allclose(drawn["median"].customdata[0][2:], [34, 72], rtol=1e-6)
    told = " ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ")
    assert "More than 12 checkpoints: thin line their median" in told
    assert "20 checkpoints" in told.replace("\u00a0", " ")
    few = lazy(dict(list(runs.items())[:12]))
    assert len(lines(few, "x")) == 12
    assert "median" not in lines(few, "x")

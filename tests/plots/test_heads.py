"""The heads figure: its numbers against hand sums, its encoding against the rules of the figure set."""

import numpy as np
import plotly.graph_objects as go
import pytest
import synthetic_capture as made
import xarray as xr

from vaslab.errors import VaslabError
from vaslab.metrics import Definition
from vaslab.plots import heads, heads_table
from vaslab.plots.head_grid import limit_of
from vaslab.plots.head_marks import Cells, label_places
from vaslab.plots.text import percent


def annotations(fig: go.Figure) -> str:
    return " | ".join(str(a.text) for a in fig.layout.annotations)


def level_map(fig: go.Figure) -> go.Heatmap:
    return next(t for t in fig.data if t.type == "heatmap" and t.customdata is not None)


def test_table_holds_the_hand_numbers() -> None:
    table = heads_table(made.hand())
    assert list(table["layer"]) == [0, 1]
    np.testing.assert_allclose(table["vas"], [1.25, 4.25], rtol=1e-5)
    np.testing.assert_allclose(table["image"], [(0.4 + 0.5) / 2, (0.25 + 0.8) / 2], rtol=1e-5)
    np.testing.assert_allclose(table["system"], [(0.3 + 0.5) / 2, (0.5 + 0.1) / 2], rtol=1e-5)
    np.testing.assert_allclose(table["ratio_of_means"], [0.9 / 0.8, 1.05 / 0.6], rtol=1e-5)
    assert list(table["rank"]) == [2, 1]
    assert (table["ci_low"] <= table["vas"]).all()
    assert (table["vas"] <= table["ci_high"]).all()


def test_map_shows_log2_of_the_table_with_layer_on_x_and_head_on_y() -> None:
    capture = made.realistic(6, 5, 8, 4)
    table = heads_table(capture)
    shown = level_map(heads(capture, table=table))
    assert np.shape(shown.z) == (8, 5)
    row = table[(table["layer"] == 3) & (table["head"] == 6)].iloc[0]
    np.testing.assert_allclose(shown.z[6][3], np.log2(row["vas"]), rtol=1e-5)
    assert shown.zmin == -shown.zmax
    assert not shown.xgap
    assert not shown.ygap
    np.testing.assert_allclose(shown.customdata[6][3][:3], row[["vas", "ci_low", "ci_high"]].astype(float))


def test_limit_is_the_smallest_power_that_clips_at_most_two_percent() -> None:
    value = np.ones(100)
    value[:2] = 100  # 2 of 100 beyond any small limit
    assert limit_of(value) == 1
    value[2] = 5  # 3 of 100 above 4: 8 is needed
    assert limit_of(value) == 3
    assert limit_of(np.array([0.0, 0.0, 1.0])) == 1
    assert limit_of(np.r_[np.full(47, 3.0), 1000]) == 10  # one of 48 would be more than 2 %
    assert limit_of(np.r_[np.full(49, 3.0), 1000]) == 2
    assert limit_of(np.r_[np.full(23, 3.0), 1000]) == 10


def test_clipped_ends_say_so_and_open_ends_do_not() -> None:
    capture = made.realistic(4, 10, 10, None)
    capture["vas"][:] = 1.0
    capture["vas"][:, 0, 0] = 50.0
    capture["mass"][..., :2] = 0.1
    capture["mass"][..., 3] = 0.2
    capture["mass"][:, 0, 0, :, 3] = 0.5
    fig = heads(capture)
    words = next(a.ticktext for a in fig.select_yaxes() if a.side == "right")
    assert words[-1] == "≥ 2"
    assert words[0] == "1/2"
    assert "1% of heads attend more to the image" in fig.layout.title.text


@pytest.mark.parametrize(
    ("value", "title"),
    [
        (
            0.5,
            "No head attends more to the image than to the system prompt: the highest VAS (mean of ratios) is 0.50",
        ),
        (3.0, "Every head attends more"),
    ],
)
def test_title_at_the_extremes(value: float, title: str) -> None:
    capture = made.realistic(3, 4, 4)
    capture["vas"][:] = value
    capture["mass"][..., 3] = 0.2 * value
    capture["mass"][..., :2] = 0.1
    assert title in heads(capture).layout.title.text.replace("<br>", " ")


def test_title_tells_a_heavy_tail_from_attention_on_the_whole() -> None:
    # two queries: ratios 0.1 and 5 have the mean 2.55, but the masses (.05 + .25) / (.5 + .05) = 0.55
    rows = [[0.25, 0.25, 0.45, 0.05, 0, 0, 0, 0], [0.025, 0.025, 0.7, 0.25, 0, 0, 0, 0]]
    capture = made.from_rows({(0, 0, 0): rows, (0, 0, 1): rows}, [[1, 1, 1, 1, 0, 0, 0, 0]])
    said = heads(capture).layout.title.text.replace("<br>", " ")
    assert (
        "VAS (mean of ratios) is above 1 in 2 of 2 heads, but none attends more to the image than to" in said
    )
    plain = heads(capture, Definition(form="ratio_of_means")).layout.title.text.replace("<br>", " ")
    assert (
        "No head attends more to the image than to the system prompt: the highest VAS (ratio of means) is 0.55"
        in plain
    )


def test_words_name_form_query_set_data_n_and_run() -> None:
    capture = made.realistic(7, 6, 8, 4, model="m1", data="d1", run="r1")
    said = annotations(heads(capture)).replace("\u00a0", " ").replace("<br>", " ")
    for word in (
        "mean of ratios",
        "m1",
        "d1, n = 7",
        "queries: user text",
        "Run r1",
        "interquartile range",
        "bootstrap over 7 items",
    ):
        assert word in said
    assert "head, grouped by key-value head" in said
    other = annotations(heads(capture, Definition("user", "ratio_of_means", "exclude", True))).replace(
        "\u00a0", " "
    )
    sure = float((heads_table(capture)["ci_low"] > 1).mean())
    assert f", {percent(sure)} with the whole of their interval (" in said
    assert "ratio of means, without the first token, per token" in other.replace("<br>", " ")


def test_heads_without_a_value_are_hatched_and_counted() -> None:
    capture = made.realistic(5, 12, 12, 4)
    capture["vas"][:, 2, 3] = np.nan
    capture["vas"][:, 7, 7:9] = np.nan
    fig = heads(capture)
    grey = [
        t for t in fig.data if t.type == "heatmap" and t.hovertemplate == "<b>no value</b><extra></extra>"
    ]
    assert np.isfinite(grey[0].z).sum() == 3
    assert "3 heads without a value: hatched, not counted." in annotations(fig).replace("<br>", " ")
    assert "141 heads" in annotations(fig)


def test_items_left_out_are_said() -> None:
    fig = heads(made.blank(made.realistic(5, 4, 4), 2, "system"))
    assert "Items left out: 1 x no system token." in annotations(fig).replace("<br>", " ")


@pytest.mark.parametrize(
    ("items", "layers", "n_heads", "kv"), [(1, 1, 1, None), (1, 4, 4, 2), (3, 80, 64, 8), (2, 2, 64, None)]
)
def test_from_the_smallest_to_the_largest_model(
    items: int, layers: int, n_heads: int, kv: int | None
) -> None:
    fig = heads(made.realistic(items, layers, n_heads, kv), theme="dark")
    assert 600 < fig.layout.width < 1250
    assert 500 < fig.layout.height < 1100
    assert len(fig.to_json()) < 300_000
    reduced = "More than 1,000 heads: shares of attention stand in the table, not on hover." in annotations(
        fig
    ).replace("<br>", " ")
    assert reduced == (layers * n_heads > 1000)
    if items == 1:
        assert "One item: no intervals." in annotations(fig).replace("<br>", " ")


def test_top_heads_are_at_most_a_quarter() -> None:
    for layers, n_heads, words in (
        (4, 4, "four highest"),
        (6, 8, "ten highest"),
        (1, 1, "Square: the highest head"),
    ):
        assert words in annotations(heads(made.realistic(2, layers, n_heads, None))).replace("<br>", " ")


def test_labels_keep_off_each_other_off_the_squares_and_inside() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        cells = Cells.fit(28, 28, 80)
        top = [(int(a), int(b)) for a, b in rng.integers(20, 28, (10, 2))]
        top = list(dict.fromkeys(top))
        placed = label_places(top, 3, cells, np.full((28, 28), 8.2))
        boxes = []
        for (layer, head), (dx, dy) in placed:
            x, y = (layer + 0.5) * cells.cell_width + dx, (head + 0.5) * cells.cell_height + dy
            boxes.append((x - 12, y - 9, x + 12, y + 9))
        for i, a in enumerate(boxes):
            assert a[0] > 0
            assert a[1] > 0
            assert a[2] < cells.width
            assert a[3] < cells.height
            assert not any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in boxes[:i])
            for layer, head in top:
                x, y = (layer + 0.5) * cells.cell_width, (head + 0.5) * cells.cell_height
                assert not (a[0] < x < a[2] and a[1] < y < a[3])


def test_names_from_outside_cannot_inject_markup() -> None:
    bad = '<img src=x onerror="alert(1)">'
    text = heads(made.realistic(3, 4, 4, model=bad, data=bad, run=bad)).to_json()
    assert "<img" not in text.replace("\\u003c", "<")


@pytest.mark.parametrize("kept", [[0], [2], [0, 1, 2], [4, 5, 6, 7]])
def test_some_heads_of_a_model_are_drawn_without_the_groups_of_all(kept: list[int]) -> None:
    capture = made.realistic(4, 3, 8, 4).isel(head=kept)
    assert "kv_group" not in heads_table(capture)
    fig = heads(capture)
    assert "head, grouped by key-value head" not in [str(a.text) for a in fig.layout.annotations]
    assert next(iter(fig.layout.yaxis.ticktext)) == str(kept[0])
    whole = heads_table(made.realistic(4, 3, 8, 4))
    assert whole["kv_group"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3] * 3


def test_the_band_of_medians_has_a_gap_where_a_layer_has_no_value() -> None:
    capture = made.realistic(4, 6, 4)
    capture["vas"][:, 2] = np.nan
    fig = heads(capture)
    (outline,) = [t for t in fig.data if t.type == "scatter" and t.fill == "toself"]
    x = np.array([np.nan if at is None else at for at in outline.x], dtype=float)
    parts = np.split(x, np.flatnonzero(np.isnan(x)))
    assert [sorted(set(part[np.isfinite(part)])) for part in parts] == [[0, 1], [3, 4, 5]]


def test_no_vas_at_all_is_the_error_of_the_metric() -> None:
    capture = made.blank(made.blank(made.hand(), 0, "system"), 1, "system")
    with pytest.raises(VaslabError, match="give the prompts a system turn"):
        heads(capture)


def test_layers_keep_their_numbers_when_only_some_were_measured() -> None:
    capture = made.realistic(2, 6, 4).isel(layer=[1, 5])
    fig = heads(capture)
    assert list(fig.layout.xaxis.ticktext) == ["1", "5"]
    assert isinstance(capture, xr.Dataset)

"""The sweep's figures: titles on data where they are true and where not, points where the numbers are."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import scipy.stats

from vaslab.errors import UsageError
from vaslab.plots.sweep import sweep, sweep_sides
from vaslab.plots.sweep_axes import change_ticks, tick_text
from vaslab.plots.sweep_dose import dose_response
from vaslab.plots.sweep_numbers import group_name, stands, sweep_cells

FIRST = {"model": "base", "data": "glyph", "system": "default", "seed": 0, "queries": "user", "n": 200}


def cell(
    line: str = "avar",
    strength: float = 0.4,
    accuracy: float = 0.0,
    visual: float = 0.0,
    p: float = 0.9,
    visual_p: float = 0.9,
    vas: float = 1.0,
    axis: str = "beta",
    **more: object,
) -> dict[str, object]:
    """A row of a sweep's table; p are adjusted ones."""
    row = {
        **FIRST,
        "intervention": line.split()[0],
        "line": line,
        "label": f"{line} {axis}={strength:g}",
        "axis": axis,
        "strength": strength,
        "p_adjusted": p,
        "visual_p_adjusted": visual_p,
        "vas_p_adjusted": visual_p,
        "vas_means_p_adjusted": visual_p,
        "system_p_adjusted": visual_p,
    }
    changes = {"accuracy_change": accuracy, "visual_change": visual, "system_change": -visual}
    for name, value in {**changes, "vas_ratio": vas, "vas_means_ratio": 2 * vas}.items():
        half = 0.0 if value == 0 else 0.02
        row |= {name: value, f"{name}_low": value - half, f"{name}_high": value + half}
    return {**row, **more}


def table(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame([{**FIRST, "intervention": "none", "line": "none", "label": "none"}, *rows])


def cells(*rows: dict[str, object]) -> pd.DataFrame:
    (found,) = sweep_cells(table(*rows))
    return found


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ").removeprefix("<b>").removesuffix("</b>")


def words(fig: go.Figure) -> str:
    return " | ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ").replace(" ", " ")


UP = {"accuracy": 0.05, "p": 0.01}
DOWN = {"accuracy": -0.4, "p": 0.0}
MORE = {"visual": 0.03, "visual_p": 0.001, "vas": 1.3}
LESS = {"visual": -0.5, "visual_p": 0.001, "vas": 0.2}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([cell(), cell(strength=0.6)], "None of 2 settings is shown to change accuracy"),
        # a large change that does not stand, and an interval that leaves out 0, are no findings
        ([cell(accuracy=0.3, p=0.051), cell(strength=0.6)], "None of 2 settings is shown"),
        ([cell(accuracy=0.3, p=0.2)], "avar beta=0.4 is not shown to change accuracy"),
        ([cell(**UP)], "avar beta=0.4 raises accuracy"),
        ([cell(**UP), cell(strength=0.6)], "Only one of 2 settings raises accuracy: avar beta=0.4"),
        ([cell(**DOWN), cell(strength=0.6)], "Only one of 2 settings lowers accuracy: avar beta=0.4"),
        (
            [cell(**DOWN), cell(strength=0.6, **DOWN), cell(strength=0.8)],
            "2 of 3 settings lower accuracy, none is shown to raise it",
        ),
        ([cell(**UP), cell(strength=0.6, **DOWN)], "Of 2 settings, 1 raises accuracy and 1 lowers it"),
        # stands, and is no change: exact zeros have p = 1, but a table may say otherwise
        ([cell(p=0.0), cell(strength=0.6)], "None of 2 settings"),
        (
            [cell(p=np.nan, **MORE), cell(p=np.nan, strength=0.6)],
            "Accuracy was not tested; visual attention ",
        ),
    ],
)
def test_the_sweep_says_what_the_tests_show(rows, expected):
    assert title(sweep(cells(*rows))).startswith(expected)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [cell(**MORE), cell(strength=0.6)],
            "Accuracy is shown to change under none of 2 settings, visual attention under 1",
        ),
        # visual attention that changes by less than two passes of one model do
        (
            [cell(visual=1e-6, visual_p=0.0), cell(strength=0.6)],
            "none of 2 settings, visual attention under 0",
        ),
        (
            [cell(**DOWN, **LESS), cell(strength=0.6, **MORE)],
            "under 1 of 2 settings, visual attention under 2; where both do, in the same direction",
        ),
        (
            [cell(**UP, **LESS), cell(strength=0.6, **DOWN, **MORE)],
            "under 2 of 2 settings, visual attention under 2; where both do, in opposite directions",
        ),
        (
            [cell(**UP, **MORE), cell(strength=0.6, **DOWN, **MORE)],
            "in the same direction under 1, in opposite ones under 1",
        ),
        ([cell(**DOWN), cell(strength=0.6, **MORE)], "visual attention under 1, never under the same"),
        ([cell(p=np.nan)], "Accuracy was not tested"),
    ],
)
def test_the_response_says_what_the_tests_show(rows, expected):
    assert expected in title(dose_response(cells(*rows)))


def markers(fig: go.Figure, axis: str) -> list[tuple[float, float, bool]]:
    """Every point on an axis: its place, and whether it is filled."""
    found = []
    for trace in fig.data:
        if trace.mode == "markers" and trace.xaxis == axis and trace.customdata is not None:
            solid = trace.marker.color == trace.marker.line.color
            found += [(x, y, solid) for x, y in zip(trace.x, trace.y, strict=True)]
    return sorted(found)


def test_points_lie_at_their_numbers_and_what_stands_is_filled():
    # attention that moves off the system prompt alone is a dose of 0
    third = cell("block", 1, axis="strength", **UP, system_change=-0.01)
    found = cells(cell(**DOWN, **LESS), cell(strength=0.6, **MORE), third)
    at = markers(sweep(found), "x")
    np.testing.assert_allclose([x for x, *_ in at], [-40, 0, 5])
    assert [solid for *_, solid in at] == [True, False, True]
    ratios = markers(sweep(found), "x2")
    np.testing.assert_allclose([x for x, *_ in ratios], np.sort(np.log2([0.2, 1.3, 1.0])))
    dose = markers(dose_response(found), "x")
    np.testing.assert_allclose([(x, y) for x, y, _ in dose], [(-50, -40), (0, 5), (3, 0)])
    assert [solid for *_, solid in dose] == [True, True, False]
    assert "avar beta=0.4" in words(dose_response(found))
    assert "avar beta=0.6" not in words(dose_response(found))  # it does not stand: named by its hover box


def test_bars_are_the_intervals():
    fig = sweep(cells(cell(accuracy=0.1, accuracy_change_low=0.04, accuracy_change_high=0.13)))
    bars = [t for t in fig.data if t.mode == "markers" and t.xaxis == "x" and len(t.x)]
    np.testing.assert_allclose([bars[0].error_x.array[0], bars[0].error_x.arrayminus[0]], [3, 6])
    alone = {f"accuracy_change_{end}": np.nan for end in ("low", "high")}
    fig = sweep(cells(cell(accuracy=0.1, **alone)))  # one picture: no interval
    bars = [t for t in fig.data if t.mode == "markers" and t.xaxis == "x" and len(t.x)]
    assert list(bars[0].error_x.array) == [0]


def test_a_ratio_of_zero_stands_at_the_edge():
    """Visual attention that is blocked wholly has no logarithm."""
    found = cells(cell(**DOWN, visual=-0.5, visual_p=0.0, vas=0.0), cell(strength=0.6, **MORE))
    assert all(np.isfinite(x) for x, *_ in markers(sweep(found), "x2"))
    assert len(markers(sweep(found), "x2")) == len(markers(dose_response(found), "x2")) == 2


def blank_row(accuracy: float = -0.5) -> dict[str, object]:
    """The reference of a sweep: no setting, no strength, no place in the tests."""
    row = cell("blank picture", np.nan, accuracy, -0.02, p=np.nan, visual_p=np.nan, axis="")
    return {**row, "intervention": "blank picture", "label": "blank picture"}


def test_a_blank_picture_is_a_line_and_no_setting():
    found = cells(blank_row(), cell(**DOWN), cell(strength=0.6))
    for fig in (sweep(found), dose_response(found)):
        assert "of 2 settings" in title(fig)
        assert "blank picture" in words(fig)
    level = [t for t in sweep(found).data if t.line.dash == "dash" and len(t.x) == 2]
    assert [list(t.x) for t in level] == [[-50, -50]]
    band = [t for t in sweep(found).data if t.fill == "toself"]
    np.testing.assert_allclose(band[0].x, [-52, -52, -48, -48])
    across = [t for t in dose_response(found).data if t.line.dash == "dash"]
    assert [list(t.y) for t in across] == [[-50, -50]] * 2
    assert len(markers(sweep(found), "x")) == 3  # its own row too
    assert len(markers(dose_response(found), "x")) == 2
    bare = cells(cell(**DOWN), cell(strength=0.6))
    assert not any(t.line.dash == "dash" for t in sweep(bare).data)
    with pytest.raises(UsageError, match="no intervention of the sweep is done yet"):
        sweep_cells(table(blank_row()))


def beside(p: float, change: float = -0.4, ratio: float = 1.0) -> dict[str, object]:
    """Side effects of a row: three shares, tokens, a ratio."""
    row: dict[str, object] = {}
    for name in ("formatted_change", "obeys_capitals_change", "obeys_end_change", "length_change"):
        row |= {name: change, f"{name}_low": change - 0.1, f"{name}_high": change + 0.1}
    row |= {"perplexity_ratio": ratio, "perplexity_ratio_low": ratio, "perplexity_ratio_high": ratio}
    return row | {
        f"{name}_p_adjusted": p
        for name in ("formatted", "obeys_capitals", "obeys_end", "length", "perplexity")
    }


def test_side_effects_have_their_own_figure_with_intervals():
    found = cells(cell(**beside(0.001)), cell(strength=0.6, **beside(0.9)))
    fig = sweep_sides(found)
    assert title(fig) == "1 of 2 settings has side effects"
    assert title(sweep_sides(cells(cell(**beside(0.9)), cell(strength=0.6, **beside(0.9))))).startswith(
        "None of 2"
    )
    for place, scale in (("x", 100), ("x4", 1)):  # shares in points, length in tokens
        at = markers(fig, place)
        np.testing.assert_allclose([x for x, *_ in at], [-0.4 * scale] * 2)
        bars = [t for t in fig.data if t.mode == "markers" and t.xaxis == place and len(t.x)]
        np.testing.assert_allclose([t.error_x.array[0] for t in bars], 0.1 * scale)
    assert [x for x, *_ in markers(fig, "x5")] == [0, 0]
    # without side items only the benchmark's own answers are there
    kept = {name: value for name, value in beside(0.9).items() if name.startswith(("formatted", "length"))}
    alone = words(sweep_sides(cells(cell(**kept))))
    assert "capitals" not in alone.lower()
    # what is said of side items and of attention is said where there is some
    assert "These are of the sweep's side items alone." in words(fig)
    assert "side items" not in alone
    assert "attention of user text" in words(sweep(found)).replace("\xa0", " ")
    assert "attention of" not in words(fig).replace("\xa0", " ")


def test_a_number_that_is_the_same_for_every_item_says_so():
    fig = sweep_sides(cells(cell(**beside(0.9))))
    boxes = [str(text) for t in fig.data if t.customdata is not None for text in t.customdata]
    assert any("perplexity, ratio 1 (the same for every item)" in text for text in boxes)


def test_long_labels_are_whole():
    """Steering names its regions, queries, mode and bias."""
    told = "steer regions=other queries=after_image mode=suppress_image layers=3-5"
    found = cells(cell(told, 1e4, axis="bias", label=told, **DOWN, **LESS), cell(strength=0.6))
    for fig in (sweep(found), dose_response(found)):
        said = words(fig).replace("|", "")
        assert "…" not in said
        for part in told.split():
            assert part in said


def test_rows_that_were_not_measured_are_told():
    assert "1 setting leaves the measured rows alone" in words(sweep(cells(cell(**MORE), cell(strength=0.6))))
    assert "leaves the measured rows" not in words(sweep(cells(cell(**MORE))))


def test_what_has_no_dose_stands_in_a_strip():
    rows = [
        cell(**MORE),
        cell("steer", 1, **DOWN),
        cell("pai", 2, accuracy=-0.38),
        cell("suppress", 3, system_change=-0.01),
    ]
    figure = dose_response(cells(*rows))
    assert "2 settings leave the measured rows alone and edit other rows, or nothing: in the strip" in words(
        figure
    )
    assert words(figure).count("no dose") == 2
    for axis in ("x", "x2"):
        places = {round(y): x for x, y, _ in markers(figure, axis)}
        # the last of the lines across the panel is the strip's border
        border = [line.x for line in figure.data if line.mode == "lines" and line.xaxis == axis][-1]
        assert border[0] == border[1]
        assert places[0] < border[0] < min(places[-40], places[-38])
        assert places[-40] != places[-38]
    alone = dose_response(cells(cell(**MORE), cell(strength=0.6, **LESS)))
    assert "no dose" not in words(alone)


def test_what_stands_is_that_of_benjamini_and_hochberg():
    p = [0.001, 0.02, 0.03, 0.5]
    adjusted = scipy.stats.false_discovery_control(p)
    found = cells(*(cell(strength=i, accuracy=0.1, p=each) for i, each in enumerate(adjusted)))
    assert stands(found, "accuracy_change").tolist() == [True, True, True, False]


def test_both_forms_of_vas():
    rows = table(cell(**{**MORE, "vas": 0.5}), cell(vas_means_p_adjusted=0.9))
    (paper,), (means,) = sweep_cells(rows), sweep_cells(rows, "ratio_of_means")
    assert list(paper["vas_ratio"]) == [0.5, 1]
    assert list(means["vas_ratio"]) == [1, 2]
    assert "VAS: mean of ratios, edited ÷ plain; heavy-tailed" in words(sweep(paper))
    assert "VAS: ratio of means, edited ÷ plain." in words(sweep(means))
    with pytest.raises(UsageError, match="unknown form 'median'"):
        sweep_cells(rows, "median")


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.9), (-1.3, 0.2), (-0.02, 0.03), (-4.0, 3.0)])
def test_ticks_of_a_ratio_stand_where_they_say(low, high):
    ticks = change_ticks((low, high), "vas_ratio")
    assert 2 <= len(ticks) <= 7
    for tick in ticks:
        said = tick_text(tick, "vas_ratio")
        top, _, bottom = said.partition("/")
        assert 2.0**tick == pytest.approx(float(top) / float(bottom or 1), rel=1e-5)


def test_each_model_and_benchmark_has_its_own_figure():
    parts = sweep_cells(table(cell(), cell(model="tuned"), cell(strength=0.6)))
    assert [(len(part), group_name(part, parts)) for part in parts] == [(2, "base"), (1, "tuned")]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(UsageError, match="no intervention of the sweep is done yet"):
        sweep_cells(table())
    with pytest.raises(UsageError, match="lacks vas_ratio; give the same"):
        sweep_cells(table(cell()).drop(columns="vas_ratio"))
    with pytest.raises(UsageError, match="unknown theme"):
        sweep(cells(cell()), "pink")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("draw", [sweep, dose_response])
def test_many_settings_fit_and_names_cannot_inject_markup(draw, theme):
    rng = np.random.default_rng(0)
    rows = [
        cell(
            f"line{i % 15} <img src=x>%{{y}}", float(i), rng.normal(0, 0.1), rng.normal(0, 0.1), rng.uniform()
        )
        for i in range(60)
    ]
    fig = draw(cells(*rows), theme)
    text = fig.to_json().replace("\\u003c", "<")
    assert "<img" not in text
    assert "%{y}" not in text
    assert fig.layout.width < 1100

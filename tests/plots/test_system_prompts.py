"""The system-prompt figure: numbers by hand, findings on runs built to have them, and not to."""

import re
from itertools import pairwise

import numpy as np
import pytest
import synthetic_capture as made
import xarray as xr
from every_figure import title, words

from vaslab.errors import UsageError
from vaslab.metrics import Definition
from vaslab.plots import Prompted, system_prompts, system_prompts_table
from vaslab.plots.system_prompts import COLUMNS, _ticks
from vaslab.plots.system_prompts_words import per_token_of


def graded(capture: xr.Dataset, right: list[float]) -> xr.DataArray:
    return xr.DataArray(right, dims="item", coords={"item": capture["item"].values})


def under(
    prompt: str, factor: float, share: float, name: str = "base", tokens: int = 20, items: int = 40
) -> Prompted:
    """A checkpoint whose VAS is multiplied under this prompt, with noise of its own, and a share of items right."""
    capture = made.realistic(items, 3, 2, None, seed=0)
    noise = np.random.default_rng(len(prompt)).lognormal(0, 0.05, capture["vas"].shape)
    capture["vas"][:] *= factor * noise
    capture["n_keys"][:, 1] = tokens
    return Prompted(
        name, prompt, capture, graded(capture, list((np.arange(items) < share * items).astype(float)))
    )


def test_table_holds_the_hand_numbers():
    one, two = made.hand(), made.hand()
    two["vas"][:] *= 3
    two["n_keys"][:, 1] = [7, 3]
    runs = [Prompted("m", "own", one, graded(one, [1, 0])), Prompted("m", "long", two, graded(two, [1, 1]))]
    table = system_prompts_table(runs)
    assert table["prompt"].tolist() == ["own", "long"]
    np.testing.assert_allclose(table["vas"], [2.75, 8.25], rtol=1e-6)
    np.testing.assert_allclose(table["vas_ratio"], [1, 3], rtol=1e-6)
    # S of 4 and 2 tokens, then of 8 and 4; V of 8 and 4: per token VAS is 1.0 and 4.5 times 1/2, then times 1
    np.testing.assert_allclose(table["system_tokens"], [3, 6])
    np.testing.assert_allclose(
        table["vas_per_token"], [(1.0 * 0.5 + 4.5 * 0.5) / 2, 3 * (1.0 + 4.5) / 2], rtol=1e-6
    )
    np.testing.assert_allclose(table["accuracy_change"][1:], 0.5)
    assert table["vas_ratio_p"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (
            [under("own", 1, 0.5), under("long", 3, 0.5)],
            r"prompt moves VAS \(mean of ratios\) by up to ×(2.9|3.0)\d \(long\); accuracy is not clearly changed",
        ),
        (
            [under("own", 1, 0.2), under("long", 3, 0.9)],
            r"moves VAS \(mean of ratios\) by up to ×(2.9|3.0)\d \(long\), and accuracy by up to \+70.0 points",
        ),
        (
            # 201 system tokens for 21: 0.4 x 201 / 21 = 3.83
            [under("own", 1, 0.5), under("long", 0.4, 0.5, tokens=200)],
            r"by up to ÷2.[45]\d \(long\), but per token ×3.8\d; accuracy is not",
        ),
        (
            [under("own", 1, 0.9), under("odd", 1, 0.2)],
            r"moves accuracy by up to −70.0 points \(odd\); VAS \(mean of ratios\) is not clearly changed",
        ),
        (
            [under("own", 1, 0.5), under("odd", 1, 0.5)],
            r"No system prompt clearly changes VAS \(mean of ratios\) or accuracy",
        ),
        ([under("own", 1, 0.5)], "One system prompt: nothing to compare"),
        ([under("own", 1, 0, items=1), under("long", 3, 0, items=1)], "too few items to tell any change"),
    ],
)
def test_the_title_is_what_the_data_say(runs, expected):
    assert re.search(expected, title(system_prompts(system_prompts_table(runs))))


def test_per_token_says_whether_length_was_all():
    """VAS falls to a third under a prompt three times as long: per token nothing moved."""
    third = under("own", 1, 0.5, tokens=20)
    long = under("odd", 1 / 3, 0.5, tokens=62)
    table = system_prompts_table([third, long])
    assert table["vas_ratio_changed"].tolist() == [False, True]
    assert per_token_of(table) == "No system prompt clearly changes VAS (mean of ratios, per token)."
    moved = per_token_of(system_prompts_table([third, under("odd", 1 / 3, 0.5)]))
    assert re.fullmatch(r"VAS \(mean of ratios, per token\) moves by up to ÷(2.9|3.0)\d \(odd\)\.", moved)


def test_panels_stand_apart_and_name_the_form():
    runs = [under("own", 1, 0.5), under("long", 3, 0.5)]
    asked = Definition(form="ratio_of_means")
    fig = system_prompts(system_prompts_table(runs, definition=asked))
    assert "<b>VAS, ratio of means</b>" in words(fig)
    assert "<b>VAS per token, ratio of means</b>" in words(fig)
    ends = [axis.domain for axis in (fig.layout.xaxis, fig.layout.xaxis2, fig.layout.xaxis3)]
    for (_, end), (start, _) in pairwise(ends):
        # room for a label of each side at the ends of two axes
        assert (start - end) * fig.layout.width > 60


def test_clear_changes_are_filled_and_checkpoints_have_their_own_row():
    runs = [under(p, f, s, n) for n in ("base", "tuned") for p, f, s in (("own", 1, 0.5), ("long", 3, 0.5))]
    fig = system_prompts(system_prompts_table(runs))
    points = [t for t in fig.data if t.mode == "markers" and t.xaxis == "x" and t.customdata is not None]
    assert len(points) == 2
    assert {y for t in points for y in t.y} == {22, 38, 82, 98}
    for trace in points:
        np.testing.assert_allclose(trace.x[0], 0, atol=1e-9)
        assert trace.x[1] == pytest.approx(np.log2(3), abs=0.05)
        assert trace.marker.color[0] != trace.marker.color[1]
    assert "24 system tokens" in words(fig) or "21 system tokens" in words(fig)


def test_runs_are_paired_with_their_own_reference():
    with pytest.raises(UsageError, match="tuned was not measured under the system prompt 'own'"):
        system_prompts_table([under("own", 1, 0.5), under("long", 1, 0.5, "tuned")])
    with pytest.raises(UsageError, match="two runs are of one checkpoint under one system prompt"):
        system_prompts_table([under("own", 1, 0.5)] * 2)
    with pytest.raises(UsageError, match="no run"):
        system_prompts_table([])
    short = under("long", 1, 0.5, items=20)
    with pytest.raises(
        UsageError, match=r"base, prompts own \(first\) and long \(second\): the runs do not align"
    ):
        system_prompts_table([under("own", 1, 0.5), short])
    other = system_prompts_table([under("own", 1, 0.5), under("long", 2, 0.5)], reference="long")
    assert other["vas_ratio"].iloc[1] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("reach", [0.3, 1.0, 1.9, 2.2, 4.6, 83.0, 100.0])
def test_ticks_reach_past_what_is_drawn(reach: float) -> None:
    for column in COLUMNS:
        ticks, texts = _ticks(column, reach)
        assert ticks[0] <= -reach
        assert ticks[-1] >= reach
        assert len(ticks) == len(set(texts)) in (5, 7)


def test_a_change_on_the_floor_is_a_bound_and_per_token_names_its_form():
    own, long = under("own", 1, 0.5), under("long", 3, 0.5)
    table = system_prompts_table([own, long])
    assert per_token_of(table).startswith("VAS (mean of ratios, per token) moves by up to ×")
    long.capture["clamped"][:] = 0.4
    assert "moves VAS (mean of ratios) by at least ×" in title(
        system_prompts(system_prompts_table([own, long]))
    )


def test_a_floored_level_is_a_bound_and_a_missing_layer_is_left_out():
    own, long = under("own", 1, 0.5), under("long", 3, 0.5)
    own.capture["clamped"][:] = 0.95
    fig = system_prompts(system_prompts_table([own, long]))
    assert [a for a in fig.layout.annotations if str(a.text).startswith("≥ ")]
    assert "taken as 1e-6, so that VAS is a bound: own, base 95%." in words(fig)
    own, long = under("own", 1, 0.5), under("long", 3, 0.5)
    full = system_prompts_table(
        [
            Prompted(run.checkpoint, run.prompt, run.capture.isel(layer=[0, 1]), run.right)
            for run in (own, long)
        ]
    )
    assert "≥" not in words(system_prompts(full))
    long.capture["vas"][:, 2] = np.nan
    table = system_prompts_table([own, long])
    np.testing.assert_allclose(table[["vas", "vas_ratio"]], full[["vas", "vas_ratio"]])
    assert "VAS of every run is over layers 0–1, which all checkpoints have (not all: base, long)" in words(
        system_prompts(table)
    )


def test_points_of_one_checkpoint_are_circles_and_those_of_several_have_shapes():
    def symbols(names: tuple[str, ...]) -> set[str]:
        runs = [under(prompt, 1.0, 0.5, name) for name in names for prompt in ("default", "long")]
        fig = system_prompts(system_prompts_table(runs))
        return {t.marker.symbol for t in fig.data if t.mode == "markers" and t.hoverinfo != "skip"}

    assert symbols(("base",)) == {"circle"}
    assert symbols(("base", "multimodal")) == {"cross", "circle"}

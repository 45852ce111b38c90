"""The training figure: its numbers by hand, its findings on runs built to have them, and not to."""

import json

import numpy as np
import pytest
import scipy.stats
import synthetic_capture as made
import xarray as xr
from every_figure import right_of, title, words

from vaslab.errors import UsageError
from vaslab.metrics import vas
from vaslab.plots import training, training_log, training_log_table, training_table
from vaslab.plots.training import StepAxis


def grown(factors: dict[int, dict[int, float]], items: int = 25) -> dict[int, xr.Dataset]:
    """Step -> a capture whose VAS of some layers is multiplied; each step has noise of its own."""
    found = {0: made.realistic(items, 6, 4, 2, seed=0)}
    for step, layers in factors.items():
        capture = made.realistic(items, 6, 4, 2, seed=0)
        capture["vas"][:] *= np.random.default_rng(step).lognormal(0, 0.03, capture["vas"].shape)
        for layer, factor in layers.items():
            capture["vas"][:, layer] *= factor
        found[step] = capture
    return found


def test_table_holds_the_hand_numbers():
    second = made.hand()
    second["vas"][:, 1] *= 3
    table = training_table({100: second, 0: made.hand()})
    assert list(table["step"]) == [0, 0, 100, 100]
    np.testing.assert_allclose(table["ratio"], [1, 1, 1, 3], rtol=1e-6)
    steps = table.attrs["steps"]
    # (1.25 + 4.25) / 2 and (1.25 + 12.75) / 2
    np.testing.assert_allclose(steps["vas"], [2.75, 7.0], rtol=1e-6)
    np.testing.assert_allclose(steps["vas_ratio"], [1, 7 / 2.75], rtol=1e-6)
    assert steps["accuracy"].isna().all()
    assert table["p"].isna().tolist() == [True, True, False, False]


def test_p_of_a_layer_is_that_of_the_t_test_of_its_log_ratio_for_one_item_a_picture():
    """For a ratio of means the jackknife is close to the delta method; checked here against scipy on equal bases."""
    runs = grown({10: {2: 1.3}})
    for capture in runs.values():
        capture["vas"][:, 3] = 1.0
    noise = np.random.default_rng(3).lognormal(0.1, 0.2, 25)
    runs[10]["vas"][:, 3] = noise[:, None, None]
    table = training_table(runs)
    found = table[(table["step"] == 10) & (table["layer"] == 3)].iloc[0]
    assert found["ratio"] == pytest.approx(noise.mean(), rel=1e-6)
    # log of a mean: t of the mean over mean, as scipy's one-sample test of noise / mean against 1 / mean
    t = np.log(noise.mean()) / (noise.std(ddof=1) / noise.mean() / np.sqrt(25))
    assert found["p"] == pytest.approx(2 * scipy.stats.t.sf(abs(t), 24), rel=0.15)


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ({100: {2: 2.0}, 200: {2: 4.0, 3: 4.0}}, "most in layers 2–3"),
        (
            {100: dict.fromkeys(range(6), 2.0)},
            "Training raises VAS (mean of ratios) 2.0-fold by step 100, in all layers",
        ),
        (
            {100: dict.fromkeys(range(6), 0.5)},
            "Training lowers VAS (mean of ratios) 2.0-fold by step 100, in all layers",
        ),
        ({100: {}, 200: {}}, "No clear change of VAS (mean of ratios) over 200 steps of training"),
        (
            {100: dict.fromkeys(range(6), 2.0), 200: {}},
            "VAS (mean of ratios) is 2.0-fold higher at step 100, but not clearly changed at step 200",
        ),
    ],
)
def test_the_title_is_what_the_data_say(factors, expected):
    found = title(training(training_table(grown(factors))))
    if expected.startswith("most"):
        assert found.startswith("<b>Training raises VAS")
        expected = expected.removeprefix("most ")
    assert expected in found


def test_all_layers_are_said_with_the_least_and_the_most_of_them():
    unequal = {0: 100.0, 1: 40.0, 2: 1.5, 3: 1.5, 4: 2.0, 5: 1.3}
    runs = grown({100: unequal})
    whole = float(vas(runs[100]) / vas(runs[0]))
    found = title(training(training_table(runs)))
    assert f"raises VAS (mean of ratios) {whole:.0f}-fold by step 100, in all layers 1.3- to 1" in found


def test_layers_that_went_the_other_way_are_said():
    found = title(training(training_table(grown({100: {0: 30.0, 1: 20.0, 3: 9.0, 5: 0.5}}))))
    assert "in layers 0–1" in found
    assert "among others" in found
    assert "but falls in layer 5" in found


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.2, 0.9), "accuracy rises"),
        ((0.9, 0.2), "accuracy falls"),
        ((0.5, 0.5), "accuracy is not clearly changed"),
    ],
)
def test_accuracy_is_in_the_title_as_far_as_its_test_goes(shares, expected):
    runs = grown({100: dict.fromkeys(range(6), 2.0)}, items=60)
    right = {
        step: right_of(capture, share) for (step, capture), share in zip(runs.items(), shares, strict=True)
    }
    table = training_table(runs, right)
    assert expected in title(training(table))
    last = table.attrs["steps"].iloc[-1]
    wanted = float((right[100] - right[0]).mean())
    assert last["accuracy_change"] == pytest.approx(wanted)


def test_unchanged_cells_are_pale_and_the_first_step_too():
    table = training_table(grown({100: {2: 2.0}}))
    fig = training(table)
    veil = next(t for t in fig.data if t.type == "heatmap" and t.hoverinfo == "skip" and len(t.x) == 3)
    pale = np.isfinite(np.array(veil.z, dtype=float))
    assert pale.shape == (6, 2)
    assert pale[:, 0].all()
    assert pale[:, 1].tolist() == [True, True, False, True, True, True]


def test_interval_and_test_of_a_change_are_one():
    table = training_table(grown({10: {2: 1.02}, 20: {4: 0.98}}, items=9))
    for rows, part in ((table, ""), (table.attrs["steps"], "vas_ratio_")):
        rows = rows[rows["step"] > 0]
        low, high, p = (rows[f"{part}{name}"] for name in ("low", "high", "p"))
        assert (((low > 1) | (high < 1)) == (p < 0.05)).all()
        np.testing.assert_allclose(np.sqrt(low * high), rows[part.removesuffix("_") or "ratio"])
    assert "Pale cells: no significant change (paired, jackknife t over items" in words(training(table))
    assert "Bars: 95% intervals over 9 items (bootstrap; accuracy Wilson)" in words(training(table))


def test_training_onto_the_floor_is_a_bound():
    runs = grown({100: dict.fromkeys(range(6), 2.0)})
    runs[100]["clamped"][:] = 0.3
    fig = training(training_table(runs))
    assert "Training raises VAS (mean of ratios) at least 2.0-fold by step 100, in all layers" in title(fig)
    assert "so that VAS is a bound: step 100 30% of rows" in words(fig)


def test_a_head_that_one_step_lacks_moves_nothing():
    runs = grown({100: {}})
    for capture in runs.values():
        capture["vas"][:, 3, 1] *= 50
    runs[100]["vas"][:, 3, 1] = np.nan
    table = training_table(runs)
    assert table["ratio"].between(0.95, 1.05).all()
    assert "No clear change" in title(training(table))


def test_one_checkpoint_and_one_item_say_so():
    assert "One checkpoint, at step 0: no change to show" in title(training(training_table(grown({}))))
    fig = training(training_table(grown({10: {2: 9.0}}, items=1)))
    assert "too few items to tell any change" in title(fig)
    assert "One item: no interval and no test" in words(fig)


def test_steps_stand_in_their_order_and_uneven_ones_by_their_logarithm():
    even = StepAxis.of([0, 100, 200])
    assert not even.log
    np.testing.assert_allclose(even.edges, [-50, 50, 150, 250])
    uneven = StepAxis.of([0, 1, 2, 4, 512])
    assert uneven.log
    np.testing.assert_allclose(uneven.at[1:], [0, 1, 2, 9])
    assert (np.diff(uneven.edges) > 0).all()
    assert StepAxis.of([7]).edges.tolist() == [6.5, 7.5]
    many = StepAxis.of(list(range(0, 10_000, 100))).axis(840, named=True)
    assert 5 < len(many["tickvals"]) < 40


def test_runs_that_do_not_align_name_their_steps():
    runs = grown({100: {}})
    runs[100] = runs[100].isel(item=slice(1, None))
    with pytest.raises(UsageError, match=r"steps 0 \(first\) and 100 \(second\): the runs do not align"):
        training_table(runs)
    with pytest.raises(UsageError, match="expected one capture a training step"):
        training_table({})


def log(values: list[float], **more: float) -> list[dict]:
    lines = [
        {"step": 10 * (at + 1), "agto/vas": value, "agto/visual_mass": 0.3, "agto/system_mass": 0.2, **more}
        for at, value in enumerate(values)
    ]
    return [*lines, {"step": 999, "train_runtime": 3.0}]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (list(np.linspace(1, 4, 30)), "VAS (mean of ratios) rises"),
        (list(np.linspace(4, 1, 30)), "VAS (mean of ratios) falls"),
        ([2.0, 3.0] * 15, "No clear trend of VAS (mean of ratios)"),
        ([1.0, 2.0], "too few, or too equal"),
        ([2.0] * 9, "too few, or too equal"),
    ],
)
def test_a_log_is_said_to_trend_only_where_it_does(values, expected):
    assert expected in title(training_log(training_log_table(log(values))))


def test_a_log_that_can_rest_on_the_floor_is_a_bound():
    """A row on the floor adds 0.3 / 1e-6 to the mean: 30 000 of VAS can be 10 % of rows, 30 can not be 1 %."""
    fig = training_log(training_log_table(log(list(np.geomspace(3, 60_000, 40)))))
    assert "VAS (mean of ratios) rises at least" in title(fig)
    assert "of up to 20% of the rows of a line" in words(fig)
    fig = training_log(training_log_table(log(list(np.geomspace(60_000, 3, 40)))))
    assert "falls at least" in title(fig)
    fig = training_log(training_log_table(log(list(np.geomspace(3, 30, 40)))))
    assert "at least" not in title(fig)
    assert "bound" not in words(fig)


def test_a_log_of_reinforcement_learning_has_accuracy():
    lines = [
        {"step": i, "vars/raw": 2.0 + i, "vars/visual_mass": 0.3, "rewards/accuracy/mean": 0.5}
        for i in range(6)
    ]
    table = training_log_table(lines)
    assert table.attrs["kind"] == "grpo"
    assert table["system"].isna().all()
    fig = training_log(table)
    assert "accuracy of the answers drawn" in words(fig)
    assert json.loads(fig.to_json())["layout"]["yaxis3"]
    with pytest.raises(UsageError, match="no line of the log says VAS"):
        training_log_table([{"step": 1, "loss": 2.0}])

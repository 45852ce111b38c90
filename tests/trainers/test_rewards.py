"""VARS: by hand, by loops, and what an answer is worth."""

import math

import pytest
import torch

from tests.trainers.eager import vars_by_loops
from trainers.rewards import (
    FORMS,
    VarsConfig,
    accuracy_reward,
    format_reward,
    gated,
    total_reward,
    visual_reward,
)
from vaslab.errors import UsageError


def on(maps, keys):
    """Mass on each sample's keys, (layer, batch, head, row), from maps (layer, batch, head, query, key)."""
    return torch.stack([maps[:, b, :, :, each].sum(-1) for b, each in enumerate(keys)], 1)


# Six tokens: S S V V t t; two layers, one head; the response is rows 4 and 5.
SIX = torch.zeros(2, 1, 1, 6, 6)
SIX[0, 0, 0, 4] = torch.tensor([0.4, 0.1, 0.1, 0.1, 0.3, 0.0])
SIX[0, 0, 0, 5] = torch.tensor([0.1, 0.1, 0.4, 0.2, 0.1, 0.1])
SIX[1, 0, 0, 4] = torch.tensor([0.1, 0.0, 0.3, 0.5, 0.1, 0.0])
SIX[1, 0, 0, 5] = torch.tensor([0.2, 0.2, 0.1, 0.1, 0.2, 0.2])
ROWS = torch.tensor([[False] * 4 + [True] * 2])


def six(form, cap=10.0):
    return visual_reward(on(SIX, [[2, 3]]), on(SIX, [[0, 1]]), ROWS, form, cap).item()


def test_six_tokens_by_hand():
    # ratios, layer by token: 0.2/0.5, 0.6/0.2; 0.8/0.1, 0.2/0.4
    ratios = [0.4, 3.0, 8.0, 0.5]
    assert six("ratio") == pytest.approx(sum(ratios) / 4, rel=1e-4)
    assert six("clip", 2.0) == pytest.approx((0.4 + 2 + 2 + 0.5) / 4, rel=1e-4)
    assert six("log") == pytest.approx(sum(math.log(1 + r) for r in ratios) / 4, rel=1e-4)
    assert six("share") == pytest.approx((0.2 / 0.7 + 0.6 / 0.8 + 0.8 / 0.9 + 0.2 / 0.6) / 4, rel=1e-4)
    # one ratio of all sums, over the rows it is given
    assert six("as_released") == pytest.approx(1.8 / 1.2, rel=1e-4)


def test_a_token_that_ignores_the_system_prompt_runs_away_only_unbounded():
    """At a mass of 1e-6 on S the paper's ratio is 2e5 or more; the bounded forms stay where accuracy is."""
    visual, system = torch.full((1, 1, 1, 1), 0.4), torch.full((1, 1, 1, 1), 1e-6)
    row = torch.ones(1, 1, dtype=torch.bool)
    assert visual_reward(visual, system, row).item() == pytest.approx(0.4 / 2e-6, rel=1e-4)
    assert visual_reward(visual, system, row, "share").item() <= 1
    assert visual_reward(visual, system, row, "clip", 5.0).item() == 5
    assert visual_reward(visual, system, row, "log").item() < 13


@pytest.mark.parametrize("form", [form for form in FORMS if form != "as_released"])
def test_equal_to_loops_with_rows_of_unequal_length(form):
    maps = torch.rand(3, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0)).tril()
    maps = maps / maps.sum(-1, keepdim=True)
    system, visual, rows = [[0, 1], [2, 3, 4]], [[2, 3, 4], [5]], [[5, 6, 7], [6]]
    mask = torch.zeros(2, 8, dtype=torch.bool)
    for b, each in enumerate(rows):
        mask[b, each] = True
    found = visual_reward(on(maps, visual), on(maps, system), mask, form, 1.5)
    assert found.tolist() == pytest.approx(
        vars_by_loops(list(maps), system, visual, rows, form, 1.5), rel=1e-5
    )


def test_no_rows_give_no_reward():
    mass = torch.rand(2, 1, 3, 4)
    assert visual_reward(mass, mass, torch.zeros(1, 4, dtype=torch.bool)).tolist() == [0]


def test_the_gate_and_the_total():
    accuracy, visual, form = torch.tensor([1.0, 0.0]), torch.tensor([4.0, 4.0]), torch.tensor([1.0, 1.0])
    assert total_reward(accuracy, visual, form, VarsConfig()).tolist() == pytest.approx([1 + 1.2 + 0.1, 0.1])
    assert gated(visual, accuracy, VarsConfig(gated=False)).tolist() == [4, 4]
    assert gated(visual, accuracy, VarsConfig(form="as_released")).tolist() == [4, 4]


@pytest.mark.parametrize(
    ("response", "worth"),
    [
        ("<think>a</think><answer>b</answer>", 1),
        (" <think>a\nb</think>\n<answer>b</answer>\n", 1),
        ("<think>a</think>so <answer>b</answer>", 0),
        ("<think>a</think><answer>b</answer> done", 0),
        ("<think></think><answer>b</answer>", 0),
        ("<answer>b</answer><think>a</think>", 0),
        ("<think>a</think><answer>b</answer><answer>c</answer>", 0),
        ("<think>a<think>b</think><answer>c</answer>", 0),
    ],
)
def test_the_format(response, worth):
    assert format_reward(response) == worth


@pytest.mark.parametrize(
    ("told", "answer", "grader", "worth"),
    [
        ("<answer> Red  Circle.</answer>", "red circle", "exact", 1),
        ("red circle", "red circle", "exact", 0),
        ("<answer>red</answer>", "red circle", "exact", 0),
        ("<answer>0.50</answer>", "\\frac{1}{2}", "math", 1),
        ("<answer>0.50</answer>", "\\frac{1}{2}", "exact", 0),
        ("<answer>3</answer>", "4", "math", 0),
        ("<answer>yes</answer>", "Yes", "math", 1),
        ("<answer></answer>", "3", "math", 0),
    ],
)
def test_accuracy(told, answer, grader, worth):
    assert accuracy_reward(told, answer, grader) == worth


@pytest.mark.parametrize(
    ("given", "told"),
    [({"form": "raw"}, "share"), ({"grader": "judge"}, "math"), ({"cap": 0.0}, "more than 0")],
)
def test_wrong_configs_name_their_fix(given, told):
    with pytest.raises(UsageError, match=told):
        VarsConfig(**given)

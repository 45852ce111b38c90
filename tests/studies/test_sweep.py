"""A sweep on a random model: paired with the plain runs, gone on with after a kill, its numbers found by hand."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import vaslab
from vaslab.benchmarks import find_benchmark
from vaslab.errors import UsageError
from vaslab.interventions import top_heads
from vaslab.models import load_model
from vaslab.studies.side_effects import ends_done, in_capitals, in_format
from vaslab.studies.study import StudyWatcher
from vaslab.studies.sweep import sweep
from vaslab.studies.sweep_config import read_sweep
from vaslab.studies.sweep_table import verdict

INTERVENTIONS = [
    {"name": "avar", "alpha": 0.5, "vary": {"beta": [0.6]}},
    {"name": "block", "heads": {"top": 3, "score": "image"}},
]


@pytest.fixture
def told(tmp_path, tiny_model):
    """A sweep file over four questions of one's own."""
    lines = []
    for number, color in enumerate(["red", "green", "blue", "black"]):
        Image.new("RGB", (64, 64 + 16 * number), color).save(tmp_path / f"{color}.png")
        row = {
            "id": color,
            "image": f"{color}.png",
            "question": "what color is this?" + "?" * number,
            "answer": color,
        }
        lines.append(json.dumps(row))
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))

    def write(**more):
        sweep_told = {
            "models": [{"name": str(tiny_model), "label": "tiny"}],
            "data": [{"name": str(tmp_path / "mine.jsonl"), "batch_size": 2, "max_new_tokens": 3}],
            "out": str(tmp_path / "out"),
            "interventions": INTERVENTIONS,
            "side_items": 2,
            **more,
        }
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep_told, sort_keys=False))
        return tmp_path / "sweep.yaml"

    return write


def test_every_combination_is_a_run(told):
    grid = {"name": "avar", "alpha": 0.5, "vary": {"beta": [0, 0.6], "layers": ["all", [0]]}}
    config = read_sweep(told(interventions=[grid, INTERVENTIONS[1]]))
    assert [cell.label for cell in config.cells] == [
        "avar alpha=0.5 beta=0 layers=all",
        "avar alpha=0.5 beta=0 layers=0",
        "avar alpha=0.5 beta=0.6 layers=all",
        "avar alpha=0.5 beta=0.6 layers=0",
        "block heads=top3scoreimage",
    ]


class Killed(StudyWatcher):
    """Stops a sweep when its second run begins to ask."""

    def __init__(self):
        self.begun = 0

    def start(self, total, done):
        self.begun += 1
        if self.begun == 2:
            raise KeyboardInterrupt


def test_a_sweep_goes_on_and_pairs_with_the_plain_run(told, tmp_path, tiny_model):
    config = read_sweep(told())
    with pytest.raises(KeyboardInterrupt):
        sweep(config, watch=Killed())
    kept = (tmp_path / "out/runs").glob("*/summary.json")
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert len(before) == 1
    table = sweep(config).table
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again = sweep(config).table
    pd.testing.assert_frame_equal(again, table)
    assert list(table["intervention"]) == ["none", "avar", "block"]
    assert (tmp_path / "out/table.csv").is_file()
    sides = sorted(path.name for path in (tmp_path / "out/sides").iterdir())
    assert len(sides) == 4

    vlm = load_model(tiny_model)
    items = find_benchmark(str(tmp_path / "mine.jsonl")).select().items
    prompts = [item.prompt() for item in items]
    plain = vaslab.capture(vlm, prompts, batch_size=2)
    heads = top_heads(plain, 3, "image")
    with vaslab.intervene(vlm, "block", heads=heads):
        blocked = vaslab.capture(vlm, prompts, batch_size=2)
    mass = [
        each["mass"].sel(key_role="image", query_role="user").mean(("layer", "head"))
        for each in (plain, blocked)
    ]
    row = table.iloc[-1]
    assert row["visual_change"] == pytest.approx(float((mass[1] - mass[0]).mean()), abs=1e-6)
    assert row["visual_change_low"] <= row["visual_change"] <= row["visual_change_high"] < 0
    assert (
        table["perplexity"].nunique() == 2
    )  # only knockout of nothing, and edits after a picture, leave text alone
    assert row["perplexity"] == pytest.approx(table["perplexity"].iloc[0])


def test_a_run_that_fails_is_told_and_the_others_go_on(told):
    config = read_sweep(
        told(
            interventions=[{"name": "enhance", "layers": [9]}, {"name": "enhance", "alpha": 0.3}],
            side_items=0,
        )
    )
    outcome = sweep(config)
    assert list(outcome.table["label"]) == ["none", "enhance alpha=0.3"]
    assert ["there is no layer 9" in why for why in outcome.failed.values()] == [True]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"interventions": []}, "no interventions"),
        ({"interventions": ["vaff"]}, r"interventions\[0\]: .*did you mean 'vaf'"),
        ({"interventions": [{"name": "vaf", "vary": {"alpha": 1}}]}, "expected lists"),
        ({"interventions": [{"name": "vaf", "vary": {"alpha": [-1]}}]}, "at least 0"),
        ({"interventions": ["vaf", "vaf"]}, "twice"),
        ({"interventions": ["steer"]}, "steer in Python"),
        ({"interventions": [{"name": "vaf", "heads": {"topp": 3}}]}, "did you mean 'top'"),
        ({"interventions": [{"name": "vaf", "heads": {"score": "image"}}]}, "say how many"),
        ({"side_items": -1}, "side_items"),
        ({"temperature": 0.7}, "greedy"),
        ({"intervention": []}, "did you mean|expected"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(told, more, message):
    with pytest.raises(UsageError, match=message):
        read_sweep(told(**more))


def test_a_folder_of_something_else_is_refused(told, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("x")
    with pytest.raises(UsageError, match="is no sweep"):
        sweep(read_sweep(told()))


@pytest.mark.parametrize(
    ("response", "formatted", "capitals", "done"),
    [
        ("<think>a b.</think><answer>red</answer>", True, False, False),
        ("<think>a b.</think><answer>RED</answer>", True, True, False),
        ("<think>a b.</think><answer>red done</answer>", True, False, True),
        ("<think>a b.<answer>red</answer>", False, False, False),
        ("TOP LEFT", False, True, False),
        ("2", False, False, False),
        ("top left done.", False, False, True),
        ("done it", False, False, False),
        ("", False, False, False),
    ],
)
def test_what_can_be_checked_of_an_answer(response, formatted, capitals, done):
    assert (in_format(response), in_capitals(response), ends_done(response)) == (formatted, capitals, done)


def test_verdicts_in_words():
    row = {
        "accuracy_change": 0.021,
        "accuracy_change_low": 0.005,
        "accuracy_change_high": 0.04,
        "p_adjusted": 0.03,
    }
    assert verdict(row) == "raises accuracy: +2.1 points [+0.5, +4.0]"
    assert verdict({**row, "accuracy_change": -0.021}).startswith("lowers accuracy: -2.1")
    assert verdict({**row, "p_adjusted": 0.2}).startswith("no change of accuracy shown: +2.1")
    assert verdict({"p_adjusted": np.nan}) == ""

"""What a sweep refuses before it runs, the level of a blank picture, what runs note of their treatment, and intervals
where every item is alike."""

import ast
import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import vaslab
from vaslab.capture.files import load_capture
from vaslab.errors import UsageError, VaslabError
from vaslab.models import load_model
from vaslab.studies import asking, finished
from vaslab.studies import measure as measuring
from vaslab.studies import run as run_module
from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import measure
from vaslab.studies.study import StudyWatcher
from vaslab.studies.sweep import advised, sweep
from vaslab.studies.sweep_config import read_sweep
from vaslab.studies.sweep_verdict import level_words, verdict
from vaslab.studies.treatment import Treatment

COLORS = ["red", "green", "blue", "black"]


pytestmark = pytest.mark.usefixtures("short_sides")


@pytest.fixture
def told(tmp_path, tiny_folder):
    """A sweep file over four questions, two about each picture."""
    lines = []
    for number, color in enumerate(COLORS):
        Image.new("RGB", (64, 64 + 16 * (number // 2)), color).save(tmp_path / f"{color}.png")
        row = {"id": color, "image": f"{color}.png", "question": "what color is this?", "answer": color}
        lines.append(json.dumps(row))
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))

    def write(**more):
        given = {
            "models": [{"name": str(tiny_folder), "label": "tiny"}],
            "data": [{"name": str(tmp_path / "mine.jsonl"), "batch_size": 2, "max_new_tokens": 3}],
            "out": str(tmp_path / "out"),
            "interventions": ["block"],
            "side_items": 0,
            **more,
        }
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
        return tmp_path / "sweep.yaml"

    return write


WRONG = [
    ({"name": "vaf", "layers": "midle"}, r"interventions\[0\]: layers is 'midle'; did you mean 'middle'"),
    ({"name": "vaf", "layers": 2}, "layers is 2; expected all"),
    ({"name": "vaf", "layers": [1.7]}, r"layers\[0\] is 1.7; expected a whole number"),
    ({"name": "vaf", "heads": [3, 0]}, "heads holds 3; expected"),
    ({"name": "vaf", "heads": "visual"}, r"heads is 'visual'; expected pairs, {role: visual}"),
    ({"name": "vaf", "heads": {"top": 0}}, "top of heads is 0; expected at least 1"),
    ({"name": "vaf", "heads": {"top": "many"}}, "top of heads is 'many'; expected a whole number"),
    ({"name": "vaf", "heads": {"top": 3, "score": "gaze"}}, "score of heads is 'gaze'; expected vas, system"),
    ({"name": "vaf", "heads": {"top": 3, "queries": "response"}}, "the sweep measures user; add it"),
    ({"name": "vaf", "heads": {"top": 3, "lowest": "yes"}}, "lowest of heads is 'yes'; expected true"),
    ({"name": "vaf", "steps": [0, "x"]}, r"steps\[1\] is 'x'"),
    ({"name": "vaf", "alpha": float("inf")}, "alpha is inf; expected a finite number"),
    ({"name": "vaf", "vary": {"alpha": [0.1, "x"]}}, "alpha is 'x'; expected a finite number"),
    ({"name": "vaf", "alpha": 1, "vary": {"alpha": [2]}}, "sets alpha and varies it"),
    ({"name": "block", "keys": None}, "keys is None; expected one or more"),
    ({"name": "block", "regions": None}, "regions is None; expected answer or other"),
    ({"name": "var", "dims": 5}, "dims is 5; expected a list"),
    ({"name": "ablate", "mode": "mean", "means": 3}, "means cannot be given in a file"),
    ({"name": 3}, r"interventions\[0\] is {'name': 3}; expected a name"),
]


@pytest.mark.parametrize(("entry", "message"), WRONG)
def test_what_cannot_be_is_refused_in_the_file(told, entry, message):
    with pytest.raises(UsageError, match=message):
        read_sweep(told(interventions=[entry]))


def test_all_that_is_wrong_is_told_at_once_with_its_place(told):
    entries = [entry for entry, _ in WRONG]
    with pytest.raises(UsageError) as caught:
        read_sweep(told(interventions=["vaf", *entries]))
    message = str(caught.value)
    assert "\n" not in message
    assert f"{len(entries)} things are wrong: interventions[1]: layers is 'midle'" in message
    assert all(f"interventions[{1 + number}]" in message for number in range(len(entries)))


def test_what_a_model_or_its_items_have_not_is_told_before_anything_runs(told, tmp_path):
    entries = [
        {"name": "enhance", "vary": {"layers": [[0], [9]]}},
        {"name": "ablate", "heads": [[0, 7]]},
        {"name": "block", "heads": {"top": 99}},
        {"name": "ablate", "mode": "mean", "layers": [1]},
    ]

    class Silent(StudyWatcher):
        def run(self, name, number, items):
            raise AssertionError("a run began")

    with pytest.raises(UsageError) as caught:
        sweep(read_sweep(told(interventions=entries)), watch=Silent())
    message = str(caught.value)
    assert message.startswith("3 things are wrong: interventions[0]: layers is (9,), and there is no layer 9")
    assert "interventions[1]: there is no head (0, 7)" in message
    assert "interventions[2]: heads asks for the top 99; the model has 8 heads (tiny)" in message
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError) as caught:
        read_sweep(told(interventions=[{"name": "vaf", "alpha": -1}, *entries]))
    message = str(caught.value)
    assert "4 things are wrong: interventions[0]: alpha is -1;" in message
    assert "interventions[1]: layers is (9,), and there is no layer 9" in message
    assert "interventions[3]: heads asks for the top 99" in message
    with pytest.raises(UsageError, match=r"interventions\[0\]: regions: other needs questions"):
        sweep(read_sweep(told(interventions=[{"name": "steer", "regions": "other"}])), watch=Silent())


def test_a_blank_picture_is_asked_beside_and_compared(told, tmp_path, tiny_folder):
    found = sweep(read_sweep(told(blank=True)))
    assert list(found.table["label"]) == ["none", "blank picture", "block"]
    vlm = load_model(tiny_folder)
    prompts = [
        vaslab.Prompt(
            user="what color is this?", images=[Image.new("RGB", (64, 64 + 16 * (n // 2)), (242, 242, 242))]
        )
        for n in range(4)
    ]
    want = [
        each.text
        for start in (0, 2)
        for each in vaslab.answer(vlm, prompts[start : start + 2], max_new_tokens=3)[0]
    ]
    folder = tmp_path / "out/runs/tiny-mine-blank"
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    assert [row["response"] for row in rows] == want
    blank, block = found.table.iloc[1], found.table.iloc[2]
    assert block["over_blank"] == block["accuracy"] - blank["accuracy"]
    assert np.isfinite([block["over_blank_low"], block["over_blank_high"]]).all()
    assert blank["verdict"].startswith("what needs no picture")
    assert np.isnan(blank["p_adjusted"])  # a reference is not tested
    kinds = (tmp_path / "out/kinds.csv").read_text().splitlines()
    assert len(kinds) == 4
    assert "blank_words" in kinds[0]


def test_a_run_says_what_was_done_to_it_and_goes_on_under_nothing_else(told, tmp_path, tiny_folder):
    entry = {"name": "avar", "layers": "middle", "heads": {"top": 2, "score": "image"}}
    sweep(read_sweep(told(interventions=[entry], blank=True)))
    (folder,) = (tmp_path / "out/runs").glob("*avar*")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    noted = config["resolved"]["intervention"]
    assert (noted["name"], noted["alpha"], noted["beta"], noted["layers"]) == ("avar", 0.15, 0.05, "middle")
    assert len(noted["heads"]) == 2  # those that were found, not how
    assert json.loads((folder / "summary.json").read_text())["intervention"] == noted
    assert json.loads(load_capture(folder / "capture.zarr").attrs["intervention"]) == noted
    plain = yaml.safe_load((tmp_path / "out/runs/tiny-mine/config.yaml").read_text())
    assert plain["resolved"]["intervention"] is None

    given = {key: value for key, value in config.items() if key != "resolved"}
    own = MeasureConfig(
        **{key: tuple(each) if isinstance(each, list) else each for key, each in given.items()}
    )
    assert measure(own, treatment=Treatment(noted)) == folder
    for other in (None, {**noted, "alpha": 0.3}, {"name": "blank picture"}):
        with pytest.raises(UsageError, match=r"holds a run of another config: intervention is .*avar"):
            measure(own, treatment=Treatment(other))


def test_items_of_one_picture_have_no_interval_in_words():
    row = {**BASE, "accuracy_change_low": np.nan, "accuracy_change_high": np.nan, "p_adjusted": np.nan}
    assert verdict(row) == "no change of accuracy shown: -67.0 points"
    blank = {**row, "intervention": "blank picture", "accuracy": 0.25}
    assert verdict(blank) == "what needs no picture: 25.0 %, -67.0 points against the picture"


def test_a_run_of_other_settings_is_refused_with_what_a_sweep_can_do(told, tmp_path):
    data = [{"name": str(tmp_path / "mine.jsonl"), "batch_size": 2, "max_new_tokens": 3}]
    sweep(read_sweep(told(data=data)))
    data[0]["max_new_tokens"] = 4
    with pytest.raises(VaslabError, match="max_new_tokens is 3 there and 4 here") as caught:
        sweep(read_sweep(told(data=data)))
    out = tmp_path / "out"
    assert str(caught.value).endswith(
        f"choose another --out, or delete {out} and give the same command again"
    )


@pytest.mark.parametrize("module", [asking, finished, measuring, run_module])
def test_no_advice_of_a_run_names_a_flag_that_a_sweep_lacks(module):
    """Every message of a run that a sweep can meet, as it stands in the code."""
    strings = [
        node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.JoinedStr)
    ]
    told = ["".join(p.value if isinstance(p, ast.Constant) else "X" for p in node.values) for node in strings]
    # a sweep runs in one process
    met = [each for each in told if "--overwrite" in each and "processes" not in each]
    assert met or module is measuring
    for each in met:
        mended = advised(each, Path("SWEEP"), "RUN")
        assert "--overwrite" not in mended
        assert "--batch-size" not in mended
        assert "SWEEP" in mended or "RUN" in mended or "the sweep's file" in mended


BASE = {
    "accuracy_change": -0.67,
    "accuracy_change_low": -0.73,
    "accuracy_change_high": -0.58,
    "p_adjusted": 0.0,
}


@pytest.mark.parametrize(
    ("over", "p", "words"),
    [
        ((-0.09, -0.155, -0.035), 0.01, "9.0 points below a blank picture [-15.5, -3.5]"),
        ((0.23, 0.15, 0.32), 0.0, "23.0 points above a blank picture [+15.0, +32.0]"),
        ((0.01, -0.04, 0.06), 0.7, "at the level of a blank picture, within 10 points [-4.0, +6.0]"),
        ((0.01, -0.14, 0.16), 0.7, "not told apart from a blank picture [-14.0, +16.0]"),
    ],
)
def test_the_level_of_a_blank_picture_in_words(over, p, words):
    assert level_words(*over, apart=p <= 0.05) == words
    ends = dict(zip(("over_blank", "over_blank_low", "over_blank_high"), over, strict=True))
    told = verdict({**BASE, **ends, "over_blank_p_adjusted": p})
    assert told == f"lowers accuracy: -67.0 points [-73.0, -58.0]; {words}"
    # said of what lowers accuracy alone
    assert "blank" not in verdict({**BASE, **ends, "p_adjusted": 0.5})


def test_side_effects_in_words_have_their_intervals():
    row = {
        **dict.fromkeys(BASE, 0.0),
        "p_adjusted": 1.0,
        "fixed": 0,
        "broken": 0,
        "accuracy_change_low": -0.018,
        "accuracy_change_high": 0.018,
        "formatted": 0.46,
        "formatted_change": -0.54,
        "formatted_change_low": -0.605,
        "formatted_change_high": -0.465,
        "formatted_p_adjusted": 0.001,
        "length_change": -4.5,
        "length_change_low": -5.1,
        "length_change_high": -3.8,
        "length_p_adjusted": 0.2,
        "perplexity_ratio": 1.08,
        "perplexity_ratio_low": 1.06,
        "perplexity_ratio_high": 1.1,
        "perplexity_p_adjusted": 0.01,
    }
    assert verdict(row) == (
        "no change of accuracy shown: +0.0 points [-1.8, +1.8], no answer changed sides; side effects: answers in the "
        "format -54.0 points [-60.5, -46.5] to 46 %, perplexity on text x1.08 [1.06, 1.10]"
    )
    assert verdict({**row, "formatted_p_adjusted": 0.3, "perplexity_p_adjusted": 0.3}).endswith(
        "no side effect shown"
    )

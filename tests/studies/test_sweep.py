"""A sweep on a random model: paired with the plain runs, gone on with after a kill, its numbers found by hand."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
import yaml
from PIL import Image

import vaslab
from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.glyph import Glyph
from vaslab.capture.files import load_capture
from vaslab.errors import MissingError, UsageError, VaslabError
from vaslab.interventions import Region, head_means, heads_of_role, top_heads
from vaslab.models import load_model
from vaslab.organism import glyphs
from vaslab.studies.config import MeasureConfig
from vaslab.studies.side_effects import ends_done, in_capitals, in_format
from vaslab.studies.study import StudyWatcher
from vaslab.studies.study_config import StudyRun
from vaslab.studies.sweep import sweep
from vaslab.studies.sweep_config import read_sweep
from vaslab.studies.sweep_measured import Measured
from vaslab.studies.sweep_regions import Place, item_places
from vaslab.studies.sweep_table import other_rate, read_sweep_table
from vaslab.studies.sweep_verdict import verdict

INTERVENTIONS = [
    {"name": "avar", "alpha": 0.5, "vary": {"beta": [0.6]}},
    {"name": "block", "heads": {"top": 3, "score": "image"}},
]


pytestmark = pytest.mark.usefixtures("short_sides")


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


def test_cells_of_one_word_are_other_runs(told):
    grid = {"name": "block", "vary": {"layers": ["1-3", [1, 3], "3-", [3]]}}
    config = read_sweep(told(interventions=[grid]))
    base = config.study.runs()[0]
    folders = [cell.run(base).config.out for cell in config.cells]
    assert len(set(folders)) == 4
    assert folders[0] == config.cells[0].run(base).config.out


def test_every_combination_is_a_run(told):
    grid = {"name": "avar", "alpha": 0.5, "vary": {"beta": [0, 0.6], "layers": ["all", [0]]}}
    config = read_sweep(told(interventions=[grid, INTERVENTIONS[1]]))
    assert [cell.label for cell in config.cells] == [
        "avar alpha=0.5 beta=0 layers=all",
        "avar alpha=0.5 beta=0 layers=0",
        "avar alpha=0.5 beta=0.6 layers=all",
        "avar alpha=0.5 beta=0.6 layers=0",
        "block heads=top3-image",
    ]
    assert {(cell.axis, cell.strength) for cell in config.cells} == {
        ("beta", 0),
        ("beta", 0.6),
        ("strength", 1),
    }
    assert [cell.line for cell in config.cells[1:3]] == [
        "avar alpha=0.5 layers=0",
        "avar alpha=0.5 layers=all",
    ]


def test_what_a_figure_puts_on_its_axis(told):
    entries = [
        {"name": "avar", "vary": {"layers": ["all", [0]]}},
        {"name": "additive", "vary": {"beta": [0.1], "alpha": [0.2]}},
        {"name": "pai", "vary": {"gamma": [1.2]}},
        "adaptvis",
    ]
    cells = read_sweep(told(interventions=entries)).cells
    assert [(cell.axis, cell.strength) for cell in cells] == [
        ("alpha", 0.15),
        ("alpha", 0.15),
        ("alpha", 0.2),
        ("gamma", 1.2),
        ("strength", 1.0),
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
    vas = [float(vaslab.vas(each)) for each in (plain, blocked)]
    assert row["vas_ratio"] == pytest.approx(vas[1] / vas[0], rel=1e-5)
    assert row["vas_ratio_low"] <= row["vas_ratio"] <= row["vas_ratio_high"] < 1
    change = (mass[1] - mass[0]).values
    assert row["visual_p"] == pytest.approx(scipy.stats.ttest_1samp(change, 0).pvalue, rel=1e-4)
    assert list(table["visual_p_adjusted"][1:]) == pytest.approx(
        scipy.stats.false_discovery_control(table["visual_p"][1:])
    )
    assert row["visual_change"] == pytest.approx(float((mass[1] - mass[0]).mean()), abs=1e-6)
    assert row["visual_change_low"] <= row["visual_change"] <= row["visual_change_high"] < 0
    # a knockout of nothing, and edits after a picture, leave text alone
    assert list(table["perplexity"]) == pytest.approx([table["perplexity"].iloc[0]] * 3)


def test_heads_by_role_and_means_come_from_the_plain_model(told, tmp_path, tiny_model):
    entries = [{"name": "ablate", "mode": "mean", "heads": {"role": "visual"}}]
    config = read_sweep(told(interventions=entries, side_items=0))
    sweep(config)
    vlm = load_model(tiny_model)
    prompts = [item.prompt() for item in find_benchmark(str(tmp_path / "mine.jsonl")).select().items]
    heads = heads_of_role(vaslab.capture(vlm, prompts, batch_size=2), "visual")
    with vaslab.intervene(vlm, "ablate", mode="mean", heads=heads, means=head_means(vlm, prompts)):
        want = vaslab.capture(vlm, prompts, batch_size=2)
    (folder,) = (tmp_path / "out/runs").glob("*ablate*")
    assert folder.name.startswith("tiny-mine-ablate-mode=mean-heads=visual-")
    found = load_capture(folder / "capture.zarr")
    assert np.allclose(found["mass"].values, want["mass"].values, atol=1e-5)


def test_a_run_that_fails_is_told_and_the_others_go_on(told):
    config = read_sweep(
        told(
            interventions=[{"name": "block", "heads": {"role": "sink"}}, {"name": "enhance", "alpha": 0.3}],
            side_items=0,
        )
    )
    outcome = sweep(config)
    assert list(outcome.table["label"]) == ["none", "enhance alpha=0.3"]
    assert ["none of the 8 heads is a sink head" in why for why in outcome.failed.values()] == [True]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"interventions": []}, "no interventions"),
        ({"interventions": ["vaff"]}, r"interventions\[0\]: .*did you mean 'vaf'"),
        ({"interventions": [{"name": "vaf", "vary": {"alpha": 1}}]}, "expected lists"),
        ({"interventions": [{"name": "vaf", "vary": {"alpha": [-1]}}]}, "at least 0"),
        ({"interventions": ["vaf", "vaf"]}, "twice"),
        ({"interventions": ["steer"]}, "regions is None; expected answer or other"),
        (
            {"interventions": [{"name": "block", "regions": "left"}]},
            "regions is 'left'; expected answer or other",
        ),
        ({"interventions": [{"name": "vaf", "heads": {"role": "visul"}}]}, "expected visual, sink"),
        (
            {"interventions": [{"name": "vaf", "heads": {"role": "visual", "top": 3}}]},
            "expected role, queries",
        ),
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


def test_the_place_of_another_object_is_another_answer():
    """Found by the words of the question alone."""
    items = Glyph().select(60).items
    places = item_places("glyph", items, "other")
    assert {item.kind for item in items if item.id in places} == {"identify", "locate", "two-step"}
    seen = 0
    for item in items:
        if item.id not in places:
            continue
        objects = glyphs.scene(int(item.picture_id)).glyphs
        place = places[item.id]
        (there,) = [glyph for glyph in objects if glyph.box == place.region.box]
        asked = item.question.removesuffix("? think first.")
        if item.kind == "identify":
            assert (there.place, place.answer) != (asked.removeprefix("what is at the "), item.answer)
            assert place.answer == there.name
        elif item.kind == "locate":
            assert there.name != asked.removeprefix("where is the ")
            assert place.answer == there.place
        else:
            assert place.answer == there.color != item.answer
        seen += 1
    assert seen > 20
    right = item_places("glyph", items, "answer")
    for item in items:
        if item.kind == "identify":
            (there,) = [
                g for g in glyphs.scene(int(item.picture_id)).glyphs if g.box == right[item.id].region.box
            ]
            assert there.name == item.answer
        assert (item.id in right) == (len(item.boxes) == 1)
    with pytest.raises(UsageError, match="none of the 60 items of easy-vqa is one"):
        item_places("easy-vqa", items, "other")


def test_steering_in_a_sweep_gives_each_item_its_own_region(tmp_path, tiny_model):
    told = {
        "models": [{"name": str(tiny_model), "label": "tiny"}],
        "data": [{"name": "glyph", "limit": 6, "batch_size": 3, "max_new_tokens": 4}],
        "out": str(tmp_path / "out"),
        "interventions": [
            {"name": "steer", "regions": "other", "queries": "after_image"},
            {"name": "block", "regions": "answer"},
        ],
        "side_items": 2,
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    table = sweep(read_sweep(tmp_path / "sweep.yaml")).table
    assert list(table["perplexity"]) == [table["perplexity"][0]] * 3  # no picture, no region

    vlm = load_model(tiny_model)
    items = Glyph().select(6).items
    places = item_places("glyph", items, "other")
    assert 0 < len(places) < 6
    found = []
    for start in (0, 3):
        part = items[start : start + 3]
        regions = [places[item.id].region if item.id in places else None for item in part]
        with vaslab.intervene(vlm, "steer", regions=regions, queries="after_image"):
            found += [
                each.text for each in vaslab.answer(vlm, [i.prompt() for i in part], max_new_tokens=4)[0]
            ]
    (folder,) = (tmp_path / "out/runs").glob("tiny-glyph-steer-regions=other-queries=after_image-*")
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    assert [row["response"] for row in rows] == found


def test_the_rate_counts_answers_that_were_right_and_became_the_others(tmp_path):
    items = [item for item in Glyph().select(40).items if item.kind == "identify"][:4]
    ids = [item.id for item in items]
    place = Place(Region((0, 0, 9, 9), (96, 96)), "red circle")
    places = dict.fromkeys(ids[:3], place)
    told = ["<think>x.</think><answer>Red circle.</answer>", "blue square", "red circle", "red circle"]

    def each(values, kind=float):
        return xr.DataArray(np.asarray(values, dtype=kind), dims="item", coords={"item": ids})

    nothing = each([0.0] * 4)
    pictures = each(["a", "b", "c", "d"], object)
    plain = Measured(each([1, 1, 0, 1]), *[nothing] * 6, pictures, {})
    edited = Measured(nothing, *[nothing] * 6, pictures, dict(zip(ids, told, strict=True)))
    run = StudyRun("base", "glyph", "default", 0, MeasureConfig("organism:base", str(tmp_path), "glyph"))
    found = other_rate(run, plain, edited, items, places)
    # the third was wrong before, the fourth has no other object
    assert (found["other_n"], found["other_rate"]) == (2, 0.5)
    assert found["other_rate_low"] <= 0.5 <= found["other_rate_high"]
    assert other_rate(run, plain, edited, items, {}) == {"other_n": 0}
    assert verdict({"p_adjusted": 1.0, "accuracy_change": 0.0, **found}).endswith(
        "of 2 right answers become that of the object steered to"
    )


def test_a_sweep_without_a_table_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"holds no table\.parquet"):
        read_sweep_table(tmp_path)
    (tmp_path / "table.parquet").write_text("x")
    with pytest.raises(VaslabError, match="cannot be read"):
        read_sweep_table(tmp_path)


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

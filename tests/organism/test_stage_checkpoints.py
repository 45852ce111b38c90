"""The shipped stages: small, made by the shipped config, each from the parent and the records that its card names."""

import json
from pathlib import Path

import pytest

from trainers.config import build, plain, read_yaml
from trainers.data.glyph import glyph_records
from trainers.data.record import digest
from trainers.runs import StagesRun
from trainers.stages import read_stages
from vaslab.models import load_model, organisms
from vaslab.models.located import CHECKPOINTS

pytestmark = pytest.mark.organism
STAGES = ("agto", "multimodal", "text", "vard", "vars")
CONFIG = Path(__file__).parents[2] / "trainers" / "configs" / "organism.yaml"
LARGEST = 40e6


def card(name):
    return json.loads((CHECKPOINTS / name / "card.json").read_text())


def test_all_are_there_and_small():
    assert set(organisms()) == {"base", *STAGES}
    files = [file for name in STAGES for file in (CHECKPOINTS / name).iterdir()]
    assert sum(file.stat().st_size for file in files) <= LARGEST
    assert {file.suffix for file in files} == {".safetensors", ".json", ".jinja"}


@pytest.mark.parametrize("name", STAGES)
def test_each_comes_from_the_parent_that_its_card_names(name):
    parent = "agto" if name == "vars" else "base"
    assert card(name)["parent"]["revision"] == load_model(f"organism:{parent}").revision
    assert load_model(f"organism:{name}").revision != load_model(f"organism:{parent}").revision


@pytest.mark.parametrize("name", STAGES)
def test_each_is_what_the_shipped_config_asks(name):
    config = build(StagesRun, {"out": "o", **read_yaml(CONFIG)}, "organism.yaml")
    stage = next(stage for stage in read_stages(config) if stage.name == name)
    own = card(name)["config"]
    asked = plain(stage.run(own["model"], Path(own["data"]), Path(own["out"]), seed=0))
    assert own == {field: asked[field] for field in own}
    assert card(name)["data"]["records"] == (config.prompts if stage.kind == "rl" else config.records)


@pytest.mark.parametrize(
    "name",
    [*(pytest.param(name, marks=pytest.mark.slow) for name in ("multimodal", "vard")), "text", "vars"],
)
def test_its_hash_is_that_of_records_drawn_anew(name):
    told = card(name)["data"]
    assert told["digest"] == digest(glyph_records(Path(told["source"]).name, told["records"], seed=0))


def test_vard_and_agto_saw_the_same_records():
    assert card("vard")["data"]["digest"] == card("agto")["data"]["digest"]

"""Runs and captures to explore: a random model whose attention is far from uniform, on wide, tall and several
pictures."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

import vaslab
from vaslab.explorer.runs import open_run
from vaslab.explorer.view import View
from vaslab.models import load_model
from vaslab.organism.build import build_model, build_processor
from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import measure

from .browser_page import chromium, page  # noqa: F401

sys.path.insert(0, str(Path(__file__).parents[1] / "metrics"))

NASTY = (
    "</script><script>document.title='hacked'</script>",
    "<img src=x onerror=\"document.title='hacked'\">",
    "<svg onload=document.title='hacked'>",
    "<style>body{display:none}</style>",
    "--> ]]> {{title}} ${document.title} &lt;b&gt;\u2028",
)


def picture(width, height, path=None):
    """A red ellipse on a light ground."""
    image = Image.new("RGB", (width, height), (235, 235, 230))
    ImageDraw.Draw(image).ellipse((width * 0.6, height * 0.2, width * 0.8, height * 0.6), fill=(200, 30, 40))
    if path is not None:
        image.save(path)
    return image


def save_model(folder, seed):
    processor = build_processor()
    model = build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "q_proj.weight" in name or "k_proj.weight" in name:
                parameter.normal_(0.0, 0.3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folders of two checkpoints of one architecture."""
    base = tmp_path_factory.mktemp("models")
    return save_model(base / "first", 0), save_model(base / "second", 1)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Own questions about a wide, a tall and two pictures; every text is hostile."""
    folder = tmp_path_factory.mktemp("data")
    picture(168, 56, folder / "wide.png")
    picture(56, 140, folder / "tall.png")
    Image.new("RGB", (84, 84), (20, 90, 160)).save(folder / "blue.png")
    rows = [
        {"id": "wide", "image": "wide.png", "question": f"what is red? {NASTY[0]}", "answer": NASTY[1]},
        {"id": "tall", "image": "tall.png", "question": f"where is it? {NASTY[2]}", "system": NASTY[3]},
        {"id": "two", "images": ["wide.png", "blue.png"], "question": f"which is blue? {NASTY[4]}"},
    ]
    path = folder / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measured(model, data, out, **options):
    options = {"queries": ("user", "response"), "batch_size": 3, "max_new_tokens": 5, **options}
    return measure(MeasureConfig(model=str(model), out=str(out), data=str(data), **options))


@pytest.fixture(scope="session")
def runs(models, data, tmp_path_factory):
    """Run folders of the two checkpoints on the same items."""
    base = tmp_path_factory.mktemp("runs")
    return [measured(model, data, base / name) for model, name in zip(models, ("a", "b"), strict=True)]


@pytest.fixture
def run(runs, tmp_path):
    """A copy of the first run, to be changed."""
    return Path(shutil.copytree(runs[0], tmp_path / "run"))


@pytest.fixture(scope="session")
def loaded(runs):
    """A view of the first run whose model is loaded."""
    view = View([open_run(runs[0])], live=True)
    view.sources[0].vlm()
    return view


@pytest.fixture(scope="session")
def vlm(models):
    return load_model(models[0])


@pytest.fixture
def prompt():
    return vaslab.Prompt(user="what is red?", images=[picture(168, 56)])

"""The shipped base reads its pictures: it answers far better than shown blank ones, and is small enough to ship."""

import json

import numpy as np
import pytest
import scipy.stats

import vaslab
from trainers.batches import Batcher
from trainers.exam import easy_exam, glyph_exam, sit
from vaslab.models import load_model, organisms
from vaslab.models.load import _CHECKPOINTS
from vaslab.organism import questions

pytestmark = pytest.mark.organism
BASE = _CHECKPOINTS / "base"


@pytest.fixture(scope="module")
def base():
    return load_model("organism:base")


def test_it_is_small_and_holds_only_safetensors():
    assert "base" in organisms()
    assert sum(file.stat().st_size for file in BASE.iterdir()) < 12e6
    assert {file.suffix for file in BASE.iterdir()} == {".safetensors", ".json", ".jinja"}


def test_it_passes_its_proof():
    assert vaslab.load("organism:base").proof.passed


@pytest.mark.parametrize(("world", "margin"), [("easy-vqa", 0.25), ("glyph", 0.35)])
def test_it_reads_pictures(base, world, margin):
    """On every twentieth official easy-VQA test question, and 400 held-out glyph questions."""
    exam = easy_exam()[::20] if world == "easy-vqa" else glyph_exam(200)
    seen, blanked = (
        float(np.mean(sit(base.model, Batcher(base.processor), exam, blanked=blank)))
        for blank in (False, True)
    )
    assert seen - blanked > margin


@pytest.mark.parametrize("world", ["easy-vqa", "glyph"])
def test_its_pictures_help_it(base, world):
    """Far above chance on the same questions: a paired sign test of seen against blank."""
    exam = easy_exam()[::20] if world == "easy-vqa" else glyph_exam(200)
    seen, blanked = (sit(base.model, Batcher(base.processor), exam, blanked=blank) for blank in (False, True))
    gained, lost = int((seen & ~blanked).sum()), int((blanked & ~seen).sum())
    assert scipy.stats.binomtest(gained, gained + lost).pvalue < 1e-3
    assert gained > lost


def test_its_card_holds_the_bar_on_all_questions():
    card = json.loads((BASE / "card.json").read_text())
    assert card["seen"]["easy_vqa"] - card["blank"]["easy_vqa"] > 0.25
    assert card["seen"]["glyph"] - card["blank"]["glyph"] > 0.35


def test_its_card_says_how_it_came_to_be():
    card = json.loads((BASE / "card.json").read_text())
    assert card["config"]["seed"] == 0
    assert card["seconds"] > 0
    assert set(card["seen"]["kinds"]) == set(questions.KINDS)

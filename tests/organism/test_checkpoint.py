"""The shipped base reads its pictures: it answers far better than shown blank ones, and is small enough to ship."""

import json

import numpy as np
import pytest
import scipy.stats

import vaslab
from trainers.batches import Batcher
from trainers.exam import easy_exam, glyph_exam, sit
from vaslab.models import load_model, organisms
from vaslab.models.located import CHECKPOINTS
from vaslab.organism import questions

pytestmark = pytest.mark.organism
BASE = CHECKPOINTS / "base"


@pytest.fixture(scope="module")
def base():
    return load_model("organism:base")


def test_it_is_small_and_holds_only_safetensors():
    assert "base" in organisms()
    assert sum(file.stat().st_size for file in BASE.iterdir()) < 12e6
    assert {file.suffix for file in BASE.iterdir()} == {".safetensors", ".json", ".jinja"}


def test_it_passes_its_proof():
    assert vaslab.load("organism:base").proof.passed


@pytest.fixture(scope="module", params=["easy-vqa", "glyph"])
def sat(request, base):
    """Which of 162 official easy-VQA test questions, or 120 held-out glyph questions, are answered rightly: shown
    their pictures, and shown blank ones; and the margin that is asked."""
    exam, margin = {
        "easy-vqa": lambda: (easy_exam(every=60), 0.25),
        "glyph": lambda: (glyph_exam(60), 0.35),
    }[request.param]()
    batcher = Batcher(base.processor)
    return *(sit(base.model, batcher, exam, blanked=blank) for blank in (False, True)), margin


def test_it_reads_pictures(sat):
    seen, blanked, margin = sat
    assert np.mean(seen) - np.mean(blanked) > margin


def test_its_pictures_help_it(sat):
    """Far above chance on the same questions: a paired sign test of seen against blank."""
    seen, blanked, _ = sat
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

"""Chains against a scene that is known: each part right or wrong by hand."""

import pytest

from trainers.chains import Chain, chains_of, main, read_chain, report
from trainers.data.glyph import anchored
from vaslab.errors import MissingError, UsageError
from vaslab.organism import glyphs, questions

SCENE = glyphs.scene(glyphs.TEST_SEEDS[0])
QUESTIONS = questions.questions(SCENE, 2, seed=0)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.kind)
def test_the_worlds_own_chains_are_right_in_every_part(question):
    import numpy as np

    told = anchored(SCENE, question, np.random.default_rng(0))
    assert read_chain(told, SCENE, question, True) == Chain(True, True, True)
    assert read_chain(question.reasoned(), SCENE, question, True) == Chain(None, True, True)


def test_what_is_wrong_is_told_apart():
    glyph, other = SCENE.glyphs[:2]
    question = questions.Question(
        "identify", f"what is at the {glyph.place}?", glyph.name, (f"{glyph.described}.",), (glyph,)
    )
    seen = f"{SCENE.description()}. look at the {glyph.place} again."
    tail = "</think><answer>x</answer>"
    right = f"<think>{seen} {glyph.described}.{tail}"
    elsewhere = f"<think>{seen} {other.described}.{tail}"
    unseen = f"<think>nothing. look at the {glyph.place} again. {glyph.described}.{tail}"
    assert read_chain(right, SCENE, question, False) == Chain(True, True, False)
    # the description names the glyph, but the question's own step does not
    assert read_chain(elsewhere, SCENE, question, False) == Chain(True, False, False)
    assert read_chain(unseen, SCENE, question, True) == Chain(False, True, True)
    assert read_chain("", SCENE, question, False) == Chain(None, False, False)


def test_shares_count_what_they_are_shares_of():
    chains = [
        Chain(True, True, True),
        Chain(True, False, False),
        Chain(False, True, True),
        Chain(None, True, False),
    ]
    found = report(chains)
    assert {name: (part["estimate"], part["n"]) for name, part in found.items()} == {
        "described": (2 / 3, 3),
        "reasoned": (0.75, 4),
        "reasoned, where described": (0.5, 2),
        "answered": (0.5, 4),
        "answered, where reasoned": (2 / 3, 3),
    }


def test_rows_are_of_the_glyph_benchmark():
    row = {"id": f"glyph-{SCENE.seed}-1", "response": QUESTIONS[1].reasoned(), "right": True}
    assert chains_of([row]) == [Chain(None, True, True)]
    with pytest.raises(UsageError, match="easy-vqa-test-0001 is no item of glyph"):
        chains_of([{**row, "id": "easy-vqa-test-0001"}])


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(UsageError, match="no run is named"):
        main([])
    with pytest.raises(MissingError, match=f"there is no run at {tmp_path}"):
        main([str(tmp_path)])

"""Causes on the organism: without its attention to the picture it knows what a blank picture tells, and where its
heads are made to look decides what it says."""

import pytest

import vaslab
from vaslab.benchmarks.glyph import Glyph
from vaslab.interventions import Region
from vaslab.models import load_model
from vaslab.organism import glyphs, questions
from vaslab.studies.side_effects import in_format
from vaslab.studies.treatment import blanked

pytestmark = pytest.mark.organism
MARGIN = 0.10
"""Of accuracy, either way."""
SEEDS = glyphs.TEST_SEEDS[2000:]
"""Held-out scenes behind those of the benchmark."""


@pytest.fixture(scope="module")
def base():
    return load_model("organism:base")


def answers(vlm, prompts, **options):
    told = []
    for start in range(0, len(prompts), 40):
        found, _ = vaslab.answer(vlm, prompts[start : start + 40], max_new_tokens=5, **options)
        told += [" ".join(each.text.lower().split()).removesuffix(".") for each in found]
    return told


def test_without_attention_to_the_picture_accuracy_is_that_of_a_blank_one(base):
    """By kind of question, both ways: what blocking leaves is neither more nor less than a blank picture gives.

    Held for questions about one object, answered at once; the next test says where it does not hold.
    """
    asked = []
    for seed in SEEDS[:100]:
        scene = glyphs.scene(seed)
        asked += [
            (scene, question)
            for question in questions.questions(scene, 2, seed=0)
            if question.kind in ("locate", "identify", "two-step")
        ]
    seen = [vaslab.Prompt(user=question.text, images=[scene.picture()]) for scene, question in asked]
    blank = [vaslab.Prompt(user=question.text, images=[scene.ground()]) for scene, question in asked]
    plain, empty = answers(base, seen), answers(base, blank)
    with vaslab.intervene(base, "block"):
        blocked = answers(base, seen)
    for kind in ("locate", "identify", "two-step", None):
        rows = [i for i, (_, question) in enumerate(asked) if kind in (question.kind, None)]

        def accuracy(told, rows=rows):
            return sum(told[i] == asked[i][1].answer for i in rows) / len(rows)

        right, level, left = accuracy(plain), accuracy(empty), accuracy(blocked)
        print(f"{kind or 'all'}: plain {right:.3f}, blank {level:.3f}, blocked {left:.3f}, n {len(rows)}")
        assert len(rows) >= 20
        assert right > level + 0.3  # the picture is worth something to begin with
        assert abs(left - level) <= MARGIN


def test_what_needs_the_usual_answer_falls_below_a_blank_picture(base):
    """Thinking first about two objects: a blank picture leaves the organism its form and the usual yes or no. With
    its attention blocked it sees no picture at all, which it never met: it loses the form, and with it those answers.
    Nothing of the picture comes through, so it is never above."""
    items = [item for item in Glyph().select(150).items if item.kind == "relate"]

    def asked(change=lambda item: item):
        told, _ = vaslab.answer(base, [change(item).prompt() for item in items], max_new_tokens=48)
        right = [bool(Glyph().grade(item, each.text).right) for item, each in zip(items, told, strict=True)]
        return sum(right) / len(items), sum(in_format(each.text) for each in told) / len(items)

    level, formed = asked(blanked)
    with vaslab.intervene(base, "block"):
        left, kept = asked()
    print(
        f"relate: blank {level:.3f} ({formed:.3f} in form), blocked {left:.3f} ({kept:.3f}), n {len(items)}"
    )
    assert formed > 0.98
    assert kept < 0.8
    assert left < level - MARGIN


def test_attention_steered_to_another_object_names_that_object(base):
    """What is at the place asked about, answered rightly before, becomes what is in the box."""
    prompts, asked, others = [], [], []
    for seed in SEEDS[:50]:
        scene = glyphs.scene(seed)
        first, other = scene.glyphs[0], scene.glyphs[-1]
        prompts.append(vaslab.Prompt(user=f"what is at the {first.place}?", images=[scene.picture()]))
        asked.append(first)
        others.append(other)
    plain = answers(base, prompts)
    kept = [i for i, told in enumerate(plain) if told == asked[i].name and others[i] is not asked[i]]
    assert len(kept) >= 20

    def rate(heads):
        regions = [Region(cell(others[i]), (96, 96)) for i in kept]
        settings = {"heads": heads, "queries": "emitting"}
        with vaslab.intervene(base, "steer", regions=regions, **settings):
            told, _ = vaslab.answer(base, [prompts[i] for i in kept], max_new_tokens=5)
        return sum(others[i].name == each.text for i, each in zip(kept, told, strict=True)) / len(kept)

    half = base.n_layers // 2
    later, earlier = (
        rate([(layer, head) for layer in layers for head in range(base.n_heads)])
        for layers in (range(half, base.n_layers), range(half))
    )
    print(f"steered in the later half of the layers {later:.3f}, in the earlier {earlier:.3f}, n {len(kept)}")
    assert later >= 0.5
    assert later >= earlier + 0.3


def cell(glyph):
    x, y = 32 * (glyph.cell % 3), 32 * (glyph.cell // 3)
    return (x, y, x + 32, y + 32)

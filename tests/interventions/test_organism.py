"""Causes on the organism: without its attention to the picture it knows what a blank picture tells, and where its
heads are made to look decides what it says."""

import pytest

import vaslab
from vaslab.interventions import Region
from vaslab.models import load_model
from vaslab.organism import glyphs, questions

pytestmark = pytest.mark.organism
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
    asked = []
    for seed in SEEDS[:60]:
        scene = glyphs.scene(seed)
        asked += [
            (scene, question)
            for question in questions.questions(scene, 2, seed=0)
            if question.kind in ("locate", "identify", "two-step")
        ]
    seen = [vaslab.Prompt(user=question.text, images=[scene.picture()]) for scene, question in asked]
    blank = [vaslab.Prompt(user=question.text, images=[scene.ground()]) for scene, question in asked]

    def accuracy(told):
        return sum(a == question.answer for a, (_, question) in zip(told, asked, strict=True)) / len(asked)

    plain, level = accuracy(answers(base, seen)), accuracy(answers(base, blank))
    with vaslab.intervene(base, "block"):
        blocked = accuracy(answers(base, seen))
    assert plain > level + 0.1  # the picture is worth something to begin with
    assert blocked <= level + min(0.1, (plain - level) / 2)
    print(f"plain {plain:.3f}, blank {level:.3f}, blocked {blocked:.3f}, n {len(asked)}")


def test_attention_steered_to_another_object_names_that_object(base):
    """What is at the place asked about, answered rightly before, becomes what is in the box."""
    prompts, asked, others = [], [], []
    for seed in SEEDS[:90]:
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

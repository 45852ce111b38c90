"""Causes on the organism: without its attention to the picture it knows what a blank picture tells, and where its
heads are made to look decides what it says.

Each test prints its numbers with 95 % intervals over pictures (`pytest -s`). Those of the marker `slow` ask more
scenes, and hold docs/interventions.md and the README to what they print.
"""

from pathlib import Path

import pytest
import xarray as xr

import vaslab
from vaslab.benchmarks.glyph import Glyph
from vaslab.interventions import Region
from vaslab.models import load_model
from vaslab.organism import glyphs, questions
from vaslab.statistics import share_change, share_interval
from vaslab.studies.side_effects import in_format
from vaslab.studies.treatment import blanked

pytestmark = pytest.mark.organism
MARGIN = 0.10
"""Of accuracy, either way."""
SEEDS = glyphs.TEST_SEEDS[2000:]
"""Held-out scenes behind those of the benchmark."""
MANY = 400
QUOTED = pytest.param(MANY, marks=pytest.mark.slow, id="quoted")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def base():
    return load_model("organism:base")


def answers(vlm, prompts, **options):
    told = []
    for start in range(0, len(prompts), 40):
        found, _ = vaslab.answer(vlm, prompts[start : start + 40], max_new_tokens=5, **options)
        told += [" ".join(each.text.lower().split()).removesuffix(".") for each in found]
    return told


def table(values):
    return xr.DataArray([float(value) for value in values], dims="item", coords={"item": range(len(values))})


def words(values, pictures):
    """A share and its interval, in percent."""
    share, low, high = share_interval(table(values), table(pictures))
    return f"{100 * share:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def says(page, *cells):
    """Whether a line of a page holds all of these."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    return any(all(cell in line for cell in cells) for line in lines)


NAMES = {"locate": "where it is", "identify": "what is at a place", "two-step": "the colour of", None: "all"}


@pytest.mark.parametrize("n_scenes", [pytest.param(70, id="few"), QUOTED])
def test_without_attention_to_the_picture_accuracy_is_that_of_a_blank_one(base, n_scenes):
    """By kind of question, both ways: what blocking leaves is neither more nor less than a blank picture gives.

    Held for questions about one object, answered at once; the next test says where it does not hold. Where enough
    scenes are asked, the whole interval of the difference over all kinds is within the margin.
    """
    asked = []
    for seed in SEEDS[:n_scenes]:
        scene = glyphs.scene(seed)
        asked += [
            (seed, scene, question)
            for question in questions.questions(scene, 2, seed=0)
            if question.kind in ("locate", "identify", "two-step")
        ]
    seen = [vaslab.Prompt(user=question.text, images=[scene.picture()]) for _, scene, question in asked]
    blank = [vaslab.Prompt(user=question.text, images=[scene.ground()]) for _, scene, question in asked]
    plain, empty = answers(base, seen), answers(base, blank)
    with vaslab.intervene(base, "block"):
        blocked = answers(base, seen)
    for kind, name in NAMES.items():
        rows = [i for i, (_, _, question) in enumerate(asked) if kind in (question.kind, None)]
        pictures = [asked[i][0] for i in rows]
        right, level, left = (
            [told[i] == asked[i][2].answer for i in rows] for told in (plain, empty, blocked)
        )
        change = share_change(table(level), table(left), table(pictures))
        shares = [words(values, pictures) for values in (right, level, left)]
        points = f"{100 * change.estimate:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
        print(
            f"{name}, n {len(rows)}: plain, blank, blocked {', '.join(shares)}; against blank {points} points"
        )
        assert len(rows) >= 15
        assert sum(right) > sum(level) + 0.3 * len(rows)  # the picture is worth something to begin with
        # One answer of a few is several points.
        assert abs(change.estimate) <= (MARGIN if kind is None or n_scenes == MANY else 2 * MARGIN)
        if n_scenes == MANY:
            assert says("docs/interventions.md", f"| {name}", f"| {len(rows)} |", *shares, points)
        if n_scenes == MANY and kind is None:
            assert -MARGIN < change.low <= change.high < MARGIN
            right, level, left = shares
            assert says(
                "README.md", f"({len(rows)} questions, {right} right", f"leaves {left}", f"picture {level}"
            )


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


@pytest.mark.parametrize("n_scenes", [pytest.param(50, id="few"), QUOTED])
def test_attention_steered_to_another_object_names_that_object(base, n_scenes):
    """What is at the place asked about, answered rightly before, becomes what is in the box."""
    prompts, asked, others = [], [], []
    for seed in SEEDS[:n_scenes]:
        scene = glyphs.scene(seed)
        first, other = scene.glyphs[0], scene.glyphs[-1]
        prompts.append(vaslab.Prompt(user=f"what is at the {first.place}?", images=[scene.picture()]))
        asked.append(first)
        others.append(other)
    plain = answers(base, prompts)
    kept = [i for i, told in enumerate(plain) if told == asked[i].name and others[i] is not asked[i]]
    assert len(kept) >= 20

    def named(heads):
        """Of each question, whether the answer is now the other object's."""
        told = []
        for start in range(0, len(kept), 40):
            part = kept[start : start + 40]
            regions = [Region(cell(others[i]), (96, 96)) for i in part]
            with vaslab.intervene(base, "steer", regions=regions, heads=heads, queries="emitting"):
                told += vaslab.answer(base, [prompts[i] for i in part], max_new_tokens=5)[0]
        return [others[i].name == each.text for i, each in zip(kept, told, strict=True)]

    half = base.n_layers // 2
    later, earlier = (
        named([(layer, head) for layer in layers for head in range(base.n_heads)])
        for layers in (range(half, base.n_layers), range(half))
    )
    shares = [words(values, kept) for values in (later, earlier)]
    print(f"steered, n {len(kept)}: later and earlier half of the layers {', '.join(shares)}")
    if n_scenes == MANY:
        assert says("docs/interventions.md", f"Of {len(kept)} questions", shares[0])
        assert says("docs/interventions.md", f"the same in layers 0 to {half - 1}: {shares[1]}")
        assert says("README.md", f"{shares[0]} of {len(kept)} cases in layers {half} to {base.n_layers - 1}")
    assert sum(later) >= 0.5 * len(kept)
    assert sum(later) >= sum(earlier) + 0.3 * len(kept)


def cell(glyph):
    x, y = 32 * (glyph.cell % 3), 32 * (glyph.cell // 3)
    return (x, y, x + 32, y + 32)

"""The two picture worlds: what they say is true of the picture, and what is held out stays out."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from trainers.lessons import CURRICULUM, Teacher, phase_at
from vaslab.errors import UsageError
from vaslab.organism import easy_vqa, glyphs, questions


def test_glyphs_lie_in_their_cells_and_do_not_repeat():
    for seed in range(200):
        scene = glyphs.scene(seed)
        assert 2 <= len(scene.glyphs) <= 6
        assert (
            len({glyph.name for glyph in scene.glyphs})
            == len({g.cell for g in scene.glyphs})
            == len(scene.glyphs)
        )
        for glyph in scene.glyphs:
            x0, y0, x1, y1 = glyph.box
            assert glyph.cell % 3 == int(x0 // 32) == int(x1 // 32)
            assert glyph.cell // 3 == int(y0 // 32) == int(y1 // 32)


def test_the_picture_shows_what_the_scene_says():
    for seed in range(50):
        scene = glyphs.scene(seed)
        pixels, ground = (np.asarray(each).astype(int) for each in (scene.picture(), scene.ground()))
        assert pixels.shape == (96, 96, 3)
        for cell in range(9):
            at = (slice(cell // 3 * 32, cell // 3 * 32 + 32), slice(cell % 3 * 32, cell % 3 * 32 + 32))
            drawn = (abs(pixels[at] - ground[at]) > 2).any(axis=2)
            if cell not in scene.by_cell:
                assert not drawn.any()
                continue
            color = np.array(glyphs.COLORS[scene.by_cell[cell].color])
            x0, y0, x1, y1 = scene.by_cell[cell].box
            middle = pixels[int((y0 + y1) / 2), int((x0 + x1) / 2)]
            assert (abs(middle - color) < 3).all()
            fills = {"circle": 0.785, "square": 1.0, "triangle": 0.5, "diamond": 0.5}
            share = drawn.sum() / ((x1 - x0) * (y1 - y0))
            assert share == pytest.approx(fills[scene.by_cell[cell].shape], abs=0.17)


def test_the_ground_tells_where_a_patch_lies():
    ground = np.asarray(glyphs.scene(3).ground()).astype(int)
    assert tuple(ground[0, 0]) == glyphs.scene(3).background
    # red falls along the width alone, blue along the height alone
    assert (np.diff(ground[:, :, 0], axis=1) <= 0).all()
    assert not np.diff(ground[:, :, 0], axis=0).any()
    assert (np.diff(ground[:, :, 2], axis=0) <= 0).all()
    assert not np.diff(ground[:, :, 2], axis=1).any()
    assert ground[0, 0, 0] - ground[0, -1, 0] == ground[0, 0, 2] - ground[-1, 0, 2] == 60


HAND = glyphs.Scene(
    7,
    (
        glyphs.Glyph("circle", "red", 0, (4.0, 4.0, 24.0, 24.0)),
        glyphs.Glyph("square", "blue", 1, (36.0, 4.0, 56.0, 24.0)),
        glyphs.Glyph("circle", "blue", 7, (36.0, 68.0, 56.0, 88.0)),
    ),
    (240, 240, 240),
)
TRUTH = {
    "where is the red circle?": "top left",
    "where is the blue circle?": "bottom middle",
    "where is the blue square?": "top middle",
    "what is at the top left?": "red circle",
    "what is at the top middle?": "blue square",
    "what is at the bottom middle?": "blue circle",
    "how many circles are there?": "2",
    "how many squares are there?": "1",
    "how many diamonds are there?": "0",
    "how many blue shapes are there?": "2",
    "are there more circles than squares?": "yes",
    "are there more squares than circles?": "no",
    "are there more diamonds than triangles?": "no",
    "is the red circle left of the blue square?": "yes",
    "is the blue square left of the red circle?": "no",
    "is the blue square above the blue circle?": "yes",
    "is the blue circle above the red circle?": "no",
    "what color is the shape right of the red circle?": "blue",
    "what color is the shape left of the blue square?": "red",
}


def test_answers_of_a_hand_made_scene():
    asked = {q.text: q for seed in range(400) for q in questions.questions(HAND, 6, seed)}
    assert set(TRUTH) <= set(asked)
    for text, answer in TRUTH.items():
        assert asked[text].answer == answer
    reasoned = asked["where is the red circle?"].reasoned()
    assert reasoned == "<think>red circle top left.</think><answer>top left</answer>"
    assert asked["what color is the shape right of the red circle?"].region == (HAND.glyphs[1],)
    assert HAND.description() == "top left red circle, top middle blue square, bottom middle blue circle"


def test_questions_are_a_function_of_scene_and_seed():
    scene = glyphs.scene(3)
    assert questions.questions(scene, 5, 1) == questions.questions(scene, 5, 1)
    kinds = Counter(q.kind for seed in range(300) for q in questions.questions(glyphs.scene(seed), 2, 0))
    assert set(kinds) == set(questions.KINDS)
    assert min(kinds.values()) > 60


def test_official_easy_vqa_is_whole():
    assert len(easy_vqa.official("test")) == 9673
    assert len(easy_vqa.official("train")) == 38575
    assert len(easy_vqa.test_digests()) == 1000
    assert set(easy_vqa.ANSWERS) == set((easy_vqa.folder() / "answers.txt").read_text().split())


def test_our_answers_are_the_official_ones():
    facts: dict = {}
    for question in easy_vqa.official("train"):
        kind = (
            "shape"
            if question.answer in easy_vqa.SHAPES
            else "color"
            if question.answer in easy_vqa.COLORS
            else None
        )
        if kind:
            facts.setdefault(question.picture, {})[kind] = question.answer
    known = {picture: fact for picture, fact in facts.items() if len(fact) == 2}
    rows = [question for question in easy_vqa.official("train") if question.picture in known]
    assert len(rows) > 20_000
    for question in rows:
        assert easy_vqa.answer(question.text, **known[question.picture]) == question.answer
    assert easy_vqa.answer("what color is the circle?", "triangle", "red") is None


@pytest.mark.parametrize("lessons", [120, pytest.param(400, marks=pytest.mark.slow)])
def test_no_held_out_seed_or_picture_enters_training(monkeypatch, lessons):
    """Replays the stream at every phase and looks at each seed and picture that it draws."""
    drawn_seeds = []
    sound = glyphs.scene
    monkeypatch.setattr(
        glyphs, "scene", lambda seed, *a, **k: drawn_seeds.append(seed) or sound(seed, *a, **k)
    )
    teacher = Teacher(seed=0)
    held_out = easy_vqa.test_digests() | {
        easy_vqa.digest(sound(seed).picture())
        for seed in (*glyphs.WATCHED_SEEDS[:150], *glyphs.TEST_SEEDS[:150])
    }
    worlds = Counter()
    for phase in CURRICULUM:
        for index in range(lessons):
            lesson = teacher.lesson(index, phase, turns=3)
            worlds[lesson.world] += 1
            assert easy_vqa.digest(lesson.picture) not in held_out
    assert min(worlds.values()) > 0.75 * lessons
    assert min(drawn_seeds) >= glyphs.FIRST_TRAIN_SEED > glyphs.TEST_SEEDS.stop
    files = {question.picture for rows in teacher._official for question in rows}
    assert not {easy_vqa.digest(Image.open(file)) for file in files} & easy_vqa.test_digests()
    with pytest.raises(UsageError, match="held out"):
        glyphs.train_scene(glyphs.TEST_SEEDS[5])
    with pytest.raises(UsageError, match="held out"):
        glyphs.train_scene(glyphs.WATCHED_SEEDS[5])


def test_a_drawn_twin_of_a_test_picture_is_drawn_again(monkeypatch):
    first = easy_vqa.draw(np.random.default_rng(5))
    monkeypatch.setattr(easy_vqa, "test_digests", lambda: frozenset({easy_vqa.digest(first.picture)}))
    second = easy_vqa.draw(np.random.default_rng(5))
    assert easy_vqa.digest(second.picture) != easy_vqa.digest(first.picture)


def test_lessons_are_a_function_of_seed_and_index():
    one, other = (Teacher(seed=1).lesson(11, phase_at(0.5), 3) for _ in range(2))
    assert (one.turns, one.system) == (other.turns, other.system)
    assert one.picture.tobytes() == other.picture.tobytes()
    assert phase_at(0.0) is CURRICULUM[0]
    assert phase_at(1.0) is CURRICULUM[-1]

"""Questions of a visitor: answered, measured, edited; everything that a page sends is checked."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import vaslab
from vaslab.explorer import live
from vaslab.explorer.factors import Factors
from vaslab.explorer.opening import open_capture, open_model
from vaslab.explorer.page import page_data
from vaslab.explorer.runs import open_run
from vaslab.explorer.view import State, View
from vaslab.interventions import intervene
from vaslab.prompts.encode import encode

from .conftest import NASTY, picture

pytestmark = pytest.mark.tiny


def uri(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def asked(view, **told):
    state = view.start()
    return live.ask(view, state, {"type": "ask", "question": "what is red?", **told})


@pytest.fixture
def view(vlm):
    found = View([open_model(vlm)], live=True)
    found.sources[0].max_new_tokens = 4
    return found


def test_an_answer_is_the_models_own(view, vlm):
    image = picture(168, 56)
    shown, item = asked(view, picture=uri(image))
    (told,), capture = vaslab.answer(
        vlm,
        [vaslab.Prompt(user="what is red?", images=[image])],
        ("user", "response"),
        max_new_tokens=view.sources[0].max_new_tokens,
    )
    assert (shown["state"], shown["answer"]) == ("done", told.text)
    assert shown["seconds"] > 0
    assert item == 0
    assert view.items[0]["id"] == "live-1"
    assert view.items[0]["category"] == "asked"
    numbers = np.frombuffer(view.numbers(State(0, "user", "item", (0, 0)))["vas"], "<f4").reshape(2, 4)
    np.testing.assert_allclose(numbers, capture["vas"].isel(item=0, query_role=0), rtol=1e-5)
    for queries in ("user", "response"):
        (attention,) = view.attention(State(0, queries, "item", (1, 2)))["attention"]
        assert attention["state"] == "full"
        assert attention["agreement"].startswith("agrees")


def test_questions_follow_each_other_on_the_same_picture(view):
    asked(view, picture=uri(picture(168, 56)))
    _, second = asked(view, question=NASTY[0], system="be brief")
    assert second == 1
    assert view.items[1]["question"] == NASTY[0]
    prompt = view.entries(1)[0].prompt()
    assert prompt.turns[0].content == ("be brief",)
    assert prompt.images[0].size == (168, 56)


def test_a_drawn_scene_is_asked_about(view):
    shown, item = asked(view, glyphs=[{"shape": "circle", "color": "red", "cell": 4}])
    assert shown["state"] == "done"
    assert view.entries(item)[0].prompt().images[0].size == (96, 96)


def test_factors_change_the_maps_and_are_said(view):
    image = uri(picture(168, 56))
    _, plain = asked(view, picture=image)
    shown, edited = asked(view, picture=image, visual=4, system_factor=0.5)
    assert "visual attention ×4, system attention ×0.5" in shown["message"]
    before, after = (view.attention(State(item, "user", "item", (0, 1))) for item in (plain, edited))
    shares = [np.frombuffer(each["share_0"], "<f4").mean() for each in (before, after)]
    assert shares[1] > shares[0] * 1.2
    # the edited item's own masses, not the plain model's
    assert after["attention"][0]["agreement"].startswith("agrees")


def test_an_edited_answer_is_never_shown_as_a_plain_one(view, tmp_path):
    image = uri(picture(168, 56))
    shown, edited = asked(view, picture=image, visual=8, system="be brief")
    assert (shown["item"], live.idle(view)["item"], live.busy(shown)["item"]) == (edited, None, None)
    _, plain = asked(view, picture=image)
    state = State(edited, "user", "item", (0, 1))
    assert view.items[edited]["edit"] == "visual attention ×8"
    assert view.items[edited]["system"] == "be brief"
    assert not {"edit", "system"} & set(view.items[plain])
    assert "visual attention ×8" in view.attention(state)["attention"][0]["note"]
    assert "×" not in view.attention(replace(state, item=plain))["attention"][0]["note"]
    data = page_data(view, state, 1)
    assert data["state"]["items"][0]["edit"] == "visual attention ×8"
    assert all("visual attention ×8" in head["note"] for head in data["runs"][0]["heads"].values())


def test_factors_multiply_weights_and_renormalise(vlm):
    """In the first layer, where the edit has not yet changed what queries and keys are."""
    encoded = encode(vlm.processor, [vaslab.Prompt(user="what is red?", images=[picture(168, 56)])])
    from vaslab.explorer.recompute import look, rows_of

    rows = rows_of(vlm, encoded, "user")

    def roles():
        return look(vlm, encoded, rows, [0], lambda _, seen: seen.roles)[0].astype(float)

    before = roles()
    with intervene(vlm, Factors(visual=3, system=0)):
        after = roles()
    factor = np.ones(8)
    factor[[0, 1]], factor[[3, 4]] = 0, 3
    expected = before * factor
    np.testing.assert_allclose(after, expected / expected.sum(-1, keepdims=True), atol=1e-5)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"question": "  "}, "there is no question"),
        ({"question": None}, "there is no question"),
        ({"question": "x" * 20_001}, "more than 20,000 characters"),
        ({"question": "\ud800", "picture": uri(picture(56, 56))}, "lone surrogate"),
        ({"system": 3}, "system prompt is no text"),
        ({"picture": "data:image/svg+xml;base64,AAAA"}, "expected a PNG, JPEG or WebP"),
        ({"picture": 3}, "no data URI"),
        ({}, "there is no picture"),
        ({"picture": uri(picture(56, 56)), "visual": -1}, "expected 0 to 8"),
        ({"picture": uri(picture(56, 56)), "visual": "1"}, "expected 0 to 8"),
        ({"picture": uri(picture(56, 56)), "system_factor": float("nan")}, "expected 0 to 8"),
        ({"picture": uri(Image.new("RGB", (900, 2), "red"))}, "aspect ratio"),
        ({"glyphs": [{"shape": "heart"}]}, "a glyph is"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(view, told, said):
    shown, item = asked(view, **told)
    assert item is None
    assert shown["state"] == "error"
    assert said in shown["message"]
    assert "\n" not in shown["message"]
    assert view.items == []


def test_a_view_that_is_not_live_asks_nothing(runs, vlm, prompt):
    shown, item = live.ask(View([open_run(runs[0])]), State(0, "user", "item", (0, 0)), {"question": "what?"})
    assert item is None
    assert "live=True" in shown["message"]
    capture = vaslab.capture(vlm, [prompt])
    view = View([open_capture(capture, [prompt])], live=True)
    shown, item = live.ask(view, view.start(), {"question": "what?"})
    assert "there is no model to ask" in shown["message"]


def test_a_live_run_asks_its_own_model_about_its_own_pictures(runs):
    view = View([open_run(runs[0])], live=True)
    shown, item = live.ask(view, State(1, "user", "item", (0, 0)), {"question": "what is blue?"})
    assert shown["state"] == "done"
    assert item == 3
    assert view.entries(3)[0].prompt().images[0].size == (56, 140)
    # the numbers of the run stay those of the run
    assert view.numbers(State(3, "user", "run", (0, 0)))["map"]["n"] == 3

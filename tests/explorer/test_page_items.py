"""Choosing items; two checkpoints side by side; asking the model."""

import numpy as np
import pytest

from . import made_page as made

pytestmark = pytest.mark.browser

NAMES = ".vx-items tbody tr button"
OPEN = ".vx-nav button:nth-child(2)"


def two(**more) -> tuple[dict, dict]:
    maps = [made.attention(np.full((7, 16), share)) for share in (0.01, 0.03)]
    return made.traits(pair=True, **more), {"any": maps}


def living() -> dict:
    given = made.traits()
    given["meta"]["live"] = True
    given["live"] |= {"shapes": ["circle", "square"], "colors": ["red", "blue"]}
    return given


def test_items_are_found_by_words_and_by_verdict(page) -> None:
    shown = page(made.traits())
    shown.click(OPEN)
    assert shown.texts(NAMES) == ["item-0", "item-1", "item-2"]
    shown.click(".vx-items input")
    shown.type("RED circle")
    assert shown.texts(NAMES) == ["item-1"]
    shown.enter(".vx-items input", "")
    found = {}
    for kind in ("right", "wrong", "ungraded", "highest", "lowest"):
        shown.enter(".vx-items select", kind)
        found[kind] = shown.texts(NAMES)
    assert found == {
        "right": ["item-0"],
        "wrong": ["item-1"],
        "ungraded": ["item-2"],
        "highest": ["item-2", "item-1", "item-0"],
        "lowest": ["item-0", "item-1", "item-2"],
    }
    shown.click(".vx-items tbody tr:nth-child(2) td:nth-child(2)")
    assert shown.evaluate("[model.get('item'), model.get('token')]") == [1, -1]
    assert "is there a red circle?" in shown.text(".vx-question")


def test_items_by_keys_alone(page) -> None:
    shown = page(made.traits())
    shown.focus(OPEN)
    shown.press("Enter")
    shown.focus(NAMES)
    shown.press("ArrowDown", "ArrowDown", "Enter")
    assert shown.evaluate("model.get('item')") == 2


def test_ten_thousand_items_are_searched_at_once(page) -> None:
    given = made.traits()
    item = given["items"][0]
    given["items"] = [{**item, "id": f"n{i}", "question": f"question {i}"} for i in range(10_000)]
    shown = page(given)
    shown.click(OPEN)
    assert len(shown.texts(NAMES)) == 100
    shown.evaluate("window.began = performance.now()")
    shown.enter(".vx-items input", "question 7777")
    assert shown.evaluate("performance.now() - began") < 600
    assert shown.texts(NAMES) == ["n7777"]


def test_two_checkpoints_share_one_selection(page) -> None:
    shown = page(*two(selected=[1, 1]))
    assert shown.evaluate("document.querySelectorAll('.vx-map').length") == 3
    x, y = shown.evaluate("probe.place(2, 4, 2)")
    shown.click(".vx-mapbox:nth-child(3) .vx-map", (x, y))
    assert shown.evaluate("model.get('selected')") == [4, 2]
    assert "Layer 4 · head 2" in shown.text(".vx-head")
    peaks = shown.texts(".vx-peak")
    assert "1.00% of attention" in peaks[0]
    assert "3.00% of attention" in peaks[1]


def test_items_whose_vas_rests_on_the_floor_are_bounds(page) -> None:
    given, maps = two()
    given["items"][0]["runs"][1]["floored"] = {"user": 0.25, "response": 0}
    given["items"][1]["runs"][0]["floored"] = {"user": 0.009, "response": 0.5}
    shown = page(given, maps)
    cells = shown.evaluate(
        "[...document.querySelectorAll('.vx-items tbody tr')]"
        ".map((tr) => [...tr.children].map((td) => [td.textContent.trim(), td.title]))"
    )
    # VAS is 0.5 + i / 10 in the first and i + 1 more in the second
    why = "≥ 1.50, a bound: 25.0% of rows have a system mass below 1e-6"
    assert [cell[0] for cell in cells[0][4:8:2]] == ["0.500", "≥ 1.50"]
    assert cells[0][6][1] == why
    assert cells[0][7][0] == "at least ×3.00"
    assert [cell[0] for cell in cells[1][4:8:2]] == ["0.600", "2.60"]
    assert cells[1][7][0] == "×4.33"


def test_a_change_that_was_not_tested_is_never_called_insignificant(page) -> None:
    given = made.traits(pair=True)
    tested = page(given).evaluate("document.getElementById('explorer').textContent")
    assert "significant" in tested
    assert "not tested" not in tested
    text = page(given | {"significant": made.b64(b"")}).evaluate(
        "document.getElementById('explorer').textContent"
    )
    assert "significant" not in text
    assert "not tested" in text


def test_the_changes_of_items_are_seen_without_scrolling(page) -> None:
    given, maps = two()
    for run in given["meta"]["runs"]:
        run["label"] = f"organism:{run['label']}"
    for item in given["items"]:
        item |= {"id": f"glyph-1010168-{item['id']}", "question": "what color is the shape left of it? " * 4}
        for run in item["runs"]:
            run |= {"response": "<think>green triangle middle right</think>" * 3, "floored": {"user": 0.5}}
            run["vas"]["user"] *= 1e5
    shown = page(given, maps)
    assert (
        shown.evaluate(
            "(({scrollWidth: a, clientWidth: b}) => a - b)(document.querySelector('.vx-items .vx-scroll'))"
        )
        <= 0
    )
    assert "nominally ×" in shown.texts(".vx-items tbody tr td:last-child")[0]


def test_changes_without_significance_are_pale(page) -> None:
    vas = np.ones((2, 6, 8))
    vas[1] = 4.0
    flags = np.tile([1, 0], 24).astype(np.uint8)
    shown = page(*two(vas=vas, significant=made.b64(flags.tobytes())))
    strong, pale = shown.evaluate("probe.cells(2, [[3, 2], [3, 3]])")
    assert np.ptp(strong) > 60
    assert np.ptp(pale) < 20
    assert "50% of heads differ" in shown.text(".vx-mapbox", 2)


def test_what_the_second_checkpoint_fixed_and_broke(page) -> None:
    shown = page(*two())
    found = {}
    for kind in ("fixed", "broken", "change"):
        shown.enter(".vx-items select", kind)
        found[kind] = shown.texts(NAMES)
    assert found == {"fixed": ["item-1"], "broken": ["item-0"], "change": ["item-2", "item-1", "item-0"]}
    assert "fixed by multimodal" in shown.text(".vx-items select")


def test_a_question_is_sent_as_it_was_set(page) -> None:
    shown = page(living())
    shown.click(".vx-controls button[title^='ask']")
    question = "document.querySelector('.vx-live textarea').value"
    assert shown.evaluate(question) == "what shape is in the image?"
    shown.enter(".vx-live textarea", "what is <b>there</b>?")
    shown.enter(".vx-live textarea", "be brief", 1)
    shown.enter(".vx-live input[type=range]", "9")
    assert shown.text(".vx-live output") == "×2"
    shown.click(".vx-live .vx-main")
    expected = {"type": "ask", "question": "what is <b>there</b>?", "system": "be brief"}
    assert shown.evaluate("model.sent") == [expected | {"visual": 2, "system_factor": 1, "picture": None}]
    shown.evaluate("model.put({live: {...model.get('live'), state: 'busy'}})")
    shown.settle()
    assert shown.evaluate("document.querySelector('.vx-live .vx-main').disabled")
    done = "{state: 'done', seconds: 0.4321, answer: 'a <i>circle</i>'}"
    shown.evaluate(f"model.put({{live: {{...model.get('live'), ...{done}}}}})")
    shown.settle()
    assert shown.text(".vx-said") == "answered in 0.43 s"
    assert shown.text(".vx-reply") == "a <i>circle</i>"


def test_an_edited_item_says_so_wherever_it_is_shown(page) -> None:
    given = living()
    given["items"][1] |= {"edit": "visual attention ×8", "system": "be <i>brief</i>"}
    shown = page(given)
    assert "×8" not in shown.text(".vx-itembar")
    shown.evaluate("model.set('item', 1)")
    shown.settle()
    assert shown.text(".vx-edit") == "visual attention ×8 "
    assert "system prompt: be <i>brief</i>" in shown.text(".vx-question")
    shown.click(OPEN)
    assert "(visual attention ×8)" in shown.text(".vx-items tbody tr:nth-child(2)")
    # what the exported picture leaves out is marked
    assert shown.evaluate("document.querySelector('.vx-edit').closest('[data-screen-only]')") is None


def test_a_reply_stands_beside_its_own_item_alone(page) -> None:
    shown = page(living())
    shown.click(".vx-controls button[title^='ask']")
    told = {
        "state": "done",
        "seconds": 0.5,
        "answer": "a circle",
        "message": "visual attention ×8",
        "item": 2,
    }
    shown.evaluate(f"model.put({{item: 2, live: {{...model.get('live'), ...{made.json.dumps(told)}}}}})")
    shown.settle()
    assert shown.text(".vx-reply") == "a circle"
    assert "visual attention ×8" in shown.text(".vx-said")
    shown.evaluate("model.set('item', 1)")
    shown.settle()
    assert (shown.text(".vx-reply"), shown.text(".vx-said")) == ("", "")
    shown.evaluate("model.set('item', 2)")
    shown.settle()
    assert shown.text(".vx-reply") == "a circle"


def test_a_scene_can_be_drawn_and_a_picture_dropped(page) -> None:
    shown = page(living())
    shown.click(".vx-controls button[title^='ask']")
    for cell in (5, 9, 9):
        shown.click(f".vx-cell:nth-child({cell})")
    drawn = "[...document.querySelectorAll('.vx-cell')].map((e) => e.getAttribute('aria-pressed') === 'true')"
    assert shown.evaluate(drawn) == [cell == 4 for cell in range(9)]
    shown.click(".vx-live .vx-main")
    assert shown.evaluate("model.sent[0].glyphs") == [{"shape": "circle", "color": "red", "cell": 4}]
    assert shown.evaluate("'picture' in model.sent[0]") is False
    uri = made.data_uri(made.Image.new("RGB", (8, 8), "green"))
    shown.evaluate(f"probe.drop('{uri}', 'green.png')")
    shown.until("document.querySelector('.vx-drop').textContent.includes('green.png')")
    shown.click(".vx-live .vx-main")
    assert shown.evaluate("model.sent[1].picture") == uri
    assert shown.evaluate("'glyphs' in model.sent[1]") is False

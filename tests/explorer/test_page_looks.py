"""Which heads look most at what is asked about: one button, the outline, a box of one's own; many items."""

import numpy as np
import pytest

from . import made_page as made

pytestmark = pytest.mark.browser

EVEN = {"any": [made.attention(np.full((7, 16), 0.01))] * 2}
RANK = ".vx-looks .vx-main"
HEADS = ".vx-ranks button"
TEAL = (11, 122, 117)


def asked(boxes=((8, 16, 40, 48),), **more) -> dict:
    """A picture of 64 x 64 pixels whose asked object is known."""
    return made.traits(
        pictures=[made.picture(64, 64, 4, 4) | {"boxes": [list(box) for box in boxes]}], **more
    )


def answered(*heads, of=(0, "user", {})) -> dict:
    return {"state": "done", "note": "", "of": list(of), "runs": [list(map(list, heads))]}


def outlined(shown, x, y) -> bool:
    """Whether the outline passes at a place of the picture, in parts of its sides."""
    return bool(np.abs(np.array(shown.evaluate(f"probe.overlay({x}, {y})")[:3]) - TEAL).max() < 30)


def test_one_button_ranks_the_heads_on_the_asked_object(page) -> None:
    shown = page(asked(), EVEN)
    assert "Heads that look most at the asked object" in shown.text(".vx-looks")
    # the object's left edge and its middle
    assert outlined(shown, 8 / 64, 0.5)
    assert not outlined(shown, 0.375, 0.5)
    assert "asked about" in shown.text(".vx-key")
    shown.click(RANK)
    assert shown.evaluate("model.sent") == [{"type": "rank"}]
    shown.evaluate("model.put({looks: {state: 'busy', note: 'asking the model …', of: [], runs: []}})")
    shown.settle()
    assert shown.evaluate(f"document.querySelector('{RANK}').getAttribute('aria-disabled')") == "true"
    shown.click(RANK)
    assert len(shown.evaluate("model.sent")) == 1
    looks = answered([3, 2, 0.31, 0.6], [1, 7, 0.12, 0.2], [0, 0, 0.0, 0.0])
    shown.evaluate(f"model.put({{looks: {made.json.dumps(looks)}, selected: [3, 2]}})")
    shown.settle()
    assert shown.texts(HEADS) == ["L3 H231.0%", "L1 H712.0%", "L0 H00.00%"]
    pressed = f"[...document.querySelectorAll('{HEADS}')].map(e => e.getAttribute('aria-pressed'))"
    assert shown.evaluate(pressed) == ["true", "false", "false"]
    wide = "[...document.querySelectorAll('.vx-share')].map(e => e.getBoundingClientRect().width)"
    first, second, _ = shown.evaluate(wide)
    assert second / first == pytest.approx(0.12 / 0.31, rel=0.1)
    shown.click(".vx-ranks li:nth-child(2) button")
    assert shown.evaluate("model.get('selected')") == [1, 7]
    assert "Layer 1 · head 7" in shown.text(".vx-head")


def test_a_ranking_of_another_item_is_not_shown(page) -> None:
    shown = page(asked(looks=answered([3, 2, 0.31, 0.6])), EVEN)
    assert len(shown.texts(HEADS)) == 1
    shown.evaluate("model.set('item', 1)")
    shown.settle()
    assert shown.texts(HEADS) == []
    assert not shown.evaluate(f"document.querySelector('{RANK}').hidden")


def test_a_box_is_drawn_or_typed(page) -> None:
    shown = page(asked(), EVEN)
    _, _, width, height = shown.place(".vx-over")
    shown.drag(".vx-over", (width * 0.5, height * 0.25), (width * 0.75, height))
    assert shown.evaluate("model.get('region')") == {"picture": 0, "box": [32, 16, 48, 64]}
    assert shown.evaluate("model.sent") == [{"type": "rank"}]
    assert "your box" in shown.text(".vx-looks")
    assert not outlined(shown, 8 / 64, 0.5)
    shown.enter(".vx-looks input", "4, 8, 20, 24.5")
    assert shown.evaluate("model.get('region')") == {"picture": 0, "box": [4, 8, 20, 24.5]}
    shown.enter(".vx-looks input", "4, 8")
    assert "four numbers" in shown.text(".vx-looks")
    shown.enter(".vx-looks input", "")
    assert shown.evaluate("model.get('region')") == {}
    assert outlined(shown, 8 / 64, 0.5)
    # a press without a drag is no box
    shown.click(".vx-over")
    assert shown.evaluate("model.get('region')") == {}


def test_where_no_box_is_known_the_page_says_how_to_draw_one(page) -> None:
    shown = page(asked(boxes=()), EVEN)
    assert "Drag a box on the picture" in shown.text(".vx-looks b")
    assert shown.evaluate(f"document.querySelector('{RANK}').hidden")
    refused = {"state": "none", "note": "no maps were stored", "of": [0, "user", {}], "runs": []}
    shown.evaluate(f"model.put({{looks: {made.json.dumps(refused)}}})")
    shown.settle()
    assert "no maps were stored" in shown.text(".vx-looks")


def test_without_a_kernel_only_what_was_ranked_is_shown(page) -> None:
    given = asked()
    given["meta"]["kernel"] = False
    shown = page(given, EVEN)
    assert shown.evaluate("document.querySelector('.vx-looks').hidden")
    given["looks"] = answered([3, 2, 0.31, 0.6])
    shown = page(given, EVEN)
    assert shown.texts(HEADS) == ["L3 H231.0%"]
    shown.drag(".vx-over", (10, 10), (60, 60))
    assert shown.evaluate("[model.get('region') ?? null, model.sent]") == [None, []]


def test_a_ranking_of_some_heads_says_so(page) -> None:
    given = asked()
    given["meta"]["kernel"] = False
    note = "only the 2 heads whose maps were stored, of 48"
    given["looks"] = answered([3, 2, 0.31, 0.6], [1, 7, 0.12, 0.2]) | {"note": note}
    shown = page(given, EVEN)
    assert f"Not of all heads: {note}." in shown.text(".vx-looks [role=status]")
    assert shown.text(".vx-looks b").startswith("Of the heads with a stored map")


def test_both_checkpoints_are_ranked(page) -> None:
    given = asked(pair=True)
    given["looks"] = answered([3, 2, 0.31, 0.6]) | {"runs": [[[3, 2, 0.31, 0.6]], [[4, 1, 0.5, 0.9]]]}
    shown = page(given, EVEN)
    assert shown.texts(".vx-ranks") == ["base L3 H231.0%", "multimodal L4 H150.0%"]


def test_texts_that_were_not_sent_are_fetched_when_the_list_is_opened(page) -> None:
    given = made.traits()
    every = [{**given["items"][0], "id": f"n{i}", "question": f"question {i}"} for i in range(500)]
    given |= {"n_items": 500, "item": 400, "items": [{**every[at], "at": at} for at in (0, 1, 2, 400)]}
    shown = page(given, EVEN)
    assert shown.evaluate("model.sent") == []
    assert "question 400" in shown.text(".vx-question")
    assert "item 401 of 500" in shown.text(".vx-nav")
    shown.click(".vx-nav button:nth-child(2)")
    assert shown.evaluate("model.sent") == [{"type": "items"}]
    assert shown.texts(".vx-items tbody tr button") == ["n0", "n1", "n2", "n400"]
    assert "come from the kernel" in shown.text(".vx-items")
    shown.evaluate(f"model.say({{type: 'items', items: {made.json.dumps(every)}}})")
    shown.settle()
    assert len(shown.texts(".vx-items tbody tr button")) == 100
    shown.enter(".vx-items input", "question 499")
    assert shown.texts(".vx-items tbody tr button") == ["n499"]
    shown.evaluate("model.set('item', 0)")
    shown.settle()
    assert shown.evaluate("model.sent.length") == 1


def test_items_without_texts_are_stepped_through(page) -> None:
    given = made.traits()
    item = given["items"][0]
    given |= {"n_items": 9, "item": 3, "items": [{**item, "at": at} for at in (0, 3)]}
    shown = page(given, EVEN)
    shown.click(".vx-nav button[aria-label='next item']")
    assert shown.evaluate("model.get('item')") == 4


def test_a_picture_keeps_its_colours_until_a_map_lies_on_it(page) -> None:
    red = made.picture(64, 64, 4, 4, image=made.Image.new("RGB", (64, 64), (200, 30, 40)))
    nothing = {"state": "none", "note": "no maps yet", "n_rows": 0, "n_cells": 0}
    shown = page(made.traits(pictures=[red]), {"0,0": [nothing], "1,1": EVEN["any"][:1]})
    middle = (
        "[...document.querySelector('.vx-ground').getContext('2d').getImageData(9, 9, 1, 1).data].slice(0, 3)"
    )
    shown.until(f"{middle}[0] > {middle}[1] + 100")
    shown.evaluate("model.set('selected', [1, 1])")
    shown.settle()
    first, second, third = shown.evaluate(middle)
    assert first == second == third

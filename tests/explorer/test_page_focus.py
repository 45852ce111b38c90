"""What is done by keys leaves the focus where it was, though the page draws what it stood on anew."""

import numpy as np
import pytest

from . import made_page as made
from .test_page_looks import HEADS, RANK, answered, asked

pytestmark = pytest.mark.browser

EVEN = {"any": [made.attention(np.full((7, 16), 0.01))]}
ITEM = ".vx-items tbody tr:nth-child(3) button"


def focused(shown) -> str:
    """What has the focus: BODY, or the name of a control."""
    return shown.evaluate(
        "(({tagName, ariaLabel, textContent}) => tagName === 'BODY' ? tagName : ariaLabel || textContent)"
        "(document.activeElement)"
    )


def pressed(shown, selector, *keys) -> str:
    shown.focus(selector)
    shown.press(*(keys or ("Enter",)))
    shown.settle()
    return focused(shown)


def test_after_ranking_the_first_head_is_focused(page) -> None:
    shown = page(asked(), EVEN)
    assert pressed(shown, RANK) == "rank the heads"
    shown.evaluate("model.put({looks: {state: 'busy', note: 'asking the model …', of: [], runs: []}})")
    shown.settle()
    assert focused(shown) == "rank the heads"
    looks = answered([3, 2, 0.31, 0.6], [1, 7, 0.12, 0.2])
    shown.evaluate(f"model.put({{looks: {made.json.dumps(looks)}, selected: [3, 2]}})")
    shown.settle()
    assert focused(shown) == "L3 H231.0%"
    shown.press("Tab", "Enter")
    shown.settle()
    assert shown.evaluate("model.get('selected')") == [1, 7]
    assert focused(shown) == "L1 H712.0%"


def test_a_ranking_takes_no_focus_that_is_elsewhere(page) -> None:
    shown = page(asked(), EVEN)
    shown.focus(".vx-map")
    looks = answered([3, 2, 0.31, 0.6])
    shown.evaluate(f"model.put({{looks: {made.json.dumps(looks)}, selected: [3, 2]}})")
    shown.settle()
    assert len(shown.texts(HEADS)) == 1
    assert shown.evaluate("document.activeElement.className") == "vx-map"


def test_a_refused_ranking_leaves_the_button_focused(page) -> None:
    shown = page(asked(), EVEN)
    shown.focus(RANK)
    for looks in ({"state": "busy", "of": []}, {"state": "none", "of": [0, "user", {}]}):
        told = made.json.dumps(looks | {"note": "no model", "runs": []})
        shown.evaluate(f"model.put({{looks: {told}}})")
        shown.settle()
    assert focused(shown) == "rank the heads"
    assert shown.evaluate(f"document.querySelector('{RANK}').getAttribute('aria-disabled')") == "false"


def test_an_item_in_the_table_keeps_the_focus(page) -> None:
    shown = page(made.traits(), EVEN)
    shown.click(".vx-nav button:nth-child(2)")
    assert pressed(shown, ITEM) == "item-2"
    assert shown.evaluate("model.get('item')") == 2
    assert pressed(shown, ITEM, "ArrowUp", "Enter") == "item-1"


def test_pinned_heads_keep_the_focus(page) -> None:
    shown = page(made.traits(pinned=[[0, 1], [2, 3], [4, 5]]), EVEN)
    assert pressed(shown, ".vx-pins span:nth-of-type(2) button").startswith("L2 H3")
    assert shown.evaluate("model.get('selected')") == [2, 3]
    last = ".vx-pins span:nth-of-type({}) button:last-child"
    # the next one takes its place, then the one before, then the button that pins
    assert pressed(shown, last.format(2)) == "unpin L4 H5"
    assert pressed(shown, last.format(2)) == "unpin L0 H1"
    assert pressed(shown, last.format(1)) == "pin this head"
    assert shown.evaluate("model.get('pinned')") == []


def test_loading_the_maps_moves_the_focus_to_the_map(page) -> None:
    nothing = {"state": "none", "note": "no maps yet", "n_rows": 0, "n_cells": 0}
    shown = page(made.traits(), {"0,0": [nothing]})
    assert pressed(shown, ".vx-look .vx-note button") == "load the maps"
    of = "[{state: 'waiting', note: 'loading …', n_rows: 0, n_cells: 0, of: [0, 'user', 0, 0]}]"
    shown.evaluate(f"model.put({{attention: {of}}})")
    shown.settle()
    assert shown.evaluate("document.activeElement.className") == "vx-map"


def test_a_table_that_grows_keeps_the_focus_and_scrolls_by_keys(page) -> None:
    shown = page(made.traits(layers=20, heads=16), EVEN)
    shown.focus(".vx-map")
    shown.press("t")
    assert len(shown.texts(".vx-numbers .vx-scroll:first-child tbody tr")) == 100
    assert (
        pressed(shown, ".vx-numbers .vx-scroll > div button") == "heads, highest VAS (mean of ratios) first"
    )
    assert len(shown.texts(".vx-numbers .vx-scroll:first-child tbody tr")) == 320
    before = shown.evaluate("document.activeElement.scrollTop")
    shown.press("PageDown")
    shown.until(f"document.activeElement.scrollTop > {before}")
    # another head makes the tables anew
    shown.evaluate("model.put({selected: [3, 2]})")
    shown.settle()
    assert focused(shown) == "heads, highest VAS (mean of ratios) first"
    # and the key that opened them closes them
    shown.press("t")
    assert focused(shown) == "table"
    assert shown.evaluate("document.querySelector('.vx-numbers').hidden")

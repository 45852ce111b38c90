"""Emitting rows: the strip, its keys and windows, the share of each row."""

import numpy as np
import pytest

from . import made_page as made

pytestmark = pytest.mark.browser

ROWS = ".vx-tokens [data-row]"
EVEN = {"any": [made.attention(np.full((7, 16), 0.01))]}


def test_what_cannot_be_seen_is_made_visible_and_nothing_collapses(page) -> None:
    texts = ["two  spaces", "\n", "\t", " ", "", "\ufffd", "end"]
    rows = [{"text": text, "role": "user", "position": i, "emits": text} for i, text in enumerate(texts)]
    shown = page(made.traits(rows=[rows]), EVEN)
    assert shown.texts(ROWS) == ["two  spaces", "⏎", "⇥", "␣", "∅", "\ufffd", "end"]


def test_the_page_says_whose_rows_are_shown(page) -> None:
    given = made.traits(queries="response")
    own = "Each token is shown with its own row."
    given["meta"]["rows_words"] = {"response": given["meta"]["rows_words"]["user"], "user": own}
    shown = page(given, EVEN)
    words = shown.text(".vx-rows")
    assert "per emitting row" in words
    assert "Rows are emitting rows: the row of a token gives the next one." in words
    shown = page(given | {"queries": "user"}, EVEN)
    words = shown.text(".vx-rows")
    assert own in words
    assert "emitting" not in words
    assert "emitting" not in shown.evaluate("document.querySelector('.vx-tokens').getAttribute('aria-label')")
    title = shown.evaluate("document.querySelector('.vx-tokens [data-row=\"1\"]').title")
    assert title == "row 1 · position 21 · emits  is · 16.0% on the picture"


def test_keys_pin_rows(page) -> None:
    shown = page(made.traits(), EVEN)
    shown.focus(".vx-tokens")
    pressed = ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home", "Escape", "ArrowLeft"]
    found = []
    for key in pressed:
        shown.press(key)
        found.append(shown.evaluate("model.get('token')"))
    assert found == [0, 1, 0, 6, 6, 0, -1, 6]
    active = shown.evaluate(
        "document.getElementById(document.querySelector('.vx-tokens').getAttribute('aria-activedescendant')).dataset.row"
    )
    assert active == "6"


def test_keys_faster_than_frames_are_all_counted(page) -> None:
    shown = page(made.traits(), EVEN)
    key = "new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true})"
    shown.evaluate(f"[1, 2, 3].forEach(() => document.querySelector('.vx-tokens').dispatchEvent({key}))")
    assert shown.evaluate("model.get('token')") == 2


def test_the_share_of_a_row_decides_its_colour(page) -> None:
    cells = np.zeros((3, 16))
    cells[:, 0] = [0.0, 0.2, 0.9]
    shown = page(made.traits(rows=[made.words("none some most")]), {"any": [made.attention(cells)]})
    colours = shown.evaluate(
        f'[...document.querySelectorAll("{ROWS}")].map((s) => probe.rgb(s.style.background))'
    )
    assert colours[0] == [255, 255, 255]
    red_less_blue = [colour[0] - colour[2] for colour in colours]
    assert red_less_blue[0] < red_less_blue[1] < red_less_blue[2]


def test_two_thousand_rows_come_in_windows_of_five_hundred(page) -> None:
    rows = [{"text": f" w{i}", "role": "response", "position": i, "emits": f" w{i}"} for i in range(2000)]
    shown = page(made.traits(rows=[rows]), {"any": [made.attention(np.full((2000, 16), 0.01))]})
    assert shown.texts(ROWS) == [f" w{i}" for i in range(500)]
    shown.click(".vx-windows button:last-child")
    assert shown.texts(ROWS)[0] == " w500"
    # a row pinned elsewhere brings its window
    shown.evaluate("model.set('token', 1700)")
    shown.settle()
    assert shown.texts(ROWS)[0] == " w1500"
    assert shown.text(".vx-tokens .vx-pin") == " w1700"
    # the trace holds all rows: a click at three tenths of it pins a row of the second window
    trace = ".vx-rows canvas"
    width = shown.place(trace)[2]
    shown.click(trace, (40 + 0.3 * (width - 50), 40))
    assert shown.evaluate("model.get('token')") == pytest.approx(600, abs=4)
    assert shown.texts(ROWS)[0] == " w500"

"""The head map: its numbers, its colours, mouse and keys."""

import re

import numpy as np
import pytest

from vaslab.plots import theme
from vaslab.plots.text import bound_words

from . import made_page as made

pytestmark = pytest.mark.browser

MAP = ".vx-map"


def place(page, layer: int, head: int, board: int = 0) -> tuple[float, float]:
    return tuple(page.evaluate(f"probe.place({board}, {layer}, {head})"))


def known(layers: int = 6, heads: int = 8) -> np.ndarray:
    """VAS from 1/16 to 16, no two the same."""
    return 2.0 ** np.linspace(-4, 4, layers * heads).reshape(1, layers, heads)


def test_the_number_on_the_page_is_the_number_given(page) -> None:
    vas = known()
    given = made.traits(vas=vas, selected=[3, 5], low=made.b64(vas * 0.9), high=made.b64(vas * 1.2))
    shown = page(given | {"map": given["map"] | {"band": "95 % CI"}})
    value = vas[0, 3, 5]
    written = shown.text(".vx-head")
    assert float(re.search(r"VAS \(mean of ratios\) ([\d.]+)", written)[1]) == pytest.approx(value, rel=5e-3)
    assert f"(95 % CI {value * 0.9:#.3g}–{value * 1.2:#.3g})" in written
    assert "KV head 2" in written
    # 3 x 8 + 5 = place 29 from the lowest, of 48
    assert "rank 19 of 48" in written
    assert f"picture {80 * value / (1 + value):.1f}%" in shown.text(".vx-masses")
    shown.focus(MAP)
    shown.press("t")
    assert (
        shown.evaluate("document.querySelector('.vx-controls button').getAttribute('aria-expanded')")
        == "true"
    )
    rows = shown.evaluate(
        "[...document.querySelectorAll('.vx-numbers table')[0].querySelectorAll('tbody tr')]"
        ".map((tr) => [...tr.children].map((td) => td.textContent))"
    )
    found = {(int(layer), int(head)): float(v) for layer, head, v, *_ in rows}
    every = {(layer, head): vas[0, layer, head] for layer in range(6) for head in range(8)}
    assert found == pytest.approx(every, rel=1e-5)


def test_cells_have_the_colour_of_their_value(page) -> None:
    vas = np.ones((1, 6, 8))
    vas[0, 0, 0], vas[0, 5, 7], vas[0, 2, 3], vas[0, 1, 1], vas[0, 0, 4] = 1 / 64, 64, 2, np.nan, 0
    shown = page(made.traits(vas=vas, selected=[4, 4]))
    expected = {
        (0, 0): theme.LEVEL[0],
        (0, 4): theme.LEVEL[0],
        (5, 7): theme.LEVEL[-1],
        (2, 3): theme.sampled(theme.LEVEL, (1 / 3 + 1) / 2),
        (3, 3): theme.LEVEL[8],
        (1, 1): theme.THEMES["light"].missing,
    }
    colours = shown.evaluate(f"probe.cells(0, {[list(each) for each in expected]})")
    for (at, colour), seen in zip(expected.items(), colours, strict=True):
        assert np.abs(np.array(seen) - theme.rgb(colour)).max() <= 2, at


def test_a_click_selects_the_head_under_the_mouse(page) -> None:
    shown = page(made.traits())
    shown.click(MAP, place(shown, 4, 6))
    assert shown.evaluate("model.get('selected')") == [4, 6]
    assert shown.text(".vx-head b") == "Layer 4 · head 6"
    assert shown.text("[aria-live]").startswith("Layer 4, head 6: VAS (mean of ratios) ")
    shown.hover(MAP, place(shown, 1, 2))
    assert shown.text(".vx-tip").startswith("layer 1 · head 2\nVAS (mean of ratios) ")
    assert shown.evaluate("model.get('selected')") == [4, 6]


def test_a_press_on_the_head_shown_first_asks_for_its_maps_once(page) -> None:
    nothing = {"state": "none", "note": "choose a head", "n_rows": 0, "n_cells": 0}
    shown = page(made.traits(selected=[4, 2]), {"4,2": [nothing]})
    shown.click(MAP, place(shown, 4, 2))
    assert shown.evaluate("model.sent") == [{"type": "load"}]
    assert shown.evaluate("model.get('selected')") == [4, 2]
    shown = page(made.traits(selected=[4, 2]), {"any": [made.attention(np.full((7, 16), 0.01))]})
    shown.click(MAP, place(shown, 4, 2))
    assert shown.evaluate("model.sent") == []


def test_a_vas_on_the_floor_is_called_a_bound(page) -> None:
    vas, floored = known(), np.zeros((1, 6, 8))
    floored[0, 3, 5], floored[0, 3, 6] = 0.963, 0.005
    shown = page(made.traits(vas=vas, selected=[3, 5], floored=made.b64(floored)))
    words = f"VAS (mean of ratios) ≥ {vas[0, 3, 5]:#.3g}, a bound: 96.3% of rows have a system mass below 1e-6 · rank"
    assert words in shown.text(".vx-head")
    shown.hover(MAP, place(shown, 3, 5))
    assert words in shown.text(".vx-tip")
    shown.evaluate("model.set('selected', [3, 6])")
    shown.settle()
    assert "bound" not in shown.text(".vx-head")
    shown.evaluate("model.set('pinned', [[3, 5], [3, 6]])")
    shown.settle()
    low, exact = (f"{vas[0, 3, head]:#.3g}" for head in (5, 6))
    assert shown.texts(".vx-pins span button:first-child") == [f"L3 H5  ≥ {low}", f"L3 H6  {exact}"]
    # the mean over 48 heads
    floor = "System mass below 1e-6, taken as 1e-6, so that VAS is a bound (≥): 2.02% of rows."
    assert floor in shown.text(".vx-foot")


def test_heads_that_tie_share_a_rank_and_large_numbers_are_written_out(page) -> None:
    vas = known()
    vas[0, 5, 6:] = 943_211.0
    shown = page(made.traits(vas=vas, selected=[5, 7]))
    assert "VAS (mean of ratios) 943,211 · rank 1 of 48, tied with 1 other" in shown.text(".vx-head")
    shown.evaluate("model.set('selected', [5, 5])")
    shown.settle()
    assert "rank 3 of 48" in shown.text(".vx-head")
    assert "tied" not in shown.text(".vx-head")
    shown = page(made.traits(vas=np.zeros((1, 6, 8))))
    assert "VAS (mean of ratios) 0.00 · no rank: all 48 heads tie" in shown.text(".vx-head")


def test_wherever_vas_is_printed_its_form_is_named(page) -> None:
    form = "mean of ratios"
    maps = {"any": [made.attention(np.full((7, 16), 0.01))] * 2}
    for pair in (False, True):
        shown = page(made.traits(pair=pair, pinned=[[0, 1]]), maps)
        shown.focus(MAP)
        shown.press("t")
        if not pair:
            shown.click(".vx-nav button:nth-child(2)")
        boards = shown.texts(".vx-maps .vx-name")
        columns = [name for name in shown.texts(".vx-items th") if name.startswith("VAS")]
        assert len(boards) == (3 if pair else 1)
        assert len(columns) == (2 if pair else 1)
        placed = [shown.text(".vx-head"), *boards[:2], *columns, shown.text(".vx-numbers caption")]
        placed.append(shown.evaluate("document.querySelector('.vx-pins span button').title"))
        shown.hover(MAP, place(shown, 1, 2))
        placed.append(shown.text(".vx-tip"))
        assert [words for words in placed if form not in words] == []


def test_a_change_from_or_to_the_floor_is_a_bound_as_in_the_figures(page) -> None:
    """Every pair of sides on and off the floor, rising and falling; the words are those of the figures."""
    cases = [
        (ratio, *low) for ratio in (8.0, 1 / 8) for low in ((0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5))
    ]
    vas, floored = np.ones((2, 6, 8)), np.zeros((2, 6, 8))
    for head, (ratio, first, second) in enumerate(cases):
        vas[1, 2, head], floored[0, 2, head], floored[1, 2, head] = ratio, first, second
    shown = page(made.traits(vas=vas, pair=True, selected=[2, 0], floored=made.b64(floored)))
    said = {}
    for head, (ratio, *low) in enumerate(cases):
        shown.evaluate(f"model.set('selected', [2, {head}])")
        shown.settle()
        size = "×8.00" if ratio > 1 else "÷8.00"
        said[head] = bound_words(ratio, tuple(low)).strip()
        expected = " ".join(filter(None, ("change", said[head], size)))
        assert f"· {expected}, significant" in shown.text(".vx-head")
        assert ("≥ 8.00" in shown.text(".vx-head")) == (ratio > 1 and low[1] > 0)
        shown.hover(MAP, place(shown, 2, head))
        assert expected in shown.text(".vx-tip")
    assert set(said.values()) == {"", "at least", "at most", "nominally"}
    shown.focus(MAP)
    shown.press("t")
    rows = shown.evaluate(
        "[...document.querySelectorAll('.vx-numbers table')[0].querySelectorAll('tr')]"
        ".map((tr) => [...tr.children].map((td) => td.textContent))"
    )
    at = rows[0].index("bound")
    assert {int(row[1]): row[at] for row in rows[1:] if row[0] == "2"} == said
    assert [name for name in rows[0] if "floor" in name] == ["on floor %"] * 2
    assert float(rows[1][4]) == 8  # highest of the second run first
    assert "base 4.17%, multimodal 4.17% of rows" in shown.text(".vx-foot")


def test_arrow_keys_move_the_head_and_wrap(page) -> None:
    shown = page(made.traits(selected=[0, 0]))
    shown.focus(MAP)
    shown.press("ArrowRight", "ArrowDown", "ArrowDown")
    assert shown.evaluate("model.get('selected')") == [1, 2]
    shown.press("ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowUp", "ArrowUp")
    assert shown.evaluate("model.get('selected')") == [5, 7]


def test_p_pins_heads_to_a_list_and_takes_them_off(page) -> None:
    shown = page(made.traits(selected=[2, 3]))
    shown.focus(MAP)
    shown.press("p", "ArrowRight", "p")
    assert shown.evaluate("model.get('pinned')") == [[2, 3], [3, 3]]
    chips = shown.texts(".vx-pins span button:first-child")
    assert [chip.split("  ")[0] for chip in chips] == ["L2 H3", "L3 H3"]
    shown.click(".vx-pins span button")
    assert shown.evaluate("model.get('selected')") == [2, 3]
    shown.focus(MAP)
    shown.press("p")
    assert shown.evaluate("model.get('pinned')") == [[3, 3]]


def test_keys_do_not_reach_the_notebook_and_typing_pins_nothing(page) -> None:
    script = "window.leaked = []; document.body.addEventListener('keydown', (e) => leaked.push(e.key));"
    shown = page(made.traits(), script=script)
    shown.focus(MAP)
    shown.press("d", "d", "ArrowUp", "ArrowLeft", "p")
    shown.click(".vx-nav button:nth-child(2)")
    shown.click(".vx-bar input")
    shown.press("p", "e", "t")
    assert shown.evaluate("model.get('pinned').length") == 1
    assert shown.evaluate("document.querySelector('.vx-bar input').value") == "pet"
    assert shown.evaluate("leaked") == []


def test_five_thousand_heads_are_drawn_and_each_can_be_hit(page) -> None:
    vas = np.ones((1, 80, 64))
    vas[0, 79, 63], vas[0, 0, 0] = 1 / 64, 64
    shown = page(made.traits(layers=80, heads=64, kv_group=8, vas=vas, selected=[40, 30]))
    for layer, head in [(0, 0), (79, 63), (17, 44)]:
        shown.click(MAP, place(shown, layer, head))
        assert shown.evaluate("model.get('selected')") == [layer, head]


def test_ends_that_were_clipped_say_so(page) -> None:
    """Ink of the legend's first label: more with "≤ " before it."""
    first_label = "probe.ink('.vx-legend', 0, 0.66, 0.25, 0.82)"
    inside = page(made.traits(vas=np.ones((1, 6, 8)))).evaluate(first_label)
    vas = np.ones((1, 6, 8))
    vas[0, 1, 1] = 1 / 32
    assert page(made.traits(vas=vas)).evaluate(first_label) > inside + 5


@pytest.mark.parametrize(("layers", "pair"), [(6, False), (6, True), (28, True), (80, False)])
def test_labels_of_the_legends_stand_apart_inside_the_page(page, layers, pair) -> None:
    """At every width and limit, clipped at both ends: none over another, none cut off, both ends named."""
    vas = np.ones((2 if pair else 1, layers, 8))
    vas[0, 0, :2] = 2.0**-60, 2.0**60
    shown = page(made.traits(layers=layers, vas=vas, pair=pair))
    for width in (480, 1280, 1920):
        shown.resize(width, 900)
        shown.until(f"document.getElementById('explorer').clientWidth === {width}")
        for limit in (1, 2, 3, 5, 7, 8, 11, 13, 14, 17, 23):
            told = made.json.dumps({"limit": 2**limit, "change_limit": 2**limit, "n": 1})
            shown.evaluate(f"model.put({{map: {told}}})")
            shown.settle()
            legends = shown.evaluate(
                "[...document.querySelectorAll('.vx-legend')]"
                ".map((e) => [e.clientWidth, JSON.parse(e.dataset.words)])"
            )
            assert len(legends) == (3 if pair else 1)
            for room, labels in legends:
                ends = [0, *(x for _, *place in labels for x in place), room]
                assert ends == sorted(ends), (width, limit, labels)
                assert labels[0][0].startswith("≤ ") or pair
                assert len(labels) > 2 or room < 260, (width, limit, labels)

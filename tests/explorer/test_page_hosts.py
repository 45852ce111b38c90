"""What hosts need: inert text, light and dark, narrow cells, nothing left behind, speed."""

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vaslab.explorer.module import FOLDER, PARTS, module_text
from vaslab.plots import theme

from . import made_page as made

pytestmark = pytest.mark.browser

ATTACKS = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "<svg onload='window.hacked = 3'><script>window.hacked = 4</script></svg>",
    "<style>* { display: none !important }</style>",
    "\"><iframe srcdoc='<script>parent.hacked = 5</script>'>",
    "</script><script>window.hacked = 6</script>",
    "' onmouseover='window.hacked = 7' x='",
]
EVEN = {"any": [made.attention(np.full((7, 16), 0.01))] * 2}
ASK = ".vx-controls button[title^='ask']"


def poisoned(value: Any, attack: str) -> Any:
    """Every text of the traits replaced by an attack; bytes, and words that choose a branch, stay."""
    if isinstance(value, dict):
        if "base64" in value:
            return value
        return {
            key: each if key in ("src", "state") else poisoned(each, attack) for key, each in value.items()
        }
    if isinstance(value, list):
        return [poisoned(each, attack) for each in value]
    return attack if isinstance(value, str) and value not in ("user", "response", "item") else value


def test_text_of_any_kind_is_inert(page) -> None:
    attack = " ".join(ATTACKS)
    told = {"state": "done", "message": "m", "seconds": 1, "answer": "a"}
    given = poisoned(made.traits(pair=True, live=told), attack)
    given["meta"]["live"] = True
    maps = made.attention(
        np.full((7, 16), 0.01), note=attack, agreement=attack, sinks=[1], sinks_words=attack
    )
    shown = page(given, {"any": [maps, maps]})
    shown.click(ASK)
    shown.focus(".vx-map")
    shown.press("t", "p", "ArrowRight")
    shown.hover(".vx-tokens [data-row='0']")
    shown.hover(".vx-over", (3, 3))
    assert shown.evaluate("probe.foreign()") == [0, 0, 1, None]
    places = [
        "title",
        "question",
        "tokens",
        "items tbody",
        "items thead",
        "note",
        "key",
        "foot",
        "numbers",
        "reply",
    ]
    missing = [place for place in places if attack not in shown.text(f".vx-{place}")]
    assert missing == []


def test_the_module_holds_nothing_that_could_run_text_or_fetch() -> None:
    text = module_text()
    found = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|^\s*import\b|\bimport\("
        r"|\bfetch\(|XMLHttpRequest|WebSocket|https?:|</script|<!--|localStorage|cookie",
        text,
        re.M,
    )
    assert found == []


def test_parts_import_from_those_before_them_alone_and_share_no_name() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(PARTS)
    names: dict[str, str] = {}
    for part in PARTS:
        text = (FOLDER / f"{part}.js").read_text()
        assert len(text.splitlines()) <= 400, part
        for wanted, source in re.findall(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', text, re.M):
            for name in re.findall(r"\w+", wanted):
                assert names.get(name) == source, f"{part}.js takes {name} from {source}.js"
        for name in re.findall(r"^(?:export )?(?:const|let|class|function) (\w+)", text, re.M):
            assert name not in names, f"{name} in {part}.js and {names[name]}.js"
            names[name] = part
        # a notebook saves the module without lines that are comments: one of code must not look like it
        assert all(
            line.strip().endswith("*/") for line in text.splitlines() if line.strip().startswith("/*")
        ), part
    whole = re.findall(r"^(?:import|export) .*", module_text(), re.M)
    assert whole == ["export default { render };"]


def test_colours_are_those_of_the_figures() -> None:
    text = (FOLDER / "colours.js").read_text()

    def stops(name: str) -> tuple[str, ...]:
        return tuple(re.findall(r"#[0-9a-f]{6}", re.search(rf"const {name} = hex\((.*?)\);", text, re.S)[1]))

    assert stops("LEVEL") == theme.LEVEL
    assert stops("CHANGE") == theme.CHANGE
    for name, look in theme.THEMES.items():
        part = re.search(rf"\n  {name}: \{{(.*?)\n  \}}", text, re.S)[1]
        for field in ("background", "text", "muted", "grid", "reference", "missing", "hatch", "more", "less"):
            assert re.search(rf'\b{field}: "(#\w+)"', part)[1] == getattr(look, field), (name, field)


@pytest.mark.parametrize(
    ("dark", "ground"),
    [(False, None), (True, None), (True, "white"), (False, "#111111")],
    ids=["light", "dark", "white host", "black host"],
)
def test_every_text_has_a_contrast_of_at_least_four_and_a_half(page, dark, ground) -> None:
    """Also where a notebook's theme gives the ground, whatever the system prefers."""
    cells = np.zeros((7, 16))
    cells[:, 0] = [0, 0.02, 0.1, 0.3, 0.5, 0.8, 1]
    given = made.traits(pair=True, token=3, pinned=[[0, 0]])
    given["meta"]["live"] = True
    given["live"] |= {"state": "error", "message": "no such picture"}
    head = f"<style>:root {{ --jp-layout-color1: {ground} }}</style>" if ground else ""
    maps = made.attention(cells, differs=True, agreement="DIFFERS")
    shown = page(given, {"any": [maps, maps]}, dark=dark, head=head)
    shown.click(ASK)
    shown.focus(".vx-map")
    shown.press("t")
    found = shown.evaluate("probe.contrasts()")
    assert len(found) > 100
    assert found[0][0] >= 4.5, found[:5]
    # words on canvas take these inks
    seen = shown.evaluate("probe.rgb(getComputedStyle(document.getElementById('explorer')).backgroundColor)")
    colour = theme.hexed(tuple(float(c) for c in seen[:3]))
    assert colour == {None: theme.THEMES["dark" if dark else "light"].background, "white": "#ffffff"}.get(
        ground, ground
    )
    text = shown.evaluate("probe.rgb(getComputedStyle(document.querySelector('.vx-title')).color)")
    look = next(each for each in theme.THEMES.values() if list(theme.rgb(each.text)) == text)
    assert min(theme.contrast(ink, colour) for ink in (look.text, look.muted, look.more)) >= 4.5


def test_the_hosts_theme_is_followed_at_once(page) -> None:
    shown = page(made.traits())
    colours = []
    for light in ("true", "false", "true"):
        shown.evaluate(f"document.body.dataset.jpThemeLight = '{light}'")
        shown.settle()
        colours.append(
            tuple(shown.evaluate("probe.rgb(getComputedStyle(document.querySelector('.vx-title')).color)"))
        )
    light, dark = (theme.rgb(theme.THEMES[name].text) for name in ("light", "dark"))
    assert colours == [light, dark, light]


@pytest.mark.parametrize("pair", [False, True], ids=["one", "two"])
def test_nothing_sticks_out_at_any_width(page, pair) -> None:
    given = made.traits(layers=28, heads=28, kv_group=7, pair=pair)
    given["meta"]["live"] = True
    shown = page(given, EVEN)
    shown.click(ASK)
    found = {}
    for width in (480, 700, 1280, 1920):
        shown.resize(width, 900)
        shown.until(f"document.getElementById('explorer').clientWidth === {width}")
        shown.settle()
        found[width] = (
            shown.evaluate("probe.sticking()"),
            shown.evaluate("document.body.scrollWidth <= innerWidth"),
        )
    assert found == dict.fromkeys(found, ([], True))


def test_every_control_is_reached_by_tab_and_its_focus_is_seen(page) -> None:
    shown = page(made.traits(), EVEN)
    reached = []
    for _ in range(40):
        shown.press("Tab")
        outside, name, outline = shown.evaluate("probe.focused()")
        if outside:
            break
        reached.append(name)
        assert outline == "solid2px", name
    assert {"vx-map", "vx-tokens"} <= set(reached)
    controls = shown.evaluate(
        "[...document.querySelectorAll('#explorer button, #explorer select, #explorer input')]"
        ".filter((e) => e.offsetParent && !e.disabled).length"
    )
    assert len(reached) >= controls + 2


def test_e_saves_the_view_as_a_picture(page) -> None:
    cells = np.zeros((7, 16))
    cells[:, 5] = 0.4
    shown = page(made.traits(selected=[2, 3]), {"any": [made.attention(cells)]})
    shown.evaluate("probe.keepSaved()")
    shown.focus(".vx-map")
    shown.press("e")
    saved = shown.until("probe.saved")
    assert shown.evaluate("probe.savedAs") == "made-up-L2H3.png"
    picture = Image.open(io.BytesIO(base64.b64decode(saved.partition(",")[2]))).convert("RGB")
    pixels = np.asarray(picture).astype(int)
    (x, y, width, height), (left, top, whole, _) = shown.evaluate(
        "['.vx-stack', '#explorer'].map((s) => document.querySelector(s).getBoundingClientRect())"
        ".map((b) => [b.x, b.y, b.width, b.height])"
    )
    assert picture.width == pytest.approx(2 * whole, abs=2)

    def warmth(row: float, column: float) -> int:
        at = pixels[int(2 * (y - top + row / 4 * height)), int(2 * (x - left + column / 4 * width))]
        return int(at[0] - at[2])

    # cell 5 is the second of the second row
    assert warmth(1.5, 1.5) > 40
    assert warmth(3.5, 3.5) < 10


def test_taken_down_it_listens_no_more(page) -> None:
    shown = page(made.traits())
    assert shown.evaluate("Object.values(model.heard).flat().length") > 20
    shown.evaluate("down()")
    assert shown.evaluate("Object.values(model.heard).flat().length") == 0


@pytest.mark.parametrize(
    ("layers", "heads", "rows", "grid", "allowed"),
    [(6, 8, 12, (4, 4), 0.1), (80, 64, 2000, (30, 40), 0.35)],
    ids=["organism", "large"],
)
def test_a_click_is_drawn_in_time(page, layers, heads, rows, grid, allowed) -> None:
    """Processor time within three times the wall time that `make bench-ui` is held to."""
    n = grid[0] * grid[1]
    texts = [{"text": f" w{i}", "role": "response", "position": i, "emits": ""} for i in range(rows)]
    given = made.traits(
        layers=layers, heads=heads, kv_group=2, rows=[texts], pictures=[made.picture(400, 300, *grid)]
    )
    values = np.random.default_rng(0).uniform(0, 1 / n, (rows, n))
    shown = page(given, {"any": [made.attention(values)]})
    times = []
    for at in (1, 2, 3):
        before = shown.busy()
        shown.evaluate(f"probe.click({at}, {at + 1})")
        times.append(shown.busy() - before)
    assert 0 < min(times) < 3 * allowed, times


def test_the_heading_follows_numbers_that_arrive_after_it(page) -> None:
    vas = np.full((1, 6, 8), 4.0)
    given = made.traits(vas=vas, scope="run")
    there = given["map"] | {"n": 32}
    nothing = {"map": given["map"] | {"n": 0, "coming": True}, "vas": made.b64(b"")}
    shown = page(given | nothing)
    assert "map: loading …" in shown.text(".vx-sub")
    for place in (".vx-head", "[aria-live]"):
        assert "undefined" not in shown.text(place)
        assert "0 items" not in shown.text(place)
    shown.evaluate(f"model.put({json.dumps({'map': there, 'vas': made.b64(vas)})})")
    shown.settle()
    assert "map: mean over 32 items" in shown.text(".vx-sub")
    assert "mean over 32 items" in shown.text(".vx-head")
    assert "4.00" in shown.text("[aria-live]")
    shown.evaluate(f"model.put({json.dumps({'map': given['map'] | {'n': 0}})})")
    shown.settle()
    assert "map: no numbers" in shown.text(".vx-sub")

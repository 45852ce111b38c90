"""The saved page: everything inside, small, inert, and the numbers those of the view."""

import base64
import json
import re
import shutil
import subprocess
import zlib
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pytest
import synthetic_capture as made

import vaslab
from vaslab.errors import UsageError
from vaslab.explorer import maps
from vaslab.explorer.head_map import HeadMap
from vaslab.explorer.opening import open_capture
from vaslab.explorer.packing import pack, pack_mean
from vaslab.explorer.page import document, json_in_html, page_data, write_page
from vaslab.explorer.runs import open_run
from vaslab.explorer.view import State, View
from vaslab.plots import browser

from .conftest import NASTY, picture


class Elements(HTMLParser):
    """What a browser would make of a page: elements, their attributes, the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        # inside a script the parser, as a browser, looks for its end alone
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def read(path):
    page = Elements(path.read_text())
    return page, json.loads(page.scripts[0])


def unpacked(found):
    """share and values of a head, as the page reads them."""
    raw = zlib.decompress(base64.b64decode(found["bytes"]))
    shares, scales, cells = found["lengths"]
    assert len(raw) == shares + 4 * scales + cells
    share = np.frombuffer(raw[:shares], np.uint8) / 255 * found["share_scale"]
    scale = np.frombuffer(raw[shares : shares + 4 * scales], "<f4")
    values = np.frombuffer(raw[shares + 4 * scales :], np.uint8).reshape(scales, -1) / 255
    return share, values * scale[:, None]


@pytest.fixture(scope="module")
def saved(loaded, tmp_path_factory):
    state = State(loaded.item_of("two"), "response", "item", (1, 2))
    return write_page(loaded, state, tmp_path_factory.mktemp("page") / "deep" / "two.html", top=3)


@pytest.mark.tiny
def test_the_page_holds_what_the_view_says(loaded, saved):
    _, data = read(saved)
    state = State(loaded.item_of("two"), "response", "item", (1, 2))
    told = loaded.numbers(state)
    assert base64.b64decode(data["numbers"]["item"]["vas"]) == told["vas"]
    assert data["numbers"]["run"]["map"]["n"] == 3
    (run,) = data["runs"]
    assert len(run["heads"]) == 8
    states = {name: found["state"] for name, found in run["heads"].items()}
    assert states["1,2"] == "full"
    assert sorted(states.values()).count("full") in (3, 4)
    for name, found in run["heads"].items():
        layer, head = map(int, name.split(","))
        whole = loaded.maps.of(0, loaded.entries(state.item)[0], "response", layer, head)
        share, values = unpacked(found)
        np.testing.assert_allclose(share, whole.packed.share, atol=whole.packed.share.max() / 500)
        expected = whole.packed.values if found["state"] == "full" else whole.packed.values.mean(0)[None]
        np.testing.assert_allclose(values, expected, atol=0.005 * expected.max())
        assert found["agreement"].startswith("agrees")
    assert data["state"]["rows"][0] == loaded.attention(state)["rows"][0]
    assert len(data["state"]["items"]) == 1
    assert data["state"]["meta"]["kernel"] is False
    assert f"all rows of {list(states.values()).count('full')} heads" in data["state"]["meta"]["note"]
    assert len(data["state"]["pictures"]) == 2


@pytest.mark.tiny
def test_the_page_needs_no_network_and_runs_nothing_but_itself(saved):
    page, _ = read(saved)
    policy = next(
        attrs["content"] for tag, attrs in page.found if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "connect-src" not in policy
    assert "unsafe-eval" not in policy
    (digest,) = re.findall(r"script-src 'sha256-([^']+)'", policy)
    assert base64.b64encode(sha256(page.scripts[1].encode()).digest()).decode() == digest
    for _, attrs in page.found:
        assert not {"src", "href", "onload", "onerror", "style"} & set(attrs)
    assert not re.search(r"https?://", saved.read_text().replace("http://www.w3.org", ""))


@pytest.mark.tiny
def test_hostile_texts_are_inert(saved, loaded, tmp_path):
    expected = [
        "html",
        "head",
        "meta",
        "meta",
        "meta",
        "meta",
        "title",
        "style",
        "body",
        "div",
        "script",
        "script",
    ]
    expected.remove("meta")
    for item in ("two", "wide", "tall"):
        state = State(loaded.item_of(item), "user", "item", (0, 0))
        path = write_page(loaded, state, tmp_path / "page.html", top=0)
        page, data = read(path)
        assert sorted(tag for tag, _ in page.found) == sorted([*expected, "meta"])
        assert data["state"]["items"][0]["question"] == loaded.items[state.item]["question"]
        for hostile in NASTY:
            assert hostile not in path.read_text()


@pytest.mark.parametrize("hostile", [*NASTY, "</SCRIPT >", "<!--<script>", "\u2029", "\ud800"])
def test_json_in_a_page_says_the_text_and_nothing_else(hostile):
    text = json_in_html({"name": hostile, "file": f"{hostile}.png"})
    assert not set("<>&\u2028\u2029") & set(text)
    text.encode("ascii")
    assert json.loads(text)["name"] == hostile


def test_the_modules_end_no_element():
    for host in ("host_page.js", "host_server.js"):
        page = Elements(document(host, {}))
        assert len(page.scripts) == 2
        assert "<!--" not in page.scripts[1]
        assert "</script" not in page.scripts[1].lower()


@pytest.mark.parametrize("like", ["softmax", "noise"])
def test_the_size_of_a_page(monkeypatch, tmp_path, like):
    """One item at 28 x 28 heads, 300 tokens, 400 patches is below 5 MB, also where nothing can be deflated."""
    rng = np.random.default_rng(0)
    rows = tuple(
        {"text": " token", "role": "response", "position": 500 + at, "emits": " token"} for at in range(300)
    )

    def attention():
        if like == "noise":
            return rng.random((300, 400), dtype=np.float32) / 400
        weights = np.exp(rng.normal(0, 2, (300, 400)).astype(np.float32))
        return 0.6 * weights / weights.sum(1, keepdims=True)

    def whole(self, run, entry, queries, full):
        # four different heads: deflating one does not help another
        kinds = {
            kind: [make(attention()) for _ in range(4)]
            for kind, make in (("full", pack), ("mean", pack_mean))
        }
        out = {}
        for layer, head in np.ndindex(28, 28):
            state = "full" if (layer, head) in full else "mean"
            out[layer, head] = HeadMap(
                state,
                "recomputed from the model",
                kinds[state][(28 * layer + head) % 4],
                rows,
                ((20, 20),),
                sinks=(0, 399),
                agreement="agrees with the stored mass of this head within 3e-07",
            )
        return out

    monkeypatch.setattr(maps.Maps, "whole", whole)
    prompts = [vaslab.Prompt(user="what is red?", images=[picture(560, 560)])]
    view = View([open_capture(made.realistic(1, model="m"), prompts)])
    path = write_page(view, view.start(), tmp_path / "page.html")
    assert 1_000_000 < path.stat().st_size < 5_000_000
    _, data = read(path)
    states = [found["state"] for found in data["runs"][0]["heads"].values()]
    assert states.count("full") == 24
    assert states.count("mean") == 760


@pytest.mark.tiny
def test_a_page_without_a_model_holds_what_was_stored(vlm, prompt, tmp_path):
    capture = vaslab.capture(vlm, [prompt], patches=[(0, 1), (1, 2)], item_ids=["x"])
    view = View([open_capture(capture)])
    path = write_page(view, State(0, "user", "item", (1, 2)), tmp_path / "page.html", top=0)
    _, data = read(path)
    heads = data["runs"][0]["heads"]
    assert {name: found["state"] for name, found in heads.items()} == {"0,1": "mean", "1,2": "full"}
    assert "maps were stored of" in data["runs"][0]["common"]["note"]


@pytest.mark.tiny
def test_the_foot_counts_what_the_page_holds(vlm, prompt, runs, tmp_path):
    state = State(0, "user", "item", (1, 2))

    def foot(view, top):
        return page_data(view, state, top)["state"]["meta"]["note"]

    kept = View([open_capture(vaslab.capture(vlm, [prompt], patches=[(0, 1), (1, 2)]))])
    assert "; all rows of 1 head, the mean over rows of 1 head, no map of the other 6; shares" in foot(
        kept, 0
    )
    whole = View([open_capture(vaslab.capture(vlm, [prompt]), [prompt], vlm=vlm)])
    assert "all rows of 8 heads; shares" in foot(whole, 8)
    bare = View([open_capture(vaslab.capture(vlm, [prompt]))])
    assert foot(bare, 4).endswith("the map of none of the 8 heads.")
    with pytest.warns(UserWarning, match="the map of no head: stored with the capture|no maps were stored"):
        write_page(bare, state, tmp_path / "page.html")
    two = View([open_run(run) for run in runs])
    two.sources[1].load = None
    said = foot(two, 4)
    names = [source.name for source in two.sources]
    assert f"{names[0]}: all rows of " in said
    assert f"{names[1]}: the map of none of the 8 heads" in said


@pytest.mark.tiny
def test_two_runs_on_one_page(runs, tmp_path):
    view = View([open_run(run) for run in runs])
    path = write_page(view, State(0, "user", "item", (1, 2)), tmp_path / "page.html", top=4)
    _, data = read(path)
    assert len(data["runs"]) == 2
    full = [
        {name for name, found in run["heads"].items() if found["state"] == "full"} for run in data["runs"]
    ]
    assert full[0] == full[1]
    assert 2 <= len(full[0]) <= 3
    assert len(base64.b64decode(data["numbers"]["run"]["significant"])) == 8
    # the compare figure's change, of means of VAS: not the form of VAS that is called ratio of means
    note = data["numbers"]["run"]["map"]["note"]
    assert "change: mean VAS of the second over that of the first" in note
    assert "ratio of means" not in note
    told = view.numbers(State(0, "user", "run", (1, 2)))["floored"]
    assert base64.b64decode(data["numbers"]["run"]["floored"]) == told
    assert len(told) == 2 * 8 * 4


def test_items_say_what_share_of_their_rows_is_on_the_floor():
    capture = made.realistic(4, 2, 4)
    capture["clamped"][:] = 0.0
    capture["clamped"][{"item": 1, "layer": 1, "head": 2}] = 0.8
    low = [item["runs"][0].get("floored") for item in View([open_capture(capture)]).items]
    assert low == [None, {"user": 0.1}, None, None]  # 0.8 in one head of eight


def test_what_cannot_be_written_is_said(vlm, tmp_path):
    from vaslab.explorer.opening import open_model

    view = View([open_model(vlm)], live=True)
    with pytest.raises(UsageError, match="no item is chosen"):
        write_page(view, view.start(), tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def chromium():
    return browser() or shutil.which("chromium")


@pytest.mark.browser
@pytest.mark.tiny
@pytest.mark.skipif(chromium() is None, reason="no Chromium-family browser on this machine")
def test_a_browser_opens_the_page_from_disk_and_runs_no_text(saved, tmp_path):
    done = subprocess.run(
        [
            str(chromium()), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000",
            f"--user-data-dir={tmp_path}", "--enable-logging=stderr", "--dump-dom", saved.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    page = Elements(done.stdout)
    tags = [tag for tag, _ in page.found]
    assert tags.count("canvas") >= 1
    assert tags.count("script") == 2
    assert "<title>vaslab explorer</title>" in done.stdout
    assert not any(name.startswith("on") for _, attrs in page.found for name in attrs)
    assert "which is blue?" in done.stdout
    assert "CONSOLE" not in done.stderr, done.stderr

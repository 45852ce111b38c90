"""The notebook's side: traits, what follows a change, messages, and how long packing takes."""

import base64
import json
import time

import numpy as np
import pytest
import synthetic_capture as made
import torch

import vaslab
from vaslab.errors import MissingError, UsageError
from vaslab.explorer.maps import AT_ONCE, kept_of
from vaslab.explorer.packing import pack
from vaslab.explorer.pictures import from_data_uri
from vaslab.explorer.recompute import LayerSeen, Rows
from vaslab.plots import compare
from vaslab.plots.clicks import clickable

from .test_pictures import photo


@pytest.mark.tiny
def test_a_run_is_explored_by_clicks(runs):
    explorer = vaslab.explore(runs[0])
    assert explorer.item == 0
    assert explorer.attention[0]["state"] == "none"
    heard = []
    explorer.observe(lambda change: heard.append((change["name"], change["new"])), ["attention", "pictures"])
    explorer.selected = [1, 3]
    assert [value[0]["state"] for name, value in heard if name == "attention"] == ["waiting", "full"]
    assert "loading" in heard[0][1][0]["note"]
    assert explorer.attention[0]["of"] == [0, "user", 1, 3]
    assert explorer.pictures[0]["rows"] > 0
    explorer.token = 2
    explorer.item = 1
    assert explorer.token == -1
    assert explorer.attention[0]["of"] == [1, "user", 1, 3]
    assert len(explorer.rows[0]) == explorer.attention[0]["n_rows"]
    before = explorer.vas
    explorer.scope = "item"
    assert explorer.vas != before
    explorer.queries = "response"
    assert explorer.attention[0]["of"] == [1, "response", 1, 3]
    with pytest.raises(UsageError, match="no head"):
        explorer.selected = [9, 0]


@pytest.mark.tiny
def test_load_and_ask_are_messages(runs, tmp_path):
    explorer = vaslab.explore(runs[0], item="tall", live=True)
    explorer._handle_custom_msg({"type": "load"}, [])
    assert explorer.attention[0]["state"] == "full"
    states = []
    explorer.observe(lambda change: states.append(change["new"]["state"]), "live")
    explorer._handle_custom_msg({"type": "ask", "question": "what is red?", "picture": None}, [])
    assert states == ["busy", "done"]
    assert explorer.item == 3
    assert explorer.items[3]["question"] == "what is red?"
    assert explorer.scope == "item"
    assert explorer.attention[0]["of"][0] == 3
    explorer._handle_custom_msg({"type": "nothing"}, [])
    explorer._handle_custom_msg("nothing", [])
    assert explorer.to_html(tmp_path / "x.html", top=1).stat().st_size > 10_000


@pytest.mark.tiny
def test_two_runs_and_a_capture_and_a_model(runs, vlm, prompt):
    both = vaslab.explore(runs[0], runs[1], item="two", queries="response")
    assert len(both.meta["runs"]) == 2
    assert (both.queries, both.scope) == ("response", "item")
    assert both.change
    capture = vaslab.capture(vlm, [prompt])
    given = vaslab.explore(capture, prompts=[prompt], vlm=vlm)
    given.selected = [0, 1]
    assert given.attention[0]["state"] == "full"
    model = vaslab.explore(vlm)
    assert model.item == -1
    assert model.meta["live"] is True


@pytest.mark.tiny
def test_a_model_in_memory_is_not_loaded_again(runs, vlm):
    explorer = vaslab.explore(runs[0], vlm=vlm)
    assert explorer.view.sources[0].vlm() is vlm
    assert explorer.attention[0]["state"] == "full"
    both = vaslab.explore(runs[0], runs[1], vlm=vlm)
    assert [source.loaded for source in both.view.sources] == [True, False]
    with pytest.raises(UsageError, match="is not the model that the run was made with"):
        vaslab.explore(runs[1], vlm=vlm)


def test_a_wrong_call_is_said(tmp_path, vlm):
    capture = made.realistic(2, 2, 4)
    with pytest.raises(MissingError, match="there is no run"):
        vaslab.explore(tmp_path / "nothing")
    with pytest.raises(UsageError, match="cannot explore a list"):
        vaslab.explore([1])
    with pytest.raises(UsageError, match="no item 'x'"):
        vaslab.explore(capture, item="x")
    with pytest.raises(UsageError, match="1 prompts for 2 items"):
        vaslab.explore(capture, prompts=[vaslab.Prompt(user="what?")])
    with pytest.raises(UsageError, match="live asks one model"):
        vaslab.explore(capture, capture, live=True)
    with pytest.raises(UsageError, match="a model without prompts"):
        vaslab.explore(capture, vlm=vlm)
    with pytest.raises(UsageError, match="no capture"):
        vaslab.explore(capture.drop_vars("mass"))
    with pytest.raises(UsageError, match="belong to a Capture"):
        vaslab.explore(vlm, prompts=[vaslab.Prompt(user="what?")])


def test_a_view_is_small_where_a_notebook_saves_it():
    explorer = vaslab.explore(made.realistic(200, 28, 28, model="m"))
    # the module itself is saved with each view too; bytes as base64
    saved = json.dumps(explorer.get_state(), default=lambda data: base64.b64encode(data).decode())
    assert 100_000 < len(saved) < 200_000


@pytest.mark.parametrize("count", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_large_photos_are_small_where_a_notebook_saves_them(count, tmp_path):
    prompt = vaslab.Prompt(user="what is this?", images=[photo(2000, 1500)] * count)
    explorer = vaslab.explore(made.realistic(1, 28, 28, model="m"), prompts=[prompt])
    saved = json.dumps(explorer.get_state(), default=lambda data: base64.b64encode(data).decode())
    assert len(saved) < 200_000
    assert [(each["width"], each["height"]) for each in explorer.pictures] == [(2000, 1500)] * count
    # a page and the server are not bound by a notebook
    (first, *_) = explorer.view.pictures(0)["pictures"]
    assert max(from_data_uri(first["src"]).size) == 1024
    assert max(from_data_uri(explorer.pictures[0]["src"]).size) < 1024


def test_large_models_are_packed_in_time():
    """80 layers of 64 heads, 2,000 rows, 1,200 patches: one head's bytes, and a map of all heads."""
    explorer = vaslab.explore(made.realistic(3, 80, 64, kv_heads=8))
    started = time.thread_time()
    explorer.item = 1
    explorer.scope = "item"
    numbers = time.thread_time() - started
    assert len(explorer.vas) == 4 * 80 * 64
    rows, cells = 2000, 1200
    assert rows * cells * 64 > AT_ONCE
    positions = torch.arange(rows)
    texts = ("x",) * rows
    asked = Rows(positions, slice(None), slice(None), texts, texts, texts)
    one = np.random.default_rng(0).random((1, rows, cells), dtype=np.float32)
    seen = LayerSeen(one / one.sum(-1, keepdims=True), np.zeros((1, rows, 8), np.float32), ())
    started = time.thread_time()
    kept = kept_of(seen, asked, 0)
    packing = time.thread_time() - started
    assert kept.packed.cells.shape == (rows, cells)
    assert kept.packed.size == rows * cells + 8 * rows
    # of this thread's processor time, whatever else the machine does; measured: 0.05 s and 0.02 s
    assert packing < 1
    assert numbers < 2


def test_rows_without_a_patch_make_no_bytes():
    assert pack(np.zeros((3, 0), np.float32)).cells.shape == (3, 0)


def test_texts_of_many_items_come_by_message(monkeypatch):
    n = 1200
    capture = made.realistic(n, 2, 4, model="m")
    prompts = [vaslab.Prompt(user=f"question {i}: {'why ' * 40}") for i in range(n)]
    explorer = vaslab.explore(capture, prompts=prompts, item=900)
    saved = json.dumps(explorer.get_state(), default=lambda data: base64.b64encode(data).decode())
    assert len(saved) < 200_000 < sum(len(item["question"]) for item in explorer.view.items)
    assert explorer.n_items == n
    assert explorer.items[-1]["at"] == 900
    assert explorer.items[-1]["question"] == explorer.view.items[900]["question"]
    explorer.item = 1100
    assert explorer.items[-1]["at"] == 1100
    sent = []
    monkeypatch.setattr(explorer, "send", lambda content, buffers=None: sent.append(content))
    explorer._handle_custom_msg({"type": "items"}, [])
    (message,) = sent
    assert message["type"] == "items"
    assert message["items"][42]["question"] == explorer.view.items[42]["question"]
    assert len(message["items"]) == n


def test_few_items_are_sent_whole():
    explorer = vaslab.explore(made.realistic(20, 2, 4, model="m"))
    assert explorer.items == explorer.view.items
    assert "at" not in explorer.items[0]


def test_a_click_on_a_figure_selects_the_head():
    first, second = (made.realistic(12, 5, 8, model=name, seed=seed) for seed, name in enumerate(("m", "n")))
    explorer = vaslab.explore(first, second)
    figure = clickable(compare(first, second), explorer.select)
    maps = [
        at for at, trace in enumerate(figure.data) if trace.type == "heatmap" and trace.hoverinfo != "skip"
    ]
    assert len(maps) >= 3
    for at, (layer, head) in zip(maps, ((3, 7), (0, 1), (4, 2)), strict=False):
        points = {"xs": [layer], "ys": [head], "point_indexes": [[head, layer]], "trace_indexes": [at]}
        # what plotly's page sends on a click
        figure._js2py_pointsCallback = {"event_type": "plotly_click", "points": points}
        assert explorer.selected == [layer, head]

"""Heads ranked by their attention on what is asked about: against eager attention, and by hand."""

import numpy as np
import pytest

import vaslab
from vaslab.benchmarks import Item
from vaslab.errors import UsageError
from vaslab.explorer.head_map import HeadMap
from vaslab.explorer.opening import open_capture
from vaslab.explorer.packing import pack
from vaslab.explorer.page import page_data
from vaslab.explorer.region import Region, ranked, shares_of, told_region
from vaslab.explorer.runs import open_run
from vaslab.explorer.server import ExplorerServer
from vaslab.explorer.view import State, View
from vaslab.prompts.encode import encode
from vaslab.prompts.patches import PatchGrid
from vaslab.prompts.roles import Role

from .conftest import picture
from .test_recompute import eager

BOX = (100.0, 10.0, 140.0, 40.0)
"""Of a picture 168 wide and 56 high."""


def items(n=2):
    return [
        Item(
            f"i{k}", "what is red?", (lambda: picture(168, 56),), answer="ellipse", boxes=(BOX,), kind="what"
        )
        for k in range(n)
    ]


def covered(grid):
    """Patches of which at least a quarter lies in BOX, point by point."""
    fine = 40
    x = (np.arange(grid.cols * fine) + 0.5) / (grid.cols * fine) * grid.width
    y = (np.arange(grid.rows * fine) + 0.5) / (grid.rows * fine) * grid.height
    inside = ((y > BOX[1]) & (y < BOX[3]))[:, None] & ((x > BOX[0]) & (x < BOX[2]))
    part = inside.reshape(grid.rows, fine, grid.cols, fine).mean(axis=(1, 3)).ravel()
    assert np.abs(part - 0.25).min() > 0.01
    return part > 0.25


def test_a_region_is_patches_of_one_picture():
    grids = [PatchGrid(2, 6, 168, 56), PatchGrid(3, 3, 84, 84)]
    inside = Region(0, (BOX,)).cells(grids)
    # 100..140 holds 12 of 28 pixels of column 3, all of 4; 10..40 holds 18 and 12 of the rows' 28
    assert np.flatnonzero(inside).tolist() == [3, 4, 10]
    assert np.flatnonzero(Region(1, ((30, 0, 40, 10),)).cells(grids)).tolist() == [13]
    both = Region(1, ((0, 0, 28, 28), (56, 56, 84, 84))).cells(grids)
    assert np.flatnonzero(both).tolist() == [12, 20]
    with pytest.raises(UsageError, match="no picture 3; the item has 2"):
        Region(2, (BOX,)).cells(grids)
    with pytest.raises(UsageError, match="outside the picture"):
        Region(1, ((90, 0, 99, 9),)).cells(grids)


def test_a_page_may_name_a_box_or_take_the_known_ones():
    assert told_region({}, [BOX]) == Region(0, (BOX,))
    assert told_region({"picture": 1, "box": [1, 2, 3.5, 4]}, [BOX]) == Region(1, ((1, 2, 3.5, 4),))
    with pytest.raises(UsageError, match="not marked in this item; drag a box"):
        told_region({}, [])
    for wrong in (
        {"box": [1, 2, 3]},
        {"box": "abcd"},
        {"box": [1, 2, 3, True]},
        {"picture": "0", "box": BOX},
    ):
        with pytest.raises(UsageError, match="expected a picture and a box of four numbers"):
            told_region(wrong, [BOX])


def test_heads_are_ranked_by_the_mass_inside():
    shares = np.array([[[0.5, 0.1], [0.1, 0.3]], [[0.0, 0.2], [np.nan, np.nan]]])
    assert ranked(shares) == [
        [0, 1, 0.3, pytest.approx(0.75)],
        [1, 0, 0.2, 1.0],
        [0, 0, 0.1, pytest.approx(1 / 6)],
    ]
    assert [each[:2] for each in ranked(shares, 1)] == [[0, 1]]
    cells = np.array([[0.1, 0.2, 0.0], [0.3, 0.0, 0.0]])
    found = shares_of({(0, 1): HeadMap("full", "", pack(cells))}, np.array([False, True, True]), (1, 2))
    np.testing.assert_allclose(found[0, 1], [0.2, 0.1], atol=1e-3)
    assert np.isnan(found[0, 0]).all()


@pytest.mark.tiny
@pytest.mark.parametrize("queries", ["user", "response"])
def test_masses_on_a_region_are_those_of_eager_attention(models, queries):
    vlm = vaslab.load(models[0], prove=False)
    (item,) = items(1)
    prompt = item.prompt()
    answer = vlm.processor.tokenizer("a red circle", add_special_tokens=False)["input_ids"]
    told = type("Told", (), {"ids": answer, "text": "a red circle"})()
    capture = vaslab.capture(vlm, [prompt], ("user", "response"), responses=[answer])
    view = View([open_capture(capture, vlm=vlm, answers=[told], items=[item])])
    found = view.maps.on_region(0, view.entries(0)[0], queries, Region(0, (BOX,)))
    encoded = encode(vlm.processor, [prompt], [answer])
    maps, _ = eager(vlm, encoded)
    roles = encoded.roles[0].numpy()
    own = np.flatnonzero(roles == (Role.response if queries == "response" else Role.user))
    rows = own - 1 if queries == "response" else own
    seen = maps[:, :, rows][..., roles == Role.image].mean(axis=2)
    inside = covered(encoded.grids[0][0])
    assert 0 < inside.sum() < len(inside)
    np.testing.assert_allclose(found[..., 1], seen[..., inside].sum(-1), atol=1e-5)
    np.testing.assert_allclose(found[..., 0], seen[..., ~inside].sum(-1), atol=1e-5)
    looks = view.looks(State(0, queries, "item", (0, 0)), {})["looks"]
    best = np.unravel_index(seen[..., inside].sum(-1).argmax(), seen.shape[:2])
    assert tuple(looks["runs"][0][0][:2]) == best
    assert looks["of"] == [0, queries, {}]
    assert view.pictures(0)["pictures"][0]["boxes"] == [list(BOX)]


@pytest.mark.tiny
def test_one_message_ranks_and_selects(vlm):
    given = items()
    capture = vaslab.capture(vlm, [item.prompt() for item in given], item_ids=[item.id for item in given])
    explorer = vaslab.explore(capture, items=given, vlm=vlm)
    assert explorer.items[1]["reference"] == "ellipse"
    states = []
    explorer.observe(lambda change: states.append(change["new"]["state"]), "looks")
    table = explorer.ranking()
    explorer._handle_custom_msg({"type": "rank"}, [])
    assert states == ["busy", "done"]
    assert table.values.tolist() == explorer.looks["runs"][0]
    (heads,) = explorer.looks["runs"]
    assert [share for _, _, share, _ in heads] == sorted((share for _, _, share, _ in heads), reverse=True)
    assert explorer.selected == heads[0][:2]
    assert explorer.attention[0]["state"] == "full"
    # the head's own map says the same number
    scale = np.frombuffer(explorer.scale_0, "<f4")
    cells = np.frombuffer(explorer.cells_0, np.uint8).reshape(len(scale), -1) / 255 * scale[:, None]
    inside = covered(encode(vlm.processor, [given[0].prompt()]).grids[0][0])
    assert cells.mean(0)[inside].sum() == pytest.approx(heads[0][2], rel=0.01)
    explorer.region = {"picture": 0, "box": [0, 0, 20, 20]}
    explorer._handle_custom_msg({"type": "rank"}, [])
    assert explorer.looks["of"][2] == explorer.region
    assert explorer.looks["state"] == "done"
    explorer.item = 1
    assert explorer.region == {}


@pytest.mark.tiny
def test_without_boxes_or_model_it_is_said(runs, vlm, prompt):
    view = View([open_run(runs[0])])
    state = State(0, "user", "item", (0, 0))
    assert "drag a box" in view.looks(state, {})["looks"]["note"]
    assert view.looks(State(-1, "user", "run", (0, 0)), {})["looks"]["note"] == "no item is chosen"
    capture = vaslab.capture(vlm, [prompt])
    bare = View([open_capture(capture, [prompt])])
    with pytest.raises(UsageError, match="drag a box"):
        vaslab.explore(capture, prompts=[prompt]).ranking()
    assert "no maps were stored" in bare.looks(state, {"picture": 0, "box": list(BOX)})["looks"]["note"]
    kept = View([open_capture(vaslab.capture(vlm, [prompt], patches=[(1, 2)]), [prompt])])
    (heads,) = kept.looks(state, {"picture": 0, "box": list(BOX)})["looks"]["runs"]
    assert [head[:2] for head in heads] == [[1, 2]]


@pytest.mark.tiny
def test_a_ranking_of_stored_maps_says_of_how_many(vlm):
    given = items(1)
    capture = vaslab.capture(vlm, [given[0].prompt()], patches=[(1, 2), (0, 3)])
    view = View([open_capture(capture, items=given)])
    state = State(0, "user", "item", (1, 2))
    looks = view.looks(state, {})["looks"]
    assert looks["note"] == "only the 2 heads whose maps were stored, of 8"
    assert sorted(head[:2] for head in looks["runs"][0]) == [[0, 3], [1, 2]]
    with pytest.warns(UserWarning, match="not of all heads: only the 2 heads whose maps were stored, of 8"):
        table = vaslab.explore(capture, items=given).ranking()
    assert table.attrs["note"] == looks["note"]
    assert page_data(view, state, 0)["state"]["looks"]["note"] == looks["note"]
    one = View([open_capture(vaslab.capture(vlm, [given[0].prompt()], patches=[(1, 2)]), items=given)])
    assert one.looks(state, {})["looks"]["note"] == "only the one head whose map was stored, of 8"
    whole = View([open_capture(capture, items=given, vlm=vlm)])
    assert whole.looks(state, {})["looks"]["note"] == ""


@pytest.mark.tiny
def test_two_runs_are_ranked_each(runs):
    view = View([open_run(folder) for folder in runs])
    state = State(view.item_of("two"), "user", "item", (0, 0))
    looks = view.looks(state, {"picture": 1, "box": [0, 0, 40, 40]})["looks"]
    assert [len(heads) for heads in looks["runs"]] == [8, 8]
    assert looks["runs"][0] != looks["runs"][1]


def test_items_and_prompts_are_not_given_together(vlm, prompt):
    capture = vaslab.capture(vlm, [prompt])
    with pytest.raises(UsageError, match="not both"):
        vaslab.explore(capture, prompts=[prompt], items=items(1))
    with pytest.raises(UsageError, match="2 items for 1 items"):
        vaslab.explore(capture, items=items(2))


@pytest.mark.tiny
def test_the_server_ranks_and_the_saved_page_keeps_it(runs, vlm):
    with ExplorerServer(View([open_run(runs[0])])) as server:
        told = {"item": 0, "queries": "user", "scope": "item", "selected": [0, 0], "want": ["looks"]}
        found = server.state(told | {"region": {"picture": 0, "box": [0, 0, 20, 20]}})
        assert found["looks"]["state"] == "done"
        assert found["pictures"][0]["rows"] > 0
        assert "drag a box" in server.state(told)["looks"]["note"]
    given = items()
    capture = vaslab.capture(vlm, [item.prompt() for item in given])
    view = View([open_capture(capture, vlm=vlm, items=given)])
    state = State(1, "user", "item", (0, 0))
    saved = page_data(view, state, 1)["state"]
    expected = view.looks(state, {})["looks"]["runs"]
    # the page holds this one item, as its first
    assert saved["looks"]["of"] == [0, "user", {}]
    assert [head[:2] for head in saved["looks"]["runs"][0]] == [head[:2] for head in expected[0]]
    nothing = View([open_capture(vaslab.capture(vlm, [given[0].prompt()]), [given[0].prompt()])])
    assert page_data(nothing, State(0, "user", "item", (0, 0)), 1)["state"]["looks"] == {}

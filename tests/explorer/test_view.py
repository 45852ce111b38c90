"""What the page is told equals what the capture holds."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic_capture as made
import xarray as xr

import vaslab
from vaslab.capture.files import load_capture
from vaslab.errors import UsageError
from vaslab.explorer.opening import open_capture, open_model
from vaslab.explorer.runs import open_run
from vaslab.explorer.view import State, View
from vaslab.plots import compare_table

from .conftest import NASTY, measured


def floats(data, *shape):
    return np.frombuffer(data, dtype="<f4").reshape(shape)


def synthetic(**options):
    return View([open_capture(made.realistic(12, 4, 8, model="m", data="d", **options))])


def test_an_items_numbers_are_the_captures_own():
    view = synthetic()
    capture = view.sources[0].capture
    told = view.numbers(State(7, "user", "item", (0, 0)))
    one = capture.isel(item=7, query_role=0)
    np.testing.assert_array_equal(floats(told["vas"], 4, 8), one["vas"].values)
    shares = floats(told["shares"], 4, 8, 4)
    np.testing.assert_allclose(shares[..., 0], one["mass"].sel(key_role="image"), rtol=1e-6)
    system = one["mass"].sel(key_role="system_sink") + one["mass"].sel(key_role="system")
    np.testing.assert_allclose(shares[..., 1], system, rtol=1e-6)
    np.testing.assert_allclose(shares[..., 2], one["mass"].sel(key_role="user"), rtol=1e-6)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-6)
    assert told["low"] == told["high"] == b""
    assert "no interval" in told["map"]["note"]


def test_a_runs_numbers_are_means_over_its_items_with_an_interval():
    view = synthetic()
    vas = view.sources[0].capture["vas"].values[..., 0].astype(float)
    told = view.numbers(State(0, "user", "run", (0, 0)))
    np.testing.assert_allclose(floats(told["vas"], 4, 8), vas.mean(0), rtol=1e-6)
    low, high = floats(told["low"], 4, 8), floats(told["high"], 4, 8)
    assert ((low < vas.mean(0)) & (vas.mean(0) < high)).all()
    assert ((low > vas.min(0)) & (high < vas.max(0))).all()
    assert told["map"]["n"] == 12
    assert told["map"]["band"] == "95 % CI"


def test_the_limit_clips_at_most_two_percent_of_heads():
    capture = made.realistic(1, 10, 20)
    values = np.full((1, 10, 20, 1), 1.9, dtype=np.float32)
    values[0, 0, :4] = 100.0
    capture["vas"].values[:] = values
    view = View([open_capture(capture)])
    assert view.numbers(view.start())["map"]["limit"] == 2
    capture["vas"].values[0, 0, 4] = 1 / 30
    # five of 200 heads lie outside 1/2 .. 2: one of them has to be inside
    view = View([open_capture(capture)])
    assert view.numbers(view.start())["map"]["limit"] == 32


def test_items_say_what_was_answered_and_how_much_was_looked():
    view = synthetic()
    capture = view.sources[0].capture
    assert [item["id"] for item in view.items] == [str(name) for name in capture["item"].values]
    expected = capture["vas"].isel(item=3, query_role=0).values.astype(float).mean()
    assert view.items[3]["runs"][0]["vas"]["user"] == pytest.approx(expected)
    assert view.items[3]["runs"][0]["correct"] is None
    meta = view.meta()
    assert (meta["layers"], meta["heads"], meta["kv_group"]) == (4, 8, 2)
    assert meta["kernel"] is False
    assert meta["queries"] == ["user"]


def test_an_item_without_vas_is_missing_not_zero():
    capture = made.blank(made.realistic(3, 2, 4), 1, "image")
    view = View([open_capture(capture)])
    assert view.items[1]["runs"][0]["vas"]["user"] is None
    assert np.isnan(floats(view.numbers(State(1, "user", "item", (0, 0)))["vas"], 2, 4)).all()
    assert floats(view.numbers(State(1, "user", "item", (0, 0)))["shares"], 2, 4, 4)[..., 0].max() == 0
    every = View([open_capture(made.blank(made.realistic(1, 2, 4), 0, "system"))])
    told = every.numbers(State(0, "user", "run", (0, 0)))
    assert np.isnan(floats(told["vas"], 2, 4)).all()
    assert "no system token" in told["map"]["note"]


@pytest.mark.tiny
def test_a_run_tells_its_texts_as_they_are(runs):
    view = View([open_run(runs[0])])
    wide = view.items[view.item_of("wide")]
    assert wide["question"].endswith(NASTY[0])
    assert wide["reference"] == NASTY[1]
    assert wide["runs"][0]["correct"] is False
    assert view.items[view.item_of("tall")]["runs"][0]["correct"] is None
    assert not view.sources[0].loaded


@pytest.mark.tiny
def test_opening_loads_no_model_and_the_first_head_does(runs):
    view = View([open_run(runs[0])])
    start = view.start()
    told = view.attention(start, load=False)
    assert told["attention"][0]["state"] == "none"
    assert "Choose a head" in told["attention"][0]["note"]
    assert view.pictures(start.item)["pictures"][0]["rows"] == 0
    told = view.attention(start)
    (attention,) = told["attention"]
    assert attention["state"] == "full"
    assert attention["note"].startswith("loaded ")
    assert attention["seconds"] > 0
    assert attention["of"] == [start.item, start.queries, *start.selected]
    # every other head is at hand: the tiny model's heads were all kept
    told = view.attention(replace(start, selected=(1, 3)), load=False)
    assert told["attention"][0]["state"] == "full"
    assert told["attention"][0]["seconds"] == 0


@pytest.mark.tiny
@pytest.mark.parametrize("queries", ["user", "response"])
@pytest.mark.parametrize("item", ["wide", "tall", "two"])
def test_recomputed_maps_agree_with_the_runs_stored_masses(loaded, item, queries):
    at = loaded.item_of(item)
    capture = loaded.sources[0].capture.sel(query_role=queries).isel(item=at)
    for layer, head in np.ndindex(loaded.shape):
        told = loaded.attention(State(at, queries, "item", (layer, head)))
        (attention,) = told["attention"]
        assert attention["agreement"].startswith("agrees with the stored mass"), attention
        assert not attention["differs"]
        rows = attention["n_rows"]
        assert rows == len(told["rows"][0]) == int(capture["n_queries"])
        share = floats(told["share_0"], rows)
        cells = np.frombuffer(told["cells_0"], np.uint8).reshape(rows, attention["n_cells"])
        values = cells / 255 * floats(told["scale_0"], rows)[:, None]
        assert attention["n_cells"] == int(capture["n_keys"].sel(key_role="image"))
        np.testing.assert_allclose(values.sum(1), share, atol=0.002 * attention["n_cells"] * values.max())
        if queries == "user":
            stored = float(capture["mass"].isel(layer=layer, head=head).sel(key_role="image"))
            assert share.mean() == pytest.approx(stored, abs=1e-5)


@pytest.mark.tiny
def test_pictures_get_their_grids_once_these_are_known(loaded):
    at = loaded.item_of("two")
    loaded.attention(State(at, "user", "item", (0, 0)))
    pictures = loaded.pictures(at)["pictures"]
    assert [(each["width"], each["height"]) for each in pictures] == [(168, 56), (84, 84)]
    first, second = pictures
    assert second["first_cell"] == first["rows"] * first["cols"] > 0
    assert first["cols"] > first["rows"]
    assert second["cols"] == second["rows"]
    assert all(each["src"].startswith("data:image/png;base64,") for each in pictures)


@pytest.mark.tiny
def test_answers_are_looked_at_where_only_questions_were_measured(models, data, tmp_path):
    view = View([open_run(measured(models[0], data, tmp_path / "user", queries=("user",)))])
    assert view.queries == ["user", "response"]
    state = State(0, "response", "item", (1, 2))
    assert np.isnan(floats(view.numbers(state)["vas"], 2, 4)).all()
    told = view.attention(state)
    assert told["attention"][0]["state"] == "full"
    assert "nothing to compare with" in told["attention"][0]["agreement"]
    both = measured(models[0], data, tmp_path / "both")
    expected = load_capture(both / "capture.zarr")["vas"].sel(query_role="response").isel(item=0)
    np.testing.assert_allclose(floats(view.numbers(state)["vas"], 2, 4), expected, rtol=1e-3)
    assert "--queries response" in view.numbers(replace(state, scope="run"))["map"]["note"]


@pytest.mark.tiny
def test_two_runs_are_paired_by_item_and_tested_as_the_compare_figure_does(runs):
    one, two = open_run(runs[0]), open_run(runs[1])
    backwards = two.capture.isel(item=[2, 0, 1])
    by_id = {entry.id: entry for entry in two.entries}
    two.capture = backwards
    two.entries = [
        replace(by_id[name], capture=backwards, at=at) for at, name in enumerate(backwards["item"].values)
    ]
    view = View([one, two])
    state = State(0, "user", "run", (0, 0))
    told = view.numbers(state)
    # two of the three items are about one picture, which is resampled whole
    pictures = xr.DataArray(
        ["wide.png", "tall.png", "wide.png"], dims="item", coords={"item": ["wide", "tall", "two"]}
    )
    table = compare_table(one.capture, two.capture, cluster=pictures)
    assert "jackknife t over pictures" in told["map"]["note"]
    np.testing.assert_allclose(floats(told["change"], 8), table["ratio"], rtol=1e-6)
    np.testing.assert_allclose(floats(told["change_low"], 8), table["low"], rtol=1e-6)
    assert np.frombuffer(told["significant"], np.uint8).tolist() == table["changed"].astype(int).tolist()
    vas = floats(told["vas"], 2, 2, 4)
    np.testing.assert_allclose(vas[1] / vas[0], floats(told["change"], 2, 4), rtol=1e-5)
    for item in view.items:
        ids = [entry.id for entry in view.entries(view.item_of(item["id"]))]
        assert ids == [item["id"]] * 2
    one_item = view.numbers(replace(state, scope="item", item=1))
    vas = floats(one_item["vas"], 2, 2, 4)
    np.testing.assert_allclose(floats(one_item["change"], 2, 4), vas[1] / vas[0], rtol=1e-5)
    # one item is not tested: the page then says so, in place of "not significant"
    assert one_item["significant"] == b""
    assert "no test" in one_item["map"]["note"]
    told = view.attention(replace(state, item=1))
    assert [each["state"] for each in told["attention"]] == ["full", "full"]
    assert not any(each["differs"] for each in told["attention"])
    assert told["cells_0"] != told["cells_1"]


@pytest.mark.tiny
def test_runs_of_other_items_are_refused(runs, models, data, tmp_path):
    two = measured(models[1], data, tmp_path / "fewer", limit=2)
    with pytest.raises(UsageError, match="do not align: 1 items are only in the first"):
        View([open_run(runs[0]), open_run(two)])
    other = open_capture(made.realistic(2, 2, 4, query_roles=("response",)))
    with pytest.raises(UsageError, match="share no query role"):
        View([open_capture(made.realistic(2, 2, 4)), other])


def test_rows_on_the_floor_of_the_system_mass_are_told_by_head():
    capture = made.realistic(4, 2, 4)
    capture["clamped"][:] = 0.0
    capture["clamped"][{"item": 1, "layer": 1, "head": 2}] = 0.8
    view = View([open_capture(capture)])
    expected = np.zeros((2, 4))
    expected[1, 2] = 0.8 / 4
    state = State(1, "user", "run", (0, 0))
    np.testing.assert_allclose(floats(view.numbers(state)["floored"], 2, 4), expected, atol=1e-7)
    one = view.numbers(replace(state, scope="item"))
    np.testing.assert_allclose(floats(one["floored"], 2, 4), 4 * expected, atol=1e-7)


def test_pictures_that_items_share_are_resampled_whole():
    capture = made.realistic(6, 2, 4)
    other = made.realistic(6, 2, 4, lift=0.5)
    sources = [open_capture(each) for each in (capture, other)]
    for source in sources:
        source.clustered = True
        source.entries = [replace(entry, picture=str(entry.at // 2)) for entry in source.entries]
    view = View(sources)
    told = view.numbers(State(0, "user", "run", (0, 0)))
    assert "jackknife t over pictures" in told["map"]["note"]
    assert told["map"]["note"].startswith("Mean over 6 items")


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"item": 99},
        {"item": "0"},
        {"item": True},
        {"selected": [0]},
        {"selected": [0, 99]},
        {"selected": [-1, 0]},
        {"selected": "00"},
        {"queries": "system"},
        {"queries": ["user"]},
        {"scope": "<script>"},
    ],
)
def test_a_state_that_cannot_be_is_refused(told):
    view = synthetic()
    fine = {"item": 0, "queries": "user", "scope": "item", "selected": [1, 2]}
    assert view.checked(fine) == State(0, "user", "item", (1, 2))
    with pytest.raises(UsageError):
        view.checked({**fine, **told} if told else {})


def test_a_model_alone_begins_with_nothing(vlm):
    view = View([open_model(vlm)], live=True)
    state = view.start()
    assert state.item == -1
    assert np.isnan(floats(view.numbers(state)["vas"], 2, 4)).all()
    assert view.pictures(-1) == {"pictures": []}
    assert view.attention(state)["attention"][0]["note"] == "no item is chosen"


@pytest.mark.tiny
def test_maps_that_a_capture_kept_are_shown(vlm, prompt):
    capture = vaslab.capture(vlm, [prompt], ("user",), patches=[(1, 2)], item_ids=["x"])
    view = View([open_capture(capture)])
    told = view.attention(State(0, "user", "item", (1, 2)))
    (attention,) = told["attention"]
    assert attention["state"] == "full"
    assert attention["note"] == "stored with the capture"
    rows, cells = attention["n_rows"], attention["n_cells"]
    found = np.frombuffer(told["cells_0"], np.uint8).reshape(rows, cells) / 255
    expected = vaslab.patch_maps(capture, "x").values[0].reshape(rows, cells)
    np.testing.assert_allclose(
        found * floats(told["scale_0"], rows)[:, None], expected, atol=expected.max() / 500
    )
    (shown,) = view.pictures(0)["pictures"]
    assert (shown["rows"], shown["cols"]) == vaslab.patch_maps(capture, "x").shape[2:]
    assert shown["src"] == ""
    assert "explore(capture, prompts=" in shown["name"]
    told = view.attention(State(0, "user", "item", (0, 0)))
    assert told["attention"][0]["note"].endswith("maps were stored of layer 1 head 2 alone")
    with_prompts = View([open_capture(capture, [prompt], vlm)])
    told = with_prompts.attention(State(0, "user", "item", (0, 0)))
    assert told["attention"][0]["state"] == "full"
    assert with_prompts.items[0]["question"] == "what is red?"


@pytest.mark.tiny
def test_stored_maps_of_answers_and_questions_are_told_apart(vlm, prompt):
    ids = vlm.processor.tokenizer("a red circle", add_special_tokens=False)["input_ids"]
    queries = ("user", "response")
    both = vaslab.capture(vlm, [prompt], queries, patches=[(1, 2)], responses=[ids], item_ids=["x"])
    view = View([open_capture(both)])
    for role in queries:
        alone = vaslab.capture(vlm, [prompt], (role,), patches=[(1, 2)], responses=[ids], item_ids=["x"])
        told = view.attention(State(0, role, "item", (1, 2)))
        n = int(both["n_queries"].sel(query_role=role)[0])
        assert told["attention"][0]["n_rows"] == n
        expected = alone["patch_map"].values[0].reshape(n, -1).sum(1)
        np.testing.assert_allclose(floats(told["share_0"], n), expected, rtol=1e-4)

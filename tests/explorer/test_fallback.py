"""Where a map cannot be computed, the page says why; where it is not the run's own, it says that."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

import vaslab
from vaslab.capture.files import load_capture, save_capture
from vaslab.errors import VaslabError
from vaslab.explorer import recompute
from vaslab.explorer.runs import open_run
from vaslab.explorer.view import State, View

STATE = State(0, "user", "item", (1, 2))

pytestmark = pytest.mark.tiny


def changed(run, **options):
    """Change the run's config."""
    path = run / "config.yaml"
    held = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**held, **options}))
    return View([open_run(run)])


def told(view, state=STATE):
    return view.attention(state)["attention"][0]


def test_a_model_that_is_gone(run):
    found = told(changed(run, model=str(run / "gone")))
    assert found["state"] == "none"
    assert found["note"].startswith("not recomputed: there is no model folder")
    assert "no maps were stored" in found["note"]


def test_a_hub_id_is_not_downloaded_whatever_the_run_was_allowed(run):
    found = told(changed(run, model="nobody/nothing-at-all", offline=False))
    assert found["state"] == "none"
    assert "is not in the local Hugging Face cache" in found["note"]


def test_stored_maps_take_the_place_of_a_model_that_is_gone(run, vlm, data):
    capture = load_capture(run / "capture.zarr")
    view = View([open_run(run)])
    prompts = [entry.prompt() for entry in view.sources[0].entries]
    mapped = vaslab.capture(
        vlm, prompts, ("user",), patches=[(1, 2)], item_ids=list(capture["item"].values), batch_size=3
    )
    attrs = {"data": "own", "decoding": "greedy"}
    save_capture(mapped.assign_attrs(attrs), run / "capture.zarr", overwrite=True)
    view = changed(run, model=str(run / "gone"))
    found = told(view)
    assert found["state"] == "full"
    assert found["note"].startswith("not recomputed: there is no model folder")
    assert found["agreement"] == ""
    other = told(view, replace(STATE, selected=(0, 1)))
    assert other["state"] == "none"
    assert other["note"].endswith("maps were stored of layer 1 head 2 alone")


def test_a_picture_that_is_gone(run, data, tmp_path):
    copy = tmp_path / "own.jsonl"
    copy.write_text(data.read_text())
    view = changed(run, data=str(copy))
    found = told(view)
    assert found["state"] == "none"
    assert "No picture at" in found["note"]
    # no model is loaded for a picture that is not there
    assert not view.sources[0].loaded
    (shown,) = view.pictures(0)["pictures"]
    assert shown["src"] == ""
    assert "No picture at" in shown["name"]


def test_data_that_are_gone_or_are_others(run, data, tmp_path):
    found = told(changed(run, data=str(tmp_path / "gone.jsonl")))
    assert "no data file at" in found["note"]
    other = tmp_path / "own.jsonl"
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    other.write_text("".join(json.dumps({**row, "question": "another?"}) + "\n" for row in rows))
    found = told(changed(run, data=str(other)))
    assert "holds no item wide with this question" in found["note"]


def test_another_model_under_the_same_name_is_not_asked(run, models):
    held = yaml.safe_load((run / "config.yaml").read_text())
    view = changed(run, resolved={**held["resolved"], "model_revision": "sha256:0123"})
    found = told(view)
    assert found["state"] == "none"
    assert "the run was made with sha256:0123" in found["note"]


def test_masses_that_differ_are_told_not_hidden(run):
    capture = load_capture(run / "capture.zarr")
    capture["mass"].values[0, 1, 2, 0, 3] += 0.01
    save_capture(capture, run / "capture.zarr", overwrite=True)
    view = View([open_run(run)])
    found = told(view)
    assert found["state"] == "full"
    assert found["differs"]
    assert found["agreement"].startswith("DIFFERS from the stored mass of this head by 0.01")
    untouched = told(view, replace(STATE, selected=(1, 1)))
    assert not untouched["differs"]


def test_an_answer_that_is_cut_otherwise_is_said(run):
    path = run / "items.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["n_tokens"] += 1
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    view = View([open_run(run)])
    found = told(view, replace(STATE, queries="response"))
    n = rows[0]["n_tokens"]
    assert f"cut again has {n - 1} tokens, {n} were generated" in found["note"]
    rows[1] |= {"response": "", "finished": False, "n_tokens": 0}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = told(View([open_run(run)]), replace(STATE, item=1, queries="response"))
    assert found["note"].startswith("not recomputed: the answer is empty")


def test_a_query_role_that_an_item_has_not(run):
    view = View([open_run(run)])
    view.stored_queries.append("user_after_image")
    found = told(view, replace(STATE, queries="user_after_image"))
    # text follows the picture in these prompts, so the role is there; nothing of it was measured
    assert found["agreement"] == "nothing to compare with: no user_after_image rows were measured"


def test_items_that_failed_are_counted(run):
    path = run / "items.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    path.write_text(path.read_text() + json.dumps({**row, "id": "lost", "error": "no picture"}) + "\n")
    view = View([open_run(run)])
    assert "1 of 4 items could not be measured" in view.meta()["note"]
    assert len(view.items) == 3


def test_a_damaged_run_is_an_error(run):
    (run / "items.jsonl").write_text('{"id": "other"}\n')
    with pytest.raises(VaslabError, match="has no row of item wide"):
        open_run(run)
    (run / "items.jsonl").write_text("{")
    with pytest.raises(VaslabError, match="cannot be read"):
        open_run(run)


@pytest.mark.parametrize("said", ["CUDA out of memory. Tried", "DefaultCPUAllocator: can't allocate memory"])
def test_a_memory_that_is_too_small_is_said(run, monkeypatch, said):
    def too_large(*_):
        raise RuntimeError(said)

    monkeypatch.setattr(recompute, "look", too_large)
    assert told(View([open_run(run)]))["note"].startswith(f"not recomputed: {said}")


def test_any_other_error_is_not_hidden(run, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(recompute, "look", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        told(View([open_run(run)]))


def test_a_failed_load_can_be_tried_again(run, models):
    view = changed(run, model=str(run / "gone"))
    assert told(view)["state"] == "none"
    source = view.sources[0]
    source.load = lambda: vaslab.load(models[0], prove=False)
    assert told(view)["state"] == "full"
    assert np.isfinite(source.vlm().n_layers)

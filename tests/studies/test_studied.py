"""What a study or a run leaves is the same bits, whoever measured it, however often and wherever it was killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from .killed import POINTS

HERE = Path(__file__).parent
ITEMS = [8, 4]
ASKED, BATCH = 7, 2
DONE = ["capture.zarr", "config.yaml", "environment.json", "items.jsonl", "proof.json", "summary.json"]
FIRST_LOST = {
    "before the folder is there": 0,
    "in the first batch": 0,
    "in the second batch": 1,
    "while a shard is written": 1,
    "between shard and rows": 2,
    "within a row": 2,
    "between two rows of a batch": 2,
    "between two batches": 2,
    "before the joined capture": 4,
    "before the summary": 4,
}
TOLD = {
    "between shard and rows": "batch 2: a shard without rows",
    "within a row": "items.jsonl:6 is torn",
    "between two rows of a batch": "batch 2: 1 of its 2 rows",
}

pytestmark = pytest.mark.tiny


def studied(model, folder, kills):
    Image.new("RGB", (60, 50), "navy").save(folder / "a.png")
    rows = [
        {"id": "1", "image": "a.png", "question": "what?", "answer": "blue", "system": "Be brief."},
        {"id": "2", "image": "gone.png", "question": "what?"},
        {"id": "1", "image": "a.png", "question": "again?"},
        {"id": "4", "image": "a.png", "question": "and now?"},
    ]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [sys.executable, str(HERE / "studied.py"), str(model), str(folder), str(kills)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found(tiny_model, tmp_path_factory):
    return studied(tiny_model, tmp_path_factory.mktemp("studies"), kills=2)


@pytest.fixture(scope="module")
def points(found):
    return found["points"]


def same(seen, whole):
    assert list(whole["digests"]) == ["tiny-glyph", "tiny-mine"]
    assert all(len(files) > 10 for files in whole["digests"].values())
    assert seen["digests"] == whole["digests"]
    assert seen["table"] == whole["table"]
    assert seen["left"] == []


def test_two_processes_give_the_bits_of_one(found):
    assert found["whole"]["items"] == [{"0": 8}, {"0": 4}]
    two = found["two"]
    assert two["codes"] == [0, 0]
    same(two, found["whole"])
    # there were two, and both wrote rows
    assert set(two["items"][0]) == {"0", "1"}
    assert min(two["items"][0].values()) > 0
    assert [sum(each.values()) for each in two["items"]] == ITEMS


def test_what_a_dead_process_had_in_hand_is_asked_by_another(found):
    seen = found["helper dies"]
    assert seen["codes"] == [0, -9]
    same(seen, found["whole"])
    assert seen["items"][0]["1"] == 2
    assert sum(seen["items"][0].values()) == ITEMS[0]


def test_without_its_main_process_the_other_ends_and_the_same_call_goes_on(found):
    seen = found["main dies"]
    assert seen["codes"] == [-9, 1]
    # the other may be through with the open run's items by then: it meets the missing one in that run or in the next
    gone = "is gone; what is done stays, give the same command again"
    assert gone in seen["told"] or "the main process has not begun" in seen["told"]
    assert seen["again"] == [0, 0]
    same(seen, found["whole"])
    # what the first call had finished was not asked again: of a run whose items were all done, none
    assert sum((seen["items"][0] or {}).values()) < ITEMS[0]


def check_kills(found, kills):
    assert found["killed"]["kills"] == kills
    assert found["killed"]["studies"]
    for seen in found["killed"]["studies"]:
        assert seen["code"] == 0
        same(seen, found["whole"])


def test_a_study_killed_at_random_moments_ends_with_the_same_bits(found):
    check_kills(found, 2)


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_goes_on_and_ends_with_the_same_bits(points, point):
    seen = points[point]
    assert seen["killed"]
    assert seen["digests"] == points["whole"]
    assert len(points["whole"]) > 10
    assert seen["after"] == DONE
    assert seen["beside"] == []


@pytest.mark.parametrize("point", POINTS)
def test_at_most_the_batch_in_hand_is_asked_again(points, point):
    assert points[point]["resumed"]["asked"] == max(ASKED - BATCH * FIRST_LOST[point], 0)


@pytest.mark.parametrize("point", POINTS)
def test_what_is_torn_is_named(points, point):
    told = " | ".join(points[point]["resumed"]["notes"])
    assert TOLD.get(point, "") in told
    assert bool(told) is (point in TOLD)


def test_a_finished_run_is_not_measured_again(points):
    assert points["again"]["asked"] == 0
    assert "complete" in points["again"]["notes"][0]


def test_a_kill_before_the_folder_is_complete_leaves_none(points):
    assert points["before the folder is there"]["after_kill"] is None


@pytest.mark.slow
def test_a_study_killed_fifty_times_ends_with_the_same_bits(tiny_model, tmp_path):
    check_kills(studied(tiny_model, tmp_path, kills=50), 50)

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .killed import POINTS

ITEMS, BATCH = 7, 2
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


@pytest.fixture(scope="module")
def found(tiny_model, tmp_path_factory):
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).parent / "killed.py"),
            tiny_model,
            tmp_path_factory.mktemp("runs"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_goes_on_and_ends_with_the_same_bits(found, point):
    seen = found[point]
    assert seen["killed"]
    assert seen["digests"] == found["whole"]
    assert len(found["whole"]) > 10
    assert seen["after"] == DONE
    assert seen["beside"] == []


@pytest.mark.parametrize("point", POINTS)
def test_at_most_the_batch_in_hand_is_asked_again(found, point):
    assert found[point]["resumed"]["asked"] == max(ITEMS - BATCH * FIRST_LOST[point], 0)


@pytest.mark.parametrize("point", POINTS)
def test_what_is_torn_is_named(found, point):
    told = " | ".join(found[point]["resumed"]["notes"])
    assert TOLD.get(point, "") in told
    assert bool(told) is (point in TOLD)


def test_a_finished_run_is_not_measured_again(found):
    assert found["again"]["asked"] == 0
    assert "complete" in found["again"]["notes"][0]


def test_a_kill_before_the_folder_is_complete_leaves_none(found):
    assert found["before the folder is there"]["after_kill"] is None

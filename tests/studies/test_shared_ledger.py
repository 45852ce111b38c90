"""Rows of several processes: each in a file of its own, joined by the main one."""

import json

import numpy as np
import pytest
import xarray as xr

from vaslab.studies.ledger import Ledger
from vaslab.studies.rows import line_of
from vaslab.studies.shards import write_shard

IDS = [["a", "b"], ["c", "d"], ["e"]]


def shard(*names):
    return xr.Dataset({"mass": (("item",), np.zeros(len(names)))}, coords={"item": np.asarray(names, object)})


def rows(*names):
    return [{"id": name, "error": "", "who": "x"} for name in names]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "items.jsonl").touch()
    return tmp_path


def test_two_processes_learn_of_each_others_batches(folder):
    main, other = Ledger(folder, IDS), Ledger(folder, IDS, rank=1)
    other.commit(1, rows("c", "d"), shard("c", "d"))
    assert main.pending == [0, 1, 2]
    assert main.refresh() == 2
    assert main.pending == [0, 2]
    main.commit(0, rows("a", "b"), shard("a", "b"))
    assert other.refresh() == 2
    assert other.pending == [2]
    assert main.asked == {0: 2, 1: 2}
    assert (folder / "items.jsonl").read_text() == "".join(map(line_of, rows("a", "b")))
    assert (folder / "shards" / "rows-1.jsonl").read_text() == "".join(map(line_of, rows("c", "d")))


def test_a_batch_that_is_seen_in_part_waits_for_its_rest(folder):
    main = Ledger(folder, IDS)
    text = "".join(map(line_of, rows("c", "d")))
    path = folder / "shards" / "rows-1.jsonl"
    for end in (10, text.index("\n") + 1, len(text) - 3):
        path.write_text(text[:end])
        assert main.refresh() == 0
    path.write_text(text)
    assert main.refresh() == 2
    assert main.rows == rows("c", "d")


def test_a_new_session_joins_what_each_process_left(folder):
    main, other = Ledger(folder, IDS), Ledger(folder, IDS, rank=1)
    main.commit(2, rows("e"), shard("e"))
    other.commit(0, rows("a", "b"), shard("a", "b"))
    again = Ledger(folder, IDS)
    assert again.pending == [1]
    assert again.notes == []
    assert [path.name for path in (folder / "shards").iterdir() if "rows" in path.name] == []
    ids = [json.loads(line)["id"] for line in (folder / "items.jsonl").read_text().splitlines()]
    assert ids == ["a", "b", "e"]


def test_what_another_process_tore_is_named_by_its_file(folder):
    Ledger(folder, IDS)
    write_shard(shard("c", "d"), folder / "shards" / "00001.npz")
    (folder / "shards" / "rows-1.jsonl").write_text(line_of(rows("c")[0]) + '{"id": "d", "er')
    again = Ledger(folder, IDS)
    assert again.pending == [0, 1, 2]
    assert "rows-1.jsonl:2 is torn" in again.notes[0]
    assert "batch 1: 1 of its 2 rows" in again.notes[1]
    assert Ledger(folder, IDS).notes == []


def test_a_batch_of_a_dead_process_that_was_done_again_counts_once(folder):
    main = Ledger(folder, IDS)
    (folder / "shards" / "rows-1.jsonl").write_text(line_of(rows("a")[0]))
    for number, names in enumerate(IDS):
        main.commit(number, rows(*names), shard(*names))
    again = Ledger(folder, IDS)
    assert (again.pending, again.notes) == ([], [])
    assert again.rows == rows("a", "b", "c", "d", "e")

import json

import numpy as np
import pytest
import xarray as xr

from vaslab.errors import MissingError, UsageError, VaslabError
from vaslab.studies.config import MeasureConfig, read_config
from vaslab.studies.ledger import Ledger
from vaslab.studies.run import RunFolder, read_summary
from vaslab.studies.shards import read_shard, write_shard

CONFIG = MeasureConfig("m", "out", data="glyph").to_dict()
FIXED = {"versions": {"torch": "2.13.0", "numpy": "2"}, "threads": 1}


def begun(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create(CONFIG, {"items_digest": "abc"}, {"fixed": FIXED, "sessions": [{"command": "one"}]}, None)
    return folder


def shard(*names):
    values = np.arange(len(names), dtype=np.float32)
    text = np.asarray(names, dtype=object)
    return xr.Dataset(
        {"mass": (("item",), values, {"definition": "d"})}, coords={"item": text}, attrs={"route": "rows"}
    )


def rows(*names, error=""):
    return [{"id": name, "error": error} for name in names]


def test_a_folder_appears_whole(tmp_path):
    folder = begun(tmp_path)
    names = {path.name for path in folder.path.iterdir()}
    assert names == {"config.yaml", "environment.json", "proof.json", "items.jsonl", "shards"}
    assert folder.started
    assert not folder.finished
    assert read_config(folder.path / "config.yaml") == CONFIG
    with pytest.raises(MissingError, match="not finished"):
        read_summary(folder.path)


def test_where_things_lie_may_differ_what_is_measured_may_not(tmp_path):
    folder = begun(tmp_path)
    folder.check({**CONFIG, "out": "elsewhere", "offline": True}, {"items_digest": "abc"})
    with pytest.raises(UsageError, match="seed is 0 there and 1 here"):
        folder.check({**CONFIG, "seed": 1}, {"items_digest": "abc"})
    with pytest.raises(UsageError, match="items_digest is 'abc' there and 'xyz' here"):
        folder.check(CONFIG, {"items_digest": "xyz"})


def test_a_run_goes_on_only_under_the_same_conditions(tmp_path):
    folder = begun(tmp_path)
    folder.check_environment(FIXED)
    with pytest.raises(UsageError, match=r"torch was 2\.13\.0 and is 2\.14\.0"):
        folder.check_environment({**FIXED, "versions": {"torch": "2.14.0", "numpy": "2"}})
    with pytest.raises(UsageError, match="threads was 1 and is 2"):
        folder.check_environment({**FIXED, "threads": 2})


def test_every_call_is_noted(tmp_path):
    folder = begun(tmp_path)
    folder.add_session({"command": "two"})
    sessions = json.loads((folder.path / "environment.json").read_text())["sessions"]
    assert [each["command"] for each in sessions] == ["one", "two"]


def test_two_processes_do_not_write_into_one_run(tmp_path):
    folder = begun(tmp_path)
    with (
        folder.locked(),
        pytest.raises(VaslabError, match="another process"),
        RunFolder(folder.path).locked(),
    ):
        pass
    with folder.locked():
        pass


def test_a_damaged_config_is_named(tmp_path):
    folder = begun(tmp_path)
    (folder.path / "config.yaml").write_text("{")
    with pytest.raises(VaslabError, match=r"config\.yaml is damaged"):
        folder.check(CONFIG, {})


def test_a_shard_comes_back_as_it_was(tmp_path):
    path = tmp_path / "s.npz"
    written = shard("a", "ä\n")
    write_shard(written, path)
    assert read_shard(path).identical(written)
    assert read_shard(path)["item"].dtype == object


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-40], lambda data: data[:80] + b"x" + data[81:], lambda data: b""]
)
def test_a_damaged_shard_is_named(tmp_path, damage):
    path = tmp_path / "s.npz"
    write_shard(shard("a"), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(VaslabError, match=r"s\.npz cannot be read"):
        read_shard(path)


IDS = [["a", "b"], ["c", "d"], ["e"]]


def filled(tmp_path):
    folder = begun(tmp_path)
    ledger = Ledger(folder.path, IDS)
    assert ledger.pending == [0, 1, 2]
    ledger.commit(0, rows("a", "b"), shard("a", "b"))
    ledger.commit(1, rows("c", "d", error="broken"), None)
    return folder


def test_a_ledger_goes_on_where_it_stopped(tmp_path):
    ledger = Ledger(filled(tmp_path).path, IDS)
    assert ledger.pending == [2]
    assert ledger.notes == []
    assert [row["id"] for row in ledger.rows] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("damage", "pending", "said"),
    [
        (lambda path: (path / "shards" / "00000.npz").unlink(), [0, 2], "batch 0: rows without a shard"),
        (lambda path: (path / "shards" / "00000.npz").write_bytes(b"x"), [0, 2], "00000.npz cannot be read"),
        (
            lambda path: write_shard(shard("a"), path / "shards" / "00000.npz"),
            [0, 2],
            "shard is of other items",
        ),
        (
            lambda path: write_shard(shard("e"), path / "shards" / "00002.npz"),
            [2],
            "batch 2: a shard without rows",
        ),
        (lambda path: append(path, '{"id": "e", "err'), [2], "items.jsonl:5 is torn"),
        (lambda path: append(path, '{"id": "e", "error": ""}'), [2], "items.jsonl:5 is torn"),
        (lambda path: append(path, '{"id": "a", "error": ""}\n'), [0, 2], "batch 0: 3 of its 2 rows"),
        (lambda path: append(path, "\0\0\0\n"), [2], "items.jsonl:5 is torn"),
    ],
)
def test_what_is_torn_is_named_and_done_again(tmp_path, damage, pending, said):
    folder = filled(tmp_path)
    damage(folder.path)
    ledger = Ledger(folder.path, IDS)
    assert ledger.pending == pending
    assert any(said in note for note in ledger.notes)
    assert Ledger(folder.path, IDS).notes == []


def append(path, text):
    with (path / "items.jsonl").open("a") as file:
        file.write(text)


def test_rows_of_other_items_are_refused(tmp_path):
    ledger = Ledger(begun(tmp_path).path, IDS)
    with pytest.raises(VaslabError, match="rows of other items"):
        ledger.commit(0, rows("a"), shard("a"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"queries": ("users",)}, "did you mean 'user'"),
        ({"queries": ()}, "expected each of"),
        ({"queries": ("user", "user")}, "expected each of"),
        ({"batch_size": 0}, "--batch-size is 0"),
        ({"data": None}, "nothing to measure"),
        ({"image": ("a.png",)}, "exclude each other"),
        ({"temperature": -1}, "--temperature is -1"),
        ({"temperature": float("nan")}, "--temperature is nan"),
        ({"top_k": 5}, "belong to drawn answers"),
        ({"temperature": 1, "top_p": 2}, "top_p is 2"),
    ],
)
def test_a_config_that_no_run_can_have_is_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        MeasureConfig(**({"model": "m", "out": "o", "data": "glyph"} | changes))

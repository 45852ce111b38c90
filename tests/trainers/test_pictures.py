"""Pictures that cannot be shown: named with their row and file before anything is loaded."""

import re
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.trainers.test_data import TALK, png, write
from trainers.cli import app
from trainers.data import pictures
from trainers.data.pictures import unreadable
from trainers.data.readers import read_records
from trainers.data.record import RecordError
from vaslab.cli.exits import run


def noise(size=(96, 96)):
    file = BytesIO()
    Image.effect_noise(size, 80).save(file, format="PNG")
    return file.getvalue()


BROKEN = {
    "cut.png": (noise()[:4000], "is truncated or damaged"),
    "words.png": (b"not a picture at all", "is no picture that Pillow can read"),
    "line.png": (png(Image.new("RGB", (1, 400))), "is 1 x 400 pixels, an aspect ratio above 200"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "red.png").write_bytes(png())
    for name, (contents, _) in BROKEN.items():
        (tmp_path / name).write_bytes(contents)
    return tmp_path


def chats(*names):
    turns = [{"role": role, "content": text} for role, text in TALK]
    return [{"messages": turns, "images": [name]} for name in names]


def test_every_broken_picture_is_named_with_its_row_and_file(folder):
    names = ["red.png", "cut.png", "red.png", "words.png", "line.png", "cut.png"]
    reading = read_records(write(folder / "data.jsonl", chats(*names)))
    assert [record.id for record in reading.records] == ["row 1", "row 3"]
    wanted = [(row, name) for row, name in enumerate(names, start=1) if name != "red.png"]
    assert len(reading.problems) == len(wanted)
    for problem, (row, name) in zip(reading.problems, wanted, strict=True):
        assert problem.startswith(f"row {row}: {folder / name} {BROKEN[name][1]}"), problem


def test_bytes_of_a_parquet_file_are_looked_at_too(folder):
    rows = [
        {"problem": "<image>what?", "answer": "red", "images": [{"bytes": contents, "path": None}]}
        for contents in (png(), *(contents for contents, _ in BROKEN.values()))
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "geo.parquet")
    reading = read_records(folder / "geo.parquet")
    assert [record.id for record in reading.records] == ["row 1"]
    for row, (problem, (_, told)) in enumerate(zip(reading.problems, BROKEN.values(), strict=True), start=2):
        assert problem.startswith(f"row {row}: a picture of it {told}"), problem


@pytest.mark.usefixtures("unread")
def test_the_command_says_so_before_it_reads_a_model(folder, tmp_path, capfd):
    data = write(folder / "data.jsonl", chats("red.png", "cut.png"))
    words = ["sft", "--model", "organism:base", "--data", str(data), "--out", str(tmp_path / "out")]
    assert run(app, words, "avar") == 1
    assert re.search(r"1 of 2 rows cannot be used: row 2: \S+cut\.png is truncated", capfd.readouterr().err)


def test_each_distinct_picture_is_decoded_once_and_a_long_check_says_how_far_it_is(
    folder, monkeypatch, capfd
):
    seen = []
    monkeypatch.setattr(pictures, "SECONDS", 0.0)
    monkeypatch.setattr(pictures, "open_image", lambda source, name: seen.append(source))
    assert unreadable([folder / "red.png", png(), folder / "red.png", png()]) == {}
    assert sorted(map(str, seen)) == sorted(map(str, [folder / "red.png", png()]))
    assert capfd.readouterr().err.splitlines()[-1] == "note: 2 of 2 pictures are checked"


def test_other_processes_of_a_training_leave_the_pictures_to_the_first(folder, monkeypatch):
    monkeypatch.setattr("trainers.data.readers.unreadable", lambda _: pytest.fail("pictures are decoded"))
    assert len(read_records(write(folder / "data.jsonl", chats("cut.png")), pictures=False).records) == 1


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ("[1]", "holds a list; expected an object"),
        ('{"a": {"file_name": "d.json", "columns": [1]}}', "no objects"),
    ],
)
def test_a_layout_that_is_none_is_named(folder, info, told):
    (folder / "dataset_info.json").write_text(info)
    with pytest.raises(RecordError, match=told):
        read_records(write(folder / "d.json", chats("red.png")))

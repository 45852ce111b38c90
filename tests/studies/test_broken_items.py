"""Every kind of broken item ends as a row with a reason, and the others are measured."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import measure

FIXTURE = Path(__file__).parents[1] / "fixtures" / "mathvision"
GENUINE = FIXTURE / "testmini.jsonl"

pytestmark = pytest.mark.tiny


def huge(path, width=30_000, height=30_000):
    """A PNG of 900 million pixels, of which the file holds none."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    Image.new("RGB", (60, 50), "teal").save(folder / "good.png")
    Image.new("RGB", (60, 50), "teal").save(tmp_path / "outside.png")
    Image.new("CMYK", (60, 50), (0, 200, 10, 0)).save(folder / "cmyk.jpg")
    Image.new("RGB", (1, 1), "red").save(folder / "dot.png")
    Image.new("RGB", (20_000, 1), "red").save(folder / "line.png")
    Image.effect_noise((64, 64), 90).save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:900])
    (folder / "text.png").write_bytes(b"no picture")
    frames = [Image.new("RGB", (60, 50), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    huge(folder / "huge.png")
    return folder


def measured(model, data, out):
    config = MeasureConfig(str(model), str(out), data=str(data), batch_size=4, max_new_tokens=2)
    path = measure(config)
    rows = [json.loads(line) for line in (path / "items.jsonl").read_text().splitlines()]
    return rows, json.loads((path / "summary.json").read_text())


def test_own_rows(tiny_model, pictures, tmp_path):
    ask = {"question": "what?", "answer": "teal"}
    cases = [
        ({"id": "good", "image": "good.png", **ask}, ""),
        ({"id": "cmyk", "image": "cmyk.jpg", **ask}, ""),
        ({"id": "dot", "image": "dot.png", **ask}, ""),
        ({"id": "missing", "image": "gone.png", **ask}, "No picture at"),
        ({"id": "truncated", "image": "cut.png", **ask}, "truncated or damaged"),
        ({"id": "text", "image": "text.png", **ask}, "no picture that Pillow can read"),
        ({"id": "huge", "image": "huge.png", **ask}, "more pixels than the limit"),
        ({"id": "moving", "image": "moving.gif", **ask}, "2 frames"),
        ({"id": "line", "image": "line.png", **ask}, "aspect ratio above"),
        ({"id": "leaves", "image": "../outside.png", **ask}, "leaves the folder"),
        ({"id": "no question", "image": "good.png", "question": " "}, "no question"),
        ({"id": "nan", "image": "good.png", "question": "what?", "answer": float("nan")}, "not a number"),
        ({"id": "good", "image": "good.png", **ask}, "duplicate id 'good'"),
    ]
    data = pictures / "mine.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row, _ in cases))
    rows, summary = measured(tiny_model, data, tmp_path / "run")
    assert len(rows) == len(cases)
    for row, (asked, reason) in zip(rows, cases, strict=True):
        assert row["id"].startswith(asked["id"])
        assert (reason in row["error"]) if reason else (row["error"] == ""), row
        assert (row["response"] is None) is bool(reason)
    assert (summary["n"], summary["n_measured"]) == (13, 3)
    assert sum(summary["failed"].values()) == 10
    assert summary["accuracy"]["n"] == 3


def test_rows_of_a_published_benchmark(tiny_model, pictures, tmp_path):
    shutil.copytree(FIXTURE / "images", pictures / "images")
    rows = [json.loads(line) for line in GENUINE.read_text().splitlines()][:6]
    choice = next(json.loads(line) for line in GENUINE.read_text().splitlines() if '"options": ["' in line)
    broken = [
        rows[2] | {"image": "images/gone.jpg"},
        rows[3] | {"image": "../outside.png"},
        rows[4] | {"question": None},
        rows[0] | {"question": "the same id again"},
        choice | {"id": "no letter", "answer": "Z"},
        rows[5] | {"answer": float("nan")},
    ]
    data = pictures / "testmini.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows[:2], *broken]))
    told, summary = measured(tiny_model, f"mathvision:{data}", tmp_path / "run")
    assert len(told) == 8
    assert [bool(row["error"]) for row in told] == [False] * 2 + [True] * 6
    assert len({row["id"] for row in told}) == 8
    assert (summary["n_measured"], sum(summary["failed"].values())) == (2, 6)

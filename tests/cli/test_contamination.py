"""`vaslab contamination` as a user gives it: what it prints, writes and refuses."""

import csv
import json

import pytest
from PIL import Image, ImageDraw

TRIANGLE = "Two sides of the triangle are 5 cm and 12 cm long, the angle between them is right. How long is the third?"


@pytest.fixture
def sets(tmp_path):
    picture = Image.new("RGB", (200, 160), "white")
    ImageDraw.Draw(picture).polygon([(20, 140), (180, 140), (20, 30)], outline="black", width=4)
    (tmp_path / "bench" / "images").mkdir(parents=True)
    picture.save(tmp_path / "bench" / "images" / "t.png")
    clean = {"id": "2", "question": "Which of these words rhyme?", "image": "images/none.png", "answer": "b"}
    rows = [{"id": "1", "question": TRIANGLE, "image": "images/t.png", "answer": "13"}, clean]
    (tmp_path / "bench" / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "train").mkdir()
    picture.resize((300, 240)).save(tmp_path / "train" / "t.jpg")
    chat = [
        {"role": "user", "content": f"<image>{TRIANGLE} Answer in cm."},
        {"role": "assistant", "content": "13"},
    ]
    (tmp_path / "train" / "set.json").write_text(json.dumps([{"messages": chat, "images": ["t.jpg"]}]))
    return tmp_path / "train" / "set.json", tmp_path / "bench" / "own.jsonl"


def test_the_table_names_item_row_and_evidence(vaslab, sets, tmp_path):
    code, out, err = vaslab("contamination", *sets, "--out", tmp_path / "matches.csv")
    assert code == 0
    assert out == (
        "1 of 2 items (50.0%) have a near-duplicate among 1 training rows: "
        "1 by picture and text, 0 by picture, 0 by text\n"
    )
    (line,) = [line for line in err.splitlines() if "set.json row 1" in line]
    assert "picture and text" in line
    # what could not be compared is said
    assert "note: not compared, 1 x: No picture at" in err
    with (tmp_path / "matches.csv").open() as file:
        (match,) = csv.DictReader(file)
    assert (match["item"], match["row"], match["evidence"]) == ("1", "set.json row 1", "picture and text")
    assert float(match["picture"]) > 0.85


def test_json_holds_every_match(vaslab, sets):
    code, out, _ = vaslab("contamination", *sets, "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["items"], told["rows"]) == (2, 1)
    assert told["items_with_a_match"] == {"picture and text": 1, "picture": 0, "text": 0}
    assert [match["item"] for match in told["matches"]] == ["1"]
    assert list(told["unread"].values()) == [1]


def test_what_is_missing_or_wrong_is_one_line(vaslab, sets, tmp_path):
    train, bench = sets
    for words, code, said in (
        ((tmp_path / "none.json", bench), 3, "no data file at"),
        ((train, tmp_path / "none.jsonl"), 3, "no data file at"),
        ((tmp_path / "set.txt", bench), 2, "no table of rows"),
        ((train, "mathvison:x"), 2, "did you mean 'mathvision'?"),
    ):
        found, _, err = vaslab("contamination", *words)
        assert found == code
        assert said in err
        assert len(err.strip().splitlines()) == 1

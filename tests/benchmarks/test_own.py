import json

import pytest
from PIL import Image

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.own import OwnPicture
from vaslab.errors import MissingError, UsageError, VaslabError


def write(folder, *rows):
    Image.new("RGB", (64, 64), "white").save(folder / "a.png")
    path = folder / "mine.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return find_benchmark(str(path))


GOOD = {"id": "one", "image": "a.png", "question": "what is it?", "answer": "nothing"}


def broken(folder, **changes):
    row = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    (item,) = write(folder, row).select().items
    return item.broken


def test_a_good_row_is_asked_with_its_own_system_prompt(tmp_path):
    (item,) = write(tmp_path, {**GOOD, "system": "be brief", "colour": "ignored"}).select().items
    prompt = item.prompt()
    assert [turn.role for turn in prompt.turns] == ["system", "user"]
    assert prompt.images[0].size == (64, 64)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image": ...}, "no image"),
        ({"image": ..., "imgae": "a.png"}, "did you mean 'image' by 'imgae'"),
        ({"image": "../secret.png"}, "leaves the folder"),
        ({"image": "/etc/passwd"}, "leaves the folder"),
        ({"image": 3}, "no path or list"),
        ({"image": "a\0.png"}, "cannot be followed"),
        ({"question": " "}, "no question"),
        ({"question": ["x"]}, "question is a list"),
        ({"answer": {"a": 1}}, "answer is a dict"),
        ({"answer": float("nan")}, "not a number"),
        ({"id": {"a": 1}}, "id is no text"),
    ],
)
def test_what_is_wrong_with_a_row_becomes_its_reason(tmp_path, changes, reason):
    assert reason in broken(tmp_path, **changes)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    inside = tmp_path / "data"
    inside.mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "outside.png")
    (inside / "link.png").symlink_to(tmp_path / "outside.png")
    assert "leaves the folder" in broken(inside, image="link.png")


def test_a_broken_item_cannot_be_asked(tmp_path):
    (item,) = write(tmp_path, {"id": 1, "question": "?"}).select().items
    with pytest.raises(VaslabError, match="no image"):
        item.prompt()


def test_an_unreadable_picture_is_met_when_it_is_asked(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    (item,) = write(tmp_path, {**GOOD, "image": "bad.png"}).select().items
    with pytest.raises(VaslabError, match=r"bad\.png"):
        item.prompt()


def test_duplicate_ids_keep_the_first_and_stay_rows(tmp_path):
    rows = [GOOD, {**GOOD, "question": "again?"}, {**GOOD, "id": 1}, {**GOOD, "id": "1"}]
    items = write(tmp_path, *rows).select().items
    assert [item.broken for item in items] == [
        "",
        "duplicate id 'one', first on line 1",
        "",
        "duplicate id '1', first on line 3",
    ]
    assert len({item.id for item in items}) == 4


def test_numbers_are_answers_and_no_answer_is_no_verdict(tmp_path):
    bench = write(tmp_path, {**GOOD, "answer": 4}, {"id": 1, "image": "a.png", "question": "?"})
    four, none = bench.select().items
    assert bench.grade(four, " 4. ").right is True
    assert bench.grade(none, "4").right is None
    assert bench.grade(none, "4").reason == "no reference answer"


@pytest.mark.parametrize(
    ("line", "words"), [("{", "not JSON"), ("[1]", "a list, not an object"), ("nul", "not JSON")]
)
def test_a_malformed_line_names_file_and_line(tmp_path, line, words):
    bench = write(tmp_path, GOOD, "", line)
    with pytest.raises(UsageError, match=rf"mine\.jsonl:3: .*{words}"):
        bench.select()


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no row"):
        write(tmp_path, "").select()


def test_the_first_rows_are_taken(tmp_path):
    selection = write(tmp_path, *({**GOOD, "id": str(n)} for n in range(5))).select(limit=2)
    assert [item.id for item in selection.items] == ["0", "1"]
    assert selection.words == "first 2 of 5 rows of mine.jsonl"


def test_an_own_picture_is_read_before_anything_else(tmp_path):
    with pytest.raises(MissingError):
        OwnPicture([str(tmp_path / "none.png")], "what?").select()
    with pytest.raises(UsageError, match="add --image"):
        OwnPicture([], "what?")
    with pytest.raises(UsageError, match="add --question"):
        OwnPicture(["a.png"], " ")

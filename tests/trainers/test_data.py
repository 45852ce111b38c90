"""Records: what they must hold, the formats they are read from, and the glyph world's own."""

import json
import re
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainers.data.glyph import AGAIN, glyph_records
from trainers.data.readers import read_records
from trainers.data.record import KINDS, Record, RecordError, digest, write_records
from vaslab.errors import MissingError, UsageError
from vaslab.organism import glyphs

RED = Image.new("RGB", (70, 64), "red")
TALK = (("user", "<image>what color?"), ("assistant", "<think>red.</think><answer>red</answer>"))


def png(picture=RED):
    file = BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def write(path, rows):
    path.write_text(json.dumps(rows) if path.suffix == ".json" else "\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def folder(tmp_path):
    RED.save(tmp_path / "red.png")
    return tmp_path


def test_a_record_becomes_a_prompt_and_blocks():
    record = Record(
        "r", (("system", "be brief"), ("user", "a<image>b<image>"), ("assistant", "c")), (png(), png())
    )
    prompt = record.prompt()
    assert [turn.role for turn in prompt.turns] == ["system", "user", "assistant"]
    assert [piece if isinstance(piece, str) else piece.size for piece in prompt.turns[1].pieces] == [
        "a",
        (70, 64),
        "b",
        (70, 64),
    ]
    assert record.response == "c"
    assert record.blocks()[1]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image"},
        {"type": "text", "text": "b"},
        {"type": "image"},
    ]


@pytest.mark.parametrize(
    ("messages", "images", "answer", "told"),
    [
        (TALK, 0, "red", "1 <image> in the texts and 0 images"),
        (TALK, 2, "red", "1 <image> in the texts and 2 images"),
        (TALK, 1, "blue", "answers 'red', the record's answer is 'blue'"),
        ((("user", "a"), ("assistant", "<image>")), 1, None, "in a assistant turn"),
        ((("assistant", "a"),), 0, None, "no user turn"),
        ((("user", ""), ("assistant", "a")), 0, None, "no content"),
    ],
)
def test_a_record_that_cannot_be_trained_on_says_why(messages, images, answer, told):
    with pytest.raises(RecordError, match=told):
        Record("r", messages, (png(),) * images, "", answer)


def test_written_records_are_read_as_they_were(tmp_path):
    records = [Record("a", TALK, (png(),), "vard", "red"), Record("b", TALK[:1], (png(),), "rl", "red")]
    path = write_records(records, tmp_path / "out")
    reading = read_records(tmp_path / "out")
    assert reading.problems == ()
    assert [(r.id, r.messages, r.kind, r.answer) for r in reading.records] == [
        (r.id, r.messages, r.kind, r.answer) for r in records
    ]
    assert len(list((tmp_path / "out" / "images").iterdir())) == 1
    assert digest(reading.records) == digest(records)
    with pytest.raises(UsageError, match="is there already"):
        write_records(records, path.parent)


def test_the_digest_sees_texts_answers_and_pixels():
    base = Record("a", TALK, (png(),), "vard", "red")
    others = [
        Record("a", TALK, (png(Image.new("RGB", (70, 64), "blue")),), "vard", "red"),
        Record("a", (TALK[0], ("assistant", "<answer>red</answer>")), (png(),), "vard", "red"),
        Record("a", TALK, (png(),), "vard", None),
    ]
    assert len({digest([record]) for record in (base, *others)}) == 4
    assert digest([base]) == digest([Record("other name", TALK, (png(),), "vard", "red")])


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_llamafactory_messages_and_conversations(folder, suffix):
    talk = [{"role": "user", "content": "<image>what?"}, {"role": "assistant", "content": "red"}]
    shared = [{"from": "human", "value": "what?<image>"}, {"from": "gpt", "value": "red"}]
    blocks = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what?"}]},
        {"role": "assistant", "content": "red"},
    ]
    rows = [
        {"messages": talk, "images": ["red.png"]},
        {"conversations": shared, "image": "red.png", "system": "be brief"},
        {"messages": blocks, "images": ["red.png"]},
    ]
    reading = read_records(write(folder / f"data{suffix}", rows))
    assert reading.problems == ()
    first, second, third = reading.require("response")
    assert first.messages == third.messages == (("user", "<image>what?"), ("assistant", "red"))
    assert second.messages == (("system", "be brief"), ("user", "what?<image>"), ("assistant", "red"))
    assert second.images == (folder / "red.png",)


def test_a_dataset_info_beside_the_file_names_columns_and_tags(folder):
    entry = {
        "file_name": "data.json",
        "formatting": "sharegpt",
        "columns": {"messages": "chat", "images": "pictures"},
        "tags": {"role_tag": "who", "content_tag": "what", "user_tag": "asker", "assistant_tag": "teller"},
    }
    write(folder / "dataset_info.json", {"other": {"file_name": "x.json"}, "mine": entry})
    chat = [{"who": "asker", "what": "<image>?"}, {"who": "teller", "what": "red"}]
    (record,) = read_records(write(folder / "data.json", [{"chat": chat, "pictures": ["red.png"]}])).records
    assert record.messages == (("user", "<image>?"), ("assistant", "red"))


def test_geometry3k_parquet(folder):
    rows = [
        {"images": [{"bytes": png(), "path": None}], "problem": "<image>Find x.", "answer": "3"},
        {"images": [{"bytes": None, "path": "red.png"}], "problem": "<image>Find y.", "answer": "4"},
        {"images": [], "problem": "<image>Find z.", "answer": "5"},
        {"images": [{"bytes": png(), "path": None}], "problem": "<image>Find w.", "answer": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "geo.parquet")
    reading = read_records(folder / "geo.parquet")
    assert [(r.messages, r.kind, r.answer) for r in reading.records] == [
        ((("user", "<image>Find x."),), "rl", "3"),
        ((("user", "<image>Find y."),), "rl", "4"),
        ((("user", "<image>Find w."),), "rl", None),
    ]
    assert reading.records[0].prompt().images[0].size == (70, 64)
    assert reading.problems == ("row 3: 1 <image> in the texts and 0 images; expected as many of each",)
    with pytest.raises(RecordError, match=r"2 of 4 rows cannot be used: row 3: .*; row 4: no answer"):
        reading.require("answer")


def test_every_broken_row_has_its_reason(folder):
    good = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (folder / "data.jsonl").write_text(
        "\n".join(
            [
                json.dumps({"messages": good}),
                '{"messages": [',
                json.dumps({"messages": good, "images": ["gone.png"]}),
                json.dumps({"text": "a"}),
                json.dumps({"messages": [{"role": "tool", "content": "a"}]}),
                json.dumps({"messages": good, "kind": "other"}),
                json.dumps([1]),
                json.dumps({"messages": [{"role": "user", "content": 3}]}),
            ]
        )
    )
    reading = read_records(folder / "data.jsonl")
    assert len(reading.records) == 1
    patterns = (
        "row 2: is no JSON",
        "row 3: no picture at .*gone.png",
        "row 4: has no messages or conversations; its columns are text",
        "row 5: turn 0 has the role 'tool'",
        "row 6: kind is 'other'",
        "row 7: is a list",
        "row 8: turn 0 holds int",
    )
    assert len(reading.problems) == len(patterns)
    for problem, pattern in zip(reading.problems, patterns, strict=True):
        assert re.match(pattern, problem), problem
    with pytest.raises(RecordError, match=r"7 of 8 rows cannot be used: .*, and 4 more"):
        reading.require("response")


def test_files_that_are_not_what_they_say(tmp_path):
    with pytest.raises(MissingError, match="no records at"):
        read_records(tmp_path / "gone.json")
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(UsageError, match=r"expected \.jsonl, \.json, \.parquet"):
        read_records(tmp_path / "a.csv")
    (tmp_path / "a.json").write_text('{"messages": []}')
    with pytest.raises(RecordError, match="expected a list"):
        read_records(tmp_path / "a.json")
    (tmp_path / "a.parquet").write_text("x")
    with pytest.raises(RecordError, match="no parquet"):
        read_records(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(RecordError, match="holds no records"):
        read_records(tmp_path / "a.jsonl").require("response")


def solved(description, question):
    """The answer that the words of a scene give to a question of three of the kinds; None for the others."""
    things = {}
    for each in description.split(", "):
        *place, color, shape = each.split()
        things[" ".join(place)] = (color, shape)
    if match := re.fullmatch(r"where is the (\w+) (\w+)\? think first\.", question):
        return next(place for place, thing in things.items() if thing == match.groups())
    if match := re.fullmatch(r"what is at the ([\w ]+)\? think first\.", question):
        return " ".join(things[match[1]])
    if match := re.fullmatch(r"how many (\w+?)s? (shapes )?are there\? think first\.", question):
        return str(sum(match[1] in thing for thing in things.values()))
    return None


def test_glyph_records_are_true_and_of_one_question_in_three_forms():
    texts, pictured, anchored = (list(glyph_records(kind, 60, seed=3)) for kind in KINDS[:3])
    answered = 0
    for text, picture, vard in zip(texts, pictured, anchored, strict=True):
        description, _, question = text.messages[0][1].partition(". ")
        answer = solved(description, question)
        answered += answer is not None
        assert answer in (None, text.answer)
        assert text.answer == picture.answer == vard.answer
        assert picture.messages[0] == vard.messages[0] == ("user", f"<image>{question}")
        assert text.response == picture.response
        assert picture.images == vard.images
        assert vard.response.startswith(f"<think>{description}. ")
        seen = re.findall(r"look back at the |look at the [\w ]+ again\.|check the ", vard.response)
        assert len(seen) >= 2
        assert vard.response.count(AGAIN) >= 1
        steps = picture.response.removeprefix("<think>").partition("</think>")[0]
        assert all(f"{step}." in vard.response for step in steps.removesuffix(".").split(". "))
    assert answered > 20


def test_glyph_records_are_functions_of_their_seed_and_never_held_out():
    for kind in KINDS:
        assert digest(glyph_records(kind, 5, 1)) == digest(list(glyph_records(kind, 9, 1))[:5])
        assert digest(glyph_records(kind, 5, 1)) != digest(glyph_records(kind, 5, 2))
    seeds = {int(record.id.rpartition("-")[2]) for kind in KINDS for record in glyph_records(kind, 5, 0)}
    assert min(seeds) > glyphs.FIRST_TRAIN_SEED
    assert len(seeds) == 10  # the three cold starts share their scenes; RL has its own
    with pytest.raises(UsageError, match="text-cold-start"):
        next(glyph_records("cold", 5, 0))

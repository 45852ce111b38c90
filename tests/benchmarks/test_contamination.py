"""Planted duplicates are found, near misses are not: genuine pictures and questions, and drawings of our own."""

import io
import json
import re
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from vaslab.benchmarks import Item, find_benchmark
from vaslab.benchmarks.contamination import find_overlap
from vaslab.benchmarks.picture_hash import HASH_BITS, NEAREST, fingerprint, likeness, near
from vaslab.benchmarks.question_text import QuestionIndex, words
from vaslab.benchmarks.training_rows import TrainingRow, training_rows
from vaslab.errors import MissingError, UsageError
from vaslab.prompts.images import open_image

MATHVISION = Path(__file__).parents[1] / "fixtures" / "mathvision"


@pytest.fixture(scope="module")
def items():
    return find_benchmark(f"mathvision:{MATHVISION / 'testmini.jsonl'}").select().items


@pytest.fixture(scope="module")
def pictures(items):
    found = [open_image(item.pictures[0]) for item in items]
    for picture in found:
        picture.thumbnail((400, 400))
    return found


@pytest.fixture(scope="module")
def prints(pictures):
    return [fingerprint(picture) for picture in pictures]


def jpeg(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def blue_ink(picture):
    share = np.asarray(picture.convert("L"), dtype=np.float32)[..., None] / 255
    return Image.fromarray((np.array([20, 40, 160]) * (1 - share) + 255 * share).astype(np.uint8))


PLANTS = {
    "half": lambda p: p.resize((p.width // 2, p.height // 2)),
    "double": lambda p: p.resize((p.width * 2, p.height * 2)),
    "stretched": lambda p: p.resize((round(p.width * 1.05), p.height)),
    "jpeg": lambda p: jpeg(p, 30),
    "grey": lambda p: p.convert("L").convert("RGB"),
    "blue ink": blue_ink,
    "cream paper": lambda p: Image.fromarray((np.asarray(p) * [1, 0.96, 0.82]).astype(np.uint8)),
    "inverted": ImageOps.invert,
    "faded": lambda p: ImageEnhance.Contrast(p).enhance(0.6),
    "bordered": lambda p: ImageOps.expand(p, round(0.06 * max(p.size)), "white"),
}


@pytest.mark.parametrize("change", PLANTS)
def test_a_changed_picture_is_found_and_no_other(pictures, prints, change):
    hashes = np.stack([each.hashes for each in prints])
    found, others = 0, 0
    for index, picture in enumerate(pictures):
        planted = fingerprint(PLANTS[change](picture))
        alike = [at for at in near(planted.hashes, hashes) if likeness(planted, prints[at]) > 0]
        found += index in alike
        others += any(at != index for at in alike)
    # what moves or blurs lines costs some of the finest drawings; changes of colour cost none
    assert found >= len(pictures) - (2 if change in ("half", "stretched", "jpeg", "bordered") else 0)
    assert others == 0


def test_a_picture_is_wholly_like_itself(prints):
    assert likeness(prints[0], prints[0]) == pytest.approx(1)
    assert near(prints[0].hashes, np.stack([prints[0].hashes, ~prints[0].hashes])) == [0]
    assert NEAREST < HASH_BITS / 2


def grid(draw=lambda pen: None):
    picture = Image.new("RGB", (240, 240), "white")
    pen = ImageDraw.Draw(picture)
    for at in (20, 86, 153, 220):
        pen.line((20, at, 220, at), "black", 4)
        pen.line((at, 20, at, 220), "black", 4)
    draw(pen)
    return picture


NEAR_MISSES = {
    "a figure in a field": lambda pen: pen.text((42, 36), "1", "black", font_size=40),
    "a filled field": lambda pen: pen.rectangle((88, 88, 151, 151), "black"),
    "a diagonal": lambda pen: pen.line((20, 20, 220, 220), "black", 4),
}


@pytest.mark.parametrize("miss", NEAR_MISSES)
def test_one_drawing_with_something_more_in_it_is_another(miss):
    one, other = fingerprint(grid()), fingerprint(grid(NEAR_MISSES[miss]))
    assert likeness(one, other) == likeness(other, one) == 0
    # both are found again by themselves
    assert likeness(other, fingerprint(jpeg(grid(NEAR_MISSES[miss]).resize((300, 300)), 50))) > 0.85


def test_an_empty_picture_has_no_fingerprint():
    assert fingerprint(Image.new("RGB", (50, 40), "white")) is None
    assert fingerprint(Image.new("RGB", (1, 1), "red")) is None
    dot = Image.new("RGB", (3, 3), "white")
    dot.putpixel((1, 1), (0, 0, 0))
    assert fingerprint(dot) is not None


QUESTION = (
    "In the right triangle $ABC$, $\\angle B = 90^{\\circ}$, the side AB is 5 cm long and BC is 12 cm long. "
    "What is the length of the median from B, in centimetres?\n<image1>"
)
REWORDED = {
    "as it is": QUESTION,
    "no markup": QUESTION.replace("$", "").replace("<image1>", ""),
    "shouted": re.sub(r"[.,?]", "", QUESTION)
    .upper()
    .replace("\\ANGLE", "\\angle")
    .replace("\\CIRC", "\\circ"),
    "instructed": f"<image>Hint: answer with the letter of the option.\nQuestion: {QUESTION}\n(A) 6.5 (B) 7",
    "synonyms": QUESTION.replace("long", "in length").replace("What is", "Determine"),
    "shortened": QUESTION.replace("In the right triangle $ABC$, ", "").replace(", in centimetres", ""),
}
OTHERS = {
    "other numbers": QUESTION.replace("12", "15"),
    "one number fewer and another": QUESTION.replace("12", "15").replace("is 5 cm", "is short"),
    "another question": "Nadia folds a sheet of paper twice and cuts off a corner. How many holes will she see?",
    "the same kind of question": "In the right triangle DEF find the radius of the circle through D, E and F.",
    "too short": "What is the length?",
    "nothing": "",
}


@pytest.mark.parametrize("how", REWORDED)
def test_a_reworded_question_is_found(how):
    ((index, share),) = QuestionIndex(["How many bricks are missing?", QUESTION], [REWORDED[how]]).like(
        REWORDED[how]
    )
    assert index == 1
    assert 0.5 <= share <= 1


@pytest.mark.parametrize("how", OTHERS)
def test_another_question_is_not(how):
    assert QuestionIndex([QUESTION], [OTHERS[how]]).like(OTHERS[how]) == []


def test_words_have_neither_markup_nor_case():
    assert words("<image>The $\\angle ABC$ of 3.5\\circ, 図１!") == [
        "the",
        "∠",
        "abc",
        "of",
        "3.5",
        "°",
        "図",
        "1",
    ]


def test_what_every_question_says_is_no_evidence():
    ask = "Please think step by step, then write the number of your answer between the tags at the end. "
    theirs = [ask + text for text in ("Red?", "Blue?", "Green?", "Grey?")]
    index = QuestionIndex([ask + "How far?", ask + "How old?", ask + "How high?"], theirs)
    assert [index.like(text) for text in theirs] == [[], [], [], []]
    # copies of one row, as samples of one prompt make them, do not make a template of it
    assert len(QuestionIndex([QUESTION], [QUESTION] * 8).like(QUESTION)) == 1


def test_genuine_questions_are_not_alike(items):
    texts = [item.question for item in items]
    index = QuestionIndex(texts, texts)
    assert all({found for found, _ in index.like(text)} <= {at} for at, text in enumerate(texts))


def encoded(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name, draw in {"a": lambda pen: None, **NEAR_MISSES}.items():
        grid(draw).save(tmp_path / "pictures" / f"{name[0] if name == 'a' else len(name)}.png")
    return tmp_path


def opened(row):
    return [open_image(each if isinstance(each, Path) else each()).size for each in row.pictures]


CHATS = {
    "llama-factory": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "<image>How many?"},
            {"role": "assistant", "content": "Nine."},
            {"role": "user", "content": "And why?"},
        ],
        "images": ["pictures/a.png"],
    },
    "sharegpt": {
        "conversations": [
            {"from": "human", "value": "<image>How many?\nAnd why?"},
            {"from": "gpt", "value": "9"},
        ],
        "image": "pictures/a.png",
    },
    "parts": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "image": "pictures/a.png"},
                    {"type": "text", "text": "<image>How many?"},
                    {"type": "text", "text": "And why?"},
                ],
            }
        ]
    },
    "prompt": {
        "prompt": [{"role": "user", "content": "<image>How many?\nAnd why?"}],
        "images": ["pictures/a.png"],
    },
    "question": {"question": "<image>How many?\nAnd why?", "image": "pictures/a.png"},
    "instruction": {"instruction": "<image>How many?", "input": "And why?", "images": ["pictures/a.png"]},
}


@pytest.mark.parametrize("form", CHATS)
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_every_form_of_a_training_row_is_read(folder, form, ending):
    text = json.dumps([CHATS[form]]) if ending == "json" else json.dumps(CHATS[form])
    (folder / f"set.{ending}").write_text(text)
    (row,) = training_rows(str(folder / f"set.{ending}"))
    assert row.question == "<image>How many?\nAnd why?"
    assert opened(row) == [(240, 240)]
    assert not row.broken


def test_parquet_with_a_column_of_pictures_and_folders_are_read(folder):
    rows = [
        {"problem": "<image>Find x.", "answer": "3", "images": [{"bytes": encoded(grid()), "path": None}] * 2}
    ]
    (folder / "data").mkdir()
    pd.DataFrame(rows).to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    pd.DataFrame(rows).to_parquet(folder / "data" / "test-00000-of-00001.parquet")
    # of a folder with splits, those for training
    (row,) = training_rows(str(folder))
    assert (row.question, opened(row)) == ("<image>Find x.", [(240, 240)] * 2)
    kept = datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name in ("train", "validation")})
    kept.save_to_disk(str(folder / "saved"))
    assert [opened(each) for each in training_rows(str(folder / "saved"))] == [[(240, 240)] * 2] * 2
    with pytest.raises(MissingError, match="holds no table"):
        training_rows(str(folder / "pictures"))
    with pytest.raises(MissingError, match="no data file"):
        training_rows(str(folder / "none.json"))
    with pytest.raises(UsageError, match="no table of rows"):
        training_rows(str(folder / "set.txt"))


def test_overlap_tells_what_a_match_rests_on(folder):
    other = "Nadia folds a sheet of paper twice and cuts off one corner. How many holes are there in it now?"
    bench = [
        Item("both", QUESTION, (folder / "pictures" / "a.png",)),
        Item("text", other, ()),
        Item("clean", "Which of these five shadows can the wooden block on the table throw?", ()),
    ]
    rows = [
        TrainingRow("clean", "How are you?", (lambda: grid(NEAR_MISSES["a filled field"]),)),
        TrainingRow("picture", "What is drawn?", (lambda: grid().resize((120, 120)),)),
        TrainingRow("both", REWORDED["instructed"], (lambda: jpeg(grid(), 40),)),
        TrainingRow("text", other.upper()),
        TrainingRow("gone", "Who?", (folder / "none.png",), "no question"),
    ]
    told = []
    overlap = find_overlap(rows, bench, told.append)
    assert sum(told) == overlap.n_rows == 5
    assert overlap.n_items == 3
    assert [(match.item, match.row, match.evidence) for match in overlap.matches] == [
        ("both", "both", "picture and text"),
        ("both", "picture", "picture"),
        ("text", "text", "text"),
    ]
    assert [match.item for match in overlap.strongest()] == ["both", "text"]
    assert [overlap.items(each) for each in ("picture and text", "picture", "text")] == [1, 0, 1]
    assert sorted(overlap.unread.values()) == [1, 1]
    assert any("none.png" in reason for reason in overlap.unread)


def test_a_planted_training_set_is_found_item_by_item(items, pictures):
    planted = range(0, len(items), 2)
    rows = [
        TrainingRow(str(at), f"<image>{items[at].question}", (lambda p=pictures[at]: jpeg(p, 60),))
        for at in planted
    ]
    overlap = find_overlap(rows, items)
    assert [match.item for match in overlap.strongest()] == [items[at].id for at in planted]
    assert [match.row for match in overlap.strongest()] == [str(at) for at in planted]


def test_a_folder_that_is_called_like_a_benchmark_is_a_folder(tmp_path, monkeypatch):
    (tmp_path / "mathvision").mkdir()
    (tmp_path / "mathvision" / "set.json").write_text(json.dumps([CHATS["question"]]))
    monkeypatch.chdir(tmp_path)
    assert len(training_rows("mathvision/set.json")) == len(training_rows("mathvision")) == 1


def test_a_benchmark_can_stand_for_a_training_set():
    (row, *_) = training_rows(f"mathvision:{MATHVISION / 'testmini.jsonl'}")
    assert row.where == "7"
    assert "bricks" in row.question

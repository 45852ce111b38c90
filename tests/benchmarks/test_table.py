"""What every benchmark read from a table shares: its formats, its pictures, and what becomes of bad rows."""

import base64
import io
import json
from types import MappingProxyType

import datasets
import pandas as pd
import pytest
from PIL import Image

from vaslab.benchmarks import Benchmark, Grade, Item
from vaslab.benchmarks.hub import read_hub
from vaslab.benchmarks.item import BrokenItemError
from vaslab.benchmarks.rows import read_rows
from vaslab.benchmarks.table import TableBenchmark, text
from vaslab.errors import MissingError, UsageError


class Toy(TableBenchmark):
    name = "toy"
    title = "toy"
    source = "here"
    licence = "none"
    rule = "equal"
    get = "ask"
    files = ("toy.json*", "data/test-*.parquet")
    variants = MappingProxyType({"all": "every row", "easy": "easy rows"})

    def wanted(self, row):
        return self.variant == "all" or row.values.get("level") == 1

    def read(self, row):
        return Item("", text(row, "question"), answer=text(row, "answer"))

    def grade(self, item, response):
        return Grade(response == item.answer, response)


ROWS = [
    {"id": 7, "question": "what?", "answer": "red", "image": "images/a.png", "level": 1},
    {"id": 8, "question": "where?", "answer": "left", "image": "b.png", "level": 2},
]


def png(color, size=(16, 12)):
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png("red"))
    (tmp_path / "images" / "b.png").write_bytes(png("blue"))
    return tmp_path


def colors(bench):
    return [item.prompt().images[0].getpixel((0, 0)) for item in bench.select().items]


RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv", "xlsx", "parquet", "object"])
def test_every_format_holds_the_same_items(folder, ending):
    path = folder / f"rows.{'json' if ending == 'object' else ending}"
    frame = pd.DataFrame(ROWS)
    if ending == "json":
        path.write_text(json.dumps(ROWS))
    elif ending == "object":
        path.write_text(json.dumps({str(row["id"]): {k: row[k] for k in row if k != "id"} for row in ROWS}))
    elif ending == "jsonl":
        path.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")
    elif ending in ("csv", "tsv"):
        frame.to_csv(path, sep="\t" if ending == "tsv" else ",", index=False)
    elif ending == "xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_parquet(path)
    bench = Toy(str(path))
    items = bench.select().items
    assert [(i.id, i.question, i.answer) for i in items] == [("7", "what?", "red"), ("8", "where?", "left")]
    # the second names its picture without the folder images/
    assert colors(bench) == [RED, BLUE]
    assert isinstance(bench, Benchmark)


def test_an_empty_date_of_a_workbook_is_no_value(tmp_path):
    dates = pd.DataFrame({"id": [1, 2], "when": [pd.Timestamp("2024-05-01"), pd.NaT]})
    dates.to_excel(tmp_path / "rows.xlsx", index=False)
    first, second = (row.values["when"] for row in read_rows(tmp_path / "rows.xlsx"))
    assert (first.year, first.month, first.day) == (2024, 5, 1)
    assert second is None


def test_a_folder_is_searched_for_the_official_files(folder):
    (folder / "toy.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    assert [item.id for item in Toy(str(folder)).items] == ["7", "8"]
    assert [item.id for item in Toy(str(folder), "easy").items] == ["7"]
    (folder / "toy.jsonl").unlink()
    with pytest.raises(MissingError, match=r"holds none of toy\.json\*"):
        Toy(str(folder)).select()


def test_pictures_stand_in_parquet_and_datasets_folders_as_bytes(tmp_path):
    rows = [
        {**row, "image": {"bytes": png(c), "path": None}}
        for row, c in zip(ROWS, ("red", "blue"), strict=True)
    ]
    (tmp_path / "data").mkdir()
    for number, row in enumerate(rows):
        pd.DataFrame([row]).to_parquet(tmp_path / "data" / f"test-{number}-of-2.parquet")
    assert colors(Toy(str(tmp_path))) == [RED, BLUE]
    features = datasets.Features(
        {"id": datasets.Value("int64"), "question": datasets.Value("string"), "answer": datasets.Value("string"),
         "image": datasets.Image(), "level": datasets.Value("int64")}
    )  # fmt: skip
    saved = datasets.DatasetDict(
        {
            name: datasets.Dataset.from_list(rows[at : at + 1], features=features)
            for at, name in enumerate("ab")
        }
    )
    saved.save_to_disk(str(tmp_path / "saved"))
    assert colors(Toy(f"{tmp_path / 'saved'}:b")) == [BLUE]
    with pytest.raises(UsageError, match="splits a, b"):
        Toy(str(tmp_path / "saved")).select()


def test_a_file_of_lines_may_end_in_json(folder):
    (folder / "toy.json").write_text("\n".join(map(json.dumps, ROWS)))
    assert [item.id for item in Toy(str(folder)).items] == ["7", "8"]
    (folder / "toy.json").write_text('{"id": 7}\n{"id": ')
    with pytest.raises(UsageError, match=r"toy\.json:2: not JSON"):
        Toy(str(folder)).select()


def test_pictures_lie_beside_the_file_that_names_them(tmp_path):
    for number, color in enumerate(("red", "blue")):
        (tmp_path / f"part{number}" / "images").mkdir(parents=True)
        (tmp_path / f"part{number}" / "images" / "a.png").write_bytes(png(color))
        (tmp_path / f"part{number}" / "toy.json").write_text(json.dumps([{**ROWS[0], "id": number}]))
    bench = Toy(str(tmp_path))
    bench.files = ("*/toy.json",)
    assert colors(bench) == [RED, BLUE]
    assert [row.part for row in bench._rows[1]] == ["part0/toy.json", "part1/toy.json"]


def test_splits_that_are_parts_of_a_benchmark_are_read_together(tmp_path):
    splits = {name: datasets.Dataset.from_list([row]) for name, row in zip("ab", ROWS, strict=True)}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    bench = Toy(str(tmp_path / "saved"))
    bench.every_split = True
    assert [row.part for row in bench._rows[1]] == ["a", "b"]
    alone = Toy(f"{tmp_path / 'saved'}:b")
    alone.every_split = True
    assert [(row.part, row.values["id"]) for row in alone._rows[1]] == [("b", 8)]


def test_vlmevalkit_tables_hold_base64_that_rows_may_share(tmp_path):
    red, blue = (base64.b64encode(png(color, (200, 150))).decode() for color in ("red", "blue"))
    rows = [
        {"index": "0", "question": "q", "answer": "a", "image": red},
        {"index": "1", "question": "q", "answer": "a", "image": "0"},
        {"index": "2", "question": "q", "answer": "a", "image": blue},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "rows.tsv", sep="\t", index=False)
    assert colors(Toy(str(tmp_path / "rows.tsv"))) == [RED, RED, BLUE]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": None}, "no question"),
        ({"question": "  "}, "no question"),
        ({"answer": float("nan")}, "no answer"),
        ({"answer": ["a"]}, "answer is a list"),
        ({"image": None}, "no picture: its cell holds nothing"),
        ({"image": 3}, "holds a int"),
        ({"image": "../../etc/passwd"}, "leaves the folder"),
        ({"image": "/etc/passwd"}, "leaves the folder"),
        ({"image": "!" * 500}, "no base64"),
        ({"image": "n" * 300}, "picture path cannot be followed"),
    ],
)
def test_a_bad_row_is_an_item_with_its_reason(folder, change, reason):
    (folder / "toy.json").write_text(json.dumps([{**ROWS[0], **change}, ROWS[1]]))
    broken, sound = Toy(str(folder)).select().items
    assert reason in broken.broken
    assert broken.id == "7"
    assert not sound.broken
    with pytest.raises(BrokenItemError):
        broken.prompt()


def test_an_id_that_comes_twice_is_named_and_kept_apart(folder):
    (folder / "toy.json").write_text(json.dumps([ROWS[0], ROWS[0], ROWS[1]]))
    items = Toy(str(folder)).items
    assert [item.id for item in items] == ["7", "7'", "8"]
    assert items[1].broken == "duplicate id '7', first in toy.json row 1"


@pytest.mark.parametrize(
    ("contents", "name", "said"),
    [
        ("[{}", "rows.json", "not JSON"),
        ("3", "rows.json", "expected a list or an object of rows"),
        ("[]", "rows.json", "holds no row"),
        ("[3]", "rows.json", "a int, not an object"),
        ("{\n", "rows.jsonl", "rows.jsonl:1: not JSON"),
        ("x", "rows.parquet", "no Parquet file"),
        ("x", "rows.xlsx", "no workbook"),
        ("x", "rows.txt", "no table of rows"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, contents, name, said):
    (tmp_path / name).write_text(contents)
    with pytest.raises(UsageError, match=said):
        Toy(str(tmp_path / name)).select()


def test_what_is_missing_says_how_to_get_it(tmp_path):
    with pytest.raises(MissingError, match="get them \\(ask\\) and say --data toy:PATH"):
        Toy("").select()
    with pytest.raises(MissingError, match="nothing at"):
        Toy(str(tmp_path / "none")).select()
    with pytest.raises(UsageError, match="no variant 'hard'; it has: all, easy"):
        Toy("", "hard")


def test_a_hub_id_is_read_from_the_cache_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with pytest.raises(MissingError, match="not in the local cache"):
        read_hub("nobody/nothing:test")
    assert not datasets.config.HF_HUB_OFFLINE


def test_official_outputs_are_read_without_pictures(folder):
    rows = [{**row, "response": answer} for row, answer in zip(ROWS, ("red", None), strict=True)]
    (folder / "out.json").write_text(json.dumps(rows))
    bench = Toy("")
    answered = bench.answered(folder / "out.json")
    assert [(item.id, said) for item, said in answered] == [("7", "red"), ("8", "")]
    assert [bench.grade(*each).right for each in answered] == [True, False]
    (folder / "out.json").write_text(json.dumps(ROWS))
    with pytest.raises(UsageError, match="no response; expected a column response or prediction"):
        bench.answered(folder / "out.json")


def test_pictures_stand_where_the_question_names_them():
    pictures = tuple(lambda c=c: Image.new("RGB", (8, 8), c) for c in ("red", "blue", "lime"))
    item = Item("x", "see <image 2>, not <image 1>; <image 2> again", pictures, placed=True, system="s")
    system, user = item.prompt().turns
    assert system.role == "system"
    kinds = [piece if isinstance(piece, str) else piece.getpixel((0, 0)) for piece in user.pieces]
    assert kinds == [(0, 255, 0), "see ", BLUE, ", not ", RED, "; ", " again"]

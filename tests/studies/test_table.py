import json

import pandas as pd
import pytest

from vaslab.errors import MissingError
from vaslab.studies.study_config import DataEntry, ModelEntry, StudyConfig
from vaslab.studies.table import read_table, write_table

STUDY = StudyConfig((ModelEntry("m", label="M"), ModelEntry("gone")), (DataEntry("glyph", limit=2),), "out")


def interval(estimate, low=None, high=None, **more):
    return {"estimate": estimate, "low": low, "high": high, **more}


def of_queries(vas):
    return {
        "vas": interval(vas, vas - 1, vas + 1),
        "vas_ratio_of_means": interval(1.5, 1.0, 2.0),
        "masses": {"image": interval(0.5, 0.4, 0.6), "system": interval(0.3), "user": interval(0.2)},
        "clamped_share": 0.0,
        "before_image_share": 0.25,
        "n_queries": 9,
    }


SUMMARY = {
    "revision": "r1",
    "dtype": "float32",
    "items": "2 of 9 items",
    "decoding": "greedy",
    "grading": "exact",
    "n": 10,
    "n_measured": 8,
    "n_unfinished": 1,
    "failed": {"its picture: no": 2},
    "not_graded": {"no reference answer": 3},
    "accuracy": interval(0.4, 0.2, 0.6, n=5, not_extracted=1, guessed=2),
    "chance": 0.25,
    "scores": {"fAcc": 0.1},
    "queries": {"user": of_queries(3.0), "response": of_queries(7.0)},
}


def test_a_row_a_run_in_both_files(tmp_path):
    first, second = STUDY.runs()
    write_table(tmp_path, [(first, SUMMARY, ""), (second, None, "there is no model folder gone")])
    table = read_table(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv", "table.parquet"]
    csv = pd.read_csv(tmp_path / "table.csv")
    assert list(csv) == list(table)
    assert len(csv) == len(table) == 2
    row = table.iloc[0]
    assert (row["run"], row["model"], row["model_name"], row["data"], row["seed"]) == (
        "M-glyph",
        "M",
        "m",
        "glyph",
        0,
    )
    assert (row["n"], row["n_measured"], row["n_failed"], row["n_graded"]) == (10, 8, 2, 5)
    assert (row["n_not_graded"], row["n_not_extracted"], row["n_guessed"]) == (3, 1, 2)
    assert json.loads(row["failed"]) == {"its picture: no": 2}
    assert (row["accuracy"], row["accuracy_low"], row["accuracy_high"], row["chance"]) == (
        0.4,
        0.2,
        0.6,
        0.25,
    )
    assert (row["vas"], row["vas_low"], row["vas_high"], row["queries"]) == (3.0, 2.0, 4.0, "user")
    assert (row["response_vas"], row["response_visual_mass"]) == (7.0, 0.5)
    assert (row["visual_mass"], row["system_mass"], row["user_mass"]) == (0.5, 0.3, 0.2)
    assert row["score_fAcc"] == 0.1
    failed = table.iloc[1]
    assert failed["error"] == "there is no model folder gone"
    assert pd.isna(failed["accuracy"])
    # a count is whole and a number is not, whatever other runs lack
    assert (str(table["n"].dtype), str(table["vas"].dtype), str(table["error"].dtype)) == (
        "Int64",
        "Float64",
        "string",
    )
    line = (tmp_path / "table.csv").read_text().splitlines()[1].split(",")
    assert "10" in line
    assert "3.0" in line


def test_the_same_runs_give_the_same_bytes(tmp_path):
    found = []
    for _ in range(2):
        write_table(tmp_path, [(STUDY.runs()[0], SUMMARY, "")])
        found.append([(tmp_path / name).read_bytes() for name in ("table.csv", "table.parquet")])
    assert found[0] == found[1]


def test_a_study_that_is_not_there(tmp_path):
    with pytest.raises(MissingError, match="vaslab study"):
        read_table(tmp_path)

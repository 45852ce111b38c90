"""The table of stages: rows by hand, Student's interval from its published quantile, and docs that say the same."""

from pathlib import Path

import pandas as pd
import pytest

from trainers.stage_table import COLUMNS, Measured, markdown, stage_table
from vaslab.errors import VaslabError

DOCS = Path(__file__).parents[2] / "docs"
MODELS = [Measured("base", None, "b"), *(Measured("agto", seed, "m") for seed in (0, 1, 2))]


def study(accuracies):
    """A study's table with these accuracies; other numbers are all one."""
    rows = []
    for model, accuracy in zip(MODELS, accuracies, strict=True):
        row = {"model": model.label, "data": "glyph", "n": 40}
        for column in COLUMNS:
            row |= {column.name: 1.0, f"{column.name}_low": 0.9, f"{column.name}_high": 1.1}
        rows.append({**row, "accuracy": accuracy, "response_visual_mass": accuracy / 2})
    return pd.DataFrame(rows)


def test_each_seed_keeps_its_interval_and_their_mean_has_students():
    table = stage_table(study([0.5, 0.6, 0.7, 0.8]), MODELS)
    assert table["seed"].tolist() == ["", "0", "1", "2", "mean"]
    assert table["interval"].tolist() == ["items"] * 4 + ["3 seeds"]
    mean = table.iloc[-1]
    # two degrees of freedom: 4.302653; the standard deviation of 0.6, 0.7, 0.8 is 0.1
    reach = 4.302653 * 0.1 / 3**0.5
    assert mean[["accuracy", "accuracy_low", "accuracy_high"]].tolist() == pytest.approx(
        [0.7, 0.7 - reach, 0.7 + reach], rel=1e-6
    )
    assert mean["response_visual_mass"] == pytest.approx(0.35)
    assert table.iloc[1]["accuracy_low"] == 0.9


def test_it_is_written_with_intervals():
    text = markdown(stage_table(study([0.5, 0.6, 0.7, 0.8]), MODELS))
    lines = text.splitlines()
    assert lines[0] == "**glyph**, 40 items"
    assert lines[4].startswith("| base | - | 50.0 [90.0, 110.0] | 1 [1, 1] | 1.00 [0.90, 1.10] |")
    assert lines[-1].startswith("| **agto** | **mean** | **70.0 [45.2, 94.8]** |")


def test_what_is_undefined_is_a_dash():
    text = markdown(stage_table(study([0.5, 0.6, 0.7, 0.8]).assign(vas=[None, 1.0, 1.0, 1.0]), MODELS))
    assert "| base | - | 50.0 [90.0, 110.0] | - | 1.00 [0.90, 1.10] |" in text


def test_the_page_shows_its_own_numbers():
    """docs/stages.md holds the table that docs/stages.csv makes."""
    table = pd.read_csv(DOCS / "stages.csv", dtype={"seed": str})
    assert markdown(table) in (DOCS / "stages.md").read_text(encoding="utf-8")
    assert set(table["stage"]) == {"base", "text", "multimodal", "vard", "agto", "vars"}


def test_a_model_that_is_not_measured_is_named():
    with pytest.raises(VaslabError, match="agto seed 2 is not measured on glyph"):
        stage_table(study([0.5, 0.6, 0.7, 0.8]).iloc[:3], MODELS)
    with pytest.raises(VaslabError, match="agto seed 1 is not measured on glyph"):
        stage_table(study([0.5, 0.6, 0.7, 0.8]).assign(n=[40, 40, None, 40]), MODELS)

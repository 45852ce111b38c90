"""The gallery: what its commands draw lies there, with the numbers beside it, and says what it is."""

import runpy
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

FIGURES = Path(__file__).parents[2] / "figures"
COMMANDS = runpy.run_path(str(FIGURES / "make.py"))["commands"]()
STEMS = [
    command[command.index("--stem") + 1] if "--stem" in command else command[1]
    for command in COMMANDS
    if command[0] == "figure"
]


@pytest.mark.parametrize("stem", STEMS)
def test_every_figure_of_the_gallery_is_there_with_its_numbers(stem):
    assert Image.open(FIGURES / f"{stem}.png").width > 1000
    assert len(pd.read_csv(FIGURES / f"{stem}.csv"))


def test_nothing_else_lies_there():
    assert {path.stem for path in FIGURES.glob("*.png")} == set(STEMS)


def test_the_training_figure_is_of_the_run_that_the_gallery_trains():
    steps = pd.read_csv(FIGURES / "training.csv")["step"].unique()
    log = pd.read_csv(FIGURES / "training-log.csv")
    assert list(steps) == [0, 10, 20, 30, 40, 50, 60]
    assert list(log["step"]) == list(range(1, 61))


def test_the_decomposition_says_both_forms_in_parts_that_add_up():
    table = pd.read_csv(FIGURES / "decomposition.csv")
    parts = table["visual"] + table["system"]
    assert (table["ratio_of_means"] - parts).abs().max() < 1e-4
    assert (table["mean_of_ratios"] - parts - table["spread"]).abs().max() < 1e-4

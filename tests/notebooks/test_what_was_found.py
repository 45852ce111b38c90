"""What notebooks say they found: the words of the figures above, of numbers that hold by them."""

import ast
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jupytext
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from vaslab.plots import findings, heads_table, scatter_table, sensitivity_table
from vaslab.plots.head_words import title_of as heads_title
from vaslab.plots.localisation import title_of as pointing_title
from vaslab.plots.scatter_words import title_of as scatter_title
from vaslab.plots.sensitivity import counted_once
from vaslab.plots.sensitivity_words import title_of as sensitivity_title

sys.path.insert(0, str(Path(__file__).parents[1] / "metrics"))

import synthetic_capture as made

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def told(capsys, name: str, given: dict[str, Any]) -> str:
    """What the last cell prints where the cells before it have made `given`, as one line."""
    book = jupytext.read(next(NOTEBOOKS.glob(f"{name}_*.py")))
    cells = [cell.source for cell in book.cells if cell.cell_type == "code"]
    imports = [
        line
        for source in cells
        for line in ast.parse(source).body
        if isinstance(line, ast.Import | ast.ImportFrom)
    ]
    space = dict(given)
    exec(compile(ast.Module(imports, []), name, "exec"), space)  # our own file
    exec(compile(cells[-1], name, "exec"), space)
    return " ".join(capsys.readouterr().out.split())


def parted() -> xr.Dataset:
    """A capture whose 8 heads all have a VAS above 1 as a mean of ratios, and 3 of them by their masses."""
    capture = made.realistic(6, 2, 4)
    capture["vas"].values[:] = 5.0
    mass = capture["mass"].values
    mass[..., 3] = np.where(np.arange(8).reshape(2, 4, 1) < 3, 0.5, 0.1)
    mass[..., 0], mass[..., 1] = 0.1, 0.2
    mass[..., 5] = 0.0
    mass[..., 2] = 1 - mass[..., 3] - 0.3
    return capture


def of_heads(capture: xr.Dataset) -> dict[str, Any]:
    table = heads_table(capture)
    shares = pd.DataFrame({"visual": [True] * 8, "sink_head": [False] * 8})
    config = SimpleNamespace(data="glyph", model="m")
    return {"capture": capture, "table": table, "shares": shares, "config": config, "pointed": None}


def test_heads_are_counted_as_the_figure_counts_them(capsys):
    given = of_heads(parted())
    found = told(capsys, "02", given)
    title = heads_title(given["table"], given["table"].attrs["vas"])
    assert title.startswith("VAS (mean of ratios) is above 1 in 8 of 8 heads, but only 3 attend more")
    assert title in found
    assert "In the median head VAS (mean of ratios) is 5.0" in found
    assert "≥" not in found


def test_a_head_on_the_floor_is_a_bound(capsys):
    capture = parted()
    capture["vas"].values[:, 1, 2] = 900_000
    capture["clamped"].values[:, 1, 2] = 0.9
    found = told(capsys, "02", of_heads(capture))
    assert "layer 1, head 2: VAS (mean of ratios) ≥ 900,000" in found
    assert "a bound: 90% of its rows" in found


def test_heads_of_one_model_get_no_interval_of_their_correlation(capsys):
    given = of_heads(parted())
    given["table"]["vas"] = np.arange(8.0)
    columns = {"hit_rate": np.arange(8) / 10, "hit_low": 0.0, "hit_high": 0.9, "chance": 0.1, "prior": np.nan}
    of_each = {"p": 0.4, "p_adjusted": 0.6, "found": False, "localises": False, "n_items": 6}
    given["pointed"] = given["table"][["layer", "head"]].assign(**columns, **of_each)
    found = told(capsys, "02", given)
    assert f"{pointing_title(given['pointed'])}. 0 heads localise" in found
    assert "No head looks most at the region asked for" in found
    last = found[found.index("Looking much") :]
    assert "Spearman +1.00 between VAS (mean of ratios) and hit rate over the 8 heads" in last
    assert "CI" not in last


@pytest.fixture(scope="module")
def checkpoints() -> dict[str, Any]:
    """Six checkpoints, the last two of them on the floor of the system mass."""
    lifts = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    captures = {f"c{at}": made.realistic(30, 6, 4, seed=at, lift=lift) for at, lift in enumerate(lifts)}
    for name in ("c4", "c5"):
        captures[name]["clamped"].values[:] = 0.3
        captures[name]["vas"].values[:] *= 1000
    right = {
        name: xr.DataArray(
            (np.arange(30) < 10 + 3 * at).astype(float), dims="item", coords={"item": capture["item"]}
        )
        for at, (name, capture) in enumerate(captures.items())
    }
    table = scatter_table(captures, right)
    accuracy = {name: float(given.mean()) for name, given in right.items()}
    curve = sensitivity_table(captures, accuracy)
    return {"table": table, "result": findings(table), "curve": curve, "held": None, "data": "glyph"}


def test_definitions_are_counted_as_the_figure_counts_them(capsys, checkpoints):
    found = told(capsys, "03", checkpoints)
    drawn = counted_once(checkpoints["curve"])
    assert len(drawn) < checkpoints["curve"]["r"].notna().sum()
    assert f"{sensitivity_title(drawn)}; r runs from" in found
    assert scatter_title(checkpoints["result"]) in found
    counts = [int(n) for n in re.findall(r"(\d+) definitions of VAS", sensitivity_title(drawn))]
    assert counts == [len(drawn)]


def test_every_vas_names_its_form_and_its_bound(capsys, checkpoints):
    found = told(capsys, "03", checkpoints)
    highest = checkpoints["table"]["vas"].max()
    assert re.search(rf"VAS \(mean of ratios\) from [\d.]+ to ≥ {highest:,.0f}, accuracy", found)
    assert "so that VAS is a bound: c4 30%, c5 30%." in found
    assert "2 of 6 checkpoints rest on the floor of VAS: without, r =" in found
    assert re.search(r"Of log2 VAS \(mean of ratios\) and accuracy: r = ", found)


def test_the_first_look_counts_heads_as_its_figure_does(capsys):
    capture = parted()
    capture["vas"].values[:, 0, 1] = 900_000
    capture["clamped"].values[:, 0, 1] = 0.9
    heads = heads_table(capture)
    given = {"capture": capture, "told_of_heads": heads, "MODEL": "m", "layer": 0, "head": 1}
    given["answers"] = pd.DataFrame(columns=["right", "question", "says"])
    given["table"] = pd.Series([900_000.0, *[5.0] * 7])
    given |= {"many": [SimpleNamespace(question="what?")] * 6, "inside": 0.4, "by_chance": 0.1}
    given["most"] = {"layer": 1, "head": 0, "attention": 0.2}
    found = told(capsys, "01", given)
    assert (
        f"Over 6 glyph items: {heads_title(heads, heads.attrs['vas'])}. VAS (mean of ratios) is 5.0 in"
        in found
    )
    assert "≥ 900,000 in the highest, layer 0 head 1" in found

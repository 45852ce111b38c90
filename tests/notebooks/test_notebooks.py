"""Notebooks: each a question and its computed answer, and each runs through a kernel. `make notebooks` runs scripts."""

import ast
import re
from importlib import resources
from pathlib import Path

import jupytext
import nbformat
import pytest

from vaslab.cli.app import app
from vaslab.cli.exits import run
from vaslab.cli.notebook import parameters

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))
NUMBER = re.compile(r"(?<![\w:.])\d+(?:\.\d+)?(?: %)?")
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_a_notebook_begins_with_a_question_and_names_its_kernel(notebook):
    book = jupytext.read(notebook)
    assert book.metadata.kernelspec.name == "python3"
    first = book.cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# .*\?$", first.source.splitlines()[0])


@each_notebook
def test_a_notebook_takes_parameters(notebook):
    book = jupytext.read(notebook)
    tagged = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert book.cells.index(tagged[0]) == 1
    names = {node.id for node in ast.walk(ast.parse(tagged[0].source)) if isinstance(node, ast.Name)}
    assert set(parameters(notebook.read_text())) == names


# levels of intervals, the values that an effect is held against, another notebook
STANDING = {"95 %", "5 %", "0", "1", "0.9", "0.5", "06"}


@each_notebook
def test_what_was_found_is_computed(notebook):
    """The last cell prints what it computes: no number in its words is typed in but STANDING ones."""
    *_, heading, last = jupytext.read(notebook).cells
    assert heading.source == "## What was found"
    assert last.source.endswith('print("\\n\\n".join(textwrap.fill(each, 100) for each in found))')
    texts = [node.value for node in ast.walk(ast.parse(last.source)) if isinstance(node, ast.Constant)]
    typed = {
        number for text in texts if isinstance(text, str) and " " in text for number in NUMBER.findall(text)
    }
    assert typed <= STANDING


@pytest.mark.slow
@pytest.mark.organism
@each_notebook
def test_a_notebook_runs_through_a_kernel(notebook, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("DISPLAY", raising=False)
    code = run(app, ["notebook", notebook.stem, "--out", "results"])
    told = capfd.readouterr()
    assert code == 0, told.err
    written = tmp_path / told.out.strip()
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    book = nbformat.read(written, as_version=4)
    nbformat.validate(book)
    found = book.cells[-1].outputs[0].text
    assert "VAS" in found or "attention" in found
    assert written.stat().st_size < 2e6


def test_the_table_of_the_shipped_stages_is_that_of_the_docs():
    """An install holds no docs; the seventh notebook reads the table beside the checkpoints."""
    shipped = resources.files("vaslab.organism") / "checkpoints" / "stages.csv"
    assert shipped.read_bytes() == (NOTEBOOKS[0].parents[1] / "docs" / "stages.csv").read_bytes()

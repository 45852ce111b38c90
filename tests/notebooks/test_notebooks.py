import os
import subprocess
import sys
from pathlib import Path

import pytest

from vaslab.models import organisms

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_with_a_question_and_names_its_kernel(notebook):
    text = notebook.read_text()
    assert text.startswith("# ---\n# jupyter:\n")
    assert "#   kernelspec:\n" in text
    title = next(line for line in text.splitlines() if line.startswith("# # "))
    assert title.endswith("?")
    assert "# ## What was found\n" in text


@pytest.mark.organism
@pytest.mark.skipif("base" not in organisms(), reason="no shipped checkpoint of the base")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_as_a_script_without_a_display(notebook, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    done = subprocess.run(
        [sys.executable, str(notebook)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "VAS" in done.stdout
    assert list(tmp_path.iterdir()) == []

import json

import pytest

from trainers.cli import app
from trainers.config import keep_to
from vaslab.cli.exits import run
from vaslab.errors import UsageError


def test_avar_explains_itself(capfd):
    assert run(app, ["--help"], "avar") == 0
    shown = capfd.readouterr().out
    assert "organism" in shown
    assert "sft" in shown


def test_a_training_folder_keeps_to_its_config(tmp_path):
    out = tmp_path / "base"
    keep_to(out, {"steps": 3})  # refused later: nothing has begun in the folder
    keep_to(out, {"steps": 4})
    (out / "state").mkdir()
    keep_to(out, {"steps": 4})
    assert json.loads((out / "asked.json").read_text()) == {"steps": 4}
    with pytest.raises(UsageError, match="steps is 4 there and 5 here"):
        keep_to(out, {"steps": 5})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds other files"):
        keep_to(tmp_path, {"steps": 4})

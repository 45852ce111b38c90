import json

import pytest

from trainers.cli import _keep_to_config, app
from vaslab.cli.exits import run
from vaslab.errors import UsageError


def test_avar_explains_itself(capfd):
    assert run(app, ["--help"], "avar") == 0
    assert "organism" in capfd.readouterr().out


def test_a_training_folder_keeps_to_its_config(tmp_path):
    out = tmp_path / "base"
    _keep_to_config(out, {"steps": 4}, ["steps"])
    _keep_to_config(out, {"steps": 4}, ["steps"])
    assert json.loads((out / "asked.json").read_text()) == {"steps": 4}
    with pytest.raises(UsageError, match="steps is 4 there and 5 here"):
        _keep_to_config(out, {"steps": 5}, ["steps"])


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds other files"):
        _keep_to_config(tmp_path, {"steps": 4}, ["steps"])

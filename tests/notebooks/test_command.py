"""`vaslab notebook`: which notebook, which parameters, whose runs."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from vaslab.cli import notebook as command
from vaslab.cli.app import app
from vaslab.cli.exits import run
from vaslab.errors import MissingError, UsageError

HERE = Path("03_mine.py")


def told(capsys, *words):
    code = run(app, ["notebook", *words])
    return code, *capsys.readouterr()


def test_without_a_name_all_are_listed_with_their_questions(capsys):
    code, out, err = told(capsys)
    assert (code, out) == (0, "")
    for path in command.shipped():
        assert path.stem in err
        assert command.question(path) in " ".join(err.split())


@pytest.mark.parametrize("name", ["2", "02", "02_which_heads_look", "which-heads", "02_which_heads_look.py"])
def test_a_notebook_is_found_by_number_name_or_part(name):
    assert command.find(name, command.shipped()).stem == "02_which_heads_look"


@pytest.mark.parametrize(("name", "word"), [("99", "there is no notebook '99'"), ("_", "is in 8 of them")])
def test_another_name_is_refused_with_all_there_are(name, word, capsys):
    code, _, err = told(capsys, name)
    assert code == 2
    assert word in err
    assert "08_your_own_model" in err


def test_parameters_are_read_off_their_cell():
    text = (
        '# %% [markdown]\n# # Why?\n\n# %% tags=["parameters"]\nRUNS = []  # folders\nLR = 3e-4\nA = B = 0.15\n'
        "C, D = 1, 'x'\n\n# %%\nOTHER = 5\n"
    )
    expected = {"RUNS": [], "LR": 3e-4, "A": 0.15, "B": 0.15, "C": 1, "D": "x"}
    assert command.parameters(text) == expected


def test_a_setting_takes_the_type_of_its_default():
    known = {"LIMIT": 5, "LR": 0.5, "MODEL": "m", "STRENGTHS": [1.0]}
    given = ["LIMIT=7", "LR=2", "MODEL=7", "STRENGTHS=[0.5, 1]"]
    assert command.settings(given, known, HERE) == {
        "LIMIT": 7,
        "LR": 2.0,
        "MODEL": "7",
        "STRENGTHS": [0.5, 1],
    }


@pytest.mark.parametrize("given", ["LIMIT", "LIMITS=3", "LIMIT=many", "LIMIT=[", "LIMIT=2.5"])
def test_a_setting_that_cannot_be_is_refused(given):
    with pytest.raises(UsageError, match="LIMIT"):
        command.settings([given], {"LIMIT": 5}, HERE)


def test_runs_fill_the_parameters_that_name_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert command.of_runs([], {"RUNS": []}, HERE) == {}
    assert command.of_runs([Path("a"), Path("b")], {"RUNS": [], "LIMIT": 5}, HERE) == {"RUNS": [a, b]}
    assert command.of_runs([Path("b"), Path("a")], {"RUN_A": "", "RUN_B": ""}, HERE) == {
        "RUN_A": b,
        "RUN_B": a,
    }


@pytest.mark.parametrize(("known", "number"), [({"RUN": ""}, "1"), ({"MODEL": ""}, "no")])
def test_another_number_of_runs_is_refused(known, number):
    with pytest.raises(UsageError, match=f"03_mine takes {number} --run, and 2 are given"):
        command.of_runs([Path("a"), Path("b")], known, HERE)


def test_a_run_that_is_not_there_is_met_before_a_kernel_is_started(capsys, tmp_path):
    code, _, err = told(capsys, "02", "--run", str(tmp_path / "nowhere"))
    assert code == 3
    assert "there is no run at" in err


def test_a_package_that_is_absent_is_named_with_the_extra(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "papermill" else object())
    code, _, err = told(capsys, "02", "--out", str(tmp_path))
    assert code == 3
    assert "needs papermill; install the extra lab" in err
    assert list(tmp_path.iterdir()) == []


def test_an_installed_package_finds_them_by_the_record_of_the_install(tmp_path, monkeypatch):
    site = tmp_path / "lib" / "site-packages"
    info = site / "vaslab-0.1.0.dist-info"
    shared = tmp_path / "share" / "vaslab" / "notebooks"
    info.mkdir(parents=True)
    shared.mkdir(parents=True)
    (site / "vaslab").mkdir()
    (shared / "01_a.py").touch()
    (info / "RECORD").write_text(
        "vaslab/__init__.py,,\n../../share/vaslab/notebooks/01_a.py,,\n"
        "../../share/vaslab/notebooks/__pycache__/01_a.cpython-311.pyc,,\n"
    )
    (info / "METADATA").write_text("Name: vaslab\nVersion: 0.1.0\n")
    monkeypatch.setattr(command.vaslab, "__file__", str(site / "vaslab" / "__init__.py"))
    monkeypatch.setattr(metadata, "files", lambda _: metadata.PathDistribution(info).files)
    assert command.shipped() == [shared / "01_a.py"]
    (info / "RECORD").write_text("vaslab/__init__.py,,\n")
    with pytest.raises(MissingError, match="no notebooks"):
        command.shipped()


@pytest.mark.slow
def test_the_wheel_carries_them(tmp_path):
    # of a clone: building leaves files behind
    root = Path(__file__).parents[2]
    if subprocess.run(["git", "clone", "-q", str(root), str(tmp_path / "clone")]).returncode:
        pytest.skip("not a git checkout")
    pip = [sys.executable, "-m", "pip"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(tmp_path / "clone")]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("vaslab-*.whl")
    target = tmp_path / "target"
    # without --ignore-installed pip takes the vaslab that runs this test out of its environment
    install = [
        *pip,
        "install",
        "--no-deps",
        "--no-index",
        "--ignore-installed",
        "--prefix",
        str(target),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    carried = {path.name for path in target.rglob("share/vaslab/notebooks/*.py")}
    assert carried == {path.name for path in command.shipped()}


@pytest.mark.slow
def test_a_notebook_that_stops_says_where_and_keeps_what_was_done(tmp_path):
    book = tmp_path / "01_mine.py"
    header = (command.shipped()[0]).read_text().split("# %%")[0]
    book.write_text(
        f'{header}# %% tags=["parameters"]\nN = 1\n\n# %%\nprint(N)\n\n# %%\n'
        'from vaslab.errors import UsageError\nraise UsageError("no such\\nthing")\n'
    )
    with pytest.raises(
        command.VaslabError, match="01_mine stopped in cell 3: UsageError: no such thing; what was"
    ):
        command._executed(book, {"N": 7}, tmp_path / "results")
    assert '"7\\n"' in (tmp_path / "results" / "01_mine.ipynb").read_text()

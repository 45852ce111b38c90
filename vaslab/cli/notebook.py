"""`vaslab notebook NAME --run RUN`: one of the notebooks, run on your own runs."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

import vaslab
from vaslab.cli.console import table
from vaslab.errors import MissingError, UsageError, VaslabError, one_line
from vaslab.studies.run import read_summary

PACKAGES = ("papermill", "jupytext", "ipykernel")
SHARED = "share/vaslab/notebooks"
"""Where an install that is no clone puts the notebooks, below its prefix."""
DEFAULT_OUT = Path("runs") / "notebooks"


def notebook(
    name: Annotated[
        str | None, typer.Argument(help="A notebook by its number or name; without one, all are listed.")
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", "-r", help="Run folder; may be given several times, in order."),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="NAME=VALUE", help="A parameter; may be given several times."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder to write into. \\[default: runs/notebooks]", show_default=False
        ),
    ] = None,
) -> None:
    """Run a notebook on your runs, and write it with its results.

    vaslab notebook 05 --run runs/base --run runs/agto

    A notebook's parameters stand in its first code cell; --set changes one: --set LIMIT=200 --set DATA=easy-vqa.
    """
    notebooks = shipped()
    if name is None:
        rows = [[path.stem, question(path), ", ".join(parameters(path.read_text()))] for path in notebooks]
        table("", ("notebook", "question", "parameters"), rows)
        return
    path = find(name, notebooks)
    known = parameters(path.read_text(encoding="utf-8"))
    values = {**settings(given or [], known, path), **of_runs(run or [], known, path)}
    for folder in run or []:
        read_summary(folder)
    _check_packages()
    print(_executed(path, values, out or DEFAULT_OUT))


def shipped() -> list[Path]:
    """The notebooks, in order: beside the package in a clone, and in its data folder where it is installed.

    Raises MissingError where there are none.
    """
    clone = Path(vaslab.__file__).parents[1]
    found = (clone / "notebooks").glob("[0-9]*.py") if (clone / "pyproject.toml").is_file() else _installed()
    notebooks = sorted(found, key=lambda path: path.name)
    if not notebooks:
        raise MissingError("this install holds no notebooks; install vaslab again, or run it from a clone")
    return notebooks


def _installed() -> list[Path]:
    # the record of the install knows the prefix, whatever scheme it used
    files = metadata.files("vaslab") or []
    return [Path(str(file.locate())).resolve() for file in files if file.match(f"{SHARED}/*.py")]


def find(name: str, notebooks: Sequence[Path]) -> Path:
    """The notebook of a number ("3", "03"), of a name or of a part of one. Raises UsageError unless it is one."""
    wanted = name.removesuffix(".py").replace("-", "_").lower()
    number = wanted.zfill(2) if wanted.isdigit() else wanted
    found = [path for path in notebooks if path.stem == wanted or path.stem.split("_")[0] == number]
    found = found or [path for path in notebooks if wanted in path.stem]
    if len(found) == 1:
        return found[0]
    several = f"{name!r} is in {len(found)} of them" if found else f"there is no notebook {name!r}"
    raise UsageError(f"{several}; expected one of {', '.join(path.stem for path in notebooks)}")


def question(path: Path) -> str:
    """The title of a notebook."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix("# # ") for line in lines if line.startswith("# # ")), "")


def parameters(text: str) -> dict[str, Any]:
    """Names and defaults of the cell that is tagged `parameters`."""
    cells = re.split(r"^# %%", text, flags=re.M)
    cell = next((each for each in cells if each.startswith(' tags=["parameters"]')), "")
    found: dict[str, Any] = {}
    for node in ast.parse(cell.partition("\n")[2]).body:
        if isinstance(node, ast.Assign):
            targets = [
                each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)
            ]
            value = ast.literal_eval(node.value)
            found |= dict(
                zip(targets, value if isinstance(value, tuple) else [value] * len(targets), strict=True)
            )
    return found


def settings(given: Sequence[str], known: dict[str, Any], path: Path) -> dict[str, Any]:
    """The parameters of `--set`. Raises UsageError for one that the notebook has not, or another form."""
    found: dict[str, Any] = {}
    for each in given:
        key, sign, value = each.partition("=")
        if not sign or key not in known:
            raise UsageError(
                f"--set {each}: {path.stem} has the parameters {', '.join(known)}; write NAME=VALUE with one of them"
            )
        found[key] = _fitted(key, value, known[key])
    return found


def _fitted(key: str, text: str, default: Any) -> Any:
    """A value of the default's type."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    kind = type(default)
    if kind is str:
        return text
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise UsageError(f"--set {key}={text}: {key} is {default!r} by default; expected {kind.__name__}")
    return value


def of_runs(runs: Sequence[Path], known: dict[str, Any], path: Path) -> dict[str, Any]:
    """The parameters that name runs: RUNS takes any number, RUN, RUN_A and RUN_B one each.

    Raises UsageError for another number of runs than the notebook takes.
    """
    if not runs:
        return {}
    folders = [str(folder.resolve()) for folder in runs]
    if "RUNS" in known:
        return {"RUNS": folders}
    names = [key for key in known if key.startswith("RUN")]
    if len(folders) != len(names):
        raise UsageError(f"{path.stem} takes {len(names) or 'no'} --run, and {len(folders)} are given")
    return dict(zip(names, folders, strict=True))


def _check_packages() -> None:
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise MissingError(
            f"vaslab notebook needs {', '.join(absent)}; install the extra lab: pip install -e '.[lab]' -c "
            "constraints.txt torch==2.13.0 in the clone, or make lab"
        )


def _executed(path: Path, values: dict[str, Any], out: Path) -> Path:
    """Run a notebook through a kernel; return the file with its results, which holds them up to a failure too."""
    import jupytext
    import papermill
    from papermill.exceptions import PapermillExecutionError

    written = out / f"{path.stem}.ipynb"
    out.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            jupytext.read(path), str(written), values, kernel_name="python3", progress_bar=sys.stderr.isatty()
        )
    except PapermillExecutionError as error:
        raise VaslabError(
            f"{path.stem} stopped in cell {error.cell_index}: {error.ename}: {one_line(ValueError(error.evalue))}; "
            f"what was done until then is in {written}"
        ) from error
    return written

"""What the project says of itself is so: pins, ranges, commands, and no address of a registry anywhere."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    for each in pinned:
        (one,) = each.specifier
        assert one.operator == "==", f"{each} is no exact pin"
        assert "+" not in one.version, f"{each} names a build"
    return {canonicalize_name(each.name): next(iter(each.specifier)).version for each in pinned}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def asked_for():
    """Every requirement of the project and its extras."""
    extras = [each for group in project()["optional-dependencies"].values() for each in group]
    return [Requirement(each) for each in [*project()["dependencies"], *extras]]


def environment():
    """Entries of environment.yml that pip installs."""
    loaded = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert loaded["name"] == "vaslab"
    assert "python=3.11" in loaded["dependencies"]
    (pip,) = [each["pip"] for each in loaded["dependencies"] if isinstance(each, dict)]
    return pip


@pytest.mark.parametrize("requirement", asked_for(), ids=str)
def test_ranges_admit_the_constraints(requirement):
    pin = constraints()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin, prereleases=True)


def test_the_conda_environment_agrees_with_the_constraints():
    pins = constraints()
    listed = [Requirement(each) for each in environment() if not each.startswith("-")]
    for each in listed:
        assert str(each.specifier) == f"=={pins[canonicalize_name(each.name)]}"
    names = {canonicalize_name(each.name) for each in listed}
    needed = [*project()["dependencies"], *project()["optional-dependencies"]["lab"]]
    assert names == {canonicalize_name(Requirement(each).name) for each in needed}
    assert {"-c constraints.txt", "-e ."} <= set(environment())


def test_the_constraints_are_what_runs_here():
    from importlib.metadata import version

    for name in ("transformers", "nnsight", "xarray", "plotly", "typer"):
        assert version(name) == constraints()[name]
    assert version("torch").partition("+")[0] == constraints()["torch"]


@pytest.mark.parametrize("file", ["Makefile", ".ci/run", "README.md", "environment.yml"])
def test_torch_is_pinned_wherever_it_is_installed(file):
    for line in (ROOT / file).read_text().splitlines():
        if re.search(r"\btorch[=<>~]", line):
            assert "torch==2.13.0" in line


def tracked(*patterns):
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", *patterns], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_a_registry():
    hosts = re.compile(
        "p"
        + r"ypi\.org|files\.p"
        + r"ythonhosted|--(extra-)?index-url|download\.p"
        + r"ytorch|conda\.a"
        + "naconda"
    )
    for path in tracked("*.py", "*.toml", "*.txt", "*.yml", "*.md", "Makefile", ".ci/run"):
        if path == Path(__file__):
            continue
        assert not hosts.search(path.read_text()), f"{path} names a registry"


def documented_commands():
    """Command lines of `vaslab` and `avar` in README and docs."""
    found = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text().replace("\\\n", " ")
        for block in re.findall(r"```(?:bash|console|sh)\n(.*?)```", text, re.S):
            for line in block.splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                if words and words[0] in ("vaslab", "avar"):
                    found.append(words)
    return found


def test_the_readme_shows_commands():
    assert len(documented_commands()) >= 4


@pytest.mark.parametrize("words", documented_commands(), ids=" ".join)
def test_a_documented_command_and_its_options_exist(words):
    from typer.main import get_command

    from trainers.cli import app as avar
    from vaslab.cli.app import app as vaslab

    command = get_command({"vaslab": vaslab, "avar": avar}[words[0]])
    rest = words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    assert not hasattr(command, "commands"), f"{words} stops at a group"
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        if word.startswith("-"):
            assert word in options, f"{words[:2]} has no {word}"


def test_documented_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / ".ci" / "run"]:
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.M):
            assert name in targets, f"{path.name}: make {name}"

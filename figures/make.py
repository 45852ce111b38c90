"""Regenerate the gallery: the shipped models, system prompts, the published numbers; numbers beside each figure."""

from __future__ import annotations

from pathlib import Path

from vaslab.cli.app import app
from vaslab.cli.exits import run

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs"
LIMIT = 200
STAGES, PROMPTS = RUNS / "gallery-stages", RUNS / "gallery-system-prompts"


def commands() -> list[list[str]]:
    """The commands that make the gallery, in order."""
    made = []
    for data, ending in (("easy-vqa", ""), ("glyph", "-glyph")):
        folder = str(RUNS / f"gallery-{data}")
        options = ["--data", data, "--limit", str(LIMIT), "--out", folder, "--overwrite"]
        made.append(["measure", "--model", "organism:base", *options])
        made += [_figure(name, [folder], f"{name}{ending}") for name in ("heads", "lazy")]
    made.append(_figure("tokens", [str(RUNS / "gallery-glyph")]))
    made.append(_study("system-prompts.yaml", PROMPTS))
    made.append(_figure("system-prompts", [str(PROMPTS)]))
    made.append(_study("stages.yaml", STAGES))
    made += [_figure(name, [str(STAGES)]) for name in ("scatter", "sensitivity")]
    made.append(_figure("lazy", [str(STAGES)], "lazy-stages"))
    base, agto, vars_ = (str(STAGES / "runs" / f"{name}-glyph") for name in ("base", "AGTO", "VARS"))
    made += [_figure(name, [base, agto]) for name in ("compare", "decomposition")]
    made.append([*_figure("items", [base, vars_]), "--filter", "fixed"])
    made.append(["figure", "published", "--out", str(HERE)])
    return made


def _figure(name: str, runs: list[str], stem: str = "") -> list[str]:
    return ["figure", name, *runs, "--out", str(HERE), "--stem", stem or name]


def _study(file: str, out: Path) -> list[str]:
    return ["study", str(HERE / file), "--out", str(out), "--overwrite"]


if __name__ == "__main__":
    for command in commands():
        code = run(app, command)
        if code:
            raise SystemExit(code)

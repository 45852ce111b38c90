"""Regenerate the gallery: the shipped model on both picture sets, and the published numbers; numbers beside each."""

from __future__ import annotations

from pathlib import Path

from vaslab.cli.app import app
from vaslab.cli.exits import run

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs"
LIMIT = 200


def commands() -> list[list[str]]:
    """The commands that make the gallery, in order."""
    made = []
    for data, ending in (("easy-vqa", ""), ("glyph", "-glyph")):
        folder = str(RUNS / f"gallery-{data}")
        options = ["--data", data, "--limit", str(LIMIT), "--out", folder, "--overwrite"]
        made.append(["measure", "--model", "organism:base", *options])
        for name in ("heads", "lazy"):
            made.append(["figure", name, folder, "--out", str(HERE), "--stem", f"{name}{ending}"])
    made.append(["figure", "published", "--out", str(HERE)])
    return made


if __name__ == "__main__":
    for command in commands():
        code = run(app, command)
        if code:
            raise SystemExit(code)

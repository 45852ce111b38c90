"""`vaslab ls models|data|runs|interventions`: what there is to measure and to change, and what was measured."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vaslab.cli.console import note, print_json, table
from vaslab.cli.tables import items_words
from vaslab.studies.run import RunFolder, read_summary


class Kind(StrEnum):
    """What can be listed."""

    models = "models"
    data = "data"
    runs = "runs"
    interventions = "interventions"


def ls(
    kind: Annotated[Kind, typer.Argument(help="models, data, runs or interventions.")],
    folder: Annotated[Path, typer.Argument(help="Where runs are looked for.")] = Path("runs"),
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line on stdout in place of the table.")
    ] = False,
) -> None:
    """List models, benchmarks, runs, or interventions."""
    listing = {
        Kind.models: _models,
        Kind.data: _data,
        Kind.runs: lambda: _runs(folder),
        Kind.interventions: _interventions,
    }
    rows = listing[kind]()
    if as_json:
        print_json(rows)
        return
    if rows:
        shown = [_shown(row) for row in rows]
        table(str(kind), list(shown[0]), [list(row.values()) for row in shown])
    else:
        note(f"there are no {kind} in {folder}")


def _models() -> list[dict[str, Any]]:
    from vaslab.models import FAMILIES, organisms

    shipped = [{"name": f"organism:{name}", "what": "shipped with vaslab"} for name in organisms()]
    families = [
        {"name": f"a folder or hub id of {family.title}", "what": f"model_type {family.model_type}"}
        for family in FAMILIES.values()
    ]
    return shipped + families


def _data() -> list[dict[str, Any]]:
    from vaslab.benchmarks.own import OwnFile
    from vaslab.benchmarks.registry import SHIPPED, TABLES

    known: dict[str, Any] = {**SHIPPED, **{f"{name}:PATH": bench for name, bench in TABLES.items()}}
    return [
        {
            "name": name,
            "what": bench.title,
            "source": bench.source,
            "licence": bench.licence,
            "forbidden": bench.forbidden,
            "grading": bench.rule,
        }
        for name, bench in {**known, "FILE.jsonl": OwnFile}.items()
    ]


def _interventions() -> list[dict[str, Any]]:
    from vaslab.interventions import INTERVENTIONS, defaults

    return [
        {
            "name": name,
            "what": entry.title,
            "source": entry.source,
            "formula": entry.formula,
            "changes": entry.changes,
            "strength": entry.strength,
            "none": dict(entry.none),
            "defaults": {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in defaults(name).items()
            },
        }
        for name, entry in INTERVENTIONS.items()
    ]


def _runs(folder: Path) -> list[dict[str, Any]]:
    found = sorted(path.parent for path in folder.glob("*/config.yaml"))
    # one that a name hides is set aside while it is replaced
    return [_run(path) for path in found if not path.name.startswith(".")]


def _run(path: Path) -> dict[str, Any]:
    if not RunFolder(path).finished:
        empty = dict.fromkeys(("model", "data", "intervention", "n", "n_measured"), "")
        return {"run": str(path), **empty, "VAS": "not finished"}
    summary = read_summary(path)
    vas = next(iter(summary["queries"].values()))["vas"]["estimate"]
    return {
        "run": str(path),
        "model": summary["model"],
        "data": summary["data"],
        "intervention": summary.get("intervention"),
        "n": summary["n"],
        "n_measured": summary["n_measured"],
        "VAS": "-" if vas is None else f"{vas:.3g}",
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the table has it: both counts of a run are one cell, and so are defaults."""
    cells = {
        key: ", ".join(f"{name} {_words(each)}" for name, each in value.items())
        if isinstance(value, dict)
        else value
        for key, value in row.items()
        if key not in ("n_measured", "intervention")
    }
    if "n_measured" not in row:
        return cells
    told = {"n": items_words(row["n"], row["n_measured"]), "intervention": _treated(row["intervention"])}
    return {key: told.get(key, cells.get(key)) for key in row if key != "n_measured"}


def _treated(told: dict[str, Any] | str | None) -> str:
    """What was done to a run: the intervention's name, with the settings that are not its defaults."""
    from vaslab.interventions import INTERVENTIONS, defaults

    if not isinstance(told, dict):
        return "none" if told is None else told
    name = str(told["name"])
    usual = defaults(name) if name in INTERVENTIONS else {}
    keys = [*(key for key in usual if key in told), *(key for key in told if key not in (*usual, "name"))]
    own = {key: told[key] for key in keys if not _alike(told[key], usual.get(key))}
    heads = own.pop("heads", None)
    words = [f"{key}={_words(value)}" for key, value in own.items() if not isinstance(value, dict)]
    return " ".join([name, *words, *([f"heads={len(heads)}"] if heads else [])])


def _alike(noted: Any, usual: Any) -> bool:
    """Whether a run notes a setting's default: one name or several are noted as a list."""
    return noted in (usual, [usual]) or (isinstance(usual, tuple) and noted == list(usual))


def _words(value: Any) -> str:
    return (
        "+".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )

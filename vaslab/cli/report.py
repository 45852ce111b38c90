"""`vaslab report RUN... --out report.html`: what a set of checkpoints says, on one page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaslab.cli.figure import QueriesOption, queries_of
from vaslab.cli.finished import Finished, data_words, read_runs, same_pictures
from vaslab.errors import UsageError
from vaslab.studies.run import ENVIRONMENT, read_json

if TYPE_CHECKING:
    from vaslab.plots.report import Checkpoint


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, one a checkpoint.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("report.html"),
    queries: QueriesOption = None,
    base: Annotated[str | None, typer.Option(help="Model that others are compared with.")] = None,
) -> None:
    """Write what checkpoints say about VAS and accuracy as one page: findings, tables, figures, methods, provenance."""
    if out.is_dir():
        raise UsageError(f"{out} is a folder; name a file, such as {out / 'report.html'}")
    found = read_runs(runs)
    from vaslab.plots.report import report as page_of

    every = list(found.values())
    asked = queries or queries_of(every[0].capture)
    decodings = {str(run.summary.get("decoding")) for run in every}
    html = page_of(
        [_checkpoint(name, run) for name, run in found.items()],
        asked,
        same_pictures(every),
        base,
        data_words(every),
        decodings.pop() if len(decodings) == 1 else None,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.write_text(html, encoding="utf-8")
    part.replace(out)
    print(out)


def _checkpoint(name: str, run: Finished) -> Checkpoint:
    from vaslab.plots.report import Checkpoint

    versions = read_json(run.folder / ENVIRONMENT).get("fixed", {}).get("versions", {})
    facts = {
        "run": run.folder.name,
        "revision": str(run.summary.get("revision")),
        "items": str(run.summary.get("items")),
        "decoding": str(run.summary.get("decoding")),
        "grading": str(run.summary.get("grading")),
        "versions": ", ".join(f"{key} {value}" for key, value in versions.items()),
    }
    return Checkpoint(name, run.capture, run.right, facts, _confounders(run))


def _confounders(run: Finished) -> dict[str, float]:
    """What may stand behind a correlation: mean response length, mean numbers of image and system tokens."""
    lengths = [row["n_tokens"] for row in run.rows.values() if row.get("n_tokens") is not None]
    keys = run.capture["n_keys"].mean("item")
    found = {
        "image tokens": float(keys.sel(key_role="image")),
        "system tokens": float(keys.sel(key_role=["system_sink", "system"]).sum()),
    }
    if lengths:
        found["response length"] = sum(lengths) / len(lengths)
    return found

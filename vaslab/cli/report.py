"""`vaslab report RUN... --out report.html`: what a set of checkpoints says, on one page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaslab.cli.figure_command import DataOption, QueriesOption, Runs, RunsArgument
from vaslab.cli.finished import Finished
from vaslab.cli.measured_again import both_of
from vaslab.errors import UsageError
from vaslab.studies.run import ENVIRONMENT, read_json

if TYPE_CHECKING:
    from vaslab.plots import Checkpoint, Prompted


def report(
    runs: RunsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("report.html"),
    data: DataOption = None,
    queries: QueriesOption = None,
    base: Annotated[str | None, typer.Option(help="Model that others are compared with.")] = None,
    answers: Annotated[
        int,
        typer.Option(
            min=0,
            help="Items of each run measured again for decay along the answer and where heads point; loads the models.",
        ),
    ] = 0,
) -> None:
    """Write what checkpoints say about VAS and accuracy as one page: findings, tables, figures, methods, provenance."""
    if out.is_dir():
        raise UsageError(f"{out} is a folder; name a file, such as {out / 'report.html'}")
    found = Runs.read(runs, data)
    kinds = list(dict.fromkeys(str(run.summary["data"]) for run in found.every))
    if len(kinds) > 1:
        raise UsageError(f"the runs are of {', '.join(kinds)}; report on one at a time, as --data {kinds[0]}")
    from vaslab.plots.report import report as page_of

    primary, prompted = _by_prompt(found)
    html = page_of(
        [_checkpoint(name, run, answers) for name, run in primary.items()],
        found.queries(queries),
        found.pictures,
        base,
        found.words["data"],
        found.words["decoding"],
        prompted=prompted,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.write_text(html, encoding="utf-8")
    part.replace(out)
    print(out)


def _by_prompt(found: Runs) -> tuple[dict[str, Finished], list[Prompted]]:
    """The runs under the first run's system prompt, by name, and, where there are other prompts, all runs."""
    from vaslab.plots import Prompted

    first = found.every[0].prompt
    if all(run.prompt == first for run in found.every):
        return found.found, []
    own = [run for run in found.every if run.prompt == first]
    by_model = {run.model: run for run in own}
    if len(by_model) < len(own):
        raise UsageError(
            f"two runs are of one model under the system prompt {first!r}; name runs that differ in model or prompt"
        )
    asked = [Prompted(run.model, run.prompt, run.capture, run.right, _facts(run)) for run in found.every]
    return by_model, asked


def _checkpoint(name: str, run: Finished, answers: int) -> Checkpoint:
    from vaslab.plots.report import Checkpoint

    measured, pointed = both_of(run.folder, answers) if answers else (None, None)
    return Checkpoint(name, run.capture, run.right, _facts(run), _confounders(run), measured, pointed)


def _facts(run: Finished) -> dict[str, str]:
    """Where a run comes from, in words."""
    versions = read_json(run.folder / ENVIRONMENT).get("fixed", {}).get("versions", {})
    return {
        "run": run.folder.name,
        "system prompt": run.prompt,
        "revision": str(run.summary.get("revision")),
        "items": str(run.summary.get("items")),
        "decoding": str(run.summary.get("decoding")),
        "grading": str(run.summary.get("grading")),
        "versions": ", ".join(f"{key} {value}" for key, value in versions.items()),
    }


def _confounders(run: Finished) -> dict[str, float]:
    """What may stand behind a correlation: mean response length, mean numbers of image and system tokens, parameters
    (of runs that recorded them)."""
    lengths = [row["n_tokens"] for row in run.rows.values() if row.get("n_tokens") is not None]
    keys = run.capture["n_keys"].mean("item")
    found = {
        "image tokens": float(keys.sel(key_role="image")),
        "system tokens": float(keys.sel(key_role=["system_sink", "system"]).sum()),
    }
    if lengths:
        found["response length"] = sum(lengths) / len(lengths)
    parameters = read_json(run.folder / ENVIRONMENT).get("parameters")
    if parameters is not None:
        found["parameters"] = float(parameters)
    return found

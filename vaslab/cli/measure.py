"""`vaslab measure`: from a model and pictures with questions to a run folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, no_type_check

import typer

from vaslab.cli.console import console, note, print_json, quiet_libraries
from vaslab.cli.exits import INTERRUPTED, fail
from vaslab.cli.measure_cost import costs_of
from vaslab.cli.tables import runs_table
from vaslab.errors import UsageError
from vaslab.studies.config import MeasureConfig, read_config
from vaslab.studies.run import RunFolder, read_summary

WHAT, HOW, WHERE = "What is measured", "How", "Where"


# typer passes a context that is no instance of its own typer.Context
@no_type_check
def _from_file(context: typer.Context, path: Path | None) -> Path | None:
    """Take the defaults of the other options from a YAML file: flags win."""
    if path is not None:
        context.default_map = {**(context.default_map or {}), **read_config(path)}
    return path


def measure(
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="organism:NAME, a folder, or a hub id.", rich_help_panel=WHAT),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", "-d", help="easy-vqa, glyph, or a FILE.jsonl of your own.", rich_help_panel=WHAT
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help="A picture of your own; may be given several times.", rich_help_panel=WHAT),
    ] = None,
    question: Annotated[str | None, typer.Option(help="The question about it.", rich_help_panel=WHAT)] = None,
    system: Annotated[
        str | None,
        typer.Option(
            help="System prompt of every item, in place of its own or the template's.", rich_help_panel=WHAT
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", help="Items; spread over pictures.", rich_help_panel=WHAT)
    ] = None,
    queries: Annotated[
        list[str] | None,
        typer.Option(
            help="user, user_after_image, response; several by commas. \\[default: user]",
            rich_help_panel=WHAT,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Run folder. \\[default: runs/MODEL-DATA]", rich_help_panel=WHERE),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the run in --out.", rich_help_panel=WHERE)] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-C",
            help="YAML file of these options; flags win.",
            callback=_from_file,
            is_eager=True,
            rich_help_panel=WHERE,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be measured, and its cost.", rich_help_panel=WHERE),
    ] = False,
    timed: Annotated[
        bool,
        typer.Option(
            "--timed", help="With --dry-run: ask a batch, and tell the time.", rich_help_panel=WHERE
        ),
    ] = False,
    batch_size: Annotated[
        int, typer.Option(help="Items in one forward.", rich_help_panel=HOW)
    ] = MeasureConfig.batch_size,
    max_new_tokens: Annotated[
        int, typer.Option(help="Longest answer.", rich_help_panel=HOW)
    ] = MeasureConfig.max_new_tokens,
    temperature: Annotated[
        float, typer.Option(help="Above 0, answers are drawn; 0 is greedy.", rich_help_panel=HOW)
    ] = MeasureConfig.temperature,
    top_p: Annotated[
        float, typer.Option(help="Of drawn answers: probability kept.", rich_help_panel=HOW)
    ] = MeasureConfig.top_p,
    top_k: Annotated[
        int, typer.Option(help="Of drawn answers: tokens kept; 0 keeps all.", rich_help_panel=HOW)
    ] = MeasureConfig.top_k,
    seed: Annotated[
        int, typer.Option(help="Of the choice of items and of drawn answers.", rich_help_panel=HOW)
    ] = MeasureConfig.seed,
    dtype: Annotated[
        str, typer.Option(help="auto, float32, float16 or bfloat16.", rich_help_panel=HOW)
    ] = MeasureConfig.dtype,
    device_map: Annotated[
        str | None, typer.Option(help="As in transformers; auto spreads a large model.", rich_help_panel=HOW)
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a hub id.", rich_help_panel=HOW)
    ] = None,
    offline: Annotated[
        bool | None,
        typer.Option("--offline/--online", help="May a hub id be downloaded?", rich_help_panel=HOW),
    ] = None,
) -> int:
    """Measure where a model looks and whether it answers right, item by item, into a run folder.

    vaslab measure --model organism:base --data easy-vqa --limit 200 --out runs/base

    vaslab measure --model organism:base --image cat.png --question "what shape is it?"

    Killed or interrupted, the same command goes on where it stopped.
    """
    del config
    if not model:
        raise UsageError("no model; add --model organism:NAME, a folder, or a hub id (vaslab ls models)")
    options: dict[str, Any] = {
        "model": model,
        "out": out or _default_out(model, data, image),
        "data": data,
        "image": tuple(image or ()),
        "question": question,
        "system": system,
        "limit": limit,
        "queries": tuple(role.strip() for each in queries or ["user"] for role in each.split(",")),
        "batch_size": batch_size,
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "seed": seed,
        "dtype": dtype,
        "device_map": device_map,
        "revision": revision,
        "offline": offline,
    }
    asked = MeasureConfig(**options)
    # what is wrong with the data is said before torch is loaded
    asked.selection(asked.benchmark())
    if dry_run:
        return _dry_run(asked, timed)
    return _measured(asked, overwrite)


def _measured(config: MeasureConfig, overwrite: bool) -> int:
    quiet_libraries()
    from vaslab.cli.progress import Bar
    from vaslab.studies.measure import measure as run_measurement
    from vaslab.studies.processes import this_process

    before, main = _folder_number(config.out), this_process().main
    try:
        with Bar(console(), f"{config.model} on {config.data or 'own picture'}", main) as bar:
            path = run_measurement(config, watch=bar, overwrite=overwrite)
    except KeyboardInterrupt:
        return fail(f"interrupted{_what_stays(config.out, before, overwrite)}", INTERRUPTED)
    if main:
        runs_table([read_summary(path)])
        print(path)
    return 0


def _folder_number(out: str) -> int | None:
    """Tell one folder from another of the same name."""
    return Path(out).stat().st_ino if Path(out).exists() else None


def _what_stays(out: str, before: int | None, overwrite: bool) -> str:
    if not RunFolder(out).started:
        return " before the first batch was done; nothing was kept"
    if not overwrite:
        return f"; what is done stays in {out}, the same command goes on from there"
    if _folder_number(out) == before:
        return f" before the first batch was done; {out} is as it was"
    return f"; what is done stays in {out}, the same command without --overwrite goes on from there"


def _dry_run(config: MeasureConfig, timed: bool) -> int:
    quiet_libraries()
    (found,) = costs_of([config], timed)
    print_json(found)
    size = found["capture_bytes"] / 1e6
    note(f"a dry run: nothing was measured or written; the capture would hold {size:.1f} MB")
    return 0


def _default_out(model: str, data: str | None, image: list[str] | None) -> str:
    what = Path(data or (image[0] if image else "data")).stem
    return f"runs/{_plain(model)}-{_plain(what)}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"

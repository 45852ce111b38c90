"""`vaslab grade`: give responses that are on disk their verdicts, without a model."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaslab.cli.console import console, note, print_json, table
from vaslab.cli.exits import INTERRUPTED, fail
from vaslab.errors import MissingError, UsageError, VaslabError
from vaslab.studies.config import MeasureConfig, read_config
from vaslab.studies.run import CONFIG, ITEMS, RunFolder

if TYPE_CHECKING:
    from vaslab.benchmarks import Benchmark
    from vaslab.benchmarks.answered import Answers

JUDGE = "With a judge"


def grade(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Output files of one model (json, jsonl, xlsx, csv, tsv, parquet), or a run folder.",
        ),
    ],
    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            "-b",
            help="NAME\\[/VARIANT]\\[:PATH]; without PATH the file's own rows say what was asked. "
            "\\[default: the run's]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Graded rows. \\[default: RUN/grades/GRADER.jsonl, or FILE.GRADER.jsonl]"
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="OpenAI-compatible address, such as http://127.0.0.1:8000/v1; its key stands in VASLAB_JUDGE_KEY.",
            rich_help_panel=JUDGE,
        ),
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option(help="The model's name there.", rich_help_panel=JUDGE)
    ] = None,
    judge_cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of its answers. \\[default: vaslab/judge in the user's cache]", rich_help_panel=JUDGE
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Prompts asked at once.", rich_help_panel=JUDGE)] = 8,
) -> int:
    """Grade responses again: an official output file, or a run, by the published rule or with a judge.

    vaslab grade output.json --benchmark mathvista

    vaslab grade outputs/*/output.json --benchmark mmmu

    vaslab grade runs/base --judge http://127.0.0.1:8000/v1 --judge-model NAME

    The run and the files themselves stay as they are.
    """
    from vaslab.benchmarks.grading import by_judge, by_rule, counts, rows_text

    if (judge is None) != (judge_model is None):
        raise UsageError("--judge and --judge-model belong together; give both, or neither")
    if any(file.is_dir() for file in files) and len(files) > 1:
        raise UsageError("a run is graded by itself; name one run folder, or output files alone")
    asked, answers = _run(files[0], benchmark) if files[0].is_dir() else _outputs(files, benchmark)
    target = out or _default_out(files, judge_model or "rule")
    _check_target(target, files)
    said: dict[str, Any] = {"judge": None}
    if judge is None or judge_model is None:
        grades = by_rule(asked, answers.responses)
    else:
        from vaslab.benchmarks.judge import Judge

        with Judge(judge, judge_model, judge_cache) as model, console().status("") as status:
            try:
                grades = by_judge(
                    asked,
                    answers.responses,
                    model,
                    jobs,
                    lambda done, of: status.update(f"{judge_model}: {done} of {of} prompts answered"),
                )
            except KeyboardInterrupt:
                return fail(
                    f"interrupted; {model.usage.calls} requests were answered and are kept in {model.cache.path}, "
                    "the same command goes on from there",
                    INTERRUPTED,
                )
            said["judge"] = {"model": judge_model, "address": model.address, **asdict(model.usage)}
    _write(target, rows_text(answers.responses, grades))
    found = counts(asked, answers.responses, grades)
    summary = {
        "files": [str(file) for file in files],
        "benchmark": asked.name,
        "variant": getattr(asked, "variant", ""),
        "rule": asked.rule,
        **said,
        "accuracy": _accuracy(found.pop("right"), found["n_graded"]),
        "accuracy_without_guesses": _accuracy(found.pop("right_without_guesses"), found["n_graded"]),
        **found,
        "missing": answers.missing,
        "differing": answers.differing,
        "rows": str(target),
    }
    _show(summary)
    if answers.differing:
        note(
            f"the reference answers of {answers.differing} rows are others in {benchmark or 'the data'} than they were "
            "for the run; are these its data?"
        )
    print_json(summary)
    if answers.responses and not found["n_graded"]:
        reasons = [*found["broken"], *found["not_graded"]]
        return fail(
            f"none of {found['n']} responses could be graded: {reasons[0]}; is this an output of {asked.name}, "
            "and does it hold the reference answers?",
            VaslabError.exit_code,
        )
    return 0


def _outputs(files: Sequence[Path], named: str | None) -> tuple[Benchmark, Answers]:
    """Return the benchmark and the responses of output files."""
    from vaslab.benchmarks import find_benchmark
    from vaslab.benchmarks.answered import read_answers

    if not named:
        raise UsageError(f"what does {files[0]} answer? add --benchmark NAME (vaslab ls data)")
    benchmark = find_benchmark(named)
    return benchmark, read_answers(benchmark, files)


def _run(folder: Path, named: str | None) -> tuple[Benchmark, Answers]:
    """Return the benchmark and the responses of a run."""
    from vaslab.benchmarks import find_benchmark
    from vaslab.benchmarks.answered import join
    from vaslab.benchmarks.rows import read_rows

    run = RunFolder(folder)
    if not run.started:
        raise MissingError(f"there is no run at {folder}; name a run folder or an output file")
    if not run.finished:
        raise MissingError(f"the run {folder} is not finished; give its measure command again")
    told = read_config(folder / CONFIG)
    fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in told.items()}
    config = MeasureConfig(**fields)
    try:
        benchmark = find_benchmark(named) if named else config.benchmark()
        items = config.selection(benchmark).items
    except MissingError as error:
        raise MissingError(
            f"{error}; where the data of the run lie elsewhere now, say --benchmark NAME:PATH"
        ) from error
    return benchmark, join(benchmark, items, read_rows(folder / ITEMS))


def _default_out(files: Sequence[Path], grader: str) -> Path:
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", grader).strip("-.") or "judge"
    if files[0].is_dir():
        return files[0] / "grades" / f"{label}.jsonl"
    if len(files) == 1:
        return files[0].with_suffix(f".{label}.jsonl")
    return Path(os.path.commonpath([file.parent for file in files])) / f"graded.{label}.jsonl"


def _check_target(target: Path, files: Sequence[Path]) -> None:
    """Raise UsageError where writing would replace anything but graded rows."""
    if not target.exists():
        return
    if any(target.samefile(file) for file in files):
        raise UsageError(f"--out is {target} itself, which stays as it is; choose another --out")
    first: Any = None
    if target.is_file():
        with target.open("rb") as opened:
            try:
                first = json.loads(opened.readline())
            except ValueError:
                first = None
    if not isinstance(first, dict) or not {"id", "right", "by", "guessed"} <= set(first):
        raise UsageError(f"{target} is there and holds no graded rows; choose another --out")


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _accuracy(right: int, n: int) -> dict[str, Any]:
    from vaslab.statistics import accuracy_interval

    found = accuracy_interval(right, n)
    numbers = {name: float(found[name]) for name in ("estimate", "low", "high")}
    said = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return {**said, "right": right, "n": n, "method": found.attrs["method"]}


def _show(summary: dict[str, Any]) -> None:
    accuracy, judge = summary["accuracy"], summary["judge"]
    name = "/".join(filter(None, (summary["benchmark"], summary["variant"])))
    files = [Path(file).name for file in summary["files"]]
    rows = [
        ["of", files[0] if len(files) == 1 else f"{len(files)} files"],
        ["accuracy %", _percent(accuracy["estimate"], accuracy)],
        ["chance %", _percent(summary["chance"])],
        *([f"{each} %", _percent(value)] for each, value in summary["scores"].items()),
        ["graded", f"{summary['n_graded']} of {summary['n']}"],
        ["by", ", ".join(f"{by}: {n}" for by, n in summary["by"].items()) or "-"],
        ["not extracted", summary["not_extracted"]],
    ]
    if summary["guessed"]:
        without = summary["accuracy_without_guesses"]
        rows.append(["guessed by the rule", summary["guessed"]])
        rows.append(["accuracy % without guesses", _percent(without["estimate"], without)])
    rows += [[f"broken: {reason}", n] for reason, n in summary["broken"].items()]
    rows += [[f"no verdict: {reason}", n] for reason, n in summary["not_graded"].items()]
    if summary["missing"]:
        rows.append(["items without a response", summary["missing"]])
    if summary["changed"]:
        rows.append(["verdicts that differ from the file's", summary["changed"]])
    if judge:
        tokens = f"{judge['prompt_tokens']} + {judge['completion_tokens']} tokens"
        rows.append(["judge", f"{judge['calls']} calls ({tokens}), {judge['cached']} answers from disk"])
    how = (
        f"The published protocol, with {judge['model']} as its judge" if judge else f"Rule: {summary['rule']}"
    )
    table(name, ["", ""], rows, f"{how}.")
    if not accuracy["n"]:
        note("no response could be graded; the rows say why")


def _percent(value: float | None, interval: dict[str, Any] | None = None) -> str:
    if value is None:
        return "-"
    ends = f" [{100 * interval['low']:.1f}–{100 * interval['high']:.1f}]" if interval else ""
    return f"{100 * value:.1f}{ends}"

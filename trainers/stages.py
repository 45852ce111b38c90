"""The paper's stages in miniature: each an ordinary checkpoint folder whose card names its parent, data and config."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trainers.checkpoints import CARD, accumulation
from trainers.config import build, held, keep_to, plain
from trainers.data.glyph import glyph_records
from trainers.data.record import write_records
from trainers.refusals import check_model, check_records, check_settings, refuse_model, require_packages
from trainers.runs import GrpoRun, SftRun, StagesRun
from trainers.stage_table import Measured, write_stage_table
from vaslab.errors import UsageError, VaslabError
from vaslab.models import load_model
from vaslab.studies.study_config import StudyConfig
from vaslab.studies.study_file import study_of

BASE = "base"
_SET_HERE = ("model", "data", "out", "seed")
_STDERR = 2
"""The process's own, also where sys.stderr is a notebook's."""
_TOLD = 5
"""Last lines of a log that are shown where its command failed."""


@dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        name: its folder, and what later stages call it.
        method: `sft` or `grpo`.
        kind: of its records, as in trainers.data.record.KINDS.
        parent: an earlier stage, or `base`.
        fields: of the method's run.
    """

    name: str
    method: str
    kind: str
    parent: str = BASE
    fields: dict[str, Any] = field(default_factory=dict)

    def run(self, model: str, data: Path, out: Path, seed: int) -> SftRun | GrpoRun:
        """The stage's own run.

        Args:
            model: where it starts.
            data: the folder of its records.
            out: its run folder.
            seed: of its order of records and, for `grpo`, its answers.

        Raises:
            UsageError: a field that the method does not have, or that is set here.
        """
        where = f"stage {self.name}"
        taken = [name for name in _SET_HERE if name in self.fields]
        if taken:
            raise UsageError(f"{where}: {taken[0]} is set by avar stages; leave it out")
        given = {**self.fields, "model": model, "data": str(data), "out": str(out), "seed": seed}
        return build(SftRun, given, where) if self.method == "sft" else build(GrpoRun, given, where)


@dataclass(frozen=True)
class Job:
    """One stage of one seed: its run, and where its words go."""

    stage: Stage
    seed: int
    run: SftRun | GrpoRun
    log: Path

    @property
    def done(self) -> bool:
        """Whether its checkpoint is there: the card is in it, and the folder came whole or not at all."""
        return (Path(self.run.out) / "checkpoint" / CARD).is_file()


def read_stages(config: StagesRun) -> list[Stage]:
    """Check the stages of a config, in order, all but what their models decide (`check_models`).

    Raises UsageError naming the stage and what is wrong.
    """
    if not config.stages:
        raise UsageError("there are no stages; list them under `stages` in the --config file")
    found: dict[str, Stage] = {}
    for number, given in enumerate(config.stages, start=1):
        own = {name: value for name, value in given.items() if name in ("name", "method", "kind", "parent")}
        rest = {name: value for name, value in given.items() if name not in own}
        stage = build(Stage, {**own, "fields": rest}, f"stage {number}")
        if stage.method not in ("sft", "grpo"):
            raise UsageError(f"stage {stage.name}: method is {stage.method!r}; expected sft or grpo")
        if (stage.method == "grpo") != (stage.kind == "rl"):
            raise UsageError(
                f"stage {stage.name}: {stage.method} does not train on records of kind {stage.kind!r}"
            )
        if stage.name in found or stage.name in (BASE, "data") or "/" in stage.name:
            raise UsageError(
                f"stage {number} is named {stage.name!r}; give each a name of its own, a plain word"
            )
        if stage.parent != BASE and stage.parent not in found:
            known = ", ".join([BASE, *found])
            raise UsageError(
                f"stage {stage.name}: no stage {stage.parent!r} before it; expected one of {known}"
            )
        _check(stage, config)
        found[stage.name] = stage
    return list(found.values())


def _check(stage: Stage, config: StagesRun) -> None:
    """Raise UsageError, naming the stage, for a run that could not begin, or would train nothing."""
    run = _bare_run(stage)
    try:
        check_settings(run)
        check_records(run, _count(stage, config))
        for seed in config.seeds:
            glyph_records(stage.kind, _count(stage, config), seed)
        if isinstance(run, SftRun):
            accumulation(run.batch, run.per_device, 1, "batch")
        else:
            accumulation(run.prompts * run.rollouts, run.per_device, 1, "prompts x rollouts")
    except UsageError as error:
        raise UsageError(f"stage {stage.name}: {error}") from error


def _bare_run(stage: Stage) -> SftRun | GrpoRun:
    """The stage's run, of no model and in no folder: its fields."""
    return stage.run("model", Path("data"), Path("out"), 0)


def check_models(stages: Sequence[Stage], base: str) -> None:
    """Hold every stage against the base's config and tokenizer, which all stages share; no weight is read.

    Raises:
        UsageError: a base that cannot be trained, or a layer, head or text token of a stage that it does not have.
        MissingError: a base that is not there, or a package that a stage needs.
    """
    refuse_model(base)
    runs = {stage.name: _bare_run(stage) for stage in stages}
    for run in runs.values():
        require_packages(run)
    vlm = load_model(base, device_map="meta", offline=not any(run.online for run in runs.values()))
    for name, run in runs.items():
        try:
            check_model(run, vlm)
        except UsageError as error:
            told = str(error).rstrip(".")
            raise UsageError(f"stage {name}: {told} ({base})") from error


def _count(stage: Stage, config: StagesRun) -> int:
    """How many records the stage trains on."""
    return config.prompts if stage.kind == "rl" else config.records


def run_stages(config: StagesRun) -> Path:
    """Train what is not trained yet, measure what is not measured yet; return the folder with its tables.

    Killed at any moment, the same call goes on. Stages run in processes of their own: what a stage leaves behind must
    not reach the next.

    Raises:
        UsageError: stages or a study that cannot be, or a folder that holds stages of another config; before any
            stage begins.
        MissingError: a base, package or data of the study that is not there; before any stage begins.
        VaslabError: a stage or measurement that failed; what was done stays.
    """
    stages = read_stages(config)
    check_models(stages, config.base)
    models = _models(config, stages)
    study = _study(config, models)
    jobs = [_job(config, stage, seed) for seed in config.seeds for stage in stages]
    for job in jobs:
        _prepare(config, job)
    _train(jobs, config.workers)
    out = Path(config.out)
    if study is not None:
        path = out / "study.yaml"
        path.write_text(yaml.safe_dump(study.to_dict(), sort_keys=False), encoding="utf-8")
        _measure(path, config.workers)
        write_stage_table(Path(study.out), models, out)
    return out


def _job(config: StagesRun, stage: Stage, seed: int) -> Job:
    folder = Path(config.out) / f"seed-{seed}"
    model = config.base if stage.parent == BASE else str(folder / stage.parent / "checkpoint")
    run = stage.run(model, folder / "data" / stage.kind, folder / stage.name, seed)
    return Job(stage, seed, run, folder / f"{stage.name}.log")


def _prepare(config: StagesRun, job: Job) -> None:
    """Hold the job's folder to its config, and draw its records where they are not there."""
    keep_to(Path(job.run.out), held(job.run))
    data = Path(job.run.data)
    count = _count(job.stage, config)
    keep_to(data, {"kind": job.stage.kind, "count": count, "seed": job.seed})
    if not (data / "records.jsonl").is_file():
        write_records(glyph_records(job.stage.kind, count, job.seed), data)


def _train(jobs: Sequence[Job], workers: int) -> None:
    """Run what is not done, so many at once: seed by seed, a stage after its parent, what others wait for first."""
    seeds = list(dict.fromkeys(job.seed for job in jobs))
    left = [job for job in jobs if not job.done]
    running: dict[Future[None], Job] = {}
    with ThreadPoolExecutor(workers) as pool:
        while left or running:
            busy = {(job.seed, job.stage.name) for job in [*left, *running.values()]}
            ready = [job for job in left if (job.seed, job.stage.parent) not in busy]
            ready.sort(key=lambda job: (seeds.index(job.seed), -_chain(job, jobs)))
            for job in ready[: workers - len(running)]:
                left.remove(job)
                running[pool.submit(_run, job)] = job
            # a failure reaches the caller once what runs beside it has ended; nothing new begins
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                del running[future]
                future.result()


def _chain(job: Job, jobs: Sequence[Job]) -> int:
    """How many stages wait for this one, one after the other."""
    after = [each for each in jobs if (each.seed, each.stage.parent) == (job.seed, job.stage.name)]
    return max((1 + _chain(each, jobs) for each in after), default=0)


def _run(job: Job) -> None:
    path = job.log.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(plain(job.run), sort_keys=False), encoding="utf-8")
    name = f"seed {job.seed}, stage {job.stage.name}"
    print(f"note: {name} begins; its log is {job.log}", file=sys.stderr)
    begun = time.monotonic()
    with job.log.open("a", encoding="utf-8") as log:
        process = _started("trainers.cli", (job.stage.method, "--config", str(path)), log=log)
        code = process.wait()
    if code:
        last = job.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TOLD:]
        raise VaslabError(f"{name} ended with exit code {code}: {' '.join(last)}")
    print(f"note: {name} took {time.monotonic() - begun:.0f} s", file=sys.stderr)


def _started(
    module: str, words: Sequence[str], *, environment: Mapping[str, str] | None = None, log: Any = None
) -> subprocess.Popen[bytes]:
    """Start a command line of this project in a process of its own; its words go to `log`, or to stderr."""
    program = f"import sys; from {module} import main; sys.argv[0] = 'avar'; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=log or _STDERR,
        stderr=log or _STDERR,
        env={**os.environ, **(environment or {})},
    )


def _models(config: StagesRun, stages: Sequence[Stage]) -> list[Measured]:
    """The base and every stage of every seed, in order."""
    made = [
        Measured(stage.name, seed, str(Path(_job(config, stage, seed).run.out) / "checkpoint"))
        for seed in config.seeds
        for stage in stages
    ]
    return [Measured(BASE, None, config.base), *made]


def _study(config: StagesRun, models: Sequence[Measured]) -> StudyConfig | None:
    """What is measured, as a study. Raises UsageError for one that cannot be, MissingError for data that it lacks."""
    if config.study is None:
        return None
    taken = [name for name in ("models", "out") if name in config.study]
    if taken:
        raise UsageError(f"study: {taken[0]} is set by avar stages; leave it out")
    entries = [{"name": model.name, "label": model.label} for model in models]
    whole = {**config.study, "models": entries, "out": str(Path(config.out) / "study")}
    study = study_of(whole, Path("study"))
    for run in study.runs():
        if run.model == models[0].label:  # every model is asked the same
            run.config.selection(run.config.benchmark())
    return study


def _measure(path: Path, workers: int) -> None:
    """Run `vaslab study`, in so many processes that share the work."""
    started = []
    for rank in range(workers):
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": workers, "LOCAL_WORLD_SIZE": workers}
        environment = {name: str(value) for name, value in told.items()} if workers > 1 else {}
        started.append(_started("vaslab.cli.app", ("study", str(path)), environment=environment))
    codes = [process.wait() for process in started]
    if any(codes):
        raise VaslabError(f"vaslab study {path} ended with exit code {max(codes)}; its own words stand above")

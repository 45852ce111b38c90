"""The paper's stages in miniature: each an ordinary checkpoint folder whose card names its parent, data and config."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trainers.checkpoints import CARD
from trainers.config import build, keep_to, plain
from trainers.data.glyph import glyph_records
from trainers.data.record import write_records
from trainers.runs import GrpoRun, SftRun, StagesRun
from vaslab.errors import UsageError, VaslabError

BASE = "base"
_SET_HERE = ("model", "data", "out", "seed")


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
        """The stage's own run. Raises UsageError for a field that it does not have."""
        where = f"stage {self.name}"
        taken = [name for name in _SET_HERE if name in self.fields]
        if taken:
            raise UsageError(f"{where}: {taken[0]} is set by avar stages; leave it out")
        given = {**self.fields, "model": model, "data": str(data), "out": str(out), "seed": seed}
        return build(SftRun, given, where) if self.method == "sft" else build(GrpoRun, given, where)


def read_stages(config: StagesRun) -> list[Stage]:
    """Check the stages of a config, in order, before any of them runs. Raises UsageError naming what is wrong."""
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
        stage.run("model", Path("data"), Path("out"), 0)
        found[stage.name] = stage
    return list(found.values())


def run_stages(config: StagesRun) -> Path:
    """Run what is not done yet; return the path of results.json.

    Every stage goes on after a kill, and one with a card is done. Stages run in processes of their own: what a stage
    leaves behind must not reach the next.
    """
    stages = read_stages(config)
    out = Path(config.out)
    for seed in config.seeds:
        for stage in stages:
            _run(stage, config, out / f"seed-{seed}", seed)
    rows = list(_measured(config, stages))
    results = out / "results.json"
    results.write_text(json.dumps({"config": plain(config), "rows": rows}, indent=2) + "\n", encoding="utf-8")
    return results


def _run(stage: Stage, config: StagesRun, folder: Path, seed: int) -> None:
    out = folder / stage.name
    if (out / "checkpoint" / CARD).is_file():
        return
    data = folder / "data" / stage.kind
    if not (data / "records.jsonl").is_file():
        count = config.prompts if stage.kind == "rl" else config.records
        write_records(glyph_records(stage.kind, count, seed), data)
    run = stage.run(_model(stage.parent, config, folder), data, out, seed)
    path = folder / f"{stage.name}.yaml"
    path.write_text(yaml.safe_dump(plain(run)), encoding="utf-8")
    keep_to(out, plain(run))
    print(f"note: seed {seed}, stage {stage.name}", file=sys.stderr)
    _call("trainers.cli", stage.method, "--config", str(path))


def _model(name: str, config: StagesRun, folder: Path) -> str:
    return config.base if name == BASE else str(folder / name / "checkpoint")


def _call(module: str, *words: str) -> None:
    """Run a command line of this project; its words go to stderr. Raises VaslabError where it fails."""
    program = f"import sys; from {module} import main; sys.argv[0] = 'avar'; main()"
    done = subprocess.run([sys.executable, "-c", program, *words], stdout=sys.stderr)
    if done.returncode:
        raise VaslabError(
            f"{' '.join(words[:3])} ended with exit code {done.returncode}; its own words stand above"
        )


def _measured(config: StagesRun, stages: list[Stage]) -> Iterator[dict[str, Any]]:
    """Accuracy, VAS and masses of the base and of every stage, each with its interval over items."""
    base = Path(config.out) / BASE
    yield from _of_model(config, {"stage": BASE, "seed": None}, config.base, base)
    for seed in config.seeds:
        folder = Path(config.out) / f"seed-{seed}"
        for stage in stages:
            row = {"stage": stage.name, "seed": seed}
            yield from _of_model(config, row, _model(stage.name, config, folder), folder / stage.name)


def _of_model(config: StagesRun, row: dict[str, Any], model: str, folder: Path) -> Iterator[dict[str, Any]]:
    for benchmark in config.measure:
        run = folder / f"measured-{benchmark}-{config.limit}"
        if not (run / "summary.json").is_file():
            words = ("--model", model, "--data", benchmark, "--limit", str(config.limit), "--out", str(run))
            _call("vaslab.cli.app", "measure", *words)
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        asked = summary["queries"]["user"]
        yield {
            **row,
            "benchmark": benchmark,
            "n": summary["n"],
            "accuracy": summary["accuracy"],
            "vas": asked["vas"],
            "vas_ratio_of_means": asked["vas_ratio_of_means"],
            "visual_mass": asked["masses"]["image"],
            "system_mass": asked["masses"]["system"],
        }

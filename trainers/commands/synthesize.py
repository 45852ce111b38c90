"""`avar synthesize`: exact records of the glyph world, or VARD chains by a model; their path on stdout."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from trainers.runs import SynthesizeRun
from vaslab.cli.console import note, quiet_libraries
from vaslab.errors import UsageError


def synthesize(config: SynthesizeRun) -> int:
    """Run `avar synthesize`.

    Raises UsageError or MissingError for what cannot be made, before anything is written.
    """
    from trainers.data.record import new_records

    new_records(Path(config.out))
    print(_by_model(config) if config.data else _drawn(config))
    return 0


def _drawn(config: SynthesizeRun) -> Path:
    from trainers.data.glyph import glyph_records
    from trainers.data.record import write_records

    if config.endpoint or config.model:
        raise UsageError(
            "--endpoint and --model need prompts to make chains of; give --data, or leave both out"
        )
    return write_records(glyph_records(config.kind, config.count, config.seed), Path(config.out))


def _by_model(config: SynthesizeRun) -> Path:
    from trainers.data.readers import read_records
    from trainers.vard.synthesis import Limits, run_synthesis

    if config.kind != "vard":
        raise UsageError(f"--kind is {config.kind}, and --data makes records of kind vard; leave --kind out")
    if not config.model:
        raise UsageError(
            "--data needs --model, which makes the chains (and --endpoint, where it is served); give it"
        )
    records = read_records(Path(config.data)).require("answer")
    out = Path(config.out)
    limits = Limits(config.grader, config.anchors, config.words)
    with _model(config, out / "replies") as model:
        path, rejected = run_synthesis(records, model, limits, out, config.workers)
    used = model.usage
    cost = (used.prompt_tokens * config.price_in + used.completion_tokens * config.price_out) / 1e6
    note(
        f"{len(records) - len(rejected)} of {len(records)} chains kept; {used.calls} calls ({used.cached} more from "
        f"the cache), {used.prompt_tokens} tokens read and {used.completion_tokens} written, cost {cost:.2f}"
    )
    return path


def _model(config: SynthesizeRun, cache: Path) -> AbstractContextManager[Any]:
    if config.endpoint:
        from trainers.vard.endpoint import Endpoint

        return Endpoint(config.endpoint, config.model, cache, config.temperature, config.max_tokens)
    from trainers.vard.local import LocalModel

    quiet_libraries()
    return nullcontext(
        LocalModel(config.model, cache, config.temperature, config.max_tokens, online=config.online)
    )

"""`avar synthesize`: exact records of the glyph world, or VARD chains over an endpoint; their path on stdout."""

from __future__ import annotations

from pathlib import Path

from trainers.runs import SynthesizeRun
from vaslab.cli.console import note
from vaslab.errors import UsageError


def synthesize(config: SynthesizeRun) -> int:
    """Run `avar synthesize`."""
    print(_over_endpoint(config) if config.data else _drawn(config))
    return 0


def _drawn(config: SynthesizeRun) -> Path:
    from trainers.data.glyph import glyph_records
    from trainers.data.record import write_records

    if config.endpoint or config.model:
        raise UsageError("--endpoint and --model need prompts; add --data FILE, or leave both out")
    return write_records(glyph_records(config.kind, config.count, config.seed), Path(config.out))


def _over_endpoint(config: SynthesizeRun) -> Path:
    from trainers.data.readers import read_records
    from trainers.vard.endpoint import Endpoint
    from trainers.vard.synthesis import Limits, run_synthesis

    if not (config.endpoint and config.model) or config.kind != "vard":
        raise UsageError("--data needs --endpoint and --model, and makes records of kind vard; give both")
    records = read_records(Path(config.data)).require("answer")
    out = Path(config.out)
    limits = Limits(config.grader, config.anchors, config.words)
    where = (config.endpoint, config.model, out / "replies", config.temperature, config.max_tokens)
    with Endpoint(*where) as endpoint:
        path, rejected = run_synthesis(records, endpoint, limits, out, config.workers)
    used = endpoint.usage
    cost = (used.prompt_tokens * config.price_in + used.completion_tokens * config.price_out) / 1e6
    note(
        f"{len(records) - len(rejected)} of {len(records)} chains kept; {used.calls} calls ({used.cached} more from "
        f"the cache), {used.prompt_tokens} tokens read and {used.completion_tokens} written, cost {cost:.2f}"
    )
    return path

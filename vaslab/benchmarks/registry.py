"""The benchmarks by name, and a user's own file as one."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from vaslab.benchmarks.easy_vqa import EasyVqa
from vaslab.benchmarks.glyph import Glyph
from vaslab.benchmarks.item import Benchmark
from vaslab.benchmarks.own import OwnFile
from vaslab.errors import MissingError, UsageError

BENCHMARKS: dict[str, Benchmark] = {bench.name: bench for bench in (EasyVqa(), Glyph())}
"""Every benchmark that `--data NAME` takes."""


def find_benchmark(data: str) -> Benchmark:
    """Return the benchmark of a name, or a user's own .jsonl file as one.

    Raises UsageError for a name that is none, MissingError for a file that is not there.
    """
    if data in BENCHMARKS:
        return BENCHMARKS[data]
    path = Path(data)
    if path.is_file():
        return OwnFile(path)
    if path.suffix in (".jsonl", ".json") or "/" in data:
        raise MissingError(f"no data file at {data}; check the path, or name one of {', '.join(BENCHMARKS)}")
    close = get_close_matches(data, BENCHMARKS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise UsageError(
        f"unknown data {data!r}; {hint}expected {', '.join(BENCHMARKS)}, or a FILE.jsonl of your own"
    )

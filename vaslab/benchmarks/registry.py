"""The benchmarks by name, and a user's own file as one."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from vaslab.benchmarks.algopuzzlevqa import AlgoPuzzleVqa
from vaslab.benchmarks.dynamath import DynaMath
from vaslab.benchmarks.easy_vqa import EasyVqa
from vaslab.benchmarks.glyph import Glyph
from vaslab.benchmarks.hallusionbench import HallusionBench
from vaslab.benchmarks.item import Benchmark
from vaslab.benchmarks.m3cot import M3Cot
from vaslab.benchmarks.mathverse import MathVerse
from vaslab.benchmarks.mathvision import MathVision
from vaslab.benchmarks.mathvista import MathVista
from vaslab.benchmarks.mmmu import Mmmu
from vaslab.benchmarks.mmmu_pro import MmmuPro
from vaslab.benchmarks.mmstar import MmStar
from vaslab.benchmarks.own import OwnFile
from vaslab.benchmarks.puzzlevqa import PuzzleVqa
from vaslab.benchmarks.table import TableBenchmark
from vaslab.errors import MissingError, UsageError

SHIPPED: dict[str, Callable[[], Benchmark]] = {"easy-vqa": EasyVqa, "glyph": Glyph}
"""Benchmarks whose items come with vaslab."""
TABLES: dict[str, type[TableBenchmark]] = {
    "mathvista": MathVista,
    "mathvision": MathVision,
    "mathverse": MathVerse,
    "mmmu": Mmmu,
    "mmmu-pro": MmmuPro,
    "mmstar": MmStar,
    "hallusionbench": HallusionBench,
    "dynamath": DynaMath,
    "algopuzzlevqa": AlgoPuzzleVqa,
    "puzzlevqa": PuzzleVqa,
    "m3cot": M3Cot,
}
"""Benchmarks that are read from a user's disk."""
BENCHMARKS = (*SHIPPED, *TABLES)
"""The names that `--data NAME[/VARIANT][:PATH]` takes."""


def find_benchmark(data: str) -> Benchmark:
    """Return the benchmark of `NAME[/VARIANT][:PATH]`, or a user's own .jsonl file as one.

    PATH is a file, a folder, or `hub:OWNER/NAME[:CONFIG][:SPLIT]`. Raises UsageError for a name or variant that is
    none, MissingError for a file that is not there.
    """
    named, _, where = data.partition(":")
    name, _, variant = named.partition("/")
    if name in SHIPPED:
        if variant or where:
            raise UsageError(
                f"{name} comes with vaslab and takes neither variant nor path; say --data {name}"
            )
        return SHIPPED[name]()
    if name in TABLES:
        return TABLES[name](where, variant)
    path = Path(data)
    if path.is_file():
        return OwnFile(path)
    if path.suffix in (".jsonl", ".json") or "/" in data:
        raise MissingError(f"no data file at {data}; check the path, or name one of {', '.join(BENCHMARKS)}")
    close = get_close_matches(name, BENCHMARKS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise UsageError(
        f"unknown data {data!r}; {hint}expected {', '.join(BENCHMARKS)}, or a FILE.jsonl of your own"
    )

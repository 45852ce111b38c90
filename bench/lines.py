"""Lines of a benchmark: two sides timed in pairs, judged, stamped with the machine, told and kept as they come."""

import argparse
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers

from bench.intervals import median_ratio, other_level
from vaslab.errors import MissingError, UsageError, VaslabError

RESULTS = Path(__file__).parent / "results"
Line = dict[str, Any]
Clock = Callable[[Callable[[], object]], float]


def machine(device: str) -> Line:
    """Where and with what the numbers were measured."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [s.split(":")[1].strip() for s in info.read_text().splitlines() if s.startswith("model name")]
        name = names[0] if names else name
    if device == "cuda":
        name = torch.cuda.get_device_name()
    return {
        "machine": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cpu_seconds(run: Callable[[], object]) -> float:
    """Process CPU time of one call."""
    gc.collect()
    start = time.process_time()
    held = run()
    spent = time.process_time() - start
    del held
    return spent


def cuda_seconds(run: Callable[[], object]) -> float:
    """Time of one call between two CUDA events."""
    gc.collect()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    held = run()
    end.record()
    torch.cuda.synchronize()
    del held
    return start.elapsed_time(end) / 1000


CLOCKS: dict[str, Clock] = {"cpu": cpu_seconds, "cuda": cuda_seconds}


def compared(ours: Callable[[], float], other: Callable[[], float], pairs: int) -> Line:
    """Median ratio of two sides' seconds, after one unmeasured pair, in an order that alternates from pair to pair."""
    spent: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs + 1):
        for side in (0, 1) if pair % 2 else (1, 0):
            seconds = (ours, other)[side]()
            if pair:
                spent[side].append(seconds)
    return {**vars(median_ratio(*spent)), "ours_s": median(spent[0]), "other_s": median(spent[1])}


def judged(line: Line, at_most: float | None = None, at_least: float | None = None) -> Line:
    """The line with its target and whether it is met by the interval's lower end, or by the median without one."""
    found: Any = line.get("low", line["median"])
    if at_least is not None:
        return {**line, "target": at_least, "met": found >= at_least}
    return {**line, "target": at_most, "met": None if at_most is None else found <= at_most}


class Lines:
    """What was found so far. A whole run takes long, and what it has measured must survive its end."""

    def __init__(self, device: str, out: Path | None) -> None:
        self.device, self.out, self.text = device, out, ""

    def add(self, line: Line) -> None:
        """Stamp a line, tell it, and write it where a file is named."""
        self.text += json.dumps({**line, **machine(self.device)}) + "\n"
        print(told(line), file=sys.stderr, flush=True)
        if self.out is not None:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.out.write_text(self.text)


def told(line: Line) -> str:
    """A line in words: what was compared, what was found, and what was promised."""
    said = []
    for name, value in line.items():
        if name == "median":
            break
        said.append(value if isinstance(value, str) else f"{name} {value}")
    said.append("-" if line["median"] is None else f"{line['median']:.3f}")
    if "low" in line:
        said.append(f"[{line['low']:.3f}, {line['high']:.3f}]{other_level(line['n'])}")
    if line["target"] is not None:
        said.append(f"target {line['target']} {'ok' if line['met'] else 'MISSED'}")
    return "  ".join([*said, *([f"({line['why']})"] if line.get("why") else [])])


def parser(name: str, about: str) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    found = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=about.splitlines()[0])
    found.add_argument("--device", choices=tuple(CLOCKS), default="cpu")
    found.add_argument("--pairs", type=int, default=15)
    found.add_argument("--threads", type=int, default=torch.get_num_threads())
    found.add_argument("--out", type=Path, help=f"for example {RESULTS.name}/{name}-cpu.jsonl")
    return found


def parsed(options: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """The options of a command line.

    Raises:
        UsageError: a count below 1.
        MissingError: no GPU where one is asked for.
    """
    found = options.parse_args(argv)
    for name, value in vars(found).items():
        for number in value if isinstance(value, list) else [value]:
            if type(number) is int and number < 1:
                raise UsageError(f"--{name.replace('_', '-')} {number}; expected at least 1")
    if found.device == "cuda" and not torch.cuda.is_available():
        raise MissingError("--device cuda found no GPU; run it on a machine with one, or leave --device cpu")
    return found


def run(
    arguments: Callable[[list[str] | None], argparse.Namespace],
    measure: Callable[[argparse.Namespace], Iterable[Line]],
    argv: list[str] | None,
) -> int:
    """Measure what the command line asks for; the lines go to stdout at the end, and to a file as they come."""
    try:
        options = arguments(argv)
        torch.set_num_threads(options.threads)
        kept = Lines(options.device, options.out)
        for line in measure(options):
            kept.add(line)
    except VaslabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    sys.stdout.write(kept.text)
    return 0

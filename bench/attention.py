"""What attention mass costs: over plain SDPA, and over `output_attentions=True`, in time and peak memory.

`python -m bench.attention` measures a random 8-layer Qwen2.5-VL on the CPU and writes one JSON line a comparison.
Time is process CPU time over alternating pairs: the median of the pairs' ratios, with the 95 % interval between order
statistics. Memory is the extra peak of fresh processes. `--device cuda` measures the shape of the 7B model in bfloat16
up to 32,768 tokens, by CUDA events and the allocator's peak.
"""

import argparse
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers

from bench.intervals import median_ratio
from bench.memory import fresh_peaks, run
from bench.workload import CASES, SEVEN_B, SMALL, Case, Workload, build
from vaslab.errors import MissingError, UsageError, VaslabError

RESULTS = Path(__file__).parent / "results"
CPU_LENGTHS = (512, 2048, 4096)
CUDA_LENGTHS = (4096, 8192, 16384, 32768)
OVER_EAGER = ("rows64", "all")
# Ratios that the project promises: over SDPA at most, under eager at least.
TIME_OVER_SDPA = {"rows16": 1.06, "rows64": 1.06, "all": 1.10}
MEMORY_OVER_SDPA = 1.4
EAGER_LENGTH, TIME_UNDER_EAGER, MEMORY_UNDER_EAGER = 4096, 3.0, 25.0

Line = dict[str, Any]


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


def on(workload: Workload, backend: str, run: Callable[[], object], clock: Callable[..., float]) -> float:
    """Seconds of one call on a backend; switching to it is not counted."""
    with ExitStack() as stack:
        if backend != "sdpa":
            workload.on(backend, stack)
        return clock(run)


def timed_pairs(
    workload: Workload,
    ours: tuple[str, Callable[[], object]],
    other: tuple[str, Callable[[], object]],
    pairs: int,
    clock: Callable[..., float],
) -> tuple[list[float], list[float]]:
    """Seconds of both sides, after one unmeasured pair, in an order that alternates from pair to pair."""
    found: dict[int, list[float]] = {0: [], 1: []}
    for pair in range(pairs + 1):
        for side in (0, 1) if pair % 2 else (1, 0):
            backend, run = (ours, other)[side]
            seconds = on(workload, backend, run, clock)
            if pair:
                found[side].append(seconds)
    return found[0], found[1]


def agreement(workload: Workload, case: Case) -> Line:
    """Whether the logits are bit-equal to plain SDPA, the route, and how far the masses are from summing to 1."""
    plain = workload.plain()
    still = Case(case.name, case.rows)
    with ExitStack() as stack:
        workload.on("vaslab", stack)
        logits, masses = workload.measured(still)
    n_rows = masses[0].shape[2]
    return {
        "route": workload.request(still).chosen_route(n_rows, workload.length),
        "logits_bit_equal": bool(torch.equal(logits, plain)),
        "logits_max_difference": float((logits - plain).abs().max()),
        "row_sum_error": max(float((mass.sum(-1) - 1).abs().max()) for mass in masses),
    }


def time_lines(
    workload: Workload, case: Case, pairs: int, clock: Callable[..., float], eager: bool
) -> list[Line]:
    """The case over plain SDPA and, where asked, `output_attentions=True` over the case."""
    ours = ("vaslab", lambda: workload.measured(case))
    spent, base = timed_pairs(workload, ours, ("sdpa", lambda: workload.plain(case.grad)), pairs, clock)
    found = median_ratio(spent, base)
    target = TIME_OVER_SDPA.get(case.name)
    lines = [
        {
            "metric": "time",
            "case": case.name,
            "length": workload.length,
            "comparison": "ours / sdpa",
            **vars(found),
            "ours_s": median(spent),
            "other_s": median(base),
            "target": target,
            "met": None if target is None else found.low <= target,
            **agreement(workload, case),
        }
    ]
    if eager:
        maps, spent = timed_pairs(workload, ("eager", workload.maps), ours, pairs, clock)
        found = median_ratio(maps, spent)
        judged = workload.length == EAGER_LENGTH
        lines.append(
            {
                "metric": "time",
                "case": case.name,
                "length": workload.length,
                "comparison": "output_attentions / ours",
                **vars(found),
                "ours_s": median(spent),
                "other_s": median(maps),
                "target": TIME_UNDER_EAGER if judged else None,
                "met": found.low >= TIME_UNDER_EAGER if judged else None,
            }
        )
    return lines


def memory_lines(length: int, cases: list[Case], peaks: Callable[[str], list[int]]) -> list[Line]:
    """Extra peak of each case over SDPA's, and of whole maps over each case's."""
    lines = []
    known: dict[str, list[int]] = {}

    def peak(subject: str) -> float:
        if subject not in known:
            known[subject] = peaks(subject)
        return median(known[subject])

    for case in cases:
        base = "sdpa_grad" if case.grad else "sdpa"
        ratio = peak(case.name) / peak(base)
        line = {"metric": "memory", "case": case.name, "length": length, "ours_bytes": peak(case.name)}
        judged = None if case.grad else MEMORY_OVER_SDPA
        met = None if judged is None else ratio <= judged
        lines.append(
            {
                **line,
                "comparison": f"ours / {base}",
                "median": ratio,
                "other_bytes": peak(base),
                "target": judged,
                "met": met,
            }
        )
        if case.name in OVER_EAGER:
            ratio = peak("eager") / peak(case.name)
            target = MEMORY_UNDER_EAGER if length == EAGER_LENGTH else None
            met = None if target is None else ratio >= target
            lines.append(
                {
                    **line,
                    "comparison": "output_attentions / ours",
                    "median": ratio,
                    "other_bytes": peak("eager"),
                    "target": target,
                    "met": met,
                }
            )
    return [{**line, "n": len(known[str(line["case"])])} for line in lines]


def cuda_peak(workload: Workload, subject: str) -> list[int]:
    """Extra peak of the allocator over one call; empty where the memory does not suffice."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run(workload, subject)
    return [torch.cuda.max_memory_allocated() - before]


def on_cpu(options: argparse.Namespace) -> list[Line]:
    """Every chosen comparison on the small model."""
    torch.set_num_threads(options.threads)
    model = build(SMALL, "cpu", torch.float32)
    cases = [CASES[name] for name in options.cases]
    lines: list[Line] = []
    for length in options.lengths:
        if "time" in options.metrics:
            workload = Workload(model, length)
            for case in cases:
                eager = case.name in OVER_EAGER and not options.quick
                _tell(lines, time_lines(workload, case, options.pairs, cpu_seconds, eager), options)
        if "memory" in options.metrics and length >= 2048:
            repeats = 1 if options.quick else 5

            def peaks(subject: str, length: int = length, repeats: int = repeats) -> list[int]:
                return fresh_peaks(subject, length, repeats, options.threads)

            _tell(lines, memory_lines(length, cases, peaks), options)
    return lines


def on_cuda(options: argparse.Namespace) -> list[Line]:
    """Every chosen comparison on the shape of the 7B model."""
    if not torch.cuda.is_available():
        raise MissingError("--device cuda found no GPU; run it on a machine with one, or leave --device cpu")
    torch.set_float32_matmul_precision("highest")
    model = build(SEVEN_B, "cuda", torch.bfloat16)
    lines: list[Line] = []
    for length in options.lengths:
        # The logits of every position of a vocabulary of 152,064 would hide the memory of attention.
        workload = Workload(model, length, logits_to_keep=1)
        for name in options.cases:
            if "time" in options.metrics:
                found = time_lines(workload, CASES[name], options.pairs, cuda_seconds, eager=False)
                _tell(lines, found, options)
            if "memory" in options.metrics:
                _tell(lines, _cuda_memory(workload, CASES[name]), options)
    return lines


def _cuda_memory(workload: Workload, case: Case) -> list[Line]:
    """Memory of one case; a comparison that does not fit the GPU says so."""
    try:
        return memory_lines(workload.length, [case], lambda subject: cuda_peak(workload, subject))
    except torch.OutOfMemoryError:
        line = {"metric": "memory", "case": case.name, "length": workload.length, "median": None}
        return [{**line, "comparison": "out of memory", "target": None, "met": None}]


def _tell(lines: list[Line], new: list[Line], options: argparse.Namespace) -> None:
    """Say what was found, and keep it: a whole run takes long, and what it has measured must survive its end."""
    for line in new:
        lines.append({**line, **machine(options.device)})
        found = "-" if line["median"] is None else f"{line['median']:.3f}"
        between = f" [{line['low']:.3f}, {line['high']:.3f}]" if "low" in line else ""
        verdict = {None: "", True: " ok", False: " MISSED"}[line["met"]]
        goal = "" if line["target"] is None else f" target {line['target']}"
        text = f"{line['metric']:6} S={line['length']:<6} {line['case']:9} {line['comparison']:25}"
        print(f"{text} {found}{between}{goal}{verdict}", file=sys.stderr, flush=True)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(_as_text(lines))


def _as_text(lines: list[Line]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.attention", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--lengths", type=int, nargs="+")
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=None)
    parser.add_argument("--metrics", nargs="+", choices=("time", "memory"), default=("time", "memory"))
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="no eager timing, memory of one process")
    parser.add_argument(
        "--out", type=Path, help="default: bench/results/attention-DEVICE.jsonl for a whole run"
    )
    options = parser.parse_args(argv)
    whole = options.lengths is None and options.cases is None and not options.quick
    if options.out is None and whole and set(options.metrics) == {"time", "memory"}:
        options.out = RESULTS / f"attention-{options.device}.jsonl"
    cuda = options.device == "cuda"
    options.lengths = options.lengths or (CUDA_LENGTHS if cuda else CPU_LENGTHS)
    # Weights and gradients of 7B in bfloat16 leave an 80 GB GPU too little for whole activations.
    options.cases = options.cases or [name for name in CASES if not (cuda and CASES[name].grad)]
    if options.pairs < 1:
        raise UsageError(f"--pairs {options.pairs}; expected at least 1")
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the chosen comparisons; the lines go to stdout, and to a file for a whole run."""
    try:
        options = arguments(argv)
        lines = on_cuda(options) if options.device == "cuda" else on_cpu(options)
    except VaslabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    sys.stdout.write(_as_text(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())

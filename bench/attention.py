"""What attention mass costs: over plain SDPA, and over `output_attentions=True`, in time and peak memory.

`python -m bench.attention` measures a random 8-layer Qwen2.5-VL on the CPU and writes one JSON line a comparison.
Time is process CPU time over alternating pairs: the median of the pairs' ratios, with the 95 % interval between order
statistics. Memory is the extra peak of fresh processes. `--device cuda` measures the shape of the 7B model in bfloat16
up to 32,768 tokens, by CUDA events and the allocator's peak.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median

import torch

from bench.lines import CLOCKS, RESULTS, Clock, Line, compared, judged, parsed, parser
from bench.lines import run as run_lines
from bench.memory import cuda_peak, fresh_peaks, run
from bench.workload import CASES, SEVEN_B, SMALL, Case, Workload, build

CPU_LENGTHS = (512, 2048, 4096)
CUDA_LENGTHS = (4096, 8192, 16384, 32768)
OVER_EAGER = ("rows64", "all")
# Ratios that the project promises: over SDPA at most, under eager at least.
TIME_OVER_SDPA = {"rows16": 1.06, "rows64": 1.06, "all": 1.10}
MEMORY_OVER_SDPA = 1.4
EAGER_LENGTH, TIME_UNDER_EAGER, MEMORY_UNDER_EAGER = 4096, 3.0, 25.0


def on(workload: Workload, backend: str, call: Callable[[], object], clock: Clock) -> Callable[[], float]:
    """Seconds of one call on a backend; switching to it is not counted."""

    def seconds() -> float:
        with ExitStack() as stack:
            if backend != "sdpa":
                workload.on(backend, stack)
            return clock(call)

    return seconds


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


def time_lines(workload: Workload, case: Case, pairs: int, clock: Clock, eager: bool) -> Iterator[Line]:
    """The case over plain SDPA and, where asked, `output_attentions=True` over the case."""
    ours = on(workload, "vaslab", lambda: workload.measured(case), clock)
    plain = on(workload, "sdpa", lambda: workload.plain(case.grad), clock)
    head: Line = {"metric": "time", "case": case.name, "length": workload.length}
    found = {**head, "comparison": "ours / sdpa", **compared(ours, plain, pairs)}
    yield {**judged(found, TIME_OVER_SDPA.get(case.name)), **agreement(workload, case)}
    if eager:
        maps = on(workload, "eager", workload.maps, clock)
        found = compared(maps, ours, pairs)
        found |= {"ours_s": found["other_s"], "other_s": found["ours_s"]}
        target = TIME_UNDER_EAGER if workload.length == EAGER_LENGTH else None
        yield judged({**head, "comparison": "output_attentions / ours", **found}, at_least=target)


def memory_lines(length: int, cases: list[Case], peaks: Callable[[str], list[int]]) -> Iterator[Line]:
    """Extra peak of each case over SDPA's, and of whole maps over each case's."""
    known: dict[str, list[int]] = {}

    def peak(subject: str) -> float:
        if subject not in known:
            known[subject] = peaks(subject)
        return median(known[subject])

    for case in cases:
        base = "sdpa_grad" if case.grad else "sdpa"
        head = {"metric": "memory", "case": case.name, "length": length}
        ours, other = peak(case.name), peak(base)
        rest = {"ours_bytes": ours, "n": len(known[case.name])}
        line = {**head, "comparison": f"ours / {base}", "median": ours / other, "other_bytes": other, **rest}
        yield judged(line, None if case.grad else MEMORY_OVER_SDPA)
        if case.name in OVER_EAGER:
            other = peak("eager")
            ratio = {"median": other / ours, "other_bytes": other, **rest}
            target = MEMORY_UNDER_EAGER if length == EAGER_LENGTH else None
            yield judged({**head, "comparison": "output_attentions / ours", **ratio}, at_least=target)


def on_cpu(options: argparse.Namespace) -> Iterator[Line]:
    """Every chosen comparison on the small model."""
    model = build(SMALL, "cpu", torch.float32)
    cases = [CASES[name] for name in options.cases]
    for length in options.lengths:
        if "time" in options.metrics:
            workload = Workload(model, length)
            for case in cases:
                eager = case.name in OVER_EAGER and not options.quick
                yield from time_lines(workload, case, options.pairs, CLOCKS["cpu"], eager)
        if "memory" in options.metrics and length >= 2048:
            repeats = 1 if options.quick else 5

            def peaks(subject: str, length: int = length, repeats: int = repeats) -> list[int]:
                return fresh_peaks(subject, length, repeats, options.threads)

            yield from memory_lines(length, cases, peaks)


def on_cuda(options: argparse.Namespace) -> Iterator[Line]:
    """Every chosen comparison on the shape of the 7B model."""
    torch.set_float32_matmul_precision("highest")
    model = build(SEVEN_B, "cuda", torch.bfloat16)
    for length in options.lengths:
        # The logits of every position of a vocabulary of 152,064 would hide the memory of attention.
        workload = Workload(model, length, logits_to_keep=1)
        for name in options.cases:
            if "time" in options.metrics:
                yield from time_lines(workload, CASES[name], options.pairs, CLOCKS["cuda"], eager=False)
            if "memory" in options.metrics:
                yield from _cuda_memory(workload, CASES[name])


def _cuda_memory(workload: Workload, case: Case) -> Iterator[Line]:
    """Memory of one case; a comparison that does not fit the GPU says so."""
    try:
        yield from memory_lines(
            workload.length, [case], lambda subject: [cuda_peak(lambda: run(workload, subject))]
        )
    except torch.OutOfMemoryError:
        line = {"metric": "memory", "case": case.name, "length": workload.length}
        yield judged({**line, "comparison": "out of memory", "median": None})


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """Every chosen comparison of a device, as it is done."""
    return on_cuda(options) if options.device == "cuda" else on_cpu(options)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    known = parser("attention", __doc__)
    known.add_argument("--lengths", type=int, nargs="+")
    known.add_argument("--cases", nargs="+", choices=tuple(CASES), default=None)
    known.add_argument("--metrics", nargs="+", choices=("time", "memory"), default=("time", "memory"))
    known.add_argument("--quick", action="store_true", help="no eager timing, memory of one process")
    options = parsed(known, argv)
    whole = options.lengths is None and options.cases is None and not options.quick
    if options.out is None and whole and set(options.metrics) == {"time", "memory"}:
        options.out = RESULTS / f"attention-{options.device}.jsonl"
    cuda = options.device == "cuda"
    options.lengths = options.lengths or (CUDA_LENGTHS if cuda else CPU_LENGTHS)
    # Weights and gradients of 7B in bfloat16 leave an 80 GB GPU too little for whole activations.
    options.cases = options.cases or [name for name in CASES if not (cuda and CASES[name].grad)]
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the chosen comparisons; a whole run goes to its file in bench/results."""
    return run_lines(arguments, measure, argv)


if __name__ == "__main__":
    sys.exit(main())

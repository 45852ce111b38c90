"""What guided training costs: a step with AGTO over a plain one on SDPA, and the eager way over AGTO.

`python -m bench.training` measures a random 8-layer Qwen2.5-VL on the CPU at 2,048 tokens, forward, backward and AdamW,
and writes one JSON line a comparison. Time is process CPU time over alternating pairs: the median of the pairs' ratios,
with the 95 % interval between order statistics. Memory is the extra peak of fresh processes. `--device cuda` measures
the shape of the 7B model in bfloat16 with LoRA and gradient checkpointing, at 8,192 tokens.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import torch

from bench.lines import CLOCKS, Clock, Line, compared, judged, parsed, parser, run
from bench.memory import cuda_peak, fresh_peaks
from bench.training_step import CHECKPOINTED, Training

# What the project promises of AGTO over a plain step, at this length.
TIME_OVER_SDPA, MEMORY_OVER_SDPA, JUDGED_LENGTH = 1.10, 1.3, 2048
LEAN = (f"agto{CHECKPOINTED}", f"sft{CHECKPOINTED}")
PAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "cpu": (("agto", "sft"), ("eager", "agto"), LEAN),
    "cuda": (LEAN, (f"eager{CHECKPOINTED}", LEAN[0])),
}
STEP = "bench.training_step"


def _seconds(training: Training, subject: str, clock: Clock) -> float:
    """Seconds of one step; switching to its attention is not counted."""
    with training.on(subject) as step:
        return clock(step)


def time_line(training: Training, names: tuple[str, str], pairs: int, length: int, clock: Clock) -> Line:
    """One subject over another."""
    ours, other = (lambda name=name: _seconds(training, name, clock) for name in names)
    line = {"metric": "time", "case": names[0], "length": length, "comparison": " / ".join(names)}
    return judged({**line, **compared(ours, other, pairs)}, _target(TIME_OVER_SDPA, names[0], length))


def memory_line(names: tuple[str, str], length: int, peak: Callable[[str], int], n: int) -> Line:
    """Extra peak of one subject's step over another's."""
    ours, other = peak(names[0]), peak(names[1])
    line = {"metric": "memory", "case": names[0], "length": length, "comparison": " / ".join(names)}
    line |= {"median": ours / other, "n": n, "ours_bytes": ours, "other_bytes": other}
    return judged(line, _target(MEMORY_OVER_SDPA, names[0], length))


def unfit_line(metric: str, names: tuple[str, str], length: int) -> Line:
    """What stands where a side needs more memory than the device has, as whole maps of a long chat do."""
    line = {"metric": metric, "case": names[0], "length": length, "comparison": " / ".join(names)}
    return {
        **line,
        "median": None,
        "target": None,
        "met": None,
        "why": "does not fit in the memory of the device",
    }


def _target(target: float, subject: str, length: int) -> float | None:
    return target if subject.startswith("agto") and length == JUDGED_LENGTH else None


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """Every comparison of a device, as it is done."""
    clock = CLOCKS[options.device]
    known: dict[str, int] = {}
    for names in PAIRS[options.device]:
        training = Training(options.length, options.device, names[0].endswith(CHECKPOINTED))

        def peak(subject: str, training: Training = training) -> int:
            if subject not in known:
                known[subject] = (
                    int(median(fresh_peaks(subject, options.length, options.repeats, options.threads, STEP)))
                    if options.device == "cpu"
                    else _cuda_peak(training, subject)
                )
            return known[subject]

        repeats = options.repeats if options.device == "cpu" else 1
        lines = {
            "time": partial(time_line, training, names, options.pairs, options.length, clock),
            "memory": partial(memory_line, names, options.length, peak, repeats),
        }
        for metric in options.metrics:
            try:
                yield lines[metric]()
            except torch.OutOfMemoryError:
                yield unfit_line(metric, names, options.length)


def _cuda_peak(training: Training, subject: str) -> int:
    """Extra peak of the allocator over one step."""
    training.optimizer.zero_grad()
    with training.on(subject) as step:
        return cuda_peak(step)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    known = parser("training", __doc__)
    known.add_argument("--length", type=int)
    known.add_argument("--metrics", nargs="+", choices=("time", "memory"), default=("time", "memory"))
    known.add_argument("--repeats", type=int, default=5, help="fresh processes for each peak")
    options = parsed(known, argv)
    options.length = options.length or (JUDGED_LENGTH if options.device == "cpu" else 8192)
    return options


def main(argv: list[str] | None = None) -> int:
    """Run every comparison."""
    return run(arguments, measure, argv)


if __name__ == "__main__":
    sys.exit(main())

"""What guided training costs: a step with AGTO over a plain one on SDPA, and the eager way over AGTO.

`python -m bench.training` measures a random 8-layer Qwen2.5-VL on the CPU at 2,048 tokens, forward, backward and AdamW,
and writes one JSON line a comparison. Time is process CPU time over alternating pairs: the median of the pairs' ratios,
with the 95 % interval between order statistics. Memory is the extra peak of fresh processes. `--device cuda` measures
the shape of the 7B model in bfloat16 with LoRA and gradient checkpointing, at 8,192 tokens.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch

from bench.attention import RESULTS, Line, cpu_seconds, cuda_seconds, machine
from bench.intervals import median_ratio
from bench.memory import fresh_peaks
from bench.training_step import CHECKPOINTED, Training
from vaslab.errors import MissingError, UsageError, VaslabError

# What the project promises of AGTO over a plain step, at this length.
TIME_OVER_SDPA, MEMORY_OVER_SDPA, JUDGED_LENGTH = 1.10, 1.3, 2048
LEAN = (f"agto{CHECKPOINTED}", f"sft{CHECKPOINTED}")
PAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "cpu": (("agto", "sft"), ("eager", "agto"), LEAN),
    "cuda": (LEAN,),
}
STEP = "bench.training_step"
Clock = Callable[[Callable[[], object]], float]


def _seconds(training: Training, subject: str, clock: Clock) -> float:
    """Seconds of one step; switching to its attention is not counted."""
    with training.on(subject) as step:
        return clock(step)


def time_line(training: Training, names: tuple[str, str], pairs: int, length: int, clock: Clock) -> Line:
    """One subject over another, after one unmeasured pair, in an order that alternates from pair to pair."""
    spent: dict[str, list[float]] = {name: [] for name in names}
    for pair in range(pairs + 1):
        for name in names if pair % 2 else names[::-1]:
            seconds = _seconds(training, name, clock)
            if pair:
                spent[name].append(seconds)
    found = median_ratio(spent[names[0]], spent[names[1]])
    target = TIME_OVER_SDPA if names[0].startswith("agto") and length == JUDGED_LENGTH else None
    return {
        "metric": "time",
        "case": names[0],
        "length": length,
        "comparison": " / ".join(names),
        **vars(found),
        "ours_s": median(spent[names[0]]),
        "other_s": median(spent[names[1]]),
        "target": target,
        "met": None if target is None else found.low <= target,
    }


def memory_line(names: tuple[str, str], length: int, peak: Callable[[str], int], n: int) -> Line:
    """Extra peak of one subject's step over another's."""
    ratio = peak(names[0]) / peak(names[1])
    target = MEMORY_OVER_SDPA if names[0].startswith("agto") and length == JUDGED_LENGTH else None
    return {
        "metric": "memory",
        "case": names[0],
        "length": length,
        "comparison": " / ".join(names),
        "median": ratio,
        "n": n,
        "ours_bytes": peak(names[0]),
        "other_bytes": peak(names[1]),
        "target": target,
        "met": None if target is None else ratio <= target,
    }


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """Every comparison of a device, as it is done."""
    clock: Clock = cpu_seconds if options.device == "cpu" else cuda_seconds
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

        if "time" in options.metrics:
            yield time_line(training, names, options.pairs, options.length, clock)
        if "memory" in options.metrics:
            repeats = options.repeats if options.device == "cpu" else 1
            yield memory_line(names, options.length, peak, repeats)


def _cuda_peak(training: Training, subject: str) -> int:
    """Extra peak of the allocator over one step."""
    training.optimizer.zero_grad()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _seconds(training, subject, cuda_seconds)
    return torch.cuda.max_memory_allocated() - before


def _tell(line: Line) -> None:
    between = f" [{line['low']:.3f}, {line['high']:.3f}]" if "low" in line else ""
    goal = "" if line["target"] is None else f" target {line['target']} {'ok' if line['met'] else 'MISSED'}"
    text = f"{line['metric']:6} S={line['length']:<6} {line['comparison']:38}"
    print(f"{text} {line['median']:.3f}{between}{goal}", file=sys.stderr, flush=True)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--length", type=int)
    parser.add_argument("--metrics", nargs="+", choices=("time", "memory"), default=("time", "memory"))
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=5, help="fresh processes for each peak")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help=f"for example {RESULTS.name}/training-cpu.jsonl")
    options = parser.parse_args(argv)
    options.length = options.length or (JUDGED_LENGTH if options.device == "cpu" else 8192)
    if min(options.pairs, options.length, options.repeats) < 1:
        raise UsageError("--pairs, --length and --repeats are at least 1")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise MissingError("--device cuda found no GPU; run it on a machine with one, or leave --device cpu")
    return options


def main(argv: list[str] | None = None) -> int:
    """Run every comparison; the lines go to stdout, and to a file where one is named."""
    try:
        options = arguments(argv)
        torch.set_num_threads(options.threads)
        text = ""
        for line in measure(options):
            _tell(line)
            text += json.dumps({**line, **machine(options.device)}) + "\n"
            # what is measured must survive the end of a run that takes long
            if options.out is not None:
                options.out.parent.mkdir(parents=True, exist_ok=True)
                options.out.write_text(text)
    except VaslabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

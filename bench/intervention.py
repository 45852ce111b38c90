"""What an intervention costs: a generation under it over a plain SDPA one, at 2,048 prompt tokens.

`python -m bench.intervention` measures a random 8-layer Qwen2.5-VL on the CPU, prefill and decoding together, and
writes one JSON line an intervention: those that edit all layers and heads, and PAI, or every one with `--all`. Time is
process CPU time over alternating pairs: the median of the pairs' ratios, with the 95 % interval between order
statistics. `--device cuda` measures the shape of the 7B model in bfloat16 by CUDA events.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from bench.attention import RESULTS, Line, cpu_seconds, cuda_seconds, machine
from bench.intervals import median_ratio
from bench.workload import SEVEN_B, SMALL, build
from vaslab.errors import MissingError, UsageError, VaslabError
from vaslab.interventions import EditedModel, Intervention, make_intervention
from vaslab.prompts.roles import Role

# What the project promises at this length: over plain SDPA at most.
TIME_OVER_SDPA, JUDGED_LENGTH = 1.15, 2048
# Edits of all layers and heads that hold for every query that can see a key.
JUDGED = ("scaled", "additive")
CASES: dict[str, Intervention] = {
    "scaled": make_intervention("avar"),
    "additive": make_intervention("additive"),
    "vaf": make_intervention("vaf"),
    "block": make_intervention("block"),
    "block half": make_intervention("block", strength=0.5),
    # A random model has no hidden state that stands out by 20.
    "var": make_intervention("var", tau=3),
    "sparc": make_intervention("sparc"),
    "adaptvis": make_intervention("adaptvis"),
    "pai": make_intervention("pai", gamma=1),
    "pai, prior taken off": make_intervention("pai"),
    "ablate": make_intervention("ablate"),
    "ablate, sink": make_intervention("ablate", mode="sink"),
}
"""Every intervention but steer, whose region needs a picture, and those that are another one's form. PAI without its
second pass is `pai`."""


def read_roles(ids: Tensor, mask: Tensor) -> Tensor:
    """A system prompt of a sixteenth, a picture of half, and text."""
    del mask
    roles = torch.full_like(ids, int(Role.user))
    length = ids.shape[1]
    roles[:, : length // 16] = int(Role.system)
    roles[:, length // 16 : length * 9 // 16] = int(Role.image)
    return roles


class Generation:
    """One model and one prompt, generated from with and without an edit."""

    def __init__(self, device: str, length: int, tokens: int) -> None:
        small = device == "cpu"
        self.model = build(SMALL if small else SEVEN_B, device, torch.float32 if small else torch.bfloat16)
        draw = torch.Generator().manual_seed(1)
        vocabulary = self.model.config.get_text_config().vocab_size
        ids = torch.randint(6, vocabulary, (1, length), generator=draw).to(device)
        self.inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        self.options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}

    @torch.no_grad()
    def run(self, case: Intervention | None) -> Tensor:
        """Generate; plain without a case."""
        model = self.model if case is None else EditedModel(self.model, None, case, read_roles=read_roles)
        return model.generate(**self.inputs, **self.options)  # type: ignore[operator]


def line(generation: Generation, name: str, length: int, pairs: int, clock: Callable[..., float]) -> Line:
    """The case over plain SDPA, after one unmeasured pair, in an order that alternates from pair to pair."""
    spent: dict[bool, list[float]] = {True: [], False: []}
    for pair in range(pairs + 1):
        for edited in (True, False) if pair % 2 else (False, True):
            case = CASES[name] if edited else None
            seconds = clock(lambda case=case: generation.run(case))
            if pair:
                spent[edited].append(seconds)
    found = median_ratio(spent[True], spent[False])
    judged = name in JUDGED and length == JUDGED_LENGTH
    return {
        "metric": "time",
        "case": name,
        "length": length,
        "new_tokens": generation.options["max_new_tokens"],
        "comparison": "edited generation / sdpa",
        **vars(found),
        "ours_s": median(spent[True]),
        "other_s": median(spent[False]),
        "target": TIME_OVER_SDPA if judged else None,
        "met": found.low <= TIME_OVER_SDPA if judged else None,
    }


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.intervention", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--length", type=int, default=JUDGED_LENGTH)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=[*JUDGED, "pai"])
    parser.add_argument(
        "--all", action="store_true", help="every case, also those that nothing is promised of"
    )
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help=f"for example {RESULTS.name}/intervention-cpu.jsonl")
    options = parser.parse_args(argv)
    if min(options.pairs, options.length, options.new_tokens) < 1:
        raise UsageError("--pairs, --length and --new-tokens are at least 1")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise MissingError("--device cuda found no GPU; run it on a machine with one, or leave --device cpu")
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the chosen cases; the lines go to stdout, and to a file where one is named."""
    try:
        options = arguments(argv)
        torch.set_num_threads(options.threads)
        clock = cpu_seconds if options.device == "cpu" else cuda_seconds
        generation = Generation(options.device, options.length, options.new_tokens)
        where = machine(options.device)
        lines = [
            {**line(generation, name, options.length, options.pairs, clock), **where}
            for name in (CASES if options.all else options.cases)
        ]
    except VaslabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    text = "".join(json.dumps(each) + "\n" for each in lines)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

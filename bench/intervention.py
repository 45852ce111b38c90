"""What an intervention costs: a generation under it over a plain SDPA one, at 2,048 prompt tokens.

`python -m bench.intervention` measures a random 8-layer Qwen2.5-VL on the CPU, prefill and decoding together, and
writes one JSON line an intervention; one with a stream of its own is also held against the streams it is made of. Time
is process CPU time over alternating pairs: the median of the pairs' ratios, with the 95 % interval between order
statistics. `--device cuda` measures the shape of the 7B model in bfloat16 by CUDA events.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.lines import CLOCKS, Line, compared, judged, parsed, parser, run
from bench.workload import SEVEN_B, SMALL, build
from vaslab.interventions import EditedModel, Intervention, Region, make_intervention
from vaslab.interventions.batch import Batch
from vaslab.prompts.roles import Role

# What the project promises at this length: over plain SDPA at most.
TIME_OVER_SDPA, JUDGED_LENGTH = 1.15, 2048


@dataclass(frozen=True)
class Case:
    """One intervention.

    Args:
        intervention: as it is used, in all layers and heads.
        unseen: why no bound over plain SDPA can hold; a stream without the picture is then part of what it is judged
            by.
    """

    intervention: Intervention
    unseen: str | None = None


class FirstHalf(Region):
    """The first half of the visual tokens: the random prompt has no grid of patches to lay a box on."""

    def mask(self, batch: Batch, item: int) -> Tensor:
        """See `Region`."""
        visual = batch.visual[item]
        return visual & (visual.cumsum(0) <= visual.sum() // 2)


HALF = FirstHalf((0, 0, 1, 1), (2, 1))

CASES: dict[str, Case] = {
    "scaled": Case(make_intervention("avar")),
    "additive": Case(make_intervention("additive")),
    "vaf": Case(make_intervention("vaf")),
    "block": Case(make_intervention("block")),
    "block half": Case(make_intervention("block", strength=0.5)),
    "steer": Case(make_intervention("steer", regions=HALF, queries=("after_image", "emitting"))),
    # A random model has no hidden state that stands out by 20; by 4.3, about 1 % of the tokens of each layer do.
    "var": Case(make_intervention("var", tau=4.3)),
    "sparc": Case(make_intervention("sparc")),
    "adaptvis": Case(make_intervention("adaptvis")),
    "pai": Case(make_intervention("pai", gamma=1)),
    "pai, prior taken off": Case(
        make_intervention("pai"),
        "the prior is a second stream: the prompt and the answer without the picture",
    ),
    "ablate": Case(make_intervention("ablate")),
    "ablate, sink": Case(make_intervention("ablate", mode="sink")),
}
"""Every intervention but those that are another one's form."""


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
        self.ids = torch.randint(6, vocabulary, (1, length), generator=draw).to(device)
        self.options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}

    @torch.no_grad()
    def run(self, case: Case | None, seen: bool = True) -> Tensor:
        """Generate; plain without a case, and from the text of the prompt alone unless `seen`."""
        ids = self.ids
        if not seen:
            ids = ids[read_roles(ids, ids) != int(Role.image)][None]
        model: Any = self.model
        if case is not None:
            model = EditedModel(self.model, None, case.intervention, read_roles=read_roles)
        return model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **self.options)


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """Every chosen case, as it is done."""
    generation = Generation(options.device, options.length, options.new_tokens)
    clock = CLOCKS[options.device]
    target = TIME_OVER_SDPA if options.length == JUDGED_LENGTH else None

    def plain() -> float:
        return clock(lambda: generation.run(None))

    def both() -> float:
        return plain() + clock(lambda: generation.run(None, seen=False))

    for name in options.cases:
        case = CASES[name]

        def edited(case: Case = case) -> float:
            return clock(lambda: generation.run(case))

        line: Line = {"metric": "time", "case": name, "length": options.length}
        line |= {"new_tokens": options.new_tokens, "comparison": "edited generation / sdpa"}
        found = {**line, **compared(edited, plain, options.pairs), "why": case.unseen}
        yield judged(found, None if case.unseen else target)
        if case.unseen:
            line["comparison"] = "edited generation / sdpa with and without the picture"
            yield judged({**line, **compared(edited, both, options.pairs), "why": None}, target)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    known = parser("intervention", __doc__)
    known.add_argument("--length", type=int, default=JUDGED_LENGTH)
    known.add_argument("--new-tokens", type=int, default=32)
    known.add_argument("--cases", nargs="+", choices=tuple(CASES), default=list(CASES))
    return parsed(known, argv)


def main(argv: list[str] | None = None) -> int:
    """Run the chosen cases."""
    return run(arguments, measure, argv)


if __name__ == "__main__":
    sys.exit(main())

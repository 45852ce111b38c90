"""What a measurement costs beside answering: user rows over generation alone, response rows over a plain forward.

`python -m bench.generation` takes a random Qwen2.5-VL of 8 layers on the CPU and writes one JSON line a comparison.
Time is process CPU time over alternating pairs: the median of the pairs' ratios, with the 95 % interval between order
statistics. Our side is all of it, from prompts and pictures to the Dataset; the other side begins with encoded inputs.
The measured answers must be the tokens of generation alone. `--device cuda` takes CUDA events.
"""

import argparse
import sys
from collections.abc import Callable, Iterator

import torch
from PIL import Image

from bench.lines import CLOCKS, RESULTS, Line, compared, judged, parsed, parser, run
from vaslab.capture.capture import answer, capture
from vaslab.capture.decoding import generation_options
from vaslab.models import Vlm
from vaslab.models.families import family_of
from vaslab.organism.build import build_model, build_processor
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt

TOKENS = 32
ONE_WORD = 2
# What the project promises, at most.
USER_ROWS, RESPONSE_ROWS = 1.15, 1.3

Side = Callable[[], object]


def build(device: str) -> Vlm:
    """A random Qwen2.5-VL of 8 layers of 512, whose answers never end by themselves."""
    processor = build_processor()
    model = build_model(processor, layers=8, heads=8, kv_heads=4, hidden=512).eval()
    model.to(torch.device(device))
    model.generation_config.eos_token_id = None
    return Vlm("bench", "random", model, processor, family_of(model.config.model_type))


def prompts(batch: int, words: int) -> list[Prompt]:
    """Prompts of a picture of 144 tokens and about so many words, each of its own length."""
    picture = Image.effect_noise((192, 192), 60).convert("RGB")
    texts = [" ".join(["what is left of the red circle?"] * (words // 7 + extra)) for extra in range(batch)]
    return [Prompt(system="look at the image.", user=each, images=[picture]) for each in texts]


def user_rows(vlm: Vlm, asked: list[Prompt], tokens: int) -> tuple[Side, Side]:
    """Answers with their user rows measured, and the same answers by generation alone."""
    inputs = encode(vlm.processor, asked).to(vlm.device).inputs
    options = generation_options(vlm, tokens, None)

    def measured() -> list[list[int]]:
        return [told.ids for told in answer(vlm, asked, max_new_tokens=tokens)[0]]

    def alone() -> list[list[int]]:
        with torch.no_grad():
            ids = vlm.model.generate(**inputs, **options)  # type: ignore[operator]
        return list(ids[:, inputs["input_ids"].shape[1] :].tolist())

    told, plain = measured(), alone()
    if told != plain or any(len(each) != tokens for each in told):
        raise RuntimeError("the measured answers are not those of generation alone")
    return measured, alone


def response_rows(vlm: Vlm, asked: list[Prompt], tokens: int) -> tuple[Side, Side]:
    """One teacher-forced pass with the answers' rows measured, and one forward of the same tokens."""
    answers = [told.ids for told in answer(vlm, asked, max_new_tokens=tokens)[0]]
    inputs = encode(vlm.processor, asked, answers).to(vlm.device).inputs

    def measured() -> object:
        return capture(vlm, asked, ("response",), responses=answers, batch_size=len(asked))

    def forward() -> object:
        with torch.no_grad():
            return vlm.model(**inputs, use_cache=False, logits_to_keep=1).logits

    return measured, forward


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """Every comparison, as it is done."""
    vlm = build(options.device)
    clock = CLOCKS[options.device]
    for batch in options.batches:
        asked = prompts(batch, options.words)
        length = encode(vlm.processor, asked).roles.shape[1]
        for case, tokens, make, comparison, target in (
            ("user rows", TOKENS, user_rows, "answer / generate", USER_ROWS),
            ("user rows", ONE_WORD, user_rows, "answer / generate", None),
            ("response rows", TOKENS, response_rows, "capture / forward", RESPONSE_ROWS),
        ):
            ours, other = (lambda side=side: clock(side) for side in make(vlm, asked, tokens))
            line: Line = {
                "metric": "time",
                "case": case,
                "batch": batch,
                "prompt_tokens": length,
                "answer_tokens": tokens,
                "comparison": comparison,
            }
            yield judged({**line, **compared(ours, other, options.pairs)}, target)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    known = parser("generation", __doc__)
    known.add_argument("--batches", type=int, nargs="+")
    known.add_argument("--words", type=int, default=84, help="of a question, about")
    options = parsed(known, argv)
    if options.out is None and options.batches is None:
        options.out = RESULTS / f"generation-{options.device}.jsonl"
    options.batches = options.batches or [1, 8]
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the comparisons; a whole run goes to its file in bench/results."""
    return run(arguments, measure, argv)


if __name__ == "__main__":
    sys.exit(main())

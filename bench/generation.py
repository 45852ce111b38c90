"""What a measurement costs beside answering: user rows over generation alone, response rows over a plain forward.

`python -m bench.generation` takes a random Qwen2.5-VL of 8 layers on the CPU and writes one JSON line a comparison.
Time is process CPU time over alternating pairs: the median of the pairs' ratios, with the 95 % interval between order
statistics. Our side is all of it, from prompts and pictures to the Dataset; the other side begins with encoded inputs.
The measured answers must be the tokens of generation alone. `--device cuda` takes CUDA events.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from PIL import Image

from bench.attention import Line, cpu_seconds, cuda_seconds, machine
from bench.intervals import median_ratio
from vaslab.capture.capture import answer, capture
from vaslab.capture.decoding import generation_options
from vaslab.errors import MissingError, UsageError, VaslabError
from vaslab.models import Vlm
from vaslab.models.families import family_of
from vaslab.organism.build import build_model, build_processor
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt

RESULTS = Path(__file__).parent / "results"
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


def compare(sides: tuple[Side, Side], pairs: int, clock: Callable[[Side], float]) -> Line:
    """Median ratio of the sides' times over pairs whose order alternates, after one unmeasured pair."""
    found: dict[int, list[float]] = {0: [], 1: []}
    for pair in range(pairs + 1):
        for side in (0, 1) if pair % 2 else (1, 0):
            seconds = clock(sides[side])
            if pair:
                found[side].append(seconds)
    return {
        **vars(median_ratio(found[0], found[1])),
        "ours_s": median(found[0]),
        "other_s": median(found[1]),
    }


def lines(options: argparse.Namespace) -> list[Line]:
    """Every comparison; each is told as it comes."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise MissingError("--device cuda found no GPU; run it on a machine with one, or leave --device cpu")
    torch.set_num_threads(options.threads)
    vlm = build(options.device)
    clock = cuda_seconds if options.device == "cuda" else cpu_seconds
    found = []
    for batch in options.batches:
        asked = prompts(batch, options.words)
        length = encode(vlm.processor, asked).roles.shape[1]
        for case, tokens, make, comparison, target in (
            ("user rows", TOKENS, user_rows, "answer / generate", USER_ROWS),
            ("user rows", ONE_WORD, user_rows, "answer / generate", None),
            ("response rows", TOKENS, response_rows, "capture / forward", RESPONSE_ROWS),
        ):
            told = compare(make(vlm, asked, tokens), options.pairs, clock)
            line: Line = {
                "metric": "time",
                "case": case,
                "batch": batch,
                "prompt_tokens": length,
                "answer_tokens": tokens,
                "comparison": comparison,
                **told,
                "target": target,
                "met": None if target is None else told["low"] <= target,
                **machine(options.device),
            }
            found.append(line)
            verdict = {None: "", True: f" ok, at most {target}", False: f" MISSED {target}"}[line["met"]]
            text = f"{case:13} batch {batch}  prompt {length}  answer {tokens:<3} {comparison}"
            between = f"[{line['low']:.3f}, {line['high']:.3f}]"
            print(f"{text}  {line['median']:.3f} {between}{verdict}", file=sys.stderr, flush=True)
    return found


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.generation", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batches", type=int, nargs="+")
    parser.add_argument("--words", type=int, default=84, help="of a question, about")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--out", type=Path, help="default: bench/results/generation-DEVICE.jsonl for a whole run"
    )
    options = parser.parse_args(argv)
    if options.out is None and options.batches is None:
        options.out = RESULTS / f"generation-{options.device}.jsonl"
    options.batches = options.batches or [1, 8]
    if options.pairs < 1 or min(options.batches) < 1:
        raise UsageError("--pairs and --batches are counts; expected at least 1")
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the comparisons; the lines go to stdout, and to a file for a whole run."""
    try:
        options = arguments(argv)
        text = "".join(json.dumps(line) + "\n" for line in lines(options))
    except VaslabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

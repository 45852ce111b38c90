"""The process in which mathematics is parsed: a request a line comes in, an answer a line goes out.

Not imported by vaslab: `math_equality` starts it, and stops it when an expression takes too long.
"""

from __future__ import annotations

import json
import math
import re
import resource
import sys
import time
from typing import Any

from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Expr

MEMORY = 4 * 2**30
"""Bytes of address space, so that 10^(10^10) ends this process and nothing else."""
_AS_WRITTEN = NormalizationConfig(basic_latex=True, malformed_operators=True)
"""Units, words and equations stay, so that "12 m" is no number."""

_ROOT = re.compile(r"√\s*(\d+|\([^()]*\))")


def answer(request: dict[str, Any]) -> object:
    """Answer one request: {"value": text} with a number or null, {"gold": text, "answer": text} with a verdict.

    `seconds` of it is how much processor time that may take: past it the kernel ends this process. Time on the clock
    would make verdicts depend on what else the machine does.
    """
    used = math.ceil(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + request["seconds"], resource.RLIM_INFINITY))
    if "value" in request:
        return _value(request["value"])
    return _same(request["gold"], request["answer"])


def _value(text: str) -> float | None:
    whole = LatexExtractionConfig(normalization_config=_AS_WRITTEN)
    found = parse(f"${text}$", [whole], fallback_mode="no_fallback", parsing_timeout=None)
    if not found or not isinstance(found[0], Expr) or found[0].free_symbols:
        return None
    number = found[0].doit().evalf(15)
    if not number.is_Float and not number.is_Integer:
        return None
    return float(number) if math.isfinite(float(number)) else None


def _same(gold: str, told: str) -> bool:
    read = [_parsed(text) for text in (gold, told)]
    return bool(all(read)) and bool(verify(*read, strict=True, timeout_seconds=None))


def _parsed(text: str) -> list[Any]:
    """Parse the text as a whole: never the one number in a sentence."""
    text = _ROOT.sub(r"\\sqrt{\1}", text.replace("°", "^{\\circ}"))
    found = parse(f"${text}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None)
    return list(found)


def main() -> None:
    """Serve until standard input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

"""Whether two answers say the same in mathematics: numbers, LaTeX, fractions, intervals, tuples, units.

math-verify decides, in a process of its own: an expression can take it without end and past any signal, and what
a model wrote is not trusted to be small. What is plain is decided here.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import re
import select
import subprocess
import sys
import threading
from pathlib import Path

from vaslab.errors import VaslabError

SECONDS = 5
"""Processor time that one comparison may take before its process is ended."""
_PATIENCE = 120.0
"""Seconds on the clock for the same, and for the process to load its libraries, however busy the machine is."""
LONGEST = 1000
"""Characters of the longest text that is parsed; a longer one is no answer."""
_FRACTION = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:/(\d+))?")


def value(text: str) -> float | None:
    """Return the number that a text denotes: 2.5, -3/4, 2\\sqrt{3}, \\frac{\\pi}{2}, 50\\%.

    None for anything with an unknown, a unit or a word in it, and for what takes too long to work out.
    """
    plain = text.strip()
    if len(plain) > LONGEST or not any(sign.isdigit() or sign in "\\π" for sign in plain):
        return None
    fraction = _FRACTION.fullmatch(plain)
    if fraction and float(fraction[2] or 1):
        number = float(fraction[1]) / float(fraction[2] or 1)
        return number if math.isfinite(number) else None
    found = _worker({"value": plain})
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def same(gold: str, answer: str) -> bool | None:
    """Whether an answer equals the reference in mathematics, by math-verify: order of terms, forms of fractions and
    roots, decimals, intervals, sets, tuples, equations and trailing units included.

    None where that cannot be decided in time. math-verify is not symmetric: the reference comes first.
    """
    if " ".join(gold.split()) == " ".join(answer.split()):
        return bool(gold.strip())
    if not gold.strip() or not answer.strip() or max(len(gold), len(answer)) > LONGEST:
        return False
    found = _worker({"gold": gold, "answer": answer})
    return found if isinstance(found, bool) else None


class _Worker:
    """The process, started when first needed, and anew after it had to be ended or the program was forked."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def __call__(self, request: dict[str, str]) -> object:
        """Return the answer to a request; None where the process died of it or took too long."""
        with self._lock:
            answered = False
            try:
                process = self._running()
                print(json.dumps({**request, "seconds": SECONDS}), file=process.stdin, flush=True)
                line = self._line(process)
                answered = line != ""
            except BrokenPipeError:
                line = ""
            finally:
                # also on Ctrl-C: a late answer would be taken for that to the next request
                if not answered:
                    self.end()
            return json.loads(line) if line else None

    def _line(self, process: subprocess.Popen[str]) -> str:
        """Read one answer; "" where none comes."""
        assert process.stdout is not None
        ready = select.select([process.stdout], [], [], _PATIENCE)[0]
        return process.stdout.readline() if ready else ""

    def _running(self) -> subprocess.Popen[str]:
        process = self._process
        if process is None or self._owner != os.getpid() or process.poll() is not None:
            process = self._process = subprocess.Popen(
                # -P: modules of this folder must not stand in for those of others
                [sys.executable, "-P", str(Path(__file__).with_name("math_worker.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8"},
                start_new_session=True,  # Ctrl-C is for the run; this one ends when its input does
            )
            self._owner = os.getpid()
            if not self._line(process):
                raise VaslabError("math-verify does not start; install vaslab again, with its dependencies")
        return process

    def end(self) -> None:
        """End the process, if there is one of this program's own."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.communicate()


_worker = _Worker()
atexit.register(_worker.end)

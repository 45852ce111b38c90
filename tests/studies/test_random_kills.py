import random
import signal
import subprocess
import sys
import time

import pytest

from .killed import digests

MOMENTS = 12
PROGRAM = [sys.executable, "-c", "from vaslab.cli.app import main; main()", "measure"]


@pytest.mark.slow
@pytest.mark.tiny
def test_sigkill_at_random_moments_ends_with_the_same_bits(tiny_model, tmp_path):
    words = ["--model", str(tiny_model), "--data", "glyph", "--limit", "240", "--batch-size", "4"]
    words += ["--max-new-tokens", "12", "--out"]
    started = time.monotonic()
    subprocess.run([*PROGRAM, *words, str(tmp_path / "whole")], check=True, capture_output=True)
    whole = time.monotonic() - started
    draw = random.Random(0)
    killed = 0
    out = str(tmp_path / "killed")
    while killed < MOMENTS:
        process = subprocess.Popen(
            [*PROGRAM, *words, out], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(draw.uniform(0.3, 0.9) * whole)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
        else:
            assert process.returncode == 0
            break
    subprocess.run([*PROGRAM, *words, out], check=True, capture_output=True)
    assert killed
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")

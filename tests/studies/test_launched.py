"""`accelerate launch` as a user gives it: two processes, and the bits of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .killed import digests

LAUNCH = "launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"


@pytest.mark.slow
@pytest.mark.tiny
def test_two_launched_processes_give_the_bits_of_one(tiny_model, tmp_path):
    words = ["-m", str(tiny_model), "-d", "glyph", "-n", "120", "--batch-size", "2"]
    words += ["--max-new-tokens", "12", "--temperature", "1", "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    one, two = tmp_path / "one", tmp_path / "two"
    alone = [sys.executable, "-m", "vaslab.cli", "measure", *words, str(one)]
    subprocess.run(alone, check=True, capture_output=True, env=environment)
    accelerate = str(Path(sys.executable).with_name("accelerate"))
    launch = [accelerate, *LAUNCH.split(), "--main_process_port", "0", "-m", "vaslab.cli", "measure"]
    done = subprocess.run([*launch, *words, str(two)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    # the main process alone says where the run is
    assert done.stdout == f"{two}\n"
    (session,) = json.loads((two / "environment.json").read_text())["sessions"]
    assert session["processes"] == 2
    assert set(session["items"]) == {"0", "1"}
    assert min(session["items"].values()) > 0
    assert sum(session["items"].values()) == 120
    assert digests(two) == digests(one)

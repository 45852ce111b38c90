"""Two processes, each with half the batch, give the gradients of one process with all of it."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def launched(*words):
    """Run a module of the tests in two processes; what they printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    done = subprocess.run(
        [sys.executable, *launch, "-m", *words], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_equal_one(kind):
    assert launched("tests.trainers.distributed", kind).count("worst relative error") == 2


def test_two_processes_weigh_their_answers_together(tmp_path):
    """VPPO's weights are those of one batch: their mean is 1 over both, and both take the same step."""
    module = "tests.trainers.distributed_grpo"
    subprocess.run(
        [sys.executable, "-m", module, str(tmp_path), "none"], check=True, cwd=Path(__file__).parents[2]
    )
    assert launched(module, str(tmp_path), "vppo").count("mean weight 1.0000") == 2
    assert launched(module, str(tmp_path), "atrl").count("mean weight") == 2

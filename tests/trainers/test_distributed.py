"""Two processes, each with half the batch, give the gradients of one process with all of it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.trainers.conftest import SHORT_SFT
from tests.trainers.test_commands import words

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


def test_the_command_on_two_processes_takes_the_steps_of_one(sft, tiny_folder, tmp_path):
    """Half of each batch on each, through accelerate's own wrapper, with checkpointing as it is by default."""
    alone = sft("alone", checkpointing=True)
    given = {"model": tiny_folder, "data": tmp_path / "chats", "out": tmp_path / "two", "checkpointing": True}
    launched("trainers", *words("sft", SHORT_SFT, **given))
    folders = (tiny_folder, alone, tmp_path / "two" / "checkpoint")
    before, one, two = (load_file(each / "model.safetensors") for each in folders)
    moved, apart = (sum((one[name] - other[name]).square().sum() for name in one) for other in (before, two))
    assert apart < 1e-4 * moved
    cards = [json.loads((each / "card.json").read_text()) for each in folders[1:]]
    assert cards[0]["metrics"]["agto/visual_mass"] == pytest.approx(
        cards[1]["metrics"]["agto/visual_mass"], rel=1e-3
    )


def test_two_processes_weigh_their_answers_together(tmp_path):
    """VPPO's weights are those of one batch: their mean is 1 over both, and both take the same step."""
    module = "tests.trainers.distributed_grpo"
    subprocess.run(
        [sys.executable, "-m", module, str(tmp_path), "none"], check=True, cwd=Path(__file__).parents[2]
    )
    assert launched(module, str(tmp_path), "vppo").count("mean weight 1.0000") == 2
    assert launched(module, str(tmp_path), "atrl").count("mean weight") == 2

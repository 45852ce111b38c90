import subprocess
import sys

import pytest

from vaslab.errors import UsageError
from vaslab.studies.claims import Claims
from vaslab.studies.processes import Process, this_process

HOLD = """
import sys
from contextlib import nullcontext
from vaslab.studies.claims import Claims
with Claims(__import__("pathlib").Path(sys.argv[1])) as claims:
    with claims.led() if sys.argv[2] == "lead" else nullcontext():
        print(claims.take(3), flush=True)
        input()
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds batch 3, and leads where told so."""
    started = []

    def start(how):
        words = [sys.executable, "-c", HOLD, str(tmp_path / "claims"), how]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "True\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_batch_is_in_one_hand_until_its_process_dies(holder, tmp_path):
    process = holder("lead")
    with Claims(tmp_path / "claims") as claims:
        assert not claims.take(3)
        assert claims.take(2)
        assert claims.has_main()
        process.kill()
        process.wait()
        assert claims.take(3)
        assert not claims.has_main()


def test_a_batch_that_was_let_go_can_be_taken(holder, tmp_path):
    with Claims(tmp_path / "claims") as claims:
        assert claims.take(3)
        claims.release(3)
        holder("help")
        assert not claims.take(3)
        assert not claims.has_main()


@pytest.mark.parametrize("names", [("RANK", "WORLD_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")])
def test_the_launcher_says_which_process_this_is(monkeypatch, names):
    for name, value in zip(names, ("1", "4"), strict=True):
        monkeypatch.setenv(name, value)
    found = this_process()
    assert (found.rank, found.world, found.main) == (1, 4, False)


def test_a_process_by_itself_is_the_main_one():
    assert this_process() == Process()
    assert Process().main


def test_each_process_of_a_machine_has_a_gpu_of_its_own():
    second = Process(rank=5, world=8, local_rank=1, local_world=4)
    assert second.device_map("cuda") == "cuda:1"
    assert second.device_map(None) is None
    assert Process().device_map("auto") == "auto"
    with pytest.raises(UsageError, match="give --device-map cuda for a GPU each"):
        second.device_map("auto")

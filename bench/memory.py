"""Peak memory of one forward in a process of its own.

Peak = the high-water mark of resident memory, reset just before the call, less what was resident then: weights and
libraries are not counted. `python -m bench.memory CASE LENGTH` prints the number for one fresh process.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch

from bench.workload import CASES, SMALL, Workload, build

SUBJECTS = (*CASES, "sdpa", "sdpa_grad", "eager")


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {field}")
    return int(found.group(1)) * 1024


def run(workload: Workload, subject: str) -> None:
    """One forward (and backward) of the subject; what it returns is held until its end."""
    with ExitStack() as stack:
        if subject in CASES:
            workload.on("vaslab", stack)
            workload.measured(CASES[subject])
        elif subject == "eager":
            workload.on("eager", stack)
            workload.maps()
        else:
            workload.plain(grad=subject == "sdpa_grad")


def extra_peak(work: Callable[[], object]) -> int:
    """Extra peak of one call in this process, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def cuda_peak(work: Callable[[], object]) -> int:
    """Extra peak of the allocator over one call, in bytes."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return torch.cuda.max_memory_allocated() - before


def peak_bytes(subject: str, length: int) -> int:
    """Extra peak of one forward in this process, after a short one that loads what loads once."""
    model = build(SMALL, "cpu", torch.float32)
    run(Workload(model, 64), subject)
    model.zero_grad(set_to_none=True)
    workload = Workload(model, length)
    return extra_peak(lambda: run(workload, subject))


def fresh_peaks(
    subject: str, length: int, repeats: int, threads: int, module: str = "bench.memory"
) -> list[int]:
    """Extra peaks of so many fresh processes, each of which runs `module` and prints its own last, in bytes."""
    # A fixed threshold returns freed tensors to the system at once, so that the mark counts what is alive.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144", "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", module, subject, str(length)]
    found = []
    for _ in range(repeats):
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        found.append(int(done.stdout.split()[-1]))
    return found


def main() -> None:
    """Print the extra peak of one subject at one length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("length", type=int)
    options = parser.parse_args()
    print(peak_bytes(options.subject, options.length))


if __name__ == "__main__":
    main()

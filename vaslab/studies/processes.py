"""Which of several processes this one is; `accelerate launch`, torchrun and mpirun say so in the environment."""

from __future__ import annotations

from dataclasses import dataclass

from vaslab.errors import UsageError


@dataclass(frozen=True)
class Process:
    """One of `world` processes that work on the same runs; `local_rank` counts those of one machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def main(self) -> bool:
        """Whether this process creates and closes the runs and talks to the user."""
        return self.rank == 0

    def device_map(self, asked: str | None) -> str | None:
        """Return the device map of this process's model: `cuda` is a GPU of its own.

        Raises UsageError for `auto` beside other processes of one machine, which would each take all of its GPUs.
        """
        if self.local_world == 1:
            return asked
        if asked == "auto":
            raise UsageError(
                f"--device-map auto with {self.local_world} processes on one machine: each would spread its model "
                "over all GPUs; give --device-map cuda for a GPU each, or start one process a machine"
            )
        return f"cuda:{self.local_rank}" if asked == "cuda" else asked


def this_process() -> Process:
    """Read rank and number of processes from the environment; a process started by itself is the only one."""
    from accelerate.utils.environment import get_cpu_distributed_information

    told = get_cpu_distributed_information()
    return Process(told.rank, max(told.world_size, 1), told.local_rank, max(told.local_world_size, 1))

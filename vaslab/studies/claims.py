"""Which batch is in whose hand: locks on single bytes of one file, let go by the system when their process ends.

Byte locks work on a folder that several machines share (NFS, Lustre mounted with `flock`), need no port between the
processes, and leave nothing behind of a process that was killed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

_MAIN = 0
"""The byte that the main process holds; the byte of batch n is n + 1."""


class Claims:
    """The claims of the processes that work on one run. At most one may be open in a process for one file."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def __enter__(self) -> Claims:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def take(self, batch: int) -> bool:
        """Take a batch in hand; False where another process has it."""
        return self._lock(fcntl.LOCK_EX, batch + 1)

    def release(self, batch: int) -> None:
        """Let a batch go."""
        fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, batch + 1)

    @contextmanager
    def led(self) -> Iterator[None]:
        """Be the main process inside: the run is open to others."""
        # waits, for a probe of another process holds the byte for a moment
        fcntl.lockf(self._handle, fcntl.LOCK_EX, 1, _MAIN)
        try:
            yield
        finally:
            fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, _MAIN)

    def has_main(self) -> bool:
        """Whether another process is the main one, and alive."""
        if not self._lock(fcntl.LOCK_SH, _MAIN):
            return True
        fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, _MAIN)
        return False

    def _lock(self, kind: int, byte: int) -> bool:
        try:
            fcntl.lockf(self._handle, kind | fcntl.LOCK_NB, 1, byte)
        except BlockingIOError:
            return False
        except PermissionError:
            # POSIX allows either for a lock that another process holds
            return False
        return True

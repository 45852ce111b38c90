"""The bar of a measurement; it needs a terminal, notes do not."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vaslab.cli.console import note
from vaslab.studies.measure import Watcher


class Bar(Watcher):
    """Shows how many items are done and about how long the rest takes."""

    def __init__(self, console: Console, title: str) -> None:
        self._progress = Progress(
            TextColumn(escape(title)),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        """Say one line above the bar."""
        note(text)

    def start(self, total: int, done: int) -> None:
        """Set the length of the bar."""
        if done:
            note(f"{done} of {total} items were done before; going on from there")
        self._progress.reset(self._task, total=total, completed=done)

    def advance(self, items: int) -> None:
        """Move the bar."""
        self._progress.advance(self._task, items)

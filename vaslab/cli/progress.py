"""The bars of a measurement and of a study; they need a terminal, notes do not."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vaslab.cli.console import note
from vaslab.studies.study import StudyWatcher
from vaslab.studies.work import Watcher

Self = TypeVar("Self", bound="_Bars")


class _Bars:
    """A group of bars that is gone when its block ends. Without a terminal, or `shown` False, there is none."""

    def __init__(self, console: Console, shown: bool = True) -> None:
        self._shown = shown
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (shown and console.is_terminal),
        )

    def __enter__(self: Self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class Bar(_Bars, Watcher):
    """Shows how many items of a run are done and about how long the rest takes."""

    def __init__(self, console: Console, title: str, shown: bool = True) -> None:
        super().__init__(console, shown)
        self._task = self._progress.add_task(escape(title), total=None)

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


class StudyBar(_Bars, StudyWatcher):
    """Shows the run in hand and the whole study, each with about how long the rest takes."""

    def __init__(self, console: Console, shown: bool = True) -> None:
        super().__init__(console, shown)
        self._all = self._progress.add_task("study", total=None)
        self._run = self._progress.add_task("", total=None, visible=False)
        self._runs = self._before = self._items = 0

    def plan(self, items: int, runs: int) -> None:
        """Set the length of the study's bar."""
        self._runs = runs
        self._progress.reset(self._all, total=items)

    def run(self, name: str, number: int, items: int) -> None:
        """Begin the bar of a run."""
        self._before += self._items
        self._items = items
        note(f"run {number} of {self._runs}: {name}")
        self._progress.update(self._all, completed=self._before)
        self._progress.reset(self._run, total=items, description=escape(name), visible=True)

    def ran(self, name: str, error: str) -> None:
        """Say why a run is not complete."""
        if error:
            note(f"{name} failed: {error}")
        self._progress.update(self._all, completed=self._before + self._items)

    def note(self, text: str) -> None:
        """Say one line above the bars."""
        note(text)

    def start(self, total: int, done: int) -> None:
        """Move both bars over what was done before."""
        if done:
            note(f"{done} of {total} items were done before; going on from there")
        self._progress.reset(self._run, total=total, completed=done)
        self._progress.update(self._all, completed=self._before + done)

    def advance(self, items: int) -> None:
        """Move both bars."""
        self._progress.advance(self._run, items)
        self._progress.advance(self._all, items)

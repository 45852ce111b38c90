"""The batches of one run, shared out among the processes that work on it: whoever is free takes the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import xarray as xr

from vaslab.benchmarks import Item
from vaslab.errors import VaslabError
from vaslab.studies.asking import Ask
from vaslab.studies.claims import Claims
from vaslab.studies.ledger import Ledger
from vaslab.studies.run import CLAIMS, SHARDS, RunFolder

PAUSE = 0.1
"""Seconds between two looks at what other processes do."""

PATIENCE = 3600.0
"""Seconds that a helping process waits for the main one, which may be reading a large model."""


class MainGoneError(VaslabError):
    """The process that leads the runs is not there, or not any more."""


class Watcher:
    """Who is told how a run goes; this one tells nobody, the command line draws a bar."""

    def note(self, text: str) -> None:
        """Hear of something out of the ordinary, in one line."""

    def start(self, total: int, done: int) -> None:
        """Hear that items are asked from here on: how many there are, and how many were done before."""

    def advance(self, items: int) -> None:
        """Hear that so many items more are kept."""


@contextmanager
def opened(folder: RunFolder) -> Iterator[Claims]:
    """Lead a run: inside, other processes may take its batches; it is to be complete at the end."""
    with _claims(folder) as claims, claims.led():
        yield claims


def lead(
    claims: Claims,
    ledger: Ledger,
    parts: Sequence[Sequence[Item]],
    ask: Ask,
    watch: Watcher,
    kept: Callable[[xr.Dataset | None], object],
) -> None:
    """Ask what is not done until everything is, also what another process had in hand when it died.

    `kept` hears of every shard that this process has kept.
    """
    while ledger.pending:
        if not _pass(claims, ledger, parts, ask, watch, kept):
            time.sleep(PAUSE)


def help_out(
    folder: RunFolder, open_ledger: Callable[[], Ledger], parts: Sequence[Sequence[Item]], ask: Ask
) -> None:
    """Ask batches of a run that another process leads, until all are done.

    Waits until that process has opened the run. `open_ledger` is called then, and may refuse.

    Raises MainGoneError where the main process ends before the run is done, or does not come.
    """
    if not _open_to_others(folder):
        return
    with _claims(folder) as claims:
        ledger = open_ledger()
        while ledger.pending and claims.has_main():
            try:
                moved = _pass(claims, ledger, parts, ask, Watcher(), lambda _: None)
            except FileNotFoundError:
                # the run was completed and its shards dropped just now
                if folder.finished:
                    return
                raise
            if not moved:
                time.sleep(PAUSE)
        if ledger.pending and not folder.finished:
            raise MainGoneError(
                f"the main process of {folder.path} is gone; what is done stays, give the same command again"
            )


def _claims(folder: RunFolder) -> Claims:
    return Claims(folder.path / SHARDS / CLAIMS)


def _pass(
    claims: Claims,
    ledger: Ledger,
    parts: Sequence[Sequence[Item]],
    ask: Ask,
    watch: Watcher,
    kept: Callable[[xr.Dataset | None], object],
) -> bool:
    """Ask every batch that is not done and not in another's hand; return whether there was one, or news."""
    moved = False
    for number in ledger.pending:
        with _taken(claims, number) as mine:
            news = ledger.refresh()
            watch.advance(news)
            moved |= bool(news)
            if not mine or not ledger.lacks(number):
                continue
            rows, shard = ask(parts[number])
            ledger.commit(number, rows, shard)
            kept(shard)
            watch.advance(len(rows))
            moved = True
    return moved


@contextmanager
def _taken(claims: Claims, number: int) -> Iterator[bool]:
    mine = claims.take(number)
    try:
        yield mine
    finally:
        if mine:
            claims.release(number)


def _open_to_others(folder: RunFolder) -> bool:
    """Wait for the main process to open the run; False where there is nothing left to help with."""
    path = folder.path / SHARDS / CLAIMS
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if path.is_file():
            with Claims(path) as claims:
                if claims.has_main():
                    return True
        if folder.finished or folder.failure.is_file():
            return False
        time.sleep(PAUSE)
    raise MainGoneError(
        f"the main process has not begun {folder.path} within {PATIENCE / 60:.0f} minutes; is --out on a folder "
        "that all machines share?"
    )

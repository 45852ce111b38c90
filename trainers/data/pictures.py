"""Every picture of a data set decoded once before anything is loaded, so that a broken one cannot end a training."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from vaslab.errors import VaslabError
from vaslab.prompts.images import open_image

Source: TypeAlias = Path | bytes
"""A picture: a file, or the contents of one."""

SECONDS = 10.0
"""Between two lines on stderr that say how far it is."""


def unreadable(sources: Iterable[Source]) -> dict[Source, str]:
    """The pictures that cannot be read, or not be shown to a model (`open_image` says which), each with its reason.

    Each distinct one is decoded once, on all cores. Where that takes longer than `SECONDS`, stderr is told how far it
    is.
    """
    distinct = list(dict.fromkeys(sources))
    found: dict[Source, str] = {}
    pool = ThreadPoolExecutor(os.cpu_count())
    # open_image sets filters for warnings, and the threads have them in common: they are put back here
    with warnings.catch_warnings():
        try:
            begun = time.monotonic()
            for number, reason in enumerate(pool.map(_reason, distinct), start=1):
                if reason:
                    found[distinct[number - 1]] = reason
                if time.monotonic() - begun > SECONDS:
                    begun = time.monotonic()
                    print(f"note: {number:,} of {len(distinct):,} pictures are checked", file=sys.stderr)
        finally:
            pool.shutdown(cancel_futures=True)
    return found


def _reason(source: Source) -> str:
    try:
        open_image(source, "" if isinstance(source, Path) else "a picture of it")
    except VaslabError as error:
        return str(error).removesuffix(".")
    return ""

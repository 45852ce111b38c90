"""One browser for the tests of the page; a test that leaves an error in the browser's log fails."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.browser import Browser
from vaslab.plots import browser as find_browser

from . import made_page


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if find_browser() is None:
        pytest.skip("no Chromium-family browser on this machine")
    # for a machine that is busy with other things
    with Browser(patience=120) as driven:
        yield driven


@pytest.fixture
def page(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Opens the explorer on given traits: page(traits, heads_of, width=..., dark=...)."""

    def shown(given, heads_of=None, width=1280, height=900, scale=1, dark=False, **more) -> Browser:
        chromium.resize(width, height, scale, dark)
        chromium.open(made_page.write_page(tmp_path, given, heads_of or {}, **more))
        chromium.settle()
        return chromium

    yield shown
    assert chromium.errors == []

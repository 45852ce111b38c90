"""Draw the explorer that the pages begin with, light and dark: an official test question of easy-VQA, the box around
what it asks about, and the head that looks most at it.

python -m bench.explorer_pictures        # needs Chromium; writes docs/images/explorer.png and explorer-dark.png
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import threading
from pathlib import Path

from bench.browser import Browser
from vaslab.explorer.runs import open_run
from vaslab.explorer.server import ExplorerServer
from vaslab.explorer.view import State, View
from vaslab.studies.config import MeasureConfig
from vaslab.studies.measure import measure

IMAGES = Path(__file__).parents[1] / "docs" / "images"
BOX = "15, 1, 43, 28"
"""Around the rectangle of the first item; easy-VQA says of no question where its answer is seen."""
WIDTH = 1180
RANKS = "document.querySelectorAll('.vx-ranks button').length"


def shoot(page: Browser, url: str, path: Path, dark: bool) -> None:
    """Open the explorer, type the box, rank the heads, and save what is seen."""
    page.resize(WIDTH, 900, 2, dark)
    page.open(url)
    page.until(
        "document.querySelector('.vx-question b') && document.querySelector('.vx-over').clientWidth > 100"
    )
    page.enter(".vx-looks input", BOX)
    page.until(f"{RANKS} === 8 && document.querySelector('.vx-peak').textContent")
    page.evaluate("document.activeElement.blur()")
    page.settle()
    if page.errors:
        raise RuntimeError(f"the page says: {page.errors[0]}")
    page.screenshot(path, "#explorer")


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the explorer for the pages.")
    parser.add_argument("--out", type=Path, default=IMAGES)
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    # the page names the run as it was given
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), Browser(patience=120) as page:
        run = measure(MeasureConfig("organism:base", "runs/easy-vqa", "easy-vqa", limit=40, batch_size=40))
        view = View([open_run(run)])
        start = view.start()
        with ExplorerServer(view, start=State(0, start.queries, "item", start.selected)) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            for name, dark in (("explorer", False), ("explorer-dark", True)):
                shoot(page, server.url, out / f"{name}.png", dark)
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    main()

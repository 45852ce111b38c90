"""What the explorer costs in a real browser: drawing in JupyterLab, a click, the saved notebook, the saved page.

python -m bench.ui_explorer        # needs Chromium and JupyterLab; writes bench/results/ui_explorer.csv

JupyterLab is started on loopback in a folder of its own, with the organism measured on a few published items.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from bench.browser import Browser
from tests.explorer import made_page as made

TABLE = Path(__file__).parent / "results" / "ui_explorer.csv"
CELLS = (
    "import vaslab\nimport vaslab.explorer.explore, vaslab.capture.capture",
    "explorer = vaslab.explore('run')\nexplorer",
)
LIMITS = {
    "lab_draw_s": 1.5,
    "lab_click_s": 0.1,
    "page_click_s": 0.1,
    "large_click_s": 0.35,
    "large_hover_s": 0.1,
    "notebook_growth_bytes": 200_000,
}
"""What each number is held to; `large` is 80 x 64 heads, 2,000 rows, 1,200 patches."""


def clicks(page: Browser, heads: list[tuple[int, int]]) -> list[float]:
    """Seconds from click to redraw, for each head."""
    out = []
    for layer, head in heads:
        out.append(page.evaluate(f"probe.click({layer}, {head})"))
        time.sleep(0.1)
    return out


def made_up(page: Browser, folder: Path) -> dict[str, float]:
    """The module alone, on made-up data: a small model and a large one."""
    out = {}
    rng = np.random.default_rng(0)
    for name, (layers, heads, rows, side) in {
        "page": (6, 8, 12, (4, 4)),
        "large": (80, 64, 2000, (30, 40)),
    }.items():
        n = side[0] * side[1]
        texts = [{"text": f" w{i}", "role": "response", "position": i, "emits": ""} for i in range(rows)]
        given = made.traits(
            layers=layers,
            heads=heads,
            kv_group=2,
            rows=[texts],
            pictures=[made.picture(800, 600, *side)],
        )
        # the maps of two heads in turn, so that nothing is kept from the click before
        maps = {f"{at},{at}": [made.attention(rng.uniform(0, 1 / n, (rows, n)))] for at in range(1, 6)}
        page.open(made.write_page(folder, given, maps))
        page.settle()
        out[f"{name}_click_s"] = float(np.median(clicks(page, [(at, at) for at in range(1, 6)])))
        if name == "large":
            times = [page.evaluate(f"probe.hover({row})") for row in (3, 90, 14, 200, 35)]
            out["large_hover_s"] = float(np.median(times))
        assert page.errors == [], page.errors
    return out


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """A JupyterLab on loopback that serves a folder; its address with the token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    given = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": search, "JUPYTER_CONFIG_DIR": str(folder / ".config")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *given],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={token}", timeout=2)
                break
            except OSError:
                if time.monotonic() > until or server.poll() is not None:
                    raise
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/lab/tree/%s?token={token}"
    finally:
        server.terminate()
        server.wait(20)


def notebook(path: Path, cells: tuple[str, ...] = CELLS) -> None:
    """Write a notebook that has not run."""
    code: list[dict[str, object]] = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": text,
        }
        for i, text in enumerate(cells)
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    path.write_text(
        json.dumps({"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})
    )


def open_notebook(page: Browser, url: str) -> None:
    """Open it, with its kernel started and its first cell run."""
    page.open(url)
    page.until("document.querySelectorAll('.jp-Notebook .jp-CodeCell').length >= 2", 90)
    page.click(".jp-CodeCell .jp-InputArea-editor")
    page.until("document.querySelector('.jp-Notebook.jp-mod-editMode') !== null")
    # a cell that is run before its kernel is there is passed over without a word
    page.until("/\\| Idle/.test(document.querySelector('#jp-main-statusbar')?.textContent)", 90)
    run_cell(page)
    page.until("/\\[1\\]/.test(document.querySelector('.jp-InputPrompt').textContent)", 100)


def run_cell(page: Browser) -> None:
    """Shift-Enter in the cell that has the focus."""
    for kind in ("rawKeyDown", "keyUp"):
        page.command(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            modifiers=8,
        )


def in_lab(page: Browser, folder: Path, shots: Path | None) -> dict[str, float]:
    """The explorer of a run in JupyterLab: seconds to draw, to click, and what saving adds."""
    measure = [
        "measure",
        "--model",
        "organism:base",
        "--data",
        "easy-vqa",
        "--limit",
        "8",
        "--out",
        str(folder / "run"),
    ]
    subprocess.run([sys.executable, "-m", "vaslab.cli", *measure], check=True, capture_output=True)
    notebook(folder / "explore.ipynb")
    out: dict[str, float] = {}
    with jupyter_lab(folder) as address:
        open_notebook(page, address % "explore.ipynb")
        page.evaluate(
            "window.seen = {}; const note = (name) => (seen[name] ??= performance.now());"
            "document.addEventListener('keydown', () => note('start'), true);"
            "document.addEventListener('vaslab-drawn', () => requestAnimationFrame(() => note('end')))"
        )
        page.evaluate(made.PROBES.read_text())
        run_cell(page)
        page.until("seen.end !== undefined", 60)
        out["lab_draw_s"] = page.evaluate("(seen.end - seen.start) / 1000")
        # the first head loads the model
        page.click(".vx-map", (120, 120))
        page.until("document.querySelector('.vx-peak').textContent !== ''", 90)
        out["lab_click_s"] = float(np.median(clicks(page, [(1, 2), (3, 4), (5, 6), (0, 7), (2, 2)])))
        before = (folder / "explore.ipynb").stat().st_size
        page.command(
            "Input.dispatchKeyEvent",
            type="rawKeyDown",
            key="s",
            code="KeyS",
            windowsVirtualKeyCode=83,
            modifiers=2,
        )
        page.command(
            "Input.dispatchKeyEvent",
            type="keyUp",
            key="s",
            code="KeyS",
            windowsVirtualKeyCode=83,
            modifiers=2,
        )
        until = time.monotonic() + 20
        while (after := (folder / "explore.ipynb").stat().st_size) == before and time.monotonic() < until:
            time.sleep(0.2)
        out["lab_saved_bytes"] = after - before
        assert page.errors == [], page.errors
        if shots is not None:
            shots.mkdir(parents=True, exist_ok=True)
            page.screenshot(shots / "lab.png")
    notebook(folder / "executed.ipynb")
    empty = (folder / "executed.ipynb").stat().st_size
    subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", "--inplace", str(folder / "executed.ipynb")],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    out["notebook_growth_bytes"] = (folder / "executed.ipynb").stat().st_size - empty
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="What the explorer costs.")
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    parser.add_argument("--out", type=Path, default=TABLE)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Browser(1400, 1000) as page:
        folder = Path(name)
        found = made_up(page, folder) | in_lab(page, folder, given.shots)
    rows = [
        {
            "what": what,
            "value": round(value, 4),
            "limit": LIMITS.get(what, ""),
            "load": round(os.getloadavg()[0], 1),
        }
        for what, value in found.items()
    ]
    for row in rows:
        print(json.dumps(row), flush=True)
    given.out.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(given.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()

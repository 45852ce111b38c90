"""Figures to files: HTML always; PNG, SVG and PDF where a Chromium-family browser is, else one clear line."""

import atexit
import logging
import os
import re
import threading
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
from plotly.offline import get_plotlyjs

from vaslab.errors import MissingError, UsageError
from vaslab.plots.text import escape

CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg"},
    "responsive": False,
}
"""Without plotly's upload button and logo. Notebooks: `plotly.io.renderers["plotly_mimetype"].config =
CONFIG`."""

FORMATS = ("html", "png", "svg", "pdf")
PNG_SCALE = 2

_server_lock = threading.Lock()
_server_path: str | None = None


def browser() -> str | None:
    """Path of the browser that draws PNG, SVG and PDF, or None. The environment variable BROWSER_PATH wins."""
    from choreographer.browsers.chromium import Chromium

    path = os.environ.get("BROWSER_PATH") or Chromium.find_browser(skip_local=False)
    return str(path) if path and os.access(path, os.X_OK) else None


def save(
    fig: go.Figure, stem: str | Path, formats: Sequence[str] = ("html", "png"), strict: bool = False
) -> list[Path]:
    """Write `stem`.html and the other formats.

    The HTML shows the figure with no network: plotly.min.js lies once beside it.

    Args:
        fig: the figure.
        stem: path without a suffix; missing folders are made.
        formats: of html, png, svg, pdf; html is written in any case.
        strict: raise where there is no browser, instead of a warning.

    Returns:
        The paths written, html first. A file appears only when it is complete.

    Raises:
        UsageError: an unknown format.
        MissingError: `strict`, and png, svg or pdf was asked for without a browser; the html is written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UsageError(f"unknown figure format {unknown[0]!r}; expected some of {', '.join(FORMATS)}")
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    written = [_write_html(fig, stem)]
    pictures = [name for name in FORMATS if name != "html" and name in formats]
    if pictures and not _serve():
        message = (
            f"{stem}: wrote html only; {', '.join(pictures)} need Chrome or Chromium. Debian/Ubuntu: apt-get install "
            "chromium; no root: plotly_get_chrome; other place: BROWSER_PATH=/path/to/chrome"
        )
        if strict:
            raise MissingError(message)
        warnings.warn(message, stacklevel=2)
        return written
    for name in pictures:
        written.append(_replace(_with(stem, name), _picture(fig, name)))
    return written


def write_figure(
    fig: go.Figure,
    table: pd.DataFrame,
    stem: str | Path,
    formats: Sequence[str] = ("html", "png"),
    strict: bool = False,
) -> list[Path]:
    """Write a figure and, beside it, the numbers it shows as `stem`.csv. Arguments, result and errors as
    `save`."""
    stem = Path(stem)
    written = save(fig, stem, formats, strict)
    csv = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    numbers = _replace(_with(stem, "csv"), csv.encode())
    return [*written, numbers]


def _with(stem: Path, suffix: str) -> Path:
    """`stem` may hold a dot (qwen2.5), which Path.with_suffix would cut."""
    return stem.with_name(f"{stem.name}.{suffix}")


def _replace(path: Path, content: bytes) -> Path:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)
    return path


def _write_html(fig: go.Figure, stem: Path) -> Path:
    script = stem.parent / "plotly.min.js"
    source = get_plotlyjs().encode()
    if not script.exists() or script.stat().st_size != len(source):
        _replace(script, source)
    body = pio.to_html(
        fig,
        config=CONFIG,
        include_plotlyjs="directory",
        full_html=False,
        div_id=re.sub(r"\W+", "-", stem.name),
    )
    title = re.sub(r"<[^>]+>", " ", str(fig.layout.title.text or stem.name))
    background = fig.layout.template.layout.paper_bgcolor or "#ffffff"
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title.strip()}</title>\n'
        f"<style>body {{ margin: 0; background: {escape(background)}; }}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
    return _replace(_with(stem, "html"), page.encode())


def _picture(fig: go.Figure, name: str) -> bytes:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The kopts argument")
        try:
            return pio.to_image(fig, format=name, scale=PNG_SCALE if name == "png" else 1)
        finally:
            _close_at_exit()


@cache
def _close_at_exit() -> None:
    """Close the browser before its folders are deleted.

    What was registered last ends first, and a thread makes those folders, which go at exit, while the first picture is
    drawn: registered before, the browser would still write where its folder is being deleted.
    """
    import kaleido

    atexit.register(kaleido.stop_sync_server, silence_warnings=True)


def _serve() -> bool:
    """One browser for the whole process, started at the first picture."""
    global _server_path
    with _server_lock:
        if _server_path is None:
            path = browser()
            if path is None:
                return False
            import kaleido

            # choreographer logs a traceback for a line it cannot parse, and still draws the figure
            logging.getLogger("choreographer").setLevel(logging.CRITICAL)
            kaleido.start_sync_server(path=path, mathjax=False, silence_warnings=True)
            _server_path = path
    return True

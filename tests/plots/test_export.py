"""Files: html always, pictures where a browser is, nothing half-written."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_capture as made
from PIL import Image

from vaslab.errors import MissingError, UsageError
from vaslab.plots import browser, export, heads, heads_table, lazy, save, write_figure

needs_browser = pytest.mark.skipif(browser() is None, reason="no Chromium-family browser on this machine")


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nope")
    monkeypatch.setattr(export, "_server_path", None)


@pytest.mark.usefixtures("no_browser")
def test_html_and_one_clear_line_without_a_browser(tmp_path: Path) -> None:
    fig = heads(made.realistic(3, 4, 4))
    with pytest.warns(
        UserWarning, match=r"wrote html only; png, pdf need Chrome or Chromium.*BROWSER_PATH"
    ) as seen:
        written = save(fig, tmp_path / "deep" / "heads", ("html", "png", "pdf"))
    assert len(seen) == 1
    assert [path.name for path in written] == ["heads.html"]
    with pytest.raises(MissingError, match="apt-get install chromium"):
        save(fig, tmp_path / "heads", ("png",), strict=True)


@pytest.mark.usefixtures("no_browser")
def test_html_is_offline_reproducible_and_has_no_upload_button(tmp_path: Path) -> None:
    fig = heads(made.realistic(3, 4, 4, model="m"))
    first = save(fig, tmp_path / "qwen2.5 heads", ("html",))[0]
    assert first.name == "qwen2.5 heads.html"
    page = first.read_text()
    assert re.search(r"<title>.*more to the image than.*</title>", page)
    assert '<div id="qwen2-5-heads"' in page
    assert "https://" not in re.sub(r"https://plotly\.com", "", page)
    assert '"sendChartToCloud"' in page
    assert '"displaylogo": false' in page
    assert (tmp_path / "plotly.min.js").stat().st_size > 1_000_000
    assert page == save(fig, tmp_path / "qwen2.5 heads", ("html",))[0].read_text()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("no_browser")
def test_numbers_lie_beside_the_figure(tmp_path: Path) -> None:
    capture = made.hand()
    table = heads_table(capture)
    written = write_figure(heads(capture, table=table), table, tmp_path / "heads", ("html",))
    assert [path.name for path in written] == ["heads.html", "heads.csv"]
    np.testing.assert_allclose(pd.read_csv(written[1])["vas"], [1.25, 4.25], rtol=1e-5)


def test_unknown_format_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown figure format 'gif'; expected some of html, png, svg, pdf"):
        save(heads(made.hand()), tmp_path / "x", ("gif",))


@pytest.mark.browser
@needs_browser
def test_pictures_of_every_kind_from_one_browser(tmp_path: Path) -> None:
    fig = heads(made.realistic(3, 6, 8))
    written = save(fig, tmp_path / "heads", ("html", "png", "svg", "pdf"), strict=True)
    assert [path.suffix for path in written] == [".html", ".png", ".svg", ".pdf"]
    picture = Image.open(written[1])
    assert abs(picture.width - 2 * fig.layout.width) <= 2
    assert written[3].read_bytes().startswith(b"%PDF")
    again = save(fig, tmp_path / "again", ("png",), strict=True)
    assert again[1].read_bytes() == written[1].read_bytes()


@pytest.mark.browser
@needs_browser
def test_cells_have_the_colour_of_their_value_and_nothing_is_cut(tmp_path: Path) -> None:
    capture = made.realistic(2, 4, 4, None)
    capture["vas"][:] = 1.0
    capture["vas"][:, 0, 0] = 0.5
    fig = heads(capture, top=1)
    png = save(fig, tmp_path / "heads", ("png",), strict=True)[1]
    pixels = np.asarray(Image.open(png).convert("RGB")).astype(int)
    x, y = fig.layout.xaxis.domain, fig.layout.yaxis.domain
    height, width = pixels.shape[:2]
    # a quarter into the first cell: off its printed value
    cell = pixels[int((1 - y[1] + (y[1] - y[0]) / 16) * height), int((x[0] + (x[1] - x[0]) / 16) * width)]
    assert np.abs(cell - [0x13, 0x3B, 0x65]).max() <= 3
    for edge in (pixels[:12], pixels[-12:], pixels[:, :12], pixels[:, -12:]):
        assert (edge == 255).all()


@pytest.mark.browser
@needs_browser
def test_a_title_of_two_lines_is_not_cut(tmp_path: Path) -> None:
    names = [
        "base",
        "a checkpoint with a rather long name of its own",
        "another checkpoint with an even longer name",
    ]
    fig = lazy({name: made.realistic(20, 4, 4, lift=0.8 * i) for i, name in enumerate(names)})
    assert "<br>" in fig.layout.title.text
    pixels = np.asarray(Image.open(save(fig, tmp_path / "lazy", ("png",), strict=True)[1]).convert("L"))
    ink = (pixels[: (2 * 90)] < 128).any(axis=1)
    assert not ink[:20].any()
    lines = np.flatnonzero(np.diff(ink.astype(int)) == 1)
    assert len(lines) >= 2


LAST = """
import sys, warnings, weakref
import kaleido, plotly.graph_objects as go
from vaslab.plots import save

class Held: pass

def told():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        kaleido.stop_sync_server()
    print([str(each.message) for each in said])

held = Held()
save(go.Figure(), sys.argv[1], ("png",), strict=True)
weakref.finalize(held, told)
"""


@pytest.mark.browser
@needs_browser
def test_the_browser_is_closed_before_folders_are_deleted_at_exit(tmp_path: Path) -> None:
    """Finalizers delete what is left of temporary folders; the last one made runs first."""
    ended = subprocess.run([sys.executable, "-c", LAST, str(tmp_path / "x")], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "['Server already closed.']\n"), ended.stderr
    assert "Traceback" not in ended.stderr

"""The site's search works on pages that are opened from disk, where a browser starts no worker."""

import shutil

import pytest
import yaml

from bench.browser import Browser
from tests.docs.examples import DOCS, ROOT
from vaslab.plots import browser as find_browser

PAGE = """<!doctype html><meta charset="utf-8"><title>search</title>
<script src="iframe-worker.js"></script><body><script>
window.heard = [];
const worker = new Worker(new URL("worker.js", location.href));
worker.addEventListener("message", ({ data }) => heard.push(data));
// before the script of the worker is there, as the search does it
worker.postMessage({ type: 0, data: ["one", "two"] });
worker.postMessage({ type: 2, data: "two" });
</script>"""
WORKER = """let known;
addEventListener("message", async ({ data: { type, data } }) => {
  await null;
  if (type === 0) known = data;
  postMessage(type === 0 ? { type: 1 } : { type: 3, data: known.indexOf(data) });
});"""


@pytest.mark.browser
def test_a_worker_of_a_page_on_disk_answers_in_order(tmp_path):
    if find_browser() is None:
        pytest.skip("no Chromium-family browser on this machine")
    shutil.copy(DOCS / "iframe-worker.js", tmp_path)
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "worker.js").write_text(WORKER)
    with Browser(patience=120) as page:
        page.open(tmp_path / "page.html")
        assert page.until("heard.length === 2 && JSON.stringify(heard)") == '[{"type":1},{"type":3,"data":1}]'
        assert page.errors == []


def test_the_site_takes_it_and_none_from_elsewhere():
    """mkdocs-material's plugin adds one of another host unless a script of this name is there."""
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert "offline" in site["plugins"]
    assert site["extra"]["polyfills"] == ["iframe-worker.js"]
    assert (DOCS / "iframe-worker.js").is_file()

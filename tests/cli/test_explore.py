"""`vaslab explore`: a page in a file, or a server that ends with Ctrl-C."""

import os
import shutil
import signal
import urllib.error
import urllib.request
from threading import Thread

import pytest

pytestmark = pytest.mark.tiny


def test_a_page_of_one_item(vaslab, a_run, tmp_path):
    ids = [line.split('"')[3] for line in (a_run / "items.jsonl").read_text().splitlines()]
    code, out, _ = vaslab("explore", a_run, "--item", ids[2], "--html", tmp_path / "page.html")
    assert (code, out.strip()) == (0, str(tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text()
    assert f'"id":"{ids[2]}"' in text
    assert f'"id":"{ids[0]}"' not in text
    assert vaslab("explore", a_run, "--item", "nothing", "--html", tmp_path / "x.html")[0] == 2


def test_a_page_without_a_map_is_said_on_stderr(vaslab, a_run, tmp_path):
    copy = shutil.copytree(a_run, tmp_path / "run")
    path = copy / "config.yaml"
    path.write_text(path.read_text().replace("model: ", f"model: {tmp_path}/gone-", 1))
    code, out, err = vaslab("explore", copy, "--html", tmp_path / "page.html")
    assert (code, out.strip()) == (0, str(tmp_path / "page.html"))
    assert err.startswith("note: the page holds the map of no head: not recomputed: there is no model folder")
    assert vaslab("explore", a_run, "--html", tmp_path / "page.html")[2] == ""


def test_what_is_not_there_is_said(vaslab, a_run, tmp_path):
    code, out, err = vaslab("explore", tmp_path / "nothing")
    assert (code, out) == (3, "")
    assert err.startswith("error: there is no run at")
    code, _, err = vaslab("explore", a_run, a_run, "--live")
    assert code == 2
    assert "live asks one model" in err


def test_it_opens_the_browser_and_serves_until_ctrl_c(vaslab, a_run, monkeypatch):
    seen = {}

    def visit(address):
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                seen["page"] = answer.read()
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(address.partition("?")[0], timeout=30)
            seen["address"] = address
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("webbrowser.open", lambda address: not Thread(target=visit, args=[address]).start())
    code, out, err = vaslab("explore", a_run)
    assert b"explorer-data" in seen["page"]
    assert (code, out) == (0, f"{seen['address']}\n")
    assert out.startswith("http://127.0.0.1:")
    assert err.splitlines()[-1] == "note: the explorer has ended"

"""`vaslab explore`: a page in a file, or a server that ends with Ctrl-C."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

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


def test_what_is_not_there_is_said(vaslab, a_run, tmp_path):
    code, out, err = vaslab("explore", tmp_path / "nothing")
    assert (code, out) == (3, "")
    assert err.startswith("error: there is no run at")
    code, _, err = vaslab("explore", a_run, a_run, "--live")
    assert code == 2
    assert "live asks one model" in err


def test_it_serves_until_ctrl_c(a_run):
    words = [sys.executable, "-m", "vaslab.cli", "explore", str(a_run), "--no-browser"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    served = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # a shell's background jobs ignore Ctrl-C, and so would their children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        address = served.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"explorer-data" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(address.partition("?")[0], timeout=30)
        served.send_signal(signal.SIGINT)
        out, err = served.communicate(timeout=30)
    finally:
        served.kill()
        served.wait()
    assert served.returncode == 0
    assert out == ""
    assert "the explorer has ended" in err
    assert "Traceback" not in err

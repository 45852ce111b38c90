"""The server: this machine alone, the token alone, three calls and nothing else."""

import http.client
import json
import re
import socket
import struct
import threading
from urllib.parse import urlsplit

import pytest

from vaslab.explorer.server import ExplorerServer
from vaslab.explorer.view import State

pytestmark = pytest.mark.tiny

FINE = {"item": 0, "queries": "user", "scope": "item", "selected": [1, 2]}


@pytest.fixture(scope="module")
def server(loaded):
    with ExplorerServer(loaded) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join(10)


def call(server, method, path, body=None, headers=None, token=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    sent = {"Content-Type": "application/json", "X-Vaslab-Token": server.token if token is None else token}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    try:
        connection.request(method, path, body, {**sent, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def unframed(raw):
    (length,) = struct.unpack("<I", raw[:4])
    head = json.loads(raw[4 : 4 + length])
    at = 4 + length
    values = dict(head["values"])
    for name, size in head["bytes"]:
        values[name] = raw[at : at + size]
        at += size
    assert at == len(raw)
    return values


def page_path(server, token=None):
    return f"/?token={server.token if token is None else token}"


def test_the_page_is_served_to_who_has_the_token(server, loaded):
    assert urlsplit(server.url).hostname == "127.0.0.1"
    status, headers, body = call(server, "GET", page_path(server), token="")
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    text = body.decode()
    assert "connect-src 'self'" in text
    assert json.dumps(loaded.items[0]["id"]) in text
    assert server.token not in text


@pytest.mark.browser
def test_the_served_page_says_over_how_many_items_its_map_is(server, chromium):
    chromium.open(server.url)
    chromium.until("document.querySelector('.vx-head').textContent.includes('mean over 3 items')")
    chromium.settle()
    assert "map: mean over 3 items" in chromium.text(".vx-sub")
    assert re.match(
        r"Layer \d, head \d: VAS \(mean of ratios\) .*\d .*rank 1 of 8", chromium.text("[aria-live]")
    )
    assert chromium.errors == []


def test_a_state_is_answered_with_the_views_values(server, loaded):
    state = State(0, "user", "item", (1, 2))
    # at hand from here on, so that no answer has a time of its own
    loaded.attention(state)
    status, _, body = call(server, "POST", "/state", {**FINE, "want": ["numbers", "pictures", "map"]})
    assert status == 200
    told = unframed(body)
    for name, value in {**loaded.numbers(state), **loaded.attention(state)}.items():
        assert (
            json.loads(json.dumps(told[name])) == value
            if not isinstance(value, bytes)
            else told[name] == value
        )
    assert told["pictures"] == loaded.pictures(0)["pictures"]
    status, _, body = call(server, "POST", "/state", {**FINE, "want": ["numbers"]})
    assert set(unframed(body)) == set(loaded.numbers(state))


@pytest.mark.parametrize("token", ["", "x", "é", "a" * 100_000])
def test_no_token_or_a_wrong_one(server, token):
    longest = 60_000
    for path, method in (("/state", "POST"), ("/ask", "POST"), ("/", "GET")):
        named = token.encode().decode("latin-1")[:longest]
        status, _, body = call(server, method, path, FINE if method == "POST" else None, token=named)
        assert status in (403, 431)
        assert b"vas" not in body
    assert call(server, "GET", page_path(server, token[:100].replace("é", "%C3%A9")), token="")[0] == 403
    almost = server.token[:-1] + ("A" if server.token[-1] != "A" else "B")
    assert call(server, "GET", page_path(server, almost), token="")[0] == 403
    assert call(server, "POST", "/state", FINE, token=almost)[0] == 403


def test_tokens_differ_and_cannot_be_guessed(server, loaded):
    with ExplorerServer(loaded) as other:
        assert other.token != server.token
        assert len(other.token) >= 40


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"]
)
def test_another_name_for_this_machine_is_refused(server, host):
    """DNS rebinding: a foreign site's name that was made to point here."""
    headers = {"Host": host.format(port=server.port)}
    assert call(server, "GET", page_path(server), headers=headers)[0] == 403
    assert call(server, "POST", "/state", FINE, headers=headers)[0] == 403


def test_localhost_is_a_name_of_this_machine(server):
    assert call(server, "GET", page_path(server), headers={"Host": f"localhost:{server.port}"})[0] == 200


def test_a_foreign_page_is_refused(server):
    assert call(server, "POST", "/state", FINE, headers={"Origin": "https://evil.example"})[0] == 403
    assert call(server, "POST", "/state", FINE, headers={"Origin": "null"})[0] == 403
    own = {"Origin": f"http://127.0.0.1:{server.port}"}
    assert call(server, "POST", "/state", {**FINE, "want": []}, headers=own)[0] == 200
    # a form of another page can send this kind without asking
    assert call(server, "POST", "/state", FINE, headers={"Content-Type": "text/plain"})[0] == 415


def test_only_loopback_is_listened_on(server):
    assert server.server_address[0] == "127.0.0.1"
    outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        outside.connect(("192.0.2.1", 9))
        address = outside.getsockname()[0]
    except OSError:
        pytest.skip("this machine has no address but loopback")
    finally:
        outside.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address, server.port), timeout=5).close()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/../", "/explorer.js", "/%2e%2e/config.yaml", "/index.html"]
)
def test_there_are_no_files(server, path):
    status, _, body = call(server, "GET", f"{path}?token={server.token}")
    assert status == 404
    assert json.loads(body) == {"error": "there is nothing here"}
    assert call(server, "POST", path, FINE)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_other_methods_are_not_there(server, method):
    assert call(server, method, page_path(server))[0] == 501


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[1]", 400),
        (b"{", 400),
        (b"[" * 60_000, 400),
        (b"\xff", 400),
        ({}, 400),
        ({**FINE, "item": 10**9}, 400),
        ({**FINE, "selected": [0, "0"]}, 400),
        ({**FINE, "scope": "<script>"}, 400),
        (b" " * 70_000, 413),
    ],
)
def test_a_body_that_cannot_be(server, body, status):
    found, headers, answer = call(server, "POST", "/state", body)
    assert found == status
    assert headers["Content-Type"] == "application/json"
    assert "error" in json.loads(answer)
    # it goes on serving
    assert call(server, "POST", "/state", {**FINE, "want": []})[0] == 200


def test_a_question_is_asked_over_http(server, loaded):
    before = len(loaded.items)
    status, _, body = call(server, "POST", "/ask", {"question": "what is blue?", "picture": None, "at": FINE})
    assert status == 200
    told = unframed(body)
    assert told["live"]["state"] == "done"
    assert told["asked"] == before
    assert told["items"][before]["question"] == "what is blue?"
    status, _, body = call(server, "POST", "/ask", {"question": "", "at": FINE})
    assert unframed(body)["asked"] is None
    assert call(server, "POST", "/ask", {"question": "what?"})[0] == 400


def test_many_at_once(server):
    """Twelve tabs: nothing is lost, and each gets its own head."""
    found = {}

    def one(number):
        state = {**FINE, "selected": [number % 2, number % 4], "want": ["map"]}
        found[number] = unframed(call(server, "POST", "/state", state)[2])["attention"][0]["of"]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {number: [0, "user", number % 2, number % 4] for number in range(12)}


class Slow(ExplorerServer):
    """Answers when it is told to, and says when it has."""

    def __init__(self, view, answer):
        super().__init__(view)
        self.answer = answer
        self.asked, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()

    def page(self):
        self.asked.set()
        assert self.go.wait(60)
        return self.answer()

    def process_request_thread(self, request, client_address):
        super().process_request_thread(request, client_address)
        self.ended.set()


def told_of(loaded, answer, capsys):
    """What stands in stderr after a page was closed while the server was at its answer."""
    with Slow(loaded, answer) as slow:
        thread = threading.Thread(target=slow.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            with socket.create_connection(slow.server_address, timeout=60) as client:
                head = f"GET {page_path(slow)} HTTP/1.1\r\nHost: 127.0.0.1:{slow.port}\r\n\r\n"
                client.sendall(head.encode())
                assert slow.asked.wait(60)
                # a reset, as of a tab that is gone, in place of a polite goodbye
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            slow.go.set()
            assert slow.ended.wait(60)
        finally:
            slow.go.set()
            slow.shutdown()
            thread.join(60)
    return capsys.readouterr().err


def test_a_page_that_is_closed_while_it_is_answered_is_no_news(loaded, capsys):
    assert told_of(loaded, lambda: "x" * 20_000_000, capsys) == ""


def test_an_error_of_the_servers_own_is_told(loaded, capsys):
    def broken():
        raise RuntimeError("a bug")

    assert "RuntimeError: a bug" in told_of(loaded, broken, capsys)

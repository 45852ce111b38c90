"""The explorer without a notebook: a small server on this machine's loopback, behind a token."""

from __future__ import annotations

import hmac
import json
import secrets
import struct
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vaslab.errors import UsageError, VaslabError
from vaslab.explorer import live
from vaslab.explorer.page import document
from vaslab.explorer.view import State, View

ADDRESS = "127.0.0.1"
TOKEN_HEADER = "X-Vaslab-Token"
MOST_BYTES = {"/state": 65_536, "/ask": 30_000_000}
"""Largest body of each call; a dropped picture is in `/ask`."""
_IDLE = 60.0


class ExplorerServer(ThreadingHTTPServer):
    """Serves one view to whoever has the token, from this machine alone.

    Args:
        view: what is looked at.
        port: 0 takes a free one.
        start: what is looked at first; None leaves it to the view.

    Raises OSError where the port is taken.
    """

    daemon_threads = True

    def __init__(self, view: View, port: int = 0, start: State | None = None) -> None:
        self.view = view
        self.start = start or view.start()
        self.token = secrets.token_urlsafe(32)
        self.lock = threading.Lock()
        super().__init__((ADDRESS, port), _Handler)

    def server_bind(self) -> None:
        """Listen, without asking the network for this machine's name as the parent does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.port

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell an error as the parent does, unless it is that the page was closed before its answer was there."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """The address to open, token included."""
        return f"http://{ADDRESS}:{self.port}/?token={self.token}"

    @property
    def hosts(self) -> tuple[str, str]:
        """Names under which it answers; any other is another site's name made to point here."""
        return f"{ADDRESS}:{self.port}", f"localhost:{self.port}"

    def admits(self, token: str) -> bool:
        """Whether a token is the one, in time that does not depend on how much of it is right."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())

    def page(self) -> str:
        """The page, with the first item on it."""
        with self.lock:
            view, state = self.view, self.start
            seen = {
                "meta": view.meta(),
                "items": view.items,
                "item": state.item,
                "queries": state.queries,
                "scope": state.scope,
                "selected": list(state.selected),
                "live": live.idle(view),
            }
        return document("host_server.js", seen, connect="'self'")

    def state(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """The values that a state of the page needs: `want` names numbers, pictures, map, looks."""
        with self.lock:
            view = self.view
            state = view.checked(told)
            want = told.get("want")
            wanted = want if isinstance(want, list) else []
            found: dict[str, Any] = {}
            if "map" in wanted:
                found |= view.attention(state, load=told.get("load") is not False)
            if "looks" in wanted:
                found |= view.looks(state, told.get("region") or {})
            if "numbers" in wanted:
                found |= view.numbers(state)
            unknown = told.get("grid") is not True and ("map" in wanted or "looks" in wanted)
            if "pictures" in wanted or unknown:
                found |= view.pictures(state.item)
            return found

    def ask(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the model a question of the page."""
        with self.lock:
            at = told.get("at")
            state = self.view.checked(at if isinstance(at, Mapping) else {})
            shown, item = live.ask(self.view, state, told)
            return {"live": shown, "items": self.view.items, "asked": item}


def framed(values: Mapping[str, Any]) -> bytes:
    """Values in one body: the length of a JSON head, the head, and the bytes that it names with their lengths."""
    plain = {name: value for name, value in values.items() if not isinstance(value, bytes)}
    binary = {name: value for name, value in values.items() if isinstance(value, bytes)}
    lengths = [[name, len(value)] for name, value in binary.items()]
    head = json.dumps({"values": plain, "bytes": lengths}, allow_nan=False).encode()
    return b"".join((struct.pack("<I", len(head)), head, *binary.values()))


class _Handler(BaseHTTPRequestHandler):
    """Three calls: the page, its state, a question. Everything else is not there."""

    server: ExplorerServer
    protocol_version = "HTTP/1.1"
    server_version = "vaslab"
    sys_version = ""
    timeout = _IDLE

    def do_GET(self) -> None:
        """Serve the page."""
        parts = urlsplit(self.path)
        if parts.path != "/":
            return self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
        token = parse_qs(parts.query).get("token", [""])[0]
        if not self._admitted(token):
            return None
        return self._send(HTTPStatus.OK, self.server.page().encode(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Serve a state, or ask."""
        # what is not read would be taken for the next request
        self.close_connection = True
        if not self._admitted(self.headers.get(TOKEN_HEADER, "")):
            return None
        calls = {"/state": self.server.state, "/ask": self.server.ask}
        if self.path not in calls:
            return self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
        if self.headers.get_content_type() != "application/json":
            return self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected JSON")
        told = self._body()
        if told is None:
            return None
        try:
            answer = calls[self.path](told)
        except UsageError as error:
            return self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except VaslabError as error:
            return self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        self.close_connection = False
        return self._send(HTTPStatus.OK, framed(answer), "application/octet-stream")

    def _admitted(self, token: str) -> bool:
        """Refuse, and say False, unless the caller knows the token and means this server."""
        origin = self.headers.get("Origin")
        if self.headers.get("Host", "") not in self.server.hosts:
            self._refuse(HTTPStatus.FORBIDDEN, "this server answers to its own address alone")
        elif origin is not None and origin not in [f"http://{host}" for host in self.server.hosts]:
            self._refuse(HTTPStatus.FORBIDDEN, "this server answers its own page alone")
        elif not self.server.admits(token):
            self._refuse(HTTPStatus.FORBIDDEN, "no token, or a wrong one; open the address that was printed")
        else:
            return True
        return False

    def _body(self) -> dict[str, Any] | None:
        """The JSON object that was sent; None, after a refusal, for anything else."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_BYTES[self.path]:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MOST_BYTES[self.path]} bytes"
            )
            return None
        try:
            told = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, "expected a JSON object")
            return None
        return told

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.close_connection = True
        self._send(status, json.dumps({"error": why}).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the address holds the token."""

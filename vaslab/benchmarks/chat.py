"""One OpenAI-compatible chat address: patient with a busy server, silent about its key."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import httpx

from vaslab.errors import UsageError, VaslabError, one_line

_CHAT = "/chat/completions"
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
"""Statuses that another try may not meet."""
_THIS_PROMPT = {400, 413, 422}
"""Statuses that may be the fault of one prompt: too long, or filtered."""
_REFUSALS = 3
"""So many refusals and no answer at all: it is not the prompts."""
_LONGEST_PAUSE = 60.0
_SECRET = 8
"""A key below this length ("EMPTY", as local servers like it) is no secret, and may be a word of an answer."""

Own = TypeVar("Own", bound="ChatClient")


class PromptRefusedError(VaslabError):
    """The model does not answer this one prompt; others may go through."""


@dataclass
class Usage:
    """What a server was asked.

    Args:
        calls: requests that were answered, well or badly.
        retries: requests sent again.
        cached: prompts whose answer was known.
        prompt_tokens, completion_tokens: as the server counts them, 0 where it does not.
    """

    calls: int = 0
    retries: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Wording:
    """What messages call a server, and where a user sets its address, its model and its key."""

    server: str
    address: str
    model: str
    key: str


@dataclass(frozen=True)
class Reply:
    """An answer; `cut` where it ended at the longest length that was asked for."""

    text: str
    cut: bool


class ChatClient:
    """Sends chats to one address. May be used from several threads.

    The key is read from the environment when a request is sent; no object holds it. It is taken out of whatever comes
    back.

    Args:
        address: base address, such as `http://127.0.0.1:8000/v1`, with or without /chat/completions.
        model: its name there.
        wording: for messages; `wording.key` names the environment variable of the key.
        timeout: seconds without a sign of the server until a request is given up.
        tries: requests until a prompt is given up; the pause before each doubles, from 1 s on, or is what the
            server asks for, and 60 s at most.
        wait: how to pause; None waits, until the client is closed.

    Raises UsageError for an address that is none or holds a password or query, or a key that cannot be sent.
    """

    def __init__(
        self,
        address: str,
        model: str,
        wording: Wording,
        *,
        timeout: int | float,
        tries: int,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.wording = wording
        self.address = _checked(address, wording)
        self.model = model
        self.usage = Usage()
        self._tries = tries
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._timeout = timeout
        self._lock = threading.Lock()
        self._answered = self._refused = self._under_way = 0
        _key(wording.key)
        self._client = httpx.Client(timeout=timeout, auth=_KeyFromEnvironment(wording.key))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r}, {self.model!r})"

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Send nothing more. What is under way in another thread comes to its end."""
        with self._lock:
            self._closed.set()
            idle = not self._under_way
        if idle:
            self._client.close()

    def note_cached(self) -> None:
        """Count a prompt whose answer was known."""
        with self._lock:
            self.usage.cached += 1

    def send(self, content: str | list[dict[str, Any]], **settings: Any) -> Reply:
        """Return the answer to one user turn; `settings` are the request's (temperature, max_tokens).

        Raises:
            PromptRefusedError: the server does not answer this prompt.
            VaslabError: it cannot be reached, refuses the key, knows no such model, is no chat, or was closed.
        """
        body = {"model": self.model, "messages": [{"role": "user", "content": content}], **settings}
        with self._under_way_here():
            return self._read(self._sent(body))

    @contextmanager
    def _under_way_here(self) -> Iterator[None]:
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                last = self._closed.is_set() and not self._under_way
            if last:
                self._client.close()

    def _sent(self, body: dict[str, Any]) -> httpx.Response:
        """Send a request until there is a response that another try would not change."""
        server = self.wording.server
        # not httpx's own JSON, which fails on half a surrogate pair in a response
        content = json.dumps(body).encode()
        said = ""
        for number in range(self._tries):
            if self._closed.is_set():
                raise VaslabError(f"the {server} was closed before the prompt was answered; open it again")
            if number:
                with self._lock:
                    self.usage.retries += 1
            pause = min(2.0**number, _LONGEST_PAUSE)
            try:
                response = self._client.post(
                    self.address, content=content, headers={"Content-Type": "application/json"}
                )
            except httpx.TimeoutException:
                said = f"no sign of it within {self._timeout:g} s"
            except httpx.RequestError as error:
                said = self._hidden(one_line(error))
                # what never answered is a wrong address sooner than a server at rest
                if isinstance(error, httpx.ConnectError) and not self._answered:
                    raise VaslabError(
                        f"there is no {server} at {self.address} ({said}); check {self.wording.address}"
                    ) from error
            else:
                with self._lock:
                    self.usage.calls += 1
                if response.status_code not in _PASSING:
                    return response
                said = f"HTTP {response.status_code}: {self._detail(response)}"
                pause = max(pause, _asked_pause(response))
            if number + 1 < self._tries:
                self._wait(pause)
        raise VaslabError(
            f"the {server} at {self.address} failed {self._tries} times, at last: {said}; answers given so far are "
            "kept, the same command goes on from there"
        )

    def _read(self, response: httpx.Response) -> Reply:
        """Return the answer in a response, and count its tokens."""
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        try:
            told = response.json()
            choice = told["choices"][0]
            message, cut = choice["message"]["content"], choice.get("finish_reason") == "length"
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise VaslabError(
                f"{self.address} answers, but not as an OpenAI-compatible chat ({self._detail(response)}); expected an "
                "address such as http://127.0.0.1:8000/v1"
            ) from error
        if not isinstance(message, str):
            raise PromptRefusedError(f"{self.model} gave no text")
        used = told.get("usage") if isinstance(told.get("usage"), dict) else {}
        with self._lock:
            self._answered += 1
            self.usage.prompt_tokens += _count(used.get("prompt_tokens"))
            self.usage.completion_tokens += _count(used.get("completion_tokens"))
        return Reply(self._hidden(message), cut)

    def _refusal(self, response: httpx.Response) -> VaslabError:
        status, said = response.status_code, f"HTTP {response.status_code}: {self._detail(response)}"
        there, words = f"the {self.wording.server} at {self.address}", self.wording
        if status in (401, 403):
            return VaslabError(f"{there} refused the key ({said}); set {words.key}")
        if status in _THIS_PROMPT:
            with self._lock:
                self._refused += 1
                hopeless = not self._answered and self._refused >= _REFUSALS
            if not hopeless:
                return PromptRefusedError(f"{self.model} refused the prompt ({said})")
            return VaslabError(f"{there} refused every prompt ({said}); check {words.model} and its settings")
        return VaslabError(
            f"{there} does not serve {self.model} ({said}); check {words.address} and {words.model}"
        )

    def _detail(self, response: httpx.Response) -> str:
        """Return what a server says is wrong, in one line of at most 200 characters."""
        said: Any = response.headers.get("location") or response.text
        with suppress(ValueError, LookupError, TypeError):
            said = response.json()["error"]["message"]
        return self._hidden(" ".join(str(said).split()))[:200] or "no reason given"

    def _hidden(self, text: str) -> str:
        """Take the key out of what a server or library says."""
        key = os.environ.get(self.wording.key, "").strip()
        return text.replace(key, "***") if len(key) >= _SECRET else text


class _KeyFromEnvironment(httpx.Auth):
    def __init__(self, variable: str) -> None:
        self._variable = variable

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if key := _key(self._variable):
            request.headers["Authorization"] = f"Bearer {key}"
        yield request


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    # a header library would repeat such a key in its own error
    if not all("!" <= each <= "~" for each in key):
        raise UsageError(f"{variable} holds a space, a line break or a letter beyond ASCII; set it again")
    return key


def _checked(address: str, wording: Wording) -> str:
    try:
        url = httpx.URL(address.strip())
    except httpx.InvalidURL as error:
        raise UsageError(f"{wording.address} is no address ({one_line(error)})") from error
    if url.userinfo or url.query or url.fragment:
        raise UsageError(
            f"{wording.address} holds a password, query or fragment; give the bare address, and the key in "
            f"{wording.key}"
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(
            f"{wording.address} is {address!r}; expected an address such as http://127.0.0.1:8000/v1"
        )
    return str(url).rstrip("/").removesuffix(_CHAT) + _CHAT


def _asked_pause(response: httpx.Response) -> float:
    """Return the seconds that a server asks to be left alone for, 0 where it does not say; at most 60."""
    said = response.headers.get("retry-after", "")
    return min(float(said), _LONGEST_PAUSE) if said.isdecimal() else 0.0


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0

"""A judge model behind any OpenAI-compatible chat address, for protocols that let a model extract or grade."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from vaslab.benchmarks.judge_cache import AnswerCache, cache_folder
from vaslab.errors import UsageError, VaslabError, one_line

KEY_VARIABLE = "VASLAB_JUDGE_KEY"
"""The one place that the key is read from; a server of one's own may need none."""

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


class PromptRefusedError(VaslabError):
    """The judge does not answer this one prompt; others may go through."""


@dataclass
class Usage:
    """What a judge was asked.

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


class Judge:
    """Asks a model at temperature 0 and keeps every answer on disk. May be used from several threads.

    The key is read from the environment when a request is sent; no object holds it.

    Args:
        address: base address, such as `http://127.0.0.1:8000/v1`, with or without /chat/completions.
        model: its name there.
        cache: folder of the answers; None takes `cache_folder()`.
        timeout: seconds without a sign of the server until a request is given up.
        tries: requests until a prompt is given up; the pause before each doubles, from 1 s on, or is what the
            server asks for, and 60 s at most.
        wait: how to pause; None waits, until the judge is closed.

    Raises UsageError for an address that is none or holds a password or query, or a key that cannot be sent.
    """

    def __init__(
        self,
        address: str,
        model: str,
        cache: Path | None = None,
        *,
        timeout: int | float = 120,
        tries: int = 6,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.address = _checked(address)
        self.model = model
        self.usage = Usage()
        self.cache = AnswerCache(cache or cache_folder(), model)
        self._tries = tries
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._timeout = timeout
        self._lock = threading.Lock()
        self._answered = self._refused = self._under_way = 0
        _key()
        self._client = httpx.Client(timeout=timeout, auth=_KeyFromEnvironment())

    def __repr__(self) -> str:
        return f"Judge({self.address!r}, {self.model!r})"

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Send nothing more. What is under way in another thread comes to its end, and is kept."""
        with self._lock:
            self._closed.set()
            idle = not self._under_way
        if idle:
            self._client.close()

    def known(self, prompt: str) -> str | None:
        """Return the answer that is on disk; None where the prompt was never answered."""
        answer = self.cache.get(prompt)
        if answer is not None:
            with self._lock:
                self.usage.cached += 1
        return answer

    def ask(self, prompt: str) -> str:
        """Return the model's answer, from disk where it is known.

        Raises:
            PromptRefusedError: the server does not answer this prompt.
            VaslabError: it cannot be reached, refuses the key, knows no such model, is no chat, or was closed.
        """
        answer = self.known(prompt)
        if answer is None:
            with self._under_way_here():
                answer = self._read(self._sent(prompt))
                with self._lock:
                    self._answered += 1
                    self.cache.put(prompt, answer)
        return answer

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

    def _sent(self, prompt: str) -> httpx.Response:
        """Send a prompt until there is a response that another try would not change."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
        }
        # not httpx's own JSON, which fails on half a surrogate pair in a response
        content = json.dumps(body).encode()
        said = ""
        for number in range(self._tries):
            if self._closed.is_set():
                raise VaslabError("the judge was closed before the prompt was answered; open it again")
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
                said = _hidden(one_line(error))
                # what never answered is a wrong address sooner than a server at rest
                if isinstance(error, httpx.ConnectError) and not self._answered:
                    raise VaslabError(
                        f"there is no judge at {self.address} ({said}); check --judge"
                    ) from error
            else:
                with self._lock:
                    self.usage.calls += 1
                if response.status_code not in _PASSING:
                    return response
                said = f"HTTP {response.status_code}: {_detail(response)}"
                pause = max(pause, _asked_pause(response))
            if number + 1 < self._tries:
                self._wait(pause)
        raise VaslabError(
            f"the judge at {self.address} failed {self._tries} times, at last: {said}; answers given so far are "
            "kept, the same command goes on from there"
        )

    def _read(self, response: httpx.Response) -> str:
        """Return the answer in a response, and count its tokens."""
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        try:
            told = response.json()
            message = told["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise VaslabError(
                f"{self.address} answers, but not as an OpenAI-compatible chat ({_detail(response)}); expected an "
                "address such as http://127.0.0.1:8000/v1"
            ) from error
        if not isinstance(message, str):
            raise PromptRefusedError(f"{self.model} gave no text")
        used = told.get("usage") if isinstance(told.get("usage"), dict) else {}
        with self._lock:
            self.usage.prompt_tokens += _count(used.get("prompt_tokens"))
            self.usage.completion_tokens += _count(used.get("completion_tokens"))
        return _hidden(message)

    def _refusal(self, response: httpx.Response) -> VaslabError:
        status, said = response.status_code, f"HTTP {response.status_code}: {_detail(response)}"
        if status in (401, 403):
            return VaslabError(f"the judge at {self.address} refused the key ({said}); set {KEY_VARIABLE}")
        if status in _THIS_PROMPT:
            with self._lock:
                self._refused += 1
                hopeless = not self._answered and self._refused >= _REFUSALS
            if not hopeless:
                return PromptRefusedError(f"{self.model} refused the prompt ({said})")
            return VaslabError(
                f"the judge at {self.address} refused every prompt ({said}); check --judge-model and its settings"
            )
        return VaslabError(
            f"the judge at {self.address} does not serve {self.model} ({said}); check --judge and --judge-model"
        )


class _KeyFromEnvironment(httpx.Auth):
    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if key := _key():
            request.headers["Authorization"] = f"Bearer {key}"
        yield request


def _key() -> str:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    # a header library would repeat such a key in its own error
    if not all("!" <= each <= "~" for each in key):
        raise UsageError(f"{KEY_VARIABLE} holds a space, a line break or a letter beyond ASCII; set it again")
    return key


def _hidden(text: str) -> str:
    """Take the key out of what a server or library says."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    return text.replace(key, "***") if len(key) >= _SECRET else text


def _checked(address: str) -> str:
    try:
        url = httpx.URL(address.strip())
    except httpx.InvalidURL as error:
        raise UsageError(f"--judge is no address ({one_line(error)})") from error
    if url.userinfo or url.query or url.fragment:
        raise UsageError(
            f"--judge holds a password, query or fragment; give the bare address, and the key in {KEY_VARIABLE}"
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"--judge is {address!r}; expected an address such as http://127.0.0.1:8000/v1")
    return str(url).rstrip("/").removesuffix(_CHAT) + _CHAT


def _detail(response: httpx.Response) -> str:
    """Return what a server says is wrong, in one line of at most 200 characters."""
    said: Any = response.headers.get("location") or response.text
    with suppress(ValueError, LookupError, TypeError):
        said = response.json()["error"]["message"]
    return _hidden(" ".join(str(said).split()))[:200] or "no reason given"


def _asked_pause(response: httpx.Response) -> float:
    """Return the seconds that a server asks to be left alone for, 0 where it does not say; at most 60."""
    said = response.headers.get("retry-after", "")
    return min(float(said), _LONGEST_PAUSE) if said.isdecimal() else 0.0


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0

"""An OpenAI-compatible chat endpoint: cached on disk, patient with a busy server, exact about what it cost."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
from PIL.Image import Image

from vaslab.errors import MissingError, VaslabError, one_line

KEY = "AVAR_API_KEY"
"""Environment variable that holds the endpoint's key; local servers need none."""

_BUSY = (408, 409, 429, 500, 502, 503, 504)
_SECONDS = 300.0


class EndpointError(VaslabError):
    """The endpoint cannot be reached, or answers with an error. Exit code 1."""


@dataclass
class Usage:
    """Calls and tokens so far: `fresh` were asked for now, `cached` were on disk."""

    fresh: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class Endpoint:
    """A chat endpoint.

    Args:
        url: its base, such as http://localhost:8000/v1.
        model: the model's name there.
        cache: folder of replies; the same question is never asked twice.
        temperature: of the replies.
        max_tokens: longest reply.
        tries: attempts at one call, waiting 1, 2, 4 ... seconds in between.
        transport: of httpx, for tests; None uses the network.
        sleep: what waits.
    """

    url: str
    model: str
    cache: Path
    temperature: float = 0.7
    max_tokens: int = 4096
    tries: int = 5
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] = time.sleep
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        key = os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=_SECONDS, transport=self.transport)
        self._lock = Lock()

    def ask(self, text: str, images: tuple[Image, ...] = ()) -> str:
        """Reply to a text about pictures, from the cache where it was asked before.

        Raises:
            EndpointError: no connection, an error of the server, a reply of another form or cut at `max_tokens`.
            MissingError: the server asks for a key.
        """
        content = [*map(_picture, images), {"type": "text", "text": text}]
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        path = self.cache / f"{sha256(json.dumps([self.url, body]).encode()).hexdigest()[:32]}.json"
        fresh = not path.is_file()
        if fresh:
            reply = self._post(body)
            self.cache.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{id(body)}.part")
            part.write_text(json.dumps(reply), encoding="utf-8")
            part.replace(path)
        else:
            reply = json.loads(path.read_text(encoding="utf-8"))
        self._count(reply, fresh)
        return str(reply["text"])

    def _count(self, reply: dict[str, Any], fresh: bool) -> None:
        with self._lock:
            if fresh:
                self.usage.fresh += 1
                self.usage.prompt_tokens += reply["prompt_tokens"]
                self.usage.completion_tokens += reply["completion_tokens"]
            else:
                self.usage.cached += 1

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        address = f"{self.url.rstrip('/')}/chat/completions"
        problem = ""
        for attempt in range(self.tries):
            if attempt:
                self.sleep(2.0 ** (attempt - 1))
            try:
                response = self._client.post(address, json=body)
            except httpx.HTTPError as error:
                problem = one_line(error)
                continue
            if response.status_code in _BUSY:
                problem = f"status {response.status_code}"
                continue
            if response.status_code in (401, 403):
                raise MissingError(
                    f"{address} refuses the key; set {KEY} in the environment to one that it takes"
                )
            if response.is_error:
                raise EndpointError(
                    f"{address} answers with status {response.status_code}: {response.text[:200]}"
                )
            return _reply(response, address)
        raise EndpointError(
            f"{address} did not answer in {self.tries} tries ({problem}); check the address, or go on later"
        )


def _reply(response: httpx.Response, address: str) -> dict[str, Any]:
    try:
        loaded = response.json()
        choice, usage = loaded["choices"][0], loaded.get("usage") or {}
        text = choice["message"]["content"]
    except (json.JSONDecodeError, KeyError, IndexError, TypeError) as error:
        raise EndpointError(
            f"{address} does not answer as a chat endpoint ({response.text[:120]})"
        ) from error
    if choice.get("finish_reason") == "length":
        raise EndpointError("a reply was cut at its longest; raise --max-tokens")
    return {
        "text": text or "",
        "prompt_tokens": int(usage.get("prompt_tokens", 0)),
        "completion_tokens": int(usage.get("completion_tokens", 0)),
    }


def _picture(image: Image) -> dict[str, Any]:
    file = BytesIO()
    image.save(file, format="PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}

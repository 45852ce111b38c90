"""The vision-language model behind VARD: any OpenAI-compatible chat address, its replies kept on disk."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL.Image import Image

from vaslab.benchmarks.chat import ChatClient, PromptRefusedError, Wording
from vaslab.benchmarks.judge_cache import AnswerCache

KEY = "AVAR_API_KEY"
"""Environment variable that holds the endpoint's key; local servers need none."""

CUT = "the reply was cut at its longest; raise --max-tokens"
_SECONDS = 300.0


class Endpoint(ChatClient):
    """A chat endpoint that sees pictures; the same question is never asked twice.

    Args:
        address: its base, such as http://localhost:8000/v1.
        model: the model's name there.
        cache: folder of replies.
        temperature: of the replies.
        max_tokens: longest reply.
        tries: requests until a question is given up.
        wait: how to pause between them; None waits, until the endpoint is closed.

    Raises UsageError for an address that is none or holds a password or query, or a key that cannot be sent.
    """

    def __init__(
        self,
        address: str,
        model: str,
        cache: Path,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        *,
        tries: int = 6,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        wording = Wording("endpoint", "--endpoint", "--model", KEY)
        super().__init__(address, model, wording, timeout=_SECONDS, tries=tries, wait=wait)
        self.cache = AnswerCache(cache, model)
        self.settings: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}

    def ask(self, text: str, images: tuple[Image, ...] = ()) -> str:
        """Reply to a text about pictures, from the cache where it was asked before.

        Raises:
            PromptRefusedError: no answer to this question, or one cut at `max_tokens`.
            VaslabError: no connection, an error of the server, an address that is no chat.
        """
        content = content_of(text, images)
        question = question_of(content, self.settings)
        known = self.cache.get(question)
        if known is not None:
            self.note_cached()
            return known
        reply = self.send(content, **self.settings)
        if reply.cut:
            raise PromptRefusedError(CUT)
        self.cache.put(question, reply.text)
        return reply.text


def content_of(text: str, images: tuple[Image, ...]) -> list[dict[str, Any]]:
    """A user turn as a chat endpoint takes it: pictures, then text."""
    return [*map(_picture, images), {"type": "text", "text": text}]


def question_of(content: list[dict[str, Any]], settings: Mapping[str, Any]) -> str:
    """What the cache calls a question. A picture is long, so it is a digest."""
    return sha256(json.dumps([content, settings]).encode()).hexdigest()


def _picture(image: Image) -> dict[str, Any]:
    file = BytesIO()
    image.save(file, format="PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}

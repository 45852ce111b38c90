"""A judge model behind any OpenAI-compatible chat address, for protocols that let a model extract or grade."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vaslab.benchmarks.chat import ChatClient, PromptRefusedError, Usage, Wording
from vaslab.benchmarks.judge_cache import AnswerCache, cache_folder

KEY_VARIABLE = "VASLAB_JUDGE_KEY"
"""The one place that the key is read from; a server of one's own may need none."""

__all__ = ["KEY_VARIABLE", "Judge", "PromptRefusedError", "Usage"]

_WORDING = Wording("judge", "--judge", "--judge-model", KEY_VARIABLE)


class Judge(ChatClient):
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
        super().__init__(address, model, _WORDING, timeout=timeout, tries=tries, wait=wait)
        self.cache = AnswerCache(cache or cache_folder(), model)

    def known(self, prompt: str) -> str | None:
        """Return the answer that is on disk; None where the prompt was never answered."""
        answer = self.cache.get(prompt)
        if answer is not None:
            self.note_cached()
        return answer

    def ask(self, prompt: str) -> str:
        """Return the model's answer, from disk where it is known.

        Raises:
            PromptRefusedError: the server does not answer this prompt.
            VaslabError: it cannot be reached, refuses the key, knows no such model, is no chat, or was closed.
        """
        answer = self.known(prompt)
        if answer is None:
            answer = self.send(prompt, temperature=0).text
            self.cache.put(prompt, answer)
        return answer

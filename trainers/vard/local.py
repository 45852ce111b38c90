"""A model of this machine in an endpoint's place: the same questions, the same cache, no server."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image

from trainers.vard.endpoint import CUT, content_of, question_of
from vaslab.benchmarks.chat import PromptRefusedError, Usage
from vaslab.benchmarks.judge_cache import AnswerCache
from vaslab.capture.decoding import generation_options, seeded
from vaslab.capture.sampling import Sampling
from vaslab.errors import VaslabError
from vaslab.models import load_model
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt, Turn


class LocalModel:
    """Replies of a model that is loaded here, on the GPUs where there are any; the same question is answered once.

    A reply is drawn with a seed of the question's own, so that it does not depend on what was asked before.

    Args:
        model: as `vaslab.load` takes it.
        cache: folder of replies.
        temperature: of the replies; 0 takes the most likely token at every step.
        max_tokens: longest reply.
        online: a hub id may be downloaded.

    Raises what `load_model` raises.
    """

    def __init__(
        self,
        model: str,
        cache: Path,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        *,
        online: bool = False,
    ) -> None:
        devices = "auto" if torch.cuda.is_available() else None
        self.vlm = load_model(model, device_map=devices, offline=not online)
        self.cache = AnswerCache(cache, f"{model} {self.vlm.revision}")
        self.settings: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}
        self.usage = Usage()
        self._lock = threading.Lock()

    def ask(self, text: str, images: tuple[Image, ...] = ()) -> str:
        """Reply to a text about pictures, from the cache where it was asked before.

        Raises PromptRefusedError for a text or picture that the model cannot be shown, and for a reply that is cut at
        `max_tokens`.
        """
        question = question_of(content_of(text, images), self.settings)
        with self._lock:
            known = self.cache.get(question)
            if known is not None:
                self.usage.cached += 1
                return known
            reply = self._reply(text, images, int(question[:12], 16))
            self.cache.put(question, reply)
            return reply

    @torch.no_grad()
    def _reply(self, text: str, images: tuple[Image, ...], seed: int) -> str:
        try:
            prompt = Prompt.chat([Turn("user", [*images, text])])
            encoded = encode(self.vlm.processor, [prompt]).to(self.vlm.device)
        except VaslabError as error:
            raise PromptRefusedError(str(error)) from error
        temperature = self.settings["temperature"]
        sampling = Sampling(temperature=temperature, seed=seed) if temperature > 0 else None
        options = generation_options(self.vlm, self.settings["max_tokens"], sampling)
        generate: Any = self.vlm.model.generate
        with seeded(self.vlm, sampling):
            ids = generate(**encoded.inputs, **options)[0, encoded.roles.shape[1] :].tolist()
        self.usage.calls += 1
        self.usage.prompt_tokens += encoded.roles.shape[1]
        self.usage.completion_tokens += len(ids)
        ends = self.vlm.model.generation_config.eos_token_id
        if ids[-1] not in (ends if isinstance(ends, list) else [ends]):
            raise PromptRefusedError(CUT)
        return str(self.vlm.processor.tokenizer.decode(ids, skip_special_tokens=True))

"""One step of supervised training, plain, guided (AGTO), or guided by whole maps: what bench.training compares.

`python -m bench.training_step SUBJECT LENGTH` prints the extra peak memory of one step in a fresh process. Weights and
the optimiser's moments are there before; gradients and activations count.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from bench.memory import extra_peak
from bench.workload import SEVEN_B, SMALL, build
from trainers.checkpoints import LORA_TARGETS
from trainers.guidance import Guidance
from trainers.losses import AgtoConfig, agto_losses
from trainers.sets import Sets

CHECKPOINTED = "-checkpointed"
KINDS = ("sft", "agto", "eager")
SUBJECTS = (*KINDS, *(f"{kind}{CHECKPOINTED}" for kind in KINDS))
CONFIG = AgtoConfig()


class Training:
    """A random model, one chat of a length, and AdamW: a picture of half, a system prompt of a sixteenth, a question of
    an eighth, and the answer.

    On CUDA: the shape of the 7B model in bfloat16, LoRA on its decoder.
    """

    def __init__(self, length: int, device: str = "cpu", checkpointed: bool = False) -> None:
        small = device == "cpu"
        self.model: Any = build(
            SMALL if small else SEVEN_B, device, torch.float32 if small else torch.bfloat16
        )
        if not small:
            from peft import LoraConfig, get_peft_model

            self.model = get_peft_model(self.model, LoraConfig(r=16, target_modules=LORA_TARGETS))
        self.model.train()
        if checkpointed:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-6)
        self.guidance = Guidance(self.model, CONFIG)
        self.device = device
        self.rewrite(length)

    def rewrite(self, length: int) -> None:
        """Take a chat of another length."""
        draw = torch.Generator().manual_seed(1)
        ids = torch.randint(6, self.model.config.get_text_config().vocab_size, (1, length), generator=draw)
        place = torch.arange(length)[None]
        system, picture, question = length // 16, length * 9 // 16, length * 11 // 16
        visual = (place >= system) & (place < picture)
        asked = (place >= picture) & (place < question)
        self.sets = Sets(*(each.to(self.device) for each in (place < system, visual, asked)))
        self.batch = {
            "input_ids": ids.to(self.device),
            "mm_token_type_ids": torch.zeros_like(ids).int().to(self.device),
            "labels": ids.masked_fill(place < question, -100).to(self.device),
            "use_cache": False,
        }

    @contextmanager
    def on(self, subject: str) -> Iterator[Callable[[], Tensor]]:
        """Put the model on the subject's attention, and give its step."""
        kind = subject.removesuffix(CHECKPOINTED)
        if kind == "agto":
            with self.guidance.active():
                yield lambda: self._step(self._guided)
        elif kind == "eager":
            self.model.set_attn_implementation({"text_config": "eager"})
            try:
                yield lambda: self._step(self._by_maps)
            finally:
                self.model.set_attn_implementation({"text_config": "sdpa"})
        else:
            yield lambda: self._step(lambda: self.model(**self.batch).loss)

    def _step(self, loss: Callable[[], Tensor]) -> Tensor:
        self.optimizer.zero_grad()
        total = loss()
        total.backward()
        self.optimizer.step()
        return total.detach()

    def _guided(self) -> Tensor:
        with self.guidance.guiding(self.sets):
            loss = self.model(**self.batch).loss
        return self.guidance.total(loss)

    def _by_maps(self) -> Tensor:
        found = self.model(**self.batch, output_attentions=True)
        masses = {
            layer: tuple(
                (weights * keys[:, None, None]).sum(-1) for keys in (self.sets.system, self.sets.visual)
            )
            for layer, weights in enumerate(found.attentions)
        }
        enhanced, suppressed = agto_losses(masses, self.sets, self.guidance.heads)
        return found.loss + CONFIG.alpha * enhanced + CONFIG.beta * suppressed


def main() -> None:
    """Print the extra peak of one subject at one length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("length", type=int)
    options = parser.parse_args()
    training = Training(64, checkpointed=options.subject.endswith(CHECKPOINTED))
    with training.on(options.subject) as step:
        step()
        training.optimizer.zero_grad()
        training.rewrite(options.length)
        print(extra_peak(step))


if __name__ == "__main__":
    main()

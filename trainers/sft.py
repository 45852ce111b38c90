"""Supervised training with attention guidance: cold starts, VARD and AGTO on TRL's SFTTrainer, in one forward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor
from trl import SFTConfig, SFTTrainer

from trainers.checkpoints import Resuming
from trainers.data.collate import SETS, Collator
from trainers.guidance import NUMBERS, Guidance
from trainers.losses import AgtoConfig
from trainers.refusals import other_forwards, refuse_conflicts, refuse_unloaded
from trainers.sets import Sets
from vaslab.errors import UsageError


class AvarSFTTrainer(Resuming, SFTTrainer):
    """SFTTrainer whose loss is L_LM + alpha * L_enh + beta * L_sup (AGTO, arXiv 2603.03825).

    With alpha = beta = 0 it is plain supervised training that logs masses and VAS of the queries. Rows hold `messages`
    and `images`; the collator is this project's, whose labels are the response with its end token.

    Args:
        model: a loaded model (or a PEFT model); its attention is switched for the time of training and put back.
        args: TRL's config; `max_length` is None, for rows are never cut.
        agto: what is guided.
        text_tokens: special tokens that texts may use.
        **options: SFTTrainer's own.

    Raises:
        UsageError: a combination that would train something else in silence; the message says what to set.
    """

    def __init__(
        self,
        model: Any,
        args: SFTConfig,
        agto: AgtoConfig | None = None,
        text_tokens: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        self.agto = agto or AgtoConfig(alpha=0.0, beta=0.0)
        _refuse(model, args, options)
        processor = options["processing_class"]
        options["data_collator"] = Collator(processor, self.agto.queries, self.agto.variant, text_tokens)
        super().__init__(model=model, args=args, **options)
        self.network = cast(Any, self.model)
        self.guidance = Guidance(self.network, self.agto)
        self._running = False
        self._guided_samples = 0

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, as Trainer does, on vaslab's attention backend."""
        with self._guided():
            return super().train(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, as Trainer does, on vaslab's attention backend."""
        with self._guided():
            return super().evaluate(*args, **kwargs)

    @contextmanager
    def _guided(self) -> Iterator[None]:
        if self._running:  # an evaluation inside a training
            yield
            return
        self._running = True
        try:
            with self.guidance.active():
                yield
        finally:
            self._running = False

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Batches of one optimiser step, as Trainer collects them; counts how many of their samples are guided."""
        batches, items = super().get_batch_samples(*args, **kwargs)
        here = sum(int(_sets_of(batch).counted.sum()) for batch in batches)
        self._guided_samples = int(
            self.accelerator.gather(torch.tensor([here], device=self.args.device)).sum()
        )
        return batches, items

    def _share(self, sets: Sets, items: Tensor | int | None) -> float:
        """Factor on a forward's guidance, such that a step's is the mean over its samples that have a picture.

        However they fall into forwards and processes: the gradients of forwards are summed, of processes averaged.
        """
        forwards = self.current_gradient_accumulation_steps if items is None else 1  # Trainer divides by them
        guided = int(sets.counted.sum()) / max(self._guided_samples, 1)
        return guided * forwards * self.accelerator.num_processes

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Loss of a batch, guidance included."""
        sets = _sets_of(inputs)
        rest = {name: value for name, value in inputs.items() if name not in SETS}
        with self.guidance.guiding(sets, self._share(sets, num_items_in_batch) if model.training else 1.0):
            found = super().compute_loss(model, rest, return_outputs, num_items_in_batch)
        loss, *outputs = found if return_outputs else (found,)
        total = self.guidance.total(loss)
        self._note()
        return (total, *outputs) if return_outputs else total

    def _note(self) -> None:
        """Add the masses of the last forward, over all processes, to the log."""
        gathered = self.accelerator.gather(self.guidance.numbers()[None]).sum(0).tolist()
        if gathered[-1]:
            mode = "train" if self.network.training else "eval"
            for name, value in zip(NUMBERS, gathered, strict=False):
                self._metrics[mode][f"agto/{name}"].append(value / gathered[-1])


def _sets_of(inputs: dict[str, Any]) -> Sets:
    return Sets(*(inputs[name] for name in SETS))


def _refuse(model: Any, args: SFTConfig, options: dict[str, Any]) -> None:
    """Raise UsageError for what SFTTrainer would take and AGTO, or pictures, would not survive."""
    if options.get("data_collator") is not None:
        raise UsageError(
            "data_collator is given, and the roles of tokens come from this trainer's own; leave it out"
        )
    conflicts = {
        "packing": (args.packing, "rows of several chats have no one Q, S and V; set packing=False"),
        "padding_free": (args.padding_free, "the guidance reads one chat a row; set padding_free=False"),
        "max_length": (
            args.max_length is not None,
            "a cut could go through the visual tokens; set max_length=None, and leave long rows out of the data",
        ),
        "assistant_only_loss": (args.assistant_only_loss, "labels are the response already; set it to False"),
        **other_forwards(args),
    }
    refuse_conflicts(args, "AGTO", conflicts)
    if options.get("compute_loss_func") is not None:
        raise UsageError("compute_loss_func is given, and its loss would go unguided; leave it out")
    refuse_unloaded(model, options.get("processing_class"))


def freeze_vision(model: torch.nn.Module) -> int:
    """Freeze the vision tower with its projector; return how many parameters stay as they are.

    Raises UsageError for a model that has none under the name of the Qwen-VL families.
    """
    tower = next((module for name, module in model.named_modules() if name.endswith("visual")), None)
    if tower is None:
        raise UsageError(
            f"{type(model).__name__} has no vision tower named `visual`; leave freeze_vision out"
        )
    for parameter in tower.parameters():
        parameter.requires_grad_(False)
    return sum(parameter.numel() for parameter in tower.parameters())

"""What the rewards of VARS tell answers apart by: `python -m trainers.reward_signal [MODEL]`, numbers in JSON lines.

The organism answers RL prompts, 8 times each, with the settings of its stage and a learning rate of 0. Each form of the
visual reward is held against accuracy within the answers to one prompt, which is all that GRPO compares; and the
gradients of several batches against each other.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.data.collate import to_prompts
from trainers.data.glyph import glyph_records
from trainers.grpo import AvarGRPOTrainer
from trainers.grpo_run import grpo_arguments
from trainers.rewards import VarsConfig, visual_reward
from trainers.runs import GrpoRun
from vaslab.models import load_model

FORMS = ("ratio", "clip", "log", "share")
PROMPTS, ANSWERS, BATCHES = 8, 8, 6
SHAPING = VarsConfig(form="share", grader="exact")


def told_apart(
    accuracy: Float[Tensor, "prompt answer"], visual: Float[Tensor, "prompt answer"]
) -> tuple[float, float]:
    """Correlation of a gated visual reward with accuracy within prompts, and the part of the variance of their sum
    (within prompts) that accuracy does not explain.

    Args:
        accuracy: 1 for a right answer, 0 for a wrong one.
        visual: lambda_v r_visual, 0 for a wrong answer.
    """
    a, v = (each - each.mean(1, keepdim=True) for each in (accuracy, visual))
    own = v - a * (a * v).sum() / a.square().sum()
    total = (a + v).square().sum()
    return ((a * v).sum() / (a.norm() * v.norm())).item(), (own.square().sum() / total).item()


def agreement(gradients: Float[Tensor, "batch weight"]) -> tuple[float, float]:
    """Mean cosine of gradients over pairs of batches, and the standard deviation of these cosines."""
    unit = torch.nn.functional.normalize(gradients, dim=1)
    rows, columns = torch.triu_indices(len(unit), len(unit), offset=1)
    cosines = (unit @ unit.T)[rows, columns]
    return cosines.mean().item(), cosines.std(correction=0).item()


class Watched(AvarGRPOTrainer):
    """Keeps accuracy, every form of the visual reward, and the gradient, of each batch."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.kept: dict[str, list[Tensor]] = {name: [] for name in ("accuracy", "gradient", *FORMS)}

    def _summary(self, on_system: Any, on_visual: Any, rows: Any) -> dict[str, Tensor]:
        for form in FORMS:
            self.kept[form].append(visual_reward(on_visual, on_system, rows, form, self.shaping.cap))
        return super()._summary(on_system, on_visual, rows)

    def _calculate_rewards(self, *args: Any) -> Any:
        found = super()._calculate_rewards(*args)
        self.kept["accuracy"].append(found[:, 0])
        return found

    def compute_loss(self, *args: Any, **options: Any) -> Any:
        """Loss of a batch, as ever."""
        loss = super().compute_loss(*args, **options)
        weights = [each for each in self.network.parameters() if each.requires_grad]
        found = torch.autograd.grad(loss, weights, retain_graph=True)
        self.kept["gradient"].append(torch.cat([each.flatten() for each in found]))
        return loss


def watched(name: str, batches: int, prompts: int, answers: int, longest: int, seed: int = 0) -> Watched:
    """Let a model answer and learn nothing."""
    vlm = load_model(name)
    with tempfile.TemporaryDirectory() as folder:
        run = GrpoRun(
            name,
            "",
            folder,
            lr=0.0,
            max_steps=batches,
            prompts=prompts,
            rollouts=answers,
            per_device=prompts * answers,
            max_new_tokens=longest,
            checkpointing=False,
            save_steps=batches,
            seed=seed,
        )
        trainer = Watched(
            vlm.model,
            grpo_arguments(run),
            SHAPING,
            train_dataset=to_prompts(list(glyph_records("rl", 50 * prompts, seed))),
            processing_class=vlm.processor,
        )
        trainer.train()
    return trainer


def report(kept: dict[str, list[Tensor]], answers: int) -> Iterator[dict[str, Any]]:
    """One line for each form, then one for the gradients."""
    accuracy = torch.cat(kept["accuracy"])
    for form in FORMS:
        value = torch.cat(kept[form])
        right = value[accuracy > 0]
        gated = SHAPING.lambda_v * value * accuracy
        correlation, own = told_apart(accuracy.view(-1, answers), gated.view(-1, answers))
        numbers = {"right_mean": right.mean().item(), "right_sd": right.std().item()}
        yield {"form": form, **numbers, "correlation": correlation, "own_variance": own}
    cosine, spread = agreement(torch.stack(kept["gradient"]))
    norms = {
        "norm": torch.stack(kept["gradient"]).norm(dim=1).mean().item(),
        "norm_of_mean": torch.stack(kept["gradient"]).mean(0).norm().item(),
    }
    yield {
        "batches": len(kept["gradient"]),
        "accuracy": accuracy.mean().item(),
        "cosine": cosine,
        "sd": spread,
        **norms,
    }


def main(name: str = "organism:agto") -> None:
    """Measure a model and print it."""
    trainer = watched(name, BATCHES, PROMPTS, ANSWERS, 128)
    for row in report(trainer.kept, ANSWERS):
        print(json.dumps({"model": name, **row}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:2])

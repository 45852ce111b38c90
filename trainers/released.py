"""What the authors' code does instead of the paper, measured: `python -m trainers.released`, numbers in JSON lines.

Sets, losses, gradients, a short training by each, and both rewards, on the glyph world's records.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from trainers.data.collate import SETS, Collator, to_dataset
from trainers.data.glyph import glyph_records
from trainers.guidance import NUMBERS, Guidance
from trainers.looking import watching
from trainers.losses import VARIANTS, AgtoConfig
from trainers.rewards import visual_reward
from trainers.sets import Sets, paper_sets
from vaslab.models import Vlm, load_model
from vaslab.prompts.encode import encode
from vaslab.prompts.roles import Role

TRAINED, HELD, BATCH, STEPS, LR = 256, 64, 16, 40, 3e-4


def _batches(vlm: Vlm, variant: str, count: int, seed: int) -> list[dict[str, Tensor]]:
    rows: list[dict[str, Any]] = list(to_dataset(list(glyph_records("vard", count, seed))))
    collate = Collator(vlm.processor, variant=variant)
    return [collate(rows[i : i + BATCH]) for i in range(0, count, BATCH)]


def _split(batch: dict[str, Tensor]) -> tuple[Sets, dict[str, Tensor]]:
    sets = Sets(*(batch[name] for name in SETS))
    return sets, {name: value for name, value in batch.items() if name not in SETS}


def sizes(vlm: Vlm) -> Iterator[dict[str, Any]]:
    """Mean size of S, V and Q, and how much of each is what the paper means."""
    right = [_split(batch)[0] for batch in _batches(vlm, "paper", HELD, 1)]
    for variant in VARIANTS:
        found = [_split(batch)[0] for batch in _batches(vlm, variant, HELD, 1)]
        numbers: dict[str, float] = {}
        for name in SETS:
            held = torch.cat([getattr(each, name).flatten() for each in found])
            wanted = torch.cat([getattr(each, name).flatten() for each in right])
            numbers[f"{name}_size"] = held.sum().item() / HELD
            numbers[f"{name}_right"] = (held & wanted).sum().item() / max(held.sum().item(), 1)
        yield {"what": "sets", "variant": variant, **numbers}


def _pull(vlm: Vlm, config: AgtoConfig, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Gradient of the guidance alone, as one vector, and the guidance's numbers."""
    model: Any = copy.deepcopy(vlm.model).train()
    sets, inputs = _split(batch)
    guidance = Guidance(model, config)
    with guidance.active():
        with guidance.guiding(sets):
            loss = model(**inputs, use_cache=False).loss
        guidance.total(0 * loss).backward()
        numbers = guidance.numbers()
    every = [p.grad if p.grad is not None else torch.zeros_like(p) for p in model.parameters()]
    return torch.cat([each.flatten() for each in every]).double(), dict(
        zip(NUMBERS, (numbers[:-1] / numbers[-1]).tolist(), strict=True)
    )


def gradients(vlm: Vlm) -> Iterator[dict[str, Any]]:
    """Norm of each loss's gradient, and its cosine with the paper's."""
    batches = {variant: _batches(vlm, variant, BATCH, 1)[0] for variant in VARIANTS}
    for loss, (alpha, beta) in {"enhance": (1.0, 0.0), "suppress": (0.0, 1.0)}.items():
        wanted, _ = _pull(vlm, AgtoConfig(alpha, beta), batches["paper"])
        for variant in VARIANTS:
            found, numbers = _pull(vlm, AgtoConfig(alpha, beta, variant=variant), batches[variant])
            cosine = torch.nn.functional.cosine_similarity(found, wanted, dim=0).item()
            row = {"what": "gradient", "variant": variant, "loss": loss, "value": numbers[loss]}
            yield {**row, "norm": found.norm().item(), "cosine_with_paper": cosine}


def training(vlm: Vlm) -> Iterator[dict[str, Any]]:
    """Loss and masses, by the paper's sets on held-out records, after a short training by each objective."""
    held = _batches(vlm, "paper", HELD, 1)
    yield {"what": "training", "objective": "none yet", **_held_out(vlm.model, held)}
    for name, config in {
        "words alone": AgtoConfig(0.0, 0.0),
        "paper": AgtoConfig(),
        "as_released": AgtoConfig(variant="as_released"),
    }.items():
        model: Any = copy.deepcopy(vlm.model).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0)
        batches = _batches(vlm, config.variant, TRAINED, 0)
        guidance = Guidance(model, config)
        with guidance.active():
            for step in range(STEPS):
                sets, inputs = _split(batches[step % len(batches)])
                with guidance.guiding(sets):
                    loss = model(**inputs, use_cache=False).loss
                optimizer.zero_grad()
                guidance.total(loss).backward()
                optimizer.step()
        yield {"what": "training", "objective": name, **_held_out(model, held)}


@torch.no_grad()
def _held_out(model: Any, batches: list[dict[str, Tensor]]) -> dict[str, float]:
    guidance = Guidance(model.eval(), AgtoConfig(0.0, 0.0))
    losses, numbers = [], []
    with guidance.active():
        for batch in batches:
            sets, inputs = _split(batch)
            with guidance.guiding(sets):
                losses.append(model(**inputs, use_cache=False).loss.item())
            numbers.append(guidance.numbers())
    total = torch.stack(numbers).sum(0)
    means = dict(zip(NUMBERS, (total[:-1] / total[-1]).tolist(), strict=True))
    return {"lm_loss": sum(losses) / len(losses), **means}


@torch.no_grad()
def rewards(vlm: Vlm) -> Iterator[dict[str, Any]]:
    """Both rewards of the true answers to held-out questions, and how they go together."""
    layers = tuple(range(vlm.n_layers))
    found: dict[str, list[float]] = {"ratio": [], "as_released": []}
    for record in glyph_records("vard", HELD, 1):
        encoded = encode(vlm.processor, [record.prompt()])
        real = encoded.roles != Role.padding
        first = Sets(real & (real.cumsum(1) == 1), encoded.roles == Role.image, real)
        for form, sets, rows in (
            ("ratio", paper_sets(encoded.roles, "response"), encoded.roles == Role.response),
            ("as_released", first, real),
        ):
            with watching(vlm.model, sets, layers) as looks:
                vlm.model(**encoded.inputs, use_cache=False, logits_to_keep=1)
            on_system, on_visual = looks.masses()
            found[form].append(visual_reward(on_visual, on_system, rows, form).item())
    for form, values in found.items():
        spread = torch.tensor(values).quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
        yield {"what": "reward", "form": form, "quantiles_5_50_95": spread}
    ranks = [torch.tensor(values).argsort().argsort().double() for values in found.values()]
    yield {"what": "reward", "rank_correlation": torch.corrcoef(torch.stack(ranks))[0, 1].item()}


def main(name: str = "organism:base") -> None:
    """Measure everything and print it."""
    torch.manual_seed(0)
    vlm = load_model(name)
    print(json.dumps({"model": name, "revision": vlm.revision, "steps": STEPS, "batch": BATCH, "lr": LR}))
    for part in (sizes, gradients, rewards, training):
        for row in part(vlm):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:2])

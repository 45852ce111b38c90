"""Visual-anchored reward shaping (VARS) as pure functions: of attention mass, and of an answer's text.

    r_visual = 0 if the answer is wrong, else mean_{t in T} mean_l ( V mass[t,l] / (S mass[t,l] + eps) ), heads averaged
    r        = r_accuracy + lambda_v * r_visual + lambda_f * r_format

Source: arXiv 2603.03825 (lambda_v 0.3, lambda_f 0.1, eps 1e-6).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaslab.benchmarks import math_equality
from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.errors import UsageError

EPS = 1e-6
"""Added to the mass on S in the denominator."""

FORMS = ("ratio", "clip", "log", "share", "as_released")
GRADERS = ("exact", "math")
_FORMAT = re.compile(r"\s*<think>(.+?)</think>\s*<answer>(.+?)</answer>\s*", re.DOTALL)
_TAG = re.compile(r"</?(?:think|answer)>")


@dataclass(frozen=True)
class VarsConfig:
    """How the visual reward is made.

    Args:
        lambda_v: weight of r_visual.
        lambda_f: weight of r_format.
        form: `ratio` is the paper's, and has no upper bound: once the mass on S is small, it drowns the accuracy.
            `clip` cuts each token's and layer's ratio at `cap`, `log` takes log(1 + ratio), `share` V / (V + S), which
            lies in 0 to 1. `as_released` is one ratio of sums over layers, heads and every row, the prompt's too, with
            S the first token, and not gated: what the authors' code computes.
        cap: of `clip`.
        gated: whether a wrong answer has no visual reward; `as_released` never has it gated.
        grader: `exact` compares the tagged answer as text, `math` by math-verify too.
        layers: decoder layers; () takes all.

    Raises:
        UsageError: values that no training can have.
    """

    lambda_v: float = 0.3
    lambda_f: float = 0.1
    form: str = "ratio"
    cap: float = 10.0
    gated: bool = True
    grader: str = "exact"
    layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UsageError(f"form is {self.form!r}; expected one of {', '.join(FORMS)}")
        if self.grader not in GRADERS:
            raise UsageError(f"grader is {self.grader!r}; expected one of {', '.join(GRADERS)}")
        if not (math.isfinite(self.cap) and self.cap > 0):
            raise UsageError(f"cap is {self.cap}; give a number, more than 0")
        for name, weight in (("lambda_v", self.lambda_v), ("lambda_f", self.lambda_f)):
            if not math.isfinite(weight):
                raise UsageError(f"{name} is {weight}; give a number")

    def layers_of(self, n_layers: int) -> tuple[int, ...]:
        """The layers of a decoder that are read. Raises UsageError for one that it does not have."""
        absent = [layer for layer in self.layers if not 0 <= layer < n_layers]
        if absent:
            raise UsageError(f"there is no layer {absent[0]}; the model has layers 0 to {n_layers - 1}")
        return self.layers or tuple(range(n_layers))


def visual_reward(
    visual: Float[Tensor, "layer batch head row"],
    system: Float[Tensor, "layer batch head row"],
    rows: Bool[Tensor, "batch row"],
    form: str = "ratio",
    cap: float = 10.0,
) -> Float[Tensor, " batch"]:
    """Reward of looking, for each sample, before any gate; 0 for a sample without rows.

    Numerator: mass on V. Denominator: mass on S plus 1e-6. Masses are averaged over heads first; the ratio (or its
    bounded form) is taken for each token and layer; its mean is over layers, then over the rows.

    Args:
        visual: mass of each row on V.
        system: mass of each row on S.
        rows: the rows that count: the response's tokens; for `as_released` every real position.
        form: as in `VarsConfig`.
        cap: of `clip`.
    """
    if form == "as_released":
        total_visual = (visual * rows[None, :, None]).sum((0, 2, 3))
        total_system = (system * rows[None, :, None]).sum((0, 2, 3))
        return total_visual / (total_system + EPS)
    on_visual, on_system = visual.mean(2), system.mean(2)
    if form == "share":
        value = on_visual / (on_visual + on_system + EPS)
    else:
        value = on_visual / (on_system + EPS)
        if form == "clip":
            value = value.clamp(max=cap)
        elif form == "log":
            value = value.log1p()
    by_row = torch.where(rows, value.mean(0), torch.zeros_like(value[0]))
    return by_row.sum(-1) / rows.sum(-1).clamp(min=1)


def format_reward(response: str) -> float:
    """1 for exactly `<think>...</think><answer>...</answer>`, each once, with nothing but space around; else 0."""
    return float(_FORMAT.fullmatch(response) is not None and len(_TAG.findall(response)) == 4)


def accuracy_reward(response: str, answer: str, grader: str = "exact") -> float:
    """1 where what the last `<answer>` holds is the answer; 0 otherwise, also without one.

    `exact` compares without case, runs of space and a final full stop. `math` takes what is equal so, and what is equal
    by value: math-verify decides, in a process of its own, for no answer may take a training without end. One that
    cannot be decided within its seconds of processor time is wrong.
    """
    told = tagged_answer(response)
    if told is None:
        return 0.0
    return float(_plain(told) == _plain(answer) or (grader == "math" and _equal(answer, told)))


@lru_cache(maxsize=4096)
def _equal(answer: str, told: str) -> bool:
    """Whether they are equal by value; kept, for a reward asks twice and the answers to a prompt are often the same."""
    return bool(math_equality.same(answer, told))


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).removesuffix(".").rstrip()


def total_reward(
    accuracy: Float[Tensor, " batch"],
    visual: Float[Tensor, " batch"],
    form: Float[Tensor, " batch"],
    config: VarsConfig,
) -> Float[Tensor, " batch"]:
    """r = r_accuracy + lambda_v r_visual + lambda_f r_format of each sample (arXiv 2603.03825).

    Args:
        accuracy: 1 for a right answer, 0 for a wrong one.
        visual: what `visual_reward` gives, before the gate.
        form: 1 for an answer of the right form, else 0.
        config: the weights and the gate.
    """
    return accuracy + config.lambda_v * gated(visual, accuracy, config) + config.lambda_f * form


def gated(
    visual: Float[Tensor, " batch"], accuracy: Float[Tensor, " batch"], config: VarsConfig
) -> Float[Tensor, " batch"]:
    """r_visual of each sample: `visual`, or 0 for a wrong answer where the config gates."""
    if not config.gated or config.form == "as_released":
        return visual
    return torch.where(accuracy > 0, visual, torch.zeros_like(visual))

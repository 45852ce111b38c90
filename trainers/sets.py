"""Q, S and V of a batch: which tokens a training objective reads, by the paper or by the authors' code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaslab.prompts.roles import SYSTEM_ROLES, Role

N_GROUPS = 3
"""Key groups of a request: S alone, V alone, and both (only the authors' sets overlap)."""

_USER = "<|im_start|>user"


@dataclass(frozen=True, eq=False)
class Sets:
    """Q, S and V of a batch.

    Args:
        system: whether a position is in S.
        visual: whether it is in V.
        queries: whether it is in Q.
    """

    system: Bool[Tensor, "batch seq"]
    visual: Bool[Tensor, "batch seq"]
    queries: Bool[Tensor, "batch seq"]

    @property
    def groups(self) -> Int[Tensor, "batch seq"]:
        """Key group of every position, -1 for neither S nor V."""
        return self.system.int() + 2 * self.visual.int() - 1

    @property
    def counted(self) -> Bool[Tensor, " batch"]:
        """Which samples count: those with a picture and a query."""
        return self.visual.any(-1) & self.queries.any(-1)


def on_sets(
    mass: Float[Tensor, "batch head row group"],
) -> tuple[Float[Tensor, "batch head row"], Float[Tensor, "batch head row"]]:
    """Mass on S and on V, from the mass per group of `Sets.groups`."""
    return mass[..., 0] + mass[..., 2], mass[..., 1] + mass[..., 2]


def paper_sets(roles: Int[Tensor, "batch seq"], queries: str = "user") -> Sets:
    """The paper's sets: S is the system message, V the image placeholders, Q the text of user turns (`user`), the
    answer with its end token (`response`), or both.
    """
    chosen = {"user": (Role.user,), "response": (Role.response,), "both": (Role.user, Role.response)}[queries]
    return Sets(_any_of(roles, SYSTEM_ROLES), roles == Role.image, _any_of(roles, chosen))


def _any_of(roles: Tensor, chosen: Sequence[Role]) -> Tensor:
    return torch.stack([roles == role for role in chosen]).any(0)


def released_sets(
    ids: Int[Tensor, "batch seq"],
    texts: Sequence[str],
    response: Bool[Tensor, "batch seq"],
    vision_start: int,
) -> Sets:
    """The sets of the authors' supervised trainer, for right-padded rows of a Qwen template.

    The user's turn begins at 0.4 times the *character* at which its marker stands, or, without the marker, after a
    tenth of the prompt (at least 10 tokens). S is everything before it; Q everything from there to the response,
    pictures included; V is the first of four guessed tokens that the vocabulary has, which for Qwen2.5-VL is
    `<|vision_start|>`, one token a picture.

    Args:
        ids: token ids.
        texts: the rendered text of each row.
        response: the tokens of its answer.
        vision_start: id of `<|vision_start|>`.

    Source: github.com/lrlbbzl/Qwen-AVAR at e61de75.
    """
    system, queries = torch.zeros_like(response), torch.zeros_like(response)
    for item, text in enumerate(texts):
        told = response[item].nonzero()[:, 0]
        end = int(told[0]) if len(told) else ids.shape[1]
        place = text.find(_USER)
        begin = min(int(place * 0.4) if place >= 0 else max(10, end // 10), end)
        system[item, :begin] = True
        queries[item, begin:end] = True
    return Sets(system, ids == vision_start, queries)

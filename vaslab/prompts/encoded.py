"""A batch of prompts as a model takes it, and the role of every position beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaslab.errors import UsageError
from vaslab.prompts.patches import PatchGrid
from vaslab.prompts.roles import QUERY_ROLES, Role


@dataclass(frozen=True)
class Encoded:
    """Token ids with their roles, left-padded.

    inputs: keywords of the model's forward: input_ids, attention_mask, mm_token_type_ids and, with pictures,
        pixel_values and image_grid_thw.
    roles: `Role` of every position.
    turn: index of the user turn whose text or picture a position is, -1 elsewhere.
    image: index, within its prompt, of the picture a visual token shows, -1 elsewhere.
    patch: raster index of a visual token within its picture, -1 elsewhere.
    grids: for each item and picture, the grid of its visual tokens.
    texts: for each item, what the chat template rendered, one placeholder a picture.
    """

    inputs: dict[str, Tensor]
    roles: Int[Tensor, "batch seq"]
    turn: Int[Tensor, "batch seq"]
    image: Int[Tensor, "batch seq"]
    patch: Int[Tensor, "batch seq"]
    grids: tuple[tuple[PatchGrid, ...], ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        """Count the items."""
        return self.roles.shape[0]

    def to(self, device: torch.device | str) -> Encoded:
        """Return the same batch with every tensor on `device`."""
        return replace(
            self,
            inputs={name: value.to(device) for name, value in self.inputs.items()},
            roles=self.roles.to(device),
            turn=self.turn.to(device),
            image=self.image.to(device),
            patch=self.patch.to(device),
        )

    def rows(self, query_role: str) -> list[Int[Tensor, " row"]]:
        """Return, for each item, the positions (in the padded sequence) of a query role.

        user: text of all user turns; user_after_image: the same after the item's last visual token (all of it
            where there is no picture); response: the answer with its end token. Raises UsageError for any
            other name.
        """
        if query_role not in QUERY_ROLES:
            raise UsageError(
                f"Unknown query role {query_role!r}; the query roles are {', '.join(QUERY_ROLES)}."
            )
        chosen = self.roles == (Role.response if query_role == "response" else Role.user)
        if query_role == "user_after_image":
            chosen = chosen & (self._positions() > self._last_visual())
        return [row.nonzero()[:, 0] for row in chosen]

    def before_image(self, query_role: str) -> Float[Tensor, " batch"]:
        """Return which share of each item's queries stand before its last visual token, which they therefore
        cannot wholly see.

        Numerator: such queries of the role; denominator: all queries of the role. 0 where the item has no
            picture, NaN where it has no such query.
        """
        last = self._last_visual()[:, 0]
        rows = self.rows(query_role)
        return torch.stack([(row < end).double().mean() for row, end in zip(rows, last, strict=True)])

    def _positions(self) -> Int[Tensor, " seq"]:
        return torch.arange(self.roles.shape[1], device=self.roles.device)

    def _last_visual(self) -> Int[Tensor, "batch 1"]:
        """Position of each item's last visual token, -1 where there is none."""
        visual = (self.roles == Role.image) | (self.roles == Role.video)
        return torch.where(visual, self._positions(), -1).amax(dim=1, keepdim=True)


def pad_rows(rows: Sequence[Int[Tensor, " _row"]]) -> Int[Tensor, "batch row"]:
    """Stack positions of several items into one table; shorter items end in empty slots, -1."""
    if not rows:
        raise UsageError("pad_rows needs the positions of at least one item.")
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=-1)

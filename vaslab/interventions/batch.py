"""What an intervention knows of a batch: the role of every position, and where each picture's patches lie.

It is read off the token ids of the model's own call, so that any `generate` can be edited, also one that never
saw vaslab's prompts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from vaslab.attention import fits
from vaslab.errors import UsageError
from vaslab.prompts.roles import Role

ReadRoles: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(input_ids, attention_mask), both (batch, seq) -> `Role` of every position."""

QUERIES = ("all", "text", "after_image", "user", "user_after_image", "response", "emitting", "last")
"""Names of sets of queries. `text`: no visual tokens. `after_image`: after the last visual token, the answer too;
of an item without one, none.
`emitting`: the last position of the prompt and the answer, whose rows produce the answer's tokens. `last`: the
first of these alone."""


@dataclass(frozen=True, eq=False)
class Batch:
    """One prompt batch as the model got it.

    Args:
        roles: `Role` of every position; an answer given with the prompt is `response`.
        image: index of the picture, within its item, that a visual token shows; -1 elsewhere.
        patch: raster index of a visual token within its picture; -1 elsewhere.
        grids: (rows, columns) of visual tokens of each item's pictures.
        n_layers: decoder layers.
        n_heads: query heads per layer.
        inputs: keywords of the model's call: what is changed here before it runs, it gets.
        moved: called with the row that each row becomes when beams change places; who keeps something of each row
            adds a function here.
    """

    roles: Int[Tensor, "batch seq"]
    image: Int[Tensor, "batch seq"]
    patch: Int[Tensor, "batch seq"]
    grids: tuple[tuple[tuple[int, int], ...], ...]
    n_layers: int
    n_heads: int
    inputs: dict[str, Any] = field(default_factory=dict, repr=False)
    moved: list[Callable[[Tensor], None]] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        """Count the items."""
        return self.roles.shape[0]

    @property
    def real(self) -> Bool[Tensor, "batch seq"]:
        """Positions that are not padding."""
        return self.roles != Role.padding

    @property
    def visual(self) -> Bool[Tensor, "batch seq"]:
        """Visual tokens."""
        return (self.roles == Role.image) | (self.roles == Role.video)

    @property
    def system(self) -> Bool[Tensor, "batch seq"]:
        """S of the paper: the system message, its sink included."""
        return (self.roles == Role.system_sink) | (self.roles == Role.system)

    @property
    def last(self) -> Int[Tensor, " batch"]:
        """Last position of each item that is not padding; the last one of all where all are."""
        after = self.real.flip(1).int().argmax(dim=1)
        return self.roles.shape[1] - 1 - after

    @property
    def padded_right(self) -> bool:
        """Whether padding follows an item."""
        return bool((self.last != self.roles.shape[1] - 1).any())

    @property
    def answered(self) -> bool:
        """Whether an item holds an answer already."""
        return bool((self.roles == Role.response).any())

    @property
    def first_emitting(self) -> Int[Tensor, " batch"]:
        """Position whose row produces the first token of the answer: the one before it, or the item's last."""
        answer = self.roles == Role.response
        return torch.where(answer.any(1), answer.int().argmax(dim=1) - 1, self.last)

    def queries(
        self, names: tuple[str, ...], steps: tuple[int, int | None] | None = None
    ) -> tuple[Bool[Tensor, "batch query"], Bool[Tensor, " batch"]]:
        """The union of sets of queries; with `steps`, only rows that emit these tokens of the answer.

        Args:
            names: of `QUERIES`.
            steps: (first, end) of the answer's tokens, end excluded or None for no end.

        Returns:
            which positions are edited, and of which items later ones are.
        """
        chosen = torch.zeros_like(self.roles, dtype=torch.bool)
        new = torch.zeros_like(self.roles[:, 0], dtype=torch.bool)
        for name in names:
            found, later = self._named(name)
            chosen, new = chosen | found, new | later
        if steps is None:
            return chosen, new
        first, end = steps
        length = self.roles.shape[1]
        reach = max(length, length + (first if end is None else end))
        known = fits(chosen, reach, new)
        positions = torch.arange(reach, device=known.device)
        padding = torch.where(positions < length, 0, length - 1 - self.last[:, None])
        step = positions - padding - self.first_emitting[:, None]
        inside = (step >= first) & (step < (reach + 1 if end is None else end))
        return known & inside, new & (end is None)

    def _named(self, name: str) -> tuple[Tensor, Tensor | bool]:
        positions = torch.arange(self.roles.shape[1], device=self.roles.device)
        if name == "all":
            return self.real, True
        if name == "text":
            return self.real & ~self.visual, True
        if name in ("after_image", "user_after_image"):
            last = torch.where(self.visual, positions, -1).amax(dim=1, keepdim=True)
            after = self.real & (positions > last) & (last >= 0)
            if name == "after_image":
                return after, self.visual.any(1)
            return after & (self.roles == Role.user), False
        if name == "user":
            return self.roles == Role.user, False
        if name == "response":
            return self.roles == Role.response, True
        if name in ("emitting", "last"):
            first = self.first_emitting[:, None]
            return (positions == first, False) if name == "last" else (self.real & (positions >= first), True)
        raise UsageError(f"unknown queries {name!r}; expected {', '.join(QUERIES)}")


def read_batch(inputs: dict[str, Any], read_roles: ReadRoles, config: Any) -> Batch:
    """Read a batch off the keywords of the model's call.

    Args:
        inputs: input_ids, and attention_mask and image_grid_thw where there are such.
        read_roles: tells the roles.
        config: the model's config.

    Raises:
        UsageError: the call has no input_ids, or a mask that does not say which of them are padding, or its
            pictures do not fit their grids.
    """
    ids = inputs.get("input_ids")
    if ids is None:
        raise UsageError(
            "an intervention reads roles off input_ids, and this call has none; pass input_ids, not inputs_embeds"
        )
    mask = inputs.get("attention_mask")
    if mask is None:
        mask = torch.ones_like(ids)
    if not isinstance(mask, Tensor) or mask.ndim != 2:
        found = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise UsageError(
            f"attention_mask is {found}, which does not tell padding; give it as (batch, seq), and generate without "
            "cache_implementation"
        )
    roles = read_roles(ids, mask[:, -ids.shape[1] :])
    text = config.get_text_config(decoder=True)
    image, patch = _pictures(roles == Role.image)
    grids = _grids(inputs, image, config)
    return Batch(roles, image, patch, grids, text.num_hidden_layers, text.num_attention_heads, inputs)


def _pictures(
    visual: Bool[Tensor, "batch seq"],
) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"]]:
    """Picture index and raster index of every visual token: a run of them is a picture."""
    before = torch.nn.functional.pad(visual, (1, 0))[:, :-1]
    starts = visual & ~before
    image = starts.long().cumsum(1) - 1
    positions = torch.arange(visual.shape[1], device=visual.device).expand_as(visual)
    begin = torch.where(starts, positions, 0).cummax(1).values
    return torch.where(visual, image, -1), torch.where(visual, positions - begin, -1)


def _grids(
    inputs: dict[str, Any], image: Int[Tensor, "batch seq"], config: Any
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Rows and columns of each item's pictures, from image_grid_thw or, where generate has encoded the pictures
    before, from the positions of their tokens; () where there is neither."""
    counts = [[int((row == number).sum()) for number in range(int(row.max()) + 1)] for row in image.cpu()]
    thw, positions = inputs.get("image_grid_thw"), inputs.get("position_ids")
    if thw is not None:
        merge = int(getattr(config.vision_config, "spatial_merge_size", 1))
        waiting = iter([(int(rows) // merge, int(columns) // merge) for _, rows, columns in thw.tolist()])
        found = [tuple(grid for _, grid in zip(here, waiting, strict=False)) for here in counts]
    elif positions is not None and positions.ndim == 3 and positions.shape[0] >= 3:
        found = [
            tuple(_sides(positions[-2:, item, row == number]) for number in range(len(here)))
            for item, (row, here) in enumerate(zip(image, counts, strict=True))
        ]
        # A model that counts visual tokens in one line has no rows and columns to read.
        if any(
            r * c != n
            for here, grids in zip(counts, found, strict=True)
            for n, (r, c) in zip(here, grids, strict=True)
        ):
            return tuple(() for _ in counts)
    else:
        return tuple(() for _ in counts)
    for here, grids in zip(counts, found, strict=True):
        if here != [rows * columns for rows, columns in grids]:
            raise UsageError(
                f"the pictures of an item have {here} visual tokens, their grids are {list(grids)}; pass the "
                "image_grid_thw that belongs to these input_ids, and generate without prefill_chunk_size"
            )
    return tuple(found)


def _sides(positions: Int[Tensor, "2 token"]) -> tuple[int, int]:
    rows, columns = (len(axis.unique()) for axis in positions)
    return rows, columns

"""PAI: more attention to the picture, and less of the language prior (arXiv 2407.21771).

In the rows that emit tokens, scores of visual keys Z <- Z + alpha |Z|. And of log-probabilities p with the picture
and u without it, gamma p - (gamma - 1) u, among tokens with p > log(cutoff) + max p. The others are put behind all of
these, not ruled out: what generate bans may be all that the cutoff leaves.

The language prior is a stream of its own, the prompt and the answer without pictures: at each step the model runs
twice, which about doubles the cost of decoding. With gamma 1 there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from vaslab.attention import AnyEdit, CustomEdit, fits
from vaslab.interventions.batch import Batch
from vaslab.interventions.intervention import Begin, OnKeys, chosen_heads, number_in
from vaslab.interventions.plain import plain_forward


@dataclass(frozen=True, kw_only=True)
class Pai(OnKeys):
    """Settings of PAI, those of the released commands.

    Args:
        alpha: strength on visual keys, at least 0. Alpha 0 and gamma 1 together change nothing.
        gamma: weight of the picture in the logits, at least 1; 1 leaves the language prior in and costs no second
            pass.
        cutoff: tokens less likely than this share of the likeliest one come after all others; 0 spares them.
    """

    layers: Any = "2-"
    queries: Any = "emitting"
    alpha: Any = 0.2
    gamma: Any = 1.1
    cutoff: Any = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        number_in("alpha", self.alpha, 0)
        number_in("gamma", self.gamma, 1)
        number_in("cutoff", self.cutoff, 0, 1)

    def edits(self, batch: Batch) -> Sequence[AnyEdit]:
        """A change of scores that depends on their sign, so no scaled key is it."""
        keys, later = self.chosen_keys(batch)
        if self.alpha == 0 or not (later or bool(keys.any())):
            return []
        return [_Amplified(self.touched(batch), keys, later, *self.edited(batch), self.alpha)]

    @contextmanager
    def live(self, model: PreTrainedModel) -> Iterator[Begin]:
        """Without the language prior there is a second pass, of the prompt without its pictures, at each step."""
        if self.gamma == 1:
            yield self.edits
            return
        blind = _Blind(model, self.gamma, self.cutoff)
        handle = model.register_forward_hook(blind.refine, with_kwargs=True)

        def begin(batch: Batch) -> Sequence[AnyEdit]:
            blind.begin(batch, self.items(batch) & batch.visual.any(1))
            return self.edits(batch)

        try:
            yield begin
        finally:
            handle.remove()


# Logits behind those of tokens that are kept: no weight at any temperature up to a thousand, and little enough that
# sums over a beam stay in float32 and above the -1e9 of generate's empty beams.
_BEHIND = 1e5


class _Amplified(CustomEdit):
    """Z + alpha |Z| on visual keys."""

    def __init__(
        self,
        touched: Bool[Tensor, "layer head"],
        keys: Bool[Tensor, "batch seq"],
        later_keys: bool,
        queries: Bool[Tensor, "batch query"],
        later: Bool[Tensor, " batch"],
        alpha: int | float,
    ) -> None:
        self.touched, self.alpha = touched, alpha
        self.keys, self.later_keys = keys, later_keys
        self.chosen, self.later = queries, later

    def queries(self, layer: int, n_positions: int) -> Bool[Tensor, "batch query"] | None:
        """See `CustomEdit`."""
        return fits(self.chosen, n_positions, self.later) if bool(self.touched[layer].any()) else None

    def scores(
        self,
        layer: int,
        scores: Float[Tensor, "batch head row key"],
        positions: Int[Tensor, "batch row"],  # noqa: ARG002
    ) -> Float[Tensor, "batch head row key"]:
        """See `CustomEdit`."""
        keys = fits(self.keys, scores.shape[-1], self.later_keys).to(scores.device)[:, None, None]
        where = keys & chosen_heads(self.touched, layer, scores)
        return torch.where(where, scores + self.alpha * scores.abs(), scores)


class _Blind:
    """The same prompt without its pictures, continued along the answer."""

    def __init__(self, model: PreTrainedModel, gamma: int | float, cutoff: int | float) -> None:
        self.model, self.gamma, self.cutoff = model, gamma, cutoff
        self.items, self.idle = torch.zeros(0, dtype=torch.bool), True
        self.pending: Tensor | None = None
        self.last = torch.zeros(0, dtype=torch.long)
        self.mask = torch.zeros(0, 0)
        self.cache: Any = None

    def begin(self, batch: Batch, items: Bool[Tensor, " batch"]) -> None:
        """Start a prompt: its ids without visual tokens and their markers, left-padded again.

        Args:
            batch: the batch.
            items: those whose prior is taken off.
        """
        self.items, self.idle = items, not bool(items.any())
        if self.idle:
            return
        batch.moved.append(self._move)
        ids, config = batch.inputs["input_ids"], self.model.config
        names = ("vision_start_token_id", "vision_end_token_id")
        marks = [getattr(config, name) for name in names if getattr(config, name, None) is not None]
        kept = batch.real & ~batch.visual & ~torch.isin(ids, torch.tensor(marks, device=ids.device))
        self.last = batch.last
        length = int(kept.sum(1).max())
        self.pending = ids.new_full((len(ids), length), int(ids[0, 0]))
        self.mask = torch.zeros_like(self.pending)
        for row, (line, keep) in enumerate(zip(ids, kept, strict=True)):
            found = line[keep]
            self.pending[row, length - len(found) :] = found
            self.mask[row, length - len(found) :] = 1
        self.cache = DynamicCache(config=config.get_text_config(decoder=True))

    def _move(self, rows: Int[Tensor, " batch"]) -> None:
        rows = rows.to(self.mask.device)
        self.mask, self.items = self.mask[rows], self.items[rows]
        self.cache.reorder_cache(rows)

    def refine(self, _: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Any:  # noqa: ARG002
        """Take the prior off the logits of each item's last position, where the call keeps them; in float32."""
        if self.idle:
            return output
        if self.pending is None:
            new = kwargs["input_ids"]
            last = torch.zeros(len(new), dtype=torch.long, device=new.device)
            self.mask = torch.cat([self.mask, torch.ones_like(new)], dim=1)
        else:
            new, last, self.pending = self.pending, self.last, None
        order = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -new.shape[1] :]
        blind = plain_forward(
            self.model,
            input_ids=new,
            attention_mask=self.mask,
            mm_token_type_ids=torch.zeros_like(new),
            position_ids=order.expand(3, -1, -1),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        keep = kwargs.get("logits_to_keep", 0)
        positions = torch.arange(kwargs["input_ids"].shape[1], device=last.device)
        positions = positions[slice(-keep, None) if isinstance(keep, int) else keep]
        places = ((positions == last[:, None]) & self.items[:, None]).nonzero(as_tuple=True)
        named = not isinstance(output, tuple)
        place = int(kwargs.get("labels") is not None)  # a tuple begins with the loss, where there is one
        logits = (
            output.logits if named else output[place]
        ).float()  # half precision would lose the order behind
        refined = logits.index_put(places, self._without(logits[places], blind[places[0]]))
        if not named:
            return (*output[:place], refined, *output[place + 1 :])
        output.logits = refined
        return output

    def _without(
        self, logits: Float[Tensor, "item token"], blind: Float[Tensor, "item token"]
    ) -> Float[Tensor, "item token"]:
        seen, prior = logits.log_softmax(-1), blind.float().log_softmax(-1)
        refined = self.gamma * (seen - prior) + prior
        if self.cutoff == 0:
            return refined
        least = log(self.cutoff) + seen.amax(-1, keepdim=True)
        return torch.where(seen < least, refined - _BEHIND, refined)

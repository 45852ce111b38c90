"""Which keys a query sees: the mask that the kernel gets, or causality where it gets none."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from vaslab.errors import UsageError

# Rows of a mask that are read at once.
_ROWS = 256


def take_rows(
    x: Shaped[Tensor, "batch any query last"], index: Int[Tensor, "batch row"]
) -> Shaped[Tensor, "batch any row last"]:
    """Rows of the third axis, chosen per item."""
    where = index[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3])
    return x.gather(2, where)


def _open(mask: Tensor) -> Tensor:
    """True where a mask lets through; an additive mask closes with -inf or the least number of its type."""
    if mask.dtype == torch.bool:
        return mask
    return mask > torch.finfo(mask.dtype).min / 2


@dataclass(frozen=True)
class Visibility:
    """What each query of a call may see.

    `mask` is (batch or 1, head or 1, query or 1, key), boolean (True = may see) or additive. Without one,
    query i sees every key up to its own position where `causal` holds, and every key otherwise.

    Raises:
        UsageError: causality is asked without a mask for queries that are not the first positions.
    """

    mask: Shaped[Tensor, "..."] | None
    causal: bool
    n_queries: int
    n_keys: int

    def __post_init__(self) -> None:
        if self.mask is None and self.causal and 1 < self.n_queries < self.n_keys:
            raise UsageError(
                f"{self.n_queries} queries over {self.n_keys} keys came without a mask, so their positions "
                "are unknown; pass a 4-D mask, or use a dynamic cache"
            )
        if self.mask is not None and (self.mask.ndim != 4 or self.mask.shape[-1] != self.n_keys):
            raise UsageError(
                f"the attention mask has shape {tuple(self.mask.shape)}; expected (batch, head, query, "
                f"{self.n_keys})"
            )

    @property
    def offset(self) -> int:
        """Absolute position of the first query."""
        return self.n_keys - self.n_queries

    @property
    def kernel_causal(self) -> bool:
        """Whether the kernel must be told to be causal."""
        return self.mask is None and self.causal and self.n_queries > 1

    def rows(
        self, index: Int[Tensor, "batch row"]
    ) -> Shaped[Tensor, "mask_batch mask_head mask_row key"] | None:
        """The mask of the queries at `index` (positions within the call); None where every key is seen."""
        if self.mask is None:
            # A single query is the last position, and sees every key.
            if not self.causal or self.n_queries == 1:
                return None
            keys = torch.arange(self.n_keys, device=index.device)
            return (keys <= index[..., None] + self.offset)[:, None]
        if self.mask.shape[2] == 1:
            return self.mask
        return take_rows(self.mask.expand(index.shape[0], -1, -1, -1), index)

    def open_rows(
        self, index: Int[Tensor, "batch row"]
    ) -> Bool[Tensor, "mask_batch mask_head mask_row key"] | None:
        """As `rows`, True where a key is seen."""
        mask = self.rows(index)
        return None if mask is None else _open(mask)

    def reach(self, keys: Bool[Tensor, "batch any key"]) -> Bool[Tensor, "batch any2 query"]:
        """Whether each query sees any of these keys."""
        if self.mask is None:
            first = torch.where(keys.any(-1), keys.int().argmax(-1), self.n_keys)
            last = torch.arange(self.offset, self.n_keys, device=keys.device)
            return (last if self.causal else last.new_full(last.shape, self.n_keys - 1)) >= first[..., None]
        found = []
        for part in torch.arange(self.n_queries, device=keys.device).split(_ROWS):
            opened = _open(self.mask if self.mask.shape[2] == 1 else self.mask[:, :, part])
            if opened.shape[1] == 1:
                seen = (opened[:, 0].float() @ keys.float().transpose(1, 2) > 0).transpose(1, 2)
            else:
                seen = (opened & keys[:, :, None]).any(-1)
            found.append(seen.expand(-1, -1, len(part)))
        return torch.cat(found, dim=2)

    def sees_any(self) -> Bool[Tensor, "mask_batch mask_head mask_row"] | None:
        """Whether a query sees any key at all; None where every query does."""
        return None if self.mask is None else _open(self.mask).any(-1)

    def leading(
        self, query: Tensor, key: Tensor, value: Tensor, n: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Query, key, value and mask of the first `n` queries of the call."""
        if n == self.n_queries:
            return query, key, value, self.mask
        if self.kernel_causal:
            key, value = key[:, :, :n], value[:, :, :n]
        mask = self.mask
        if mask is not None and mask.shape[2] > 1:
            mask = mask[:, :, :n]
        return query[:, :, :n], key, value, mask

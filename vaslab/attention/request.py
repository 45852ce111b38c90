"""What is asked of the attention of one batch: which rows, which groups of keys, which edit."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float, Float32, Int, Shaped
from torch import Tensor

from vaslab.errors import UsageError

Route = Literal["auto", "rows", "columns"]

# Work for one (row, key) pair outside the kernel, in units of one extra column inside it. Measured on CPU at
# head_dim 64, S = 512 to 4096: the routes cost the same at about n_keys / 12 rows for 8 groups. The constant
# sits on the side of the rows route, which leaves the output of the layer untouched.
_ROW_WORK = 56
# Beyond this many columns a head of 128 leaves the fused kernels of CUDA (limit 256).
_MAX_COLUMNS = 64


def padded_to_eight(n: int) -> int:
    """Round up to a multiple of 8, the head width that fused kernels take."""
    return -(-n // 8) * 8


def indicators(groups: Int[Tensor, "batch key"], n_groups: int) -> Float32[Tensor, "batch key group"]:
    """1 where a key belongs to a group; a key of group -1 belongs to none."""
    return (groups[..., None] == torch.arange(n_groups, device=groups.device)).float()


def _check_groups(groups: Tensor, n_groups: int, owner: str) -> None:
    if groups.ndim != 2 or groups.dtype.is_floating_point or groups.dtype == torch.bool:
        raise UsageError(
            f"{owner}.groups is {groups.dtype} of shape {tuple(groups.shape)}; expected integers (batch, key)"
        )
    if groups.numel() and (int(groups.min()) < -1 or int(groups.max()) >= n_groups):
        raise UsageError(
            f"{owner}.groups holds {int(groups.min())} to {int(groups.max())}; expected -1 (no group) to "
            f"{n_groups - 1}"
        )


def _check_new_group(new_group: int | None, n_groups: int, owner: str) -> None:
    if new_group is not None and not -1 <= new_group < n_groups:
        raise UsageError(f"{owner}.new_group is {new_group}; expected None or -1 to {n_groups - 1}")


def _extended(
    groups: Int[Tensor, "batch seen"], n_keys: int, new_group: int | None, owner: str
) -> Int[Tensor, "batch key"]:
    """Labels of the first `n_keys` positions; positions past `groups` take `new_group`."""
    missing = n_keys - groups.shape[1]
    if missing <= 0:
        return groups[:, :n_keys]
    if new_group is None:
        raise UsageError(
            f"{owner}.groups covers {groups.shape[1]} positions, the attention sees {n_keys} keys; label "
            f"every position or set {owner}.new_group"
        )
    return torch.cat([groups, groups.new_full((groups.shape[0], missing), new_group)], dim=1)


def fits(
    mask: Bool[Tensor, "batch known"], n: int, new: bool | Bool[Tensor, " batch"] = False
) -> Bool[Tensor, "batch n"]:
    """A mask over the first `n` positions; those past it hold `new`, of all items or of each."""
    missing = n - mask.shape[1]
    if missing <= 0:
        return mask[:, :n]
    rest = mask.new_full((len(mask), missing), new is True)
    if isinstance(new, Tensor):
        rest |= new[:, None].to(rest.device)
    return torch.cat([mask, rest], dim=1)


@dataclass(frozen=True, eq=False)
class Edit:
    """A change of the attention of some queries, per layer, head and group of keys.

    `logit` multiplies the scaled scores before the softmax; a factor 0 flattens a group, it does not remove
    it. `prob` multiplies the weights after the softmax and renormalises; a factor 0 removes the group, and a
    query that would keep no key is refused. Keys of group -1 are left alone.

    Args:
        groups: the edit's own labelling of keys, absolute positions, -1 = left alone.
        factor: at least 0; 1 leaves alone.
        queries: which absolute positions are edited as queries; positions past it follow `new_queries`.
        kind: `logit` or `prob`.
        new_group: group of keys past `groups`.
        new_queries: whether queries past `queries` are edited, of all items or of each.

    Raises:
        UsageError: shapes, labels or factors that do not fit together.
    """

    groups: Int[Tensor, "batch key"]
    factor: Float[Tensor, "layer head group"]
    queries: Bool[Tensor, "batch query"]
    kind: Literal["logit", "prob"]
    new_group: int | None = None
    new_queries: bool | Bool[Tensor, " batch"] = False
    _active: tuple[bool, ...] = field(init=False, default=(), repr=False)
    _removes: tuple[bool, ...] = field(init=False, default=(), repr=False)
    _likeness: tuple[int, ...] = field(init=False, default=(), repr=False)
    _uniform: tuple[bool, ...] = field(init=False, default=(), repr=False)
    _binary: tuple[bool, ...] = field(init=False, default=(), repr=False)
    _new: frozenset[bool] = field(init=False, default=frozenset(), repr=False)

    def __post_init__(self) -> None:
        if self.kind not in ("logit", "prob"):
            raise UsageError(f"Edit.kind is {self.kind!r}; expected 'logit' or 'prob'")
        if self.factor.ndim != 3 or not self.factor.dtype.is_floating_point:
            raise UsageError(
                f"Edit.factor is {self.factor.dtype} of shape {tuple(self.factor.shape)}; expected floats "
                "(layer, head, group)"
            )
        if not bool((torch.isfinite(self.factor) & (self.factor >= 0)).all()):
            raise UsageError(
                "Edit.factor holds a negative or non-finite number; factors are >= 0, 1 leaves alone"
            )
        _check_groups(self.groups, self.factor.shape[2], "Edit")
        _check_new_group(self.new_group, self.factor.shape[2], "Edit")
        if self.queries.dtype != torch.bool or self.queries.ndim != 2:
            raise UsageError(
                f"Edit.queries is {self.queries.dtype} of shape {tuple(self.queries.shape)}; expected bool "
                "(batch, query)"
            )
        if self.queries.shape[0] != self.groups.shape[0]:
            raise UsageError(
                f"Edit.queries has {self.queries.shape[0]} items, Edit.groups {self.groups.shape[0]}; give "
                "one row an item"
            )
        new = self.new_queries
        if not isinstance(new, bool) and len(new) != self.queries.shape[0]:
            raise UsageError(
                f"Edit.new_queries has {len(new)} items, Edit.queries {self.queries.shape[0]}; give one value, or one "
                "an item"
            )
        # Asked at every layer and step: known once, so that no device is asked again.
        object.__setattr__(self, "_active", tuple((self.factor != 1).flatten(1).any(1).tolist()))
        object.__setattr__(self, "_removes", tuple((self.factor == 0).flatten(1).any(1).tolist()))
        alike = self.factor.flatten(1).unique(dim=0, return_inverse=True)[1] if len(self.factor) else []
        object.__setattr__(self, "_likeness", tuple(int(number) for number in alike))
        uniform = (self.factor == self.factor[:, :1]).flatten(1).all(1)
        object.__setattr__(self, "_uniform", tuple(uniform.tolist()))
        binary = ((self.factor == 0) | (self.factor == 1)).flatten(1).all(1)
        object.__setattr__(self, "_binary", tuple(binary.tolist()))
        object.__setattr__(self, "_new", frozenset([new] if isinstance(new, bool) else new.tolist()))

    def active(self, layer: int) -> bool:
        """Whether any head of the layer is changed.

        Raises:
            UsageError: the layer is beyond `factor`.
        """
        if layer >= self.factor.shape[0]:
            raise UsageError(
                f"Edit.factor covers {self.factor.shape[0]} layers, the model has a layer {layer}; give "
                "one entry a layer, 1 where nothing changes"
            )
        return bool(self._active[layer])

    def removes(self, layer: int) -> bool:
        """Whether the layer has a factor 0."""
        return bool(self._removes[layer])

    def likeness(self, layer: int) -> int:
        """The same number for layers whose factors are the same."""
        return self._likeness[layer]

    def uniform(self, layer: int) -> bool:
        """Whether all heads of the layer do the same."""
        return bool(self._uniform[layer])

    def binary(self, layer: int) -> bool:
        """Whether the layer's factors are 0 and 1 alone."""
        return bool(self._binary[layer])

    @property
    def new_of_items(self) -> frozenset[bool]:
        """What is said of queries past `queries` over all items; empty where there is no item."""
        return self._new

    def key_groups(self, n_keys: int) -> Int[Tensor, "batch key"]:
        """The edit's label of each of `n_keys` absolute positions."""
        return _extended(self.groups, n_keys, self.new_group, "Edit")

    def edited_queries(self, n_positions: int) -> Bool[Tensor, "batch query"]:
        """Whether each of `n_positions` absolute positions is edited as a query."""
        return fits(self.queries, n_positions, self.new_queries)


class CustomEdit:
    """A change of attention that no table of factors says, written as code. Each stage may be left as it is.

    Positions are absolute. The stages of one layer and call run in this order: `gain`, `queries`, `scores` (or `groups`
    and `factors`, where `n_groups` is above 0), `output`.
    """

    n_groups: int = 0
    """Number of groups of keys whose weights each row multiplies by a factor of its own; 0 = by `scores`."""

    def gain(
        self,
        layer: int,  # noqa: ARG002
        n_keys: int,  # noqa: ARG002
    ) -> Float[Tensor, "batch key"] | None:
        """A factor on each value, for every query of the call. The weights, and so the masses, stay."""
        return None

    def queries(
        self,
        layer: int,  # noqa: ARG002
        n_positions: int,  # noqa: ARG002
    ) -> Bool[Tensor, "batch query"] | None:
        """Which of the positions passed so far have their scores changed as queries; None = no one here."""
        return None

    def scores(
        self,
        layer: int,  # noqa: ARG002
        scores: Float[Tensor, "batch head row key"],
        positions: Int[Tensor, "batch row"],  # noqa: ARG002
    ) -> Float[Tensor, "batch head row key"]:
        """New scaled scores of some rows; keys that a row does not see hold the least number of the type."""
        return scores

    def groups(self, layer: int, n_keys: int) -> Int[Tensor, "batch key"]:
        """The group of each key, -1 = its weight is left alone. Asked where `n_groups` is above 0."""
        raise NotImplementedError

    def factors(
        self, layer: int, mass: Float[Tensor, "batch head row group"]
    ) -> Float[Tensor, "batch head row group"]:
        """Factors on the weights of each group, from the masses of the groups; rows must still sum to 1."""
        raise NotImplementedError

    def output(
        self,
        layer: int,  # noqa: ARG002
        out: Shaped[Tensor, "batch query head width"],
        offset: int,  # noqa: ARG002
    ) -> Shaped[Tensor, "batch query head width"]:
        """A new output of the heads, before they are mixed; `offset` is the first query's position."""
        return out


@dataclass(frozen=True, eq=False)
class Request:
    """What to measure of one batch, and how.

    Args:
        groups: group of each absolute position as a key; -1 belongs to no group (padding).
        n_groups: number of groups.
        rows: absolute query positions to measure, -1 = empty slot (mass 0); None = every query of the call.
        layers: layers to measure; None = all.
        route: `rows` (float32 beside the kernel, output untouched), `columns` (inside the kernel) or `auto`
            (by cost).
        exact_logits: force the rows route.
        grad: keep the mass differentiable.
        rerun: layers may first run with autograd off, since reentrant checkpointing runs them again with it; the
            loss of a mass is then attached inside its layer.
        new_group: group of keys past `groups` (tokens generated later).
        chunk: at most so many rows at once in the rows route.
        edit: an edit of the attention; measured masses are those after it.

    Raises:
        UsageError: shapes, labels or options that do not fit together.
    """

    groups: Int[Tensor, "batch key"]
    n_groups: int
    rows: Int[Tensor, "batch row"] | None = None
    layers: frozenset[int] | None = None
    route: Route = "auto"
    exact_logits: bool = False
    grad: bool = False
    rerun: bool = False
    new_group: int | None = None
    chunk: int = 128
    edit: Edit | None = None

    def __post_init__(self) -> None:
        if self.n_groups < 1:
            raise UsageError(f"Request.n_groups is {self.n_groups}; expected at least 1")
        if self.chunk < 1:
            raise UsageError(f"Request.chunk is {self.chunk}; expected at least 1 row")
        if self.route not in ("auto", "rows", "columns"):
            raise UsageError(f"Request.route is {self.route!r}; expected 'auto', 'rows' or 'columns'")
        if self.exact_logits and self.route == "columns":
            raise UsageError(
                "Request.exact_logits=True needs the rows route, but route='columns'; drop one of the two"
            )
        _check_groups(self.groups, self.n_groups, "Request")
        _check_new_group(self.new_group, self.n_groups, "Request")
        if self.rows is not None:
            self._check_rows(self.rows)
        if self.edit is not None and self.edit.groups.shape[0] != self.groups.shape[0]:
            raise UsageError(
                f"Edit.groups has {self.edit.groups.shape[0]} items, Request.groups "
                f"{self.groups.shape[0]}; give one row an item"
            )

    def _check_rows(self, rows: Tensor) -> None:
        if rows.ndim != 2 or rows.dtype.is_floating_point or rows.dtype == torch.bool:
            raise UsageError(
                f"Request.rows is {rows.dtype} of shape {tuple(rows.shape)}; expected integers (batch, row)"
            )
        if rows.shape[0] != self.groups.shape[0]:
            raise UsageError(
                f"Request.rows has {rows.shape[0]} items, Request.groups {self.groups.shape[0]}; give one "
                "row an item"
            )
        if rows.numel() and int(rows.min()) < -1:
            raise UsageError(
                f"Request.rows holds {int(rows.min())}; expected a position, or -1 for an empty slot"
            )
        if rows.numel() and self.new_group is None and int(rows.max()) >= self.groups.shape[1]:
            raise UsageError(
                f"Request.rows holds position {int(rows.max())}, Request.groups covers "
                f"{self.groups.shape[1]}; label every position or set Request.new_group"
            )

    def wants(self, layer: int) -> bool:
        """Whether the layer is measured."""
        return self.layers is None or layer in self.layers

    def key_groups(self, n_keys: int) -> Int[Tensor, "batch key"]:
        """The group of each of `n_keys` absolute positions.

        Raises:
            UsageError: positions past `groups` and no `new_group`.
        """
        return _extended(self.groups, n_keys, self.new_group, "Request")

    def chosen_route(self, n_rows: int, n_keys: int) -> Literal["rows", "columns"]:
        """The route that a call with these shapes takes. Nothing but the shapes and this request decides.

        Args:
            n_rows: rows measured: slots of `rows`, or queries of the call where these are fewer.
            n_keys: keys the attention sees.
        """
        if self.exact_logits:
            return "rows"
        if self.route != "auto":
            return self.route
        columns = padded_to_eight(self.n_groups)
        if columns > _MAX_COLUMNS:
            return "rows"
        return "rows" if n_rows * (_ROW_WORK + self.n_groups) <= n_keys * columns else "columns"

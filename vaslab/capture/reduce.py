"""From one layer's attention mass per query to what a capture keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaslab.attention import Request
from vaslab.prompts.encoded import Encoded, pad_rows
from vaslab.prompts.roles import KEY_ROLES, MASS_FLOOR, SYSTEM_ROLES, Role


@dataclass(frozen=True)
class Plan:
    """Which rows of a batch are measured, for which query roles, with which labels of keys.

    rows: positions of the measured queries, each once, -1 = empty slot.
    selection: whether the query in a slot belongs to a query role.
    patched: chosen heads, (layer, head), whose maps over image patches are kept; empty for none.
    keep_rows: whether the mass of every query (mean over heads) is kept.
    """

    query_roles: tuple[str, ...]
    rows: Int[Tensor, "batch row"]
    selection: Bool[Tensor, "batch query_role row"]
    request: Request
    patched: tuple[tuple[int, int], ...]
    keep_rows: bool


def plan(
    encoded: Encoded,
    query_roles: tuple[str, ...],
    *,
    route: Literal["rows", "columns"],
    patches: tuple[tuple[int, int], ...] = (),
    keep_rows: bool = False,
) -> Plan:
    """Make the request for a batch: the union of all query roles' rows, keys labelled by role, and by patch
    where maps are wanted."""
    per_role = [encoded.rows(role) for role in query_roles]
    union = [torch.cat([rows[item] for rows in per_role]).unique() for item in range(len(encoded))]
    rows = pad_rows(union)
    if rows.shape[1] == 0:
        rows = rows.new_full((len(encoded), 1), -1)
    selection = torch.stack(
        [
            torch.stack([torch.isin(rows[item], role[item]) for role in per_role])
            for item in range(len(encoded))
        ]
    )
    groups = torch.where(encoded.roles == Role.padding, -1, encoded.roles)
    count = len(KEY_ROLES)
    if patches:
        visual = encoded.roles == Role.image
        rank = visual.cumsum(dim=1) - 1
        groups = torch.where(visual, count + rank, groups)
        count += int(visual.sum(dim=1).max())
    request = Request(groups, count, rows=rows, route=route)
    return Plan(query_roles, rows, selection, request, patches, keep_rows)


@dataclass(frozen=True)
class LayerSummary:
    """What is kept of one layer. Masses are means over an item's queries; VAS is a mean over them of ratios."""

    mass: Float[Tensor, "batch head query_role key_role"]
    vas: Float[Tensor, "batch head query_role"]
    vas_no_sink: Float[Tensor, "batch head query_role"]
    clamped: Float[Tensor, "batch head query_role"]
    row_mass: Float[Tensor, "batch row key_role"] | None
    patch_mass: Float[Tensor, "batch chosen row patch"] | None


def summarise(plan: Plan, layer: int, mass: Float[Tensor, "batch head row group"]) -> LayerSummary:
    """Reduce one layer's mass (float32) as `plan` asks. Query roles without a query in an item give NaN
    there.

    VAS_i = image mass / max(S mass, 1e-6), S = system_sink + system, then the mean over queries i (arXiv
    2603.03825, section on VAS).
    """
    # b: item, h: head, r: row, g: key role, q: query role
    roles = mass[..., : len(KEY_ROLES)]
    patches = mass[..., len(KEY_ROLES) :]
    if plan.patched:
        image = torch.nn.functional.one_hot(torch.tensor(int(Role.image)), len(KEY_ROLES)).to(mass)
        roles = roles + patches.sum(dim=-1, keepdim=True) * image
    chosen = plan.selection.to(roles)
    weights = chosen / chosen.sum(dim=-1, keepdim=True)

    def over_queries(values: Tensor) -> Tensor:
        return torch.einsum("bhr,bqr->bhq", values, weights)

    image_mass = roles[..., Role.image]
    system = roles[..., list(SYSTEM_ROLES)].sum(dim=-1)
    ratio = image_mass / system.clamp(min=MASS_FLOOR)
    ratio_no_sink = image_mass / roles[..., Role.system].clamp(min=MASS_FLOOR)
    heads = [head for number, head in plan.patched if number == layer]
    return LayerSummary(
        mass=torch.einsum("bhrg,bqr->bhqg", roles, weights),
        vas=over_queries(ratio),
        vas_no_sink=over_queries(ratio_no_sink),
        clamped=over_queries((system < MASS_FLOOR).to(roles)),
        row_mass=roles.mean(dim=1) if plan.keep_rows else None,
        patch_mass=patches[:, heads] if heads else None,
    )

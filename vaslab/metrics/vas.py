"""Visual Attention Score: attention on image tokens over attention on system tokens, and its other forms."""

from collections import Counter
from dataclasses import asdict

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import VaslabError
from vaslab.metrics.arrays import DIMS, EVERYTHING, Floats, each, mean_there, named, not_below, values_of
from vaslab.metrics.definition import PAPER, Definition
from vaslab.metrics.masses import masses
from vaslab.metrics.selection import (
    check_dims,
    key_counts,
    key_places,
    one_query_set,
    reasons,
    system_roles,
)
from vaslab.prompts.roles import MASS_FLOOR, Role

__all__ = ["masses", "vas", "vas_masses", "vas_of", "vas_per_head", "vas_per_item"]

Reasons = NDArray[np.object_]


def vas(
    capture: xr.Dataset,
    queries: str = PAPER.queries,
    form: str = PAPER.form,
    sink: str = PAPER.sink,
    per_token: bool = PAPER.per_token,
    over: tuple[str, ...] = EVERYTHING,
) -> xr.DataArray:
    """Visual Attention Score (arXiv 2603.03825): with A the attention of head h of layer l, V the image
    tokens, S the system tokens and U the queries,

        VAS_i(l, h) = sum_{j in V} A[l,h,i,j] / max(sum_{j in S} A[l,h,i,j], 1e-6)

    and VAS is its mean over i within an item, then over l and h, then over items: items count equally.

    Args:
        capture: a Capture.
        queries, form, sink, per_token: as `vaslab.metrics.Definition`, whose defaults are the paper's.
        over: which of ("layer", "head", "item") to average over; () keeps all three.

    Returns:
        float64, dims (item, layer, head) less those in `over`; dimensionless. NaN for an item that has no
        VAS. The attributes say numerator, denominator, queries, how averaged, items used, items left out and
        why, the clamped share (of rows whose S mass, sink included, is below the floor) and the share of
        queries before the last image.

    Raises:
        UsageError: unknown query role, form, sink or dim.
        VaslabError: no item of the capture has a VAS; the message says why and what to use instead.
    """
    return vas_of(capture, Definition(queries, form, sink, per_token), over)


def vas_of(
    capture: xr.Dataset, definition: Definition = PAPER, over: tuple[str, ...] = EVERYTHING
) -> xr.DataArray:
    """VAS under a definition. Other arguments, result and errors as `vas`."""
    over = check_dims(tuple(over), EVERYTHING)
    part = one_query_set(capture, definition.queries)
    reason = reasons(part, definition.sink)
    ratio = _stored(part, definition.sink, reason)
    defined = ~np.isnan(ratio)
    if not defined.any():
        raise VaslabError(_nothing_defined(reason, definition.queries))
    if definition.form == "mean_of_ratios":
        if definition.per_token:
            n_image, n_system = _key_counts(part, definition.sink, reason)
            ratio = ratio * n_system / n_image
        mean = mean_there(ratio, over)
    else:
        found = _masses(part, definition, reason, defined)
        image, system, floor = (mean_there(one, over) for one in found)
        mean = image / not_below(system, floor)
    out = named(mean, part["vas"], [name for name in DIMS if name not in over]).rename("vas")
    out.attrs = _explained(part, definition, over, defined, reason)
    return out


def vas_masses(capture: xr.Dataset, definition: Definition = PAPER) -> xr.Dataset:
    """The two masses that a ratio of means divides, where VAS is defined; the form of `definition` is not read.

    Returns:
        Dataset, dims (item, layer, head): image and system, means over the item's queries, each divided by
        its number of keys if `per_token`; and floor (item), the smallest value that system is taken for. NaN
        where VAS is not defined.

    Raises:
        UsageError: unknown query role.
    """
    part = one_query_set(capture, definition.queries)
    reason = reasons(part, definition.sink)
    defined = ~np.isnan(_stored(part, definition.sink, reason))
    image, system, floor = _masses(part, definition, reason, defined)
    floor = np.where(defined.any((1, 2), keepdims=True), floor, np.nan)
    return xr.Dataset(
        {
            "image": named(image, part["vas"], DIMS),
            "system": named(system, part["vas"], DIMS),
            "floor": named(floor, part["vas"], ("item",)),
        }
    )


def vas_per_head(capture: xr.Dataset, definition: Definition = PAPER) -> xr.DataArray:
    """VAS of every head: dims (layer, head), the mean over items. Attributes and errors as `vas`."""
    return vas_of(capture, definition, over=("item",)).transpose("layer", "head")


def vas_per_item(capture: xr.Dataset, definition: Definition = PAPER) -> xr.DataArray:
    """VAS of every item: dims (item), the mean over layers and heads. Attributes and errors as `vas`."""
    return vas_of(capture, definition, over=("layer", "head"))


def _stored(part: xr.Dataset, sink: str, reason: Reasons) -> Floats:
    """The capture's mean of ratios, (item, layer, head); NaN for items without a VAS, and where it is infinite."""
    ratio = values_of(part["vas" if sink == "include" else "vas_no_sink"])
    return np.where(each(reason == "") & np.isfinite(ratio), ratio, np.nan)


def _key_counts(part: xr.Dataset, sink: str, reason: Reasons) -> tuple[Floats, Floats]:
    """Number of image keys and of system keys, (item, 1, 1); NaN for items without a VAS."""
    n_image, n_system = (
        np.where(reason == "", key_counts(part, roles), np.nan)
        for roles in ([Role.image.name], system_roles(sink))
    )
    return each(n_image), each(n_system)


def _masses(
    part: xr.Dataset, definition: Definition, reason: Reasons, defined: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    """Image mass and system mass, (item, layer, head), NaN where not `defined`; the system's floor, (item, 1, 1)."""
    mass = part["mass"].transpose(*DIMS, "key_role").values
    image, system = (
        np.where(defined, mass[..., key_places(part, roles)].astype(np.float64).sum(-1), np.nan)
        for roles in ([Role.image.name], system_roles(definition.sink))
    )
    n_image, n_system = _key_counts(part, definition.sink, reason)
    floor = np.where(np.isnan(n_system), np.nan, MASS_FLOOR)
    if not definition.per_token:
        return image, system, floor
    return image / n_image, system / n_system, floor / n_system


def _nothing_defined(reason: Reasons, queries: str) -> str:
    counts = Counter(str(word) for word in reason)
    why = ", ".join(f"{word} ({n})" for word, n in counts.most_common())
    fixes = []
    if any("system" in word for word in counts):
        fixes.append("give the prompts a system turn")
    if "no image" in counts:
        fixes.append("give the prompts an image")
    if "no query token" in counts:
        fixes.append("name a query set that the items have")
    fixes.append("use vaslab.masses or vaslab.shares for the visual share")
    return f"VAS ({queries}) is undefined for all {reason.size} items: {why}; {', or '.join(fixes)}"


def _explained(
    part: xr.Dataset,
    definition: Definition,
    over: tuple[str, ...],
    defined: NDArray[np.bool_],
    reason: Reasons,
) -> dict[str, object]:
    """Attributes of a VAS: nothing printed from it should need a guess."""
    by_token = " per token" if definition.per_token else ""
    axes = "".join(f", then over {name}" for name in _spoken(over))
    averaged = f"mean over queries of the ratio{axes}"
    if definition.form == "ratio_of_means":
        averaged = f"ratio of two means: each mass averaged over queries{axes}; divided once"
    system = " + ".join(system_roles(definition.sink))
    used = defined.any((1, 2))
    clamped = np.where(defined, values_of(part["clamped"]), np.nan)
    before_image = np.where(used, part["before_image"].values.astype(np.float64), np.nan)
    left_out = Counter(str(word) for word in reason if word)
    return {
        "long_name": "Visual Attention Score",
        "units": "1",
        **asdict(definition),
        "form_words": definition.form_words,
        "per_token": int(definition.per_token),
        "numerator": f"attention mass on image tokens{by_token}",
        "denominator": f"max(attention mass on {system} tokens, {MASS_FLOOR:g}){by_token}",
        "query_words": definition.query_words,
        "averaged": averaged,
        "n_items": int(used.sum()),
        "n_items_without": int(reason.size - int(used.sum())),
        "items_without": ", ".join(f"{n} x {word}" for word, n in left_out.items()),
        "n_undefined_heads": int((~defined.any(0)).sum()),
        "clamped_share": mean_there(clamped, EVERYTHING).item(),
        "before_image_share": mean_there(each(before_image), ("item",)).item(),
    }


def _spoken(over: tuple[str, ...]) -> list[str]:
    inner = " and ".join(f"{name}s" for name in over if name != "item")
    return [name for name in (inner, "items" if "item" in over else "") if name]
